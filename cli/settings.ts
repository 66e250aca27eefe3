/**
 * Settings of a cloud: `<data>/bothy.conf` (key = value, # comments), the environment over it, defaults under it.
 */
import { readFileSync } from 'node:fs';
import { type CloudPaths, cloudPaths, dataArgument, defaultDataDirectory } from './cloud-paths.ts';
import { CommandError } from './command.ts';
import { nearest } from './nearest.ts';
import { type Definition, definitions, type SettingName } from './setting-definitions.ts';

export { list, type SettingName } from './setting-definitions.ts';
export const settingNames = Object.keys(definitions) as SettingName[];

export { type CloudPaths, cloudPaths, dataArgument } from './cloud-paths.ts';

export interface Settings {
  paths: CloudPaths;
  values: Readonly<Record<SettingName, string>>;
}

export function loadSettings(data: string | undefined, env: NodeJS.ProcessEnv = process.env): Settings {
  if (data === '') throw new CommandError('--data names no directory', 'name one, or leave the option out');
  // An empty variable is one that is not set, as a shell would have it.
  const paths = cloudPaths(data ?? (env.BOTHY_DATA || defaultDataDirectory));
  const file = parseSettings(readIfThere(paths.settingsFile), paths.settingsFile);
  const values = {} as Record<SettingName, string>;
  for (const name of settingNames) {
    const definition: Definition = definitions[name];
    const variable = definition.variable ?? `BOTHY_${name.toUpperCase()}`;
    const given = env[variable] === '' ? undefined : env[variable];
    const value = given ?? file[name] ?? definition.fallback;
    const complaint = definition.check?.(value);
    if (complaint !== undefined) {
      const source = given !== undefined ? `the environment's ${variable}` : `${paths.settingsFile}: ${name}`;
      throw new CommandError(
        `${source} is '${value}', but must be ${complaint}`,
        'correct it and run the command again',
      );
    }
    values[name] = value;
  }
  return { paths, values };
}

/** What the file says now; undefined where it cannot be read. */
export function settingsOfFile({ settingsFile }: CloudPaths): ReturnType<typeof parseSettings> | undefined {
  try {
    return parseSettings(readIfThere(settingsFile), settingsFile);
  } catch {
    return undefined;
  }
}

/** The settings that differ; one that is left out means its default. */
export function differing(
  one: ReturnType<typeof settingsOfFile>,
  other: ReturnType<typeof settingsOfFile>,
): SettingName[] {
  if (one === undefined || other === undefined) return [];
  const valueIn = (values: typeof one, name: SettingName) => values[name] ?? definitions[name].fallback;
  return settingNames.filter((name) => valueIn(one, name) !== valueIn(other, name));
}

/** What is said of settings that a cloud which runs does not go by; undefined where there are none. */
export function changedSettings(
  names: readonly string[],
  paths: CloudPaths,
): { message: string; cure: string } | undefined {
  if (names.length === 0) return undefined;
  const data = dataArgument(paths);
  return {
    message: `${paths.settingsFile} says ${names.join(', ')} otherwise than when the cloud was started, which goes by what it said then`,
    cure: `sudo ./bothy down --keep-guests${data}, then sudo ./bothy up --detach${data}`,
  };
}

/** Reads `key = value` lines. An unknown key is refused: a setting that silently does nothing is worse than none. */
export function parseSettings(text: string, file: string): Partial<Record<SettingName, string>> {
  const values: Partial<Record<SettingName, string>> = {};
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const where = `${file}, line ${index + 1}`;
    const match = /^([A-Za-z0-9_.-]+)\s*=\s*(.*)$/.exec(line);
    if (match === null)
      throw new CommandError(`${where}: '${line}' is not of the form key = value`, 'correct the line');
    const [, key, value] = match as unknown as [string, string, string];
    if (!(settingNames as string[]).includes(key)) {
      const guess = nearest(key, settingNames);
      const cure = guess === undefined ? `known are: ${settingNames.join(', ')}` : `did you mean '${guess}'?`;
      throw new CommandError(`${where}: unknown setting '${key}'`, cure);
    }
    values[key as SettingName] = value.replace(/^(["'])(.*)\1$/, '$2');
  }
  return values;
}

/** Environment variables that look like settings and are none, each with what was probably meant. */
export function unknownVariables(env: NodeJS.ProcessEnv = process.env): { variable: string; guess: string }[] {
  const known = ['BOTHY_DATA', ...settingNames.map((name) => `BOTHY_${name.toUpperCase()}`)];
  return Object.keys(env)
    .filter(
      (variable) => variable.startsWith('BOTHY_') && !known.includes(variable) && !variable.startsWith('BOTHY_TEST_'),
    )
    .flatMap((variable) => {
      const guess = nearest(variable, known);
      return guess === undefined ? [] : [{ variable, guess }];
    });
}

/** The file that a first start writes: every setting with its default, commented out. */
export function settingsTemplate(): string {
  const entries = settingNames.map((name) => {
    const { fallback, help, variable } = definitions[name] as Definition;
    return `# ${help}${variable === undefined ? '' : ` (environment: ${variable})`}\n#${name} = ${fallback}\n`;
  });
  return `# Settings of this cloud. Everything is optional; what is commented out shows the default.
# BOTHY_<KEY> in the environment comes before this file. Takes effect when the cloud starts: after 'bothy down --keep-guests', 'bothy up'.

${entries.join('\n')}`;
}

function readIfThere(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return '';
    const denied = code === 'EACCES' || code === 'EPERM';
    throw new CommandError(
      `cannot read ${file}: ${message.replace(/, open .*/, '')}`,
      denied ? 'run the command with sudo' : 'name a directory that is, or can be made, a cloud’s with --data',
    );
  }
}
