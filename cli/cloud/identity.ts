/**
 * Who a cloud is: ids made once, kept in `<data>/cloud.json`. The file is also the data directory's marker: a first start makes it before
 * anything else, and only a directory that has it, or nothing but what people may put there for a first start, is ever purged. Where it
 * was lost under a cloud that runs, the run directory of that very path stands for it, and then only what a cloud makes may lie there.
 */
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { newId, newOrderedId } from '../../contract/ids.ts';
import { readText, writeWhole } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import type { CloudPaths } from '../settings.ts';

export interface CloudIdentity {
  cloudId: string;
  hostId: string;
  createdAt: string;
}

export function readIdentity(paths: CloudPaths): CloudIdentity | undefined {
  const text = readText(paths.identityFile);
  if (text === undefined) return undefined;
  try {
    const { cloudId, hostId, createdAt } = JSON.parse(text) as CloudIdentity;
    if (typeof cloudId === 'string' && typeof hostId === 'string') return { cloudId, hostId, createdAt };
  } catch {
    // Said below.
  }
  throw new CommandError(
    `${paths.identityFile} is damaged`,
    'restore it from a backup: it holds the ids of the cloud and of this host',
  );
}

/** The settings, written by people; and the mark itself, cut off. */
const beforeMark: ReadonlySet<string> = new Set(['bothy.conf', 'cloud.json.new']);
const madeByCloud: ReadonlySet<string> = new Set([
  ...['ca.pem', 'cache', 'certificates', 'clouds.yaml', 'host', 'log', 'openrc', 'ovn', 'postgres', 'secrets'],
]);

/** Whether the directory is a cloud's, or may become one's: nothing of others is in it. @throws CommandError where its mark is damaged */
export function isCloudDirectory(paths: CloudPaths): boolean {
  if (readIdentity(paths) !== undefined) return true;
  const ran = existsSync(paths.run);
  return namesIn(paths.data).every((name) => beforeMark.has(name) || (ran && madeByCloud.has(name)));
}

const namesIn = (directory: string): string[] => (existsSync(directory) ? readdirSync(directory) : []);

/** Reads the identity, or makes it where the directory is empty (or not there). */
export function ensureIdentity(paths: CloudPaths): CloudIdentity {
  const known = readIdentity(paths);
  if (known !== undefined) return known;
  const foreign = namesIn(paths.data).filter((name) => !beforeMark.has(name));
  if (foreign.length > 0) {
    throw new CommandError(
      `${paths.data} is not empty and is no data directory of Bothy (it has ${foreign.slice(0, 3).join(', ')})`,
      'name a new or empty directory with --data',
    );
  }
  const identity = { cloudId: newId(), hostId: newOrderedId(), createdAt: new Date().toISOString() };
  rmSync(`${paths.identityFile}.new`, { force: true });
  writeWhole(paths.identityFile, `${JSON.stringify(identity, null, 2)}\n`, { mode: 0o644 });
  return identity;
}
