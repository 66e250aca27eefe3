/**
 * The `openstack` client of the person who called `sudo ./bothy demo` finds the cloud by name: an entry in their own
 * clouds.yaml, but only where there is none yet or where Bothy wrote it.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readText, writeIfChanged } from '../../control/kit/files.ts';

const mark = '# Written by bothy demo; delete this line to keep it from being written again.';

/** Answers the file where it was written; undefined where a file of somebody else's was left alone. */
export function offerClientConfig(clouds: string): string | undefined {
  const { home, owner } = caller();
  if (home === undefined) return undefined;
  const file = join(home, '.config/openstack/clouds.yaml');
  const present = readText(file);
  if (present !== undefined && !present.startsWith(mark)) return undefined;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeIfChanged(file, `${mark}\n${clouds}`, owner === undefined ? { mode: 0o600 } : { mode: 0o600, owner });
  return file;
}

/** Takes the file away again where it is ours and speaks of the cloud with this CA, which is no more. */
export function withdrawClientConfig(caFile: string): void {
  const { home } = caller();
  if (home === undefined) return;
  const file = join(home, '.config/openstack/clouds.yaml');
  const present = readText(file);
  if (present?.startsWith(mark) && present.includes(JSON.stringify(caFile))) rmSync(file, { force: true });
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
