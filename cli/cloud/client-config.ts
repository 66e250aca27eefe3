/**
 * The `openstack` client of the person who called `sudo ./bothy demo` finds the cloud by name: an entry in their own
 * clouds.yaml, but only where there is none yet or where Bothy wrote it. What they have added to it stays.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText, writeIfChanged } from '../../control/kit/files.ts';

const mark = '# Written by bothy demo; delete this line to keep it from being written again.';
const ours = /^ {2}(bothy|bothy-demo):/;

/** @param entries the clouds `bothy` and `bothy-demo`
 *  Answers the file where it was written; undefined where a file of somebody else's was left alone. */
export function offerClientConfig(entries: string): string | undefined {
  const { home, owner } = caller();
  if (home === undefined) return undefined;
  const file = join(home, '.config/openstack/clouds.yaml');
  const present = readText(file);
  if (present !== undefined && !present.startsWith(mark)) return undefined;
  const written = withEntries(present ?? `${mark}\nclouds:\n`, entries);
  if (written === undefined) return undefined;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeIfChanged(file, written, owner === undefined ? { mode: 0o600 } : { mode: 0o600, owner });
  return file;
}

/** The file with these entries in place of ours of before; undefined where it has no place for them. */
function withEntries(file: string, entries: string): string | undefined {
  const kept: string[] = [];
  let skipping = false;
  for (const line of file.split('\n')) {
    skipping = ours.test(line) || (skipping && /^ {3}/.test(line));
    if (!skipping) kept.push(line);
  }
  const place = kept.findIndex((line) => /^clouds:\s*$/.test(line));
  return place < 0
    ? undefined
    : [...kept.slice(0, place + 1), ...entries.split('\n').slice(0, -1), ...kept.slice(place + 1)].join('\n');
}

/** Takes our entries away again where the file is ours and speaks of the cloud with this CA, which is no more; with nothing else left, the file. */
export function withdrawClientConfig(caFile: string): void {
  const { home } = caller();
  if (home === undefined) return;
  const file = join(home, '.config/openstack/clouds.yaml');
  const present = readText(file);
  if (!present?.startsWith(mark) || !present.includes(JSON.stringify(caFile))) return;
  const rest = withEntries(present, '');
  if (rest === undefined || rest.trim() === `${mark}\nclouds:`) rmSync(file, { force: true });
  else writeFileSync(file, rest);
}

/** Whoever typed the command, also behind sudo. */
function caller(): { home?: string; owner?: { uid: number; gid: number } } {
  const user = process.env.SUDO_USER;
  if (user === undefined || user === 'root') return process.env.HOME === undefined ? {} : { home: process.env.HOME };
  const entry = readText('/etc/passwd')
    ?.split('\n')
    .find((line) => line.startsWith(`${user}:`))
    ?.split(':');
  if (entry?.[5] === undefined) return {};
  return { home: entry[5], owner: { uid: Number(entry[2]), gid: Number(entry[3]) } };
}
