/**
 * Loads TypeScript sources without their types, and keeps each so in BOTHY_STRIPPED, a directory of the process's own, until the source
 * changes. For processes that live long (definitions.ts): Node.js' own compile cache holds all that it read or wrote in memory for life,
 * 8 MiB for control's modules, and the stripper 30 MiB (and more). So a process that had to strip any strips all, and becomes itself
 * anew before it opens anything: same pid, same arguments, nothing left to strip. Given as --import, so it is no TypeScript.
 * If the process dies while it writes, the half file is not taken for a source.
 */
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const directory = process.env.BOTHY_STRIPPED;
const restarted = 'BOTHY_STRIPPED_ONCE';
let cold = false;

const digest = (text) => createHash('sha256').update(text).digest('hex');

/** The source without types. What comes behind the last line says of which text it is, and moves no line. */
function stripped(path) {
  const text = readFileSync(path, 'utf8');
  const end = `\n//# ${process.version} ${digest(text)}`;
  const kept = join(directory, `${digest(path)}.js`);
  try {
    const source = readFileSync(kept, 'utf8');
    if (source.endsWith(end)) return source;
  } catch (error) {
    if (error.code !== 'ENOENT') throw error;
  }
  cold = true;
  const source = stripTypeScriptTypes(text) + end;
  try {
    writeFileSync(`${kept}.new`, source, { mode: 0o600 });
    renameSync(`${kept}.new`, kept);
  } catch {
    // A full disk costs this process memory, and the next start time.
  }
  return source;
}

if (directory !== undefined) {
  mkdirSync(directory, { recursive: true });
  registerHooks({
    load: (url, context, next) =>
      url.startsWith('file:') && url.endsWith('.ts')
        ? { format: 'module', source: stripped(fileURLToPath(url)), shortCircuit: true }
        : next(url, context),
  });
}

/** To be called when all code that is needed at once has been loaded, and nothing has been opened. */
export function restartIfCold() {
  // Where the second time is as cold as the first (a read-only disk), it stays as it is.
  if (!cold || process.env[restarted] !== undefined) return;
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const sources = '{contract,engine,protocols,control,api,host,cli}/**/*.ts';
  for (const file of globSync(sources, { cwd: root })) if (!file.endsWith('.test.ts')) stripped(join(root, file));
  const argv = [process.execPath, ...process.execArgv, ...process.argv.slice(1)];
  process.execve?.(process.execPath, argv, { ...process.env, [restarted]: '1' });
}
