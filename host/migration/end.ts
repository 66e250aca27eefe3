/**
 * The source's last word of a server that is off: when all its disks are in the target, it sends one more, of a pattern. Both hosts' processes may die
 * before either has said so; what is on the disk tells.
 */
import { chown, open, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Execute } from '../../protocols/qmp/index.ts';
import { readIfThere } from '../files.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import type { ServerPaths } from '../paths.ts';
import { nodesOf } from '../volume/nodes.ts';
import { type DisksTarget, endMirrors, mirror } from './mirrors.ts';
import { endName, endPath } from './names.ts';

const bytes = 4096;
const pattern = 0x4d;
const lookMs = 20;
const sendMs = 10_000;

type Owner = GuestUser | undefined;

/** Nothing is said in it yet. */
export const makeEnd = (paths: Pick<ServerPaths, 'data'>, user: Owner): Promise<void> => writeFile(paths, user, 0);

async function writeFile(paths: Pick<ServerPaths, 'data'>, user: Owner, byte: number): Promise<void> {
  const file = await open(endPath(paths), 'w', 0o600);
  try {
    await file.writeFile(Buffer.alloc(bytes, byte));
  } finally {
    await file.close();
  }
  if (user) await chown(endPath(paths), user.uid, user.gid);
}

export async function hasEnd(paths: Pick<ServerPaths, 'data'>): Promise<boolean> {
  // The guest's QEMU writes to it: no more is read than there should be.
  const found = await stat(endPath(paths)).catch(() => undefined);
  if (found?.size !== bytes) return false;
  const words = await readIfThere(endPath(paths));
  return words?.length === bytes && words.every((byte) => byte === pattern);
}

export const dropEnd = (paths: Pick<ServerPaths, 'data'>): Promise<void> => rm(endPath(paths), { force: true });

/** Everything before it is on the target's disk. Safe to repeat. @throws HostFault */
export async function sendEnd(
  execute: Execute,
  { paths, user, target }: { paths: Pick<ServerPaths, 'data'>; user: Owner; target: DisksTarget },
): Promise<void> {
  if (!(await nodesOf(execute)).some((node) => node['node-name'] === endName)) {
    await writeFile(paths, user, pattern);
    const file = { driver: 'file', filename: endPath(paths) };
    await execute('blockdev-add', { driver: 'raw', 'node-name': endName, 'read-only': true, file });
  }
  const started = performance.now();
  while (!(await mirror(execute, [endName], target)).ready) {
    if (performance.now() - started > sendMs)
      throw new HostFault('disks_not_sent', 'the target does not take the last word', { permanent: true });
    await sleep(lookMs);
  }
  await endMirrors(execute, [endName]);
}
