/**
 * The end of a cloud's pools on this machine: its layers go, its mark last, and what was mounted for them is unmounted. What is not a layer
 * stays, and so does a directory whose mark is not this cloud's and host's. Backups stay: they are for what is gone. No host process runs.
 * Safe to repeat.
 */
import { existsSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isNoEntry, readIfThere } from '../files.ts';
import { forgetStore } from '../opened.ts';
import { order } from './device/commands.ts';
import { lookedAt, readMounts } from './device/mounts.ts';
import { layerOfFileName, layerOfReadsFileName } from './names.ts';
import { markedName, markName, mountsOf, readMark, readMarked } from './pool.ts';
import { layersIn, layersName } from './pool-files.ts';
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
  for (const path of pools) if (isOwn(path, owner)) await purge(path);
  // One may lie on another.
  for (const path of mounts.toReversed()) await order('umount', path);
}

/** Whether a purge would remove a layer: of what nobody else can be asked. @param dataDirectory the host's */
export async function keepsLayers(dataDirectory: string, owner: { cloudId: string; hostId: string }): Promise<boolean> {
  const marked = Object.values(readMarked(await readIfThere(join(dataDirectory, markedName))));
  const pools = [join(dataDirectory, 'volumes'), ...marked.filter((path) => isOwn(path, owner))];
  return pools.some((path) => layerFilesOf(path).length > 0);
}

function layerFilesOf(path: string): string[] {
  return [path, layersIn(path)].flatMap((directory) =>
    (existsSync(directory) ? readdirSync(directory) : []).filter(isLayers).map((name) => join(directory, name)),
  );
}

async function purge(path: string): Promise<void> {
  for (const file of layerFilesOf(path)) rmSync(file, { force: true });
  await forgetStore(path, layersName);
  rmSync(join(path, markName), { force: true });
}

function isLayers(name: string): boolean {
  const suffix = leftovers.find((each) => name.endsWith(each)) ?? '';
  const layer = layerOfReadsFileName(name) ?? layerOfFileName(name.slice(0, name.length - suffix.length));
  return layer !== undefined;
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
