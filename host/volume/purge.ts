/**
 * The end of a cloud's pools on this machine: its layers go, its mark last, and what was mounted for them is unmounted. What is not a layer
 * stays, and so does a directory whose mark is not this cloud's and host's. Backups stay: they are for what is gone. No host process runs.
 * Safe to repeat.
 */
import { readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isNoEntry, readIfThere } from '../files.ts';
import { order } from './device/commands.ts';
import { lookedAt, readMounts } from './device/mounts.ts';
import { layerOfFileName } from './names.ts';
import { markedName, markName, mountsOf, readMark, readMarked } from './pool.ts';
import { leftovers } from './steps/removing.ts';

/**
 * Of all pools that the host has marked, whoever named them.
 * @param dataDirectory the host's
 * @throws where something uses what is mounted for a pool: then nothing below may be removed as if it were the data directory's
 */
export async function purgePools(dataDirectory: string, owner: { cloudId: string; hostId: string }): Promise<void> {
  const marked = readMarked(await readIfThere(join(dataDirectory, markedName)));
  const mounts = await mountedBelow(mountsOf(dataDirectory));
  const pools = new Set([...Object.values(marked), ...mounts.filter((path) => !path.endsWith(lookedAt))]);
  for (const path of pools) if (isOwn(path, owner)) purge(path);
  // One may lie on another.
  for (const path of mounts.toReversed()) await order('umount', path);
}

function purge(path: string): void {
  for (const name of readdirSync(path)) {
    const suffix = leftovers.find((each) => name.endsWith(each)) ?? '';
    if (layerOfFileName(name.slice(0, name.length - suffix.length))) rmSync(join(path, name), { force: true });
  }
  rmSync(join(path, markName), { force: true });
}

async function mountedBelow(path: string): Promise<string[]> {
  try {
    const real = realpathSync(path);
    return (await readMounts()).flatMap((mount) => (dirname(mount.path) === real ? mount.path : []));
  } catch (error) {
    if (isNoEntry(error)) return [];
    throw error;
  }
}

function isOwn(path: string, { cloudId, hostId }: { cloudId: string; hostId: string }): boolean {
  try {
    const mark = readMark(readFileSync(join(path, markName)));
    return mark?.cloudId === cloudId && mark.hostId === hostId;
  } catch (error) {
    if (isNoEntry(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return false;
    throw error;
  }
}
