/**
 * Removes what a cloud left on the machine. Everything outside of its directories carries its tag in the name, and
 * directories are deleted only where the cloud's marker lies in them. Runs when all processes are down; safe to repeat,
 * the marker goes last.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError } from '../command.ts';
import { tryRun } from '../run.ts';
import type { Settings } from '../settings.ts';
import { step } from '../terminal.ts';
import { readIdentity } from './identity.ts';
import { cloudLayout } from './layout.ts';

/** Refuses what no cloud's data directory can be, whatever lies in it. */
export function refuseDangerous({ paths }: Settings): void {
  const depth = paths.data.split('/').filter((part) => part !== '').length;
  const home = process.env.HOME;
  const system =
    /^\/(bin|boot|dev|etc|lib\w*|proc|root|run|sbin|sys|usr|home|opt|srv|tmp|var|mnt|media)(\/(lib|log|cache|local|tmp|run|share))?$/;
  if (depth < 2 || paths.data === home || system.test(paths.data) || /^\/home\/[^/]+$/.test(paths.data)) {
    throw new CommandError(
      `${paths.data} is no place that a purge may delete`,
      'name the data directory of a cloud with --data',
    );
  }
  if (existsSync(paths.data) && readdirSync(paths.data).length > 0 && readIdentity(paths) === undefined) {
    throw new CommandError(
      `${paths.data} has no cloud.json: it is no data directory of Bothy, so nothing in it is deleted`,
      'name the data directory of a cloud with --data',
    );
  }
}

export async function purgeCloud(settings: Settings): Promise<void> {
  refuseDangerous(settings);
  await step('removing network leftovers', () => removeKernelObjects(settings.paths.tag));
  await step('removing files', async () => {
    const { paths } = settings;
    const { adminPasswordFile } = cloudLayout(paths);
    rmSync(adminPasswordFile, { force: true });
    rmSync(paths.run, { recursive: true, force: true });
    if (!existsSync(paths.data)) return;
    for (const entry of readdirSync(paths.data)) {
      if (join(paths.data, entry) !== paths.identityFile)
        rmSync(join(paths.data, entry), { recursive: true, force: true });
    }
    rmSync(paths.data, { recursive: true, force: true });
  });
}

/** Network cards, namespaces and nft tables whose names carry the cloud's tag. */
export async function removeKernelObjects(tag: string): Promise<string[]> {
  const removed: string[] = [];
  for (const [list, remove] of [
    [kernelNamespaces, (name: string) => ['ip', 'netns', 'delete', name]],
    [kernelLinks, (name: string) => ['ip', 'link', 'delete', name]],
  ] as const) {
    for (const name of (await list()).filter((candidate) => isTagged(candidate, tag))) {
      const [command, ...args] = remove(name) as [string, ...string[]];
      if ((await tryRun(command, args)).code === 0) removed.push(name);
    }
  }
  for (const { family, name } of (await kernelTables()).filter((candidate) => isTagged(candidate.name, tag))) {
    if ((await tryRun('nft', ['delete', 'table', family, name])).code === 0) removed.push(`${family} ${name}`);
  }
  return removed;
}

/** Our names begin with the tag, or have it as a word of its own (`bothy-ab12`, `br-ab12-ex`). */
export const isTagged = (name: string, tag: string): boolean =>
  name.startsWith(tag) || name.split(/[-_.]/).includes(tag);

async function kernelLinks(): Promise<string[]> {
  return readdirSync('/sys/class/net');
}

async function kernelNamespaces(): Promise<string[]> {
  return existsSync('/run/netns') ? readdirSync('/run/netns') : [];
}

async function kernelTables(): Promise<{ family: string; name: string }[]> {
  const { stdout } = await tryRun('nft', ['list', 'tables']).catch(() => ({ stdout: '' }));
  return stdout.split('\n').flatMap((line) => {
    const [word, family, name] = line.split(' ');
    return word === 'table' && family !== undefined && name !== undefined ? [{ family, name }] : [];
  });
}
