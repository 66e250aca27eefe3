/**
 * Where files lie in a pool: layers in a directory that no guest enters, what a guest has open beside it (../opened.ts). Owns the
 * directories; and once, the way into them of what an older Bothy left in the pool itself, where any guest came that knew a name. If this
 * process dies on the way, the next look at the pool goes on.
 */
import { link, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { LayerId } from '../../contract/ids.ts';
import { isNoEntry } from '../files.ts';
import { makeStore } from '../opened.ts';
import { layerFileName, layerOfFileName, layerOfReadsFileName } from './names.ts';

export const layersName = 'layers';

export const layersIn = (pool: string): string => join(pool, layersName);
export const layerPathIn = (pool: string, id: LayerId): string => join(layersIn(pool), layerFileName(id));
/** What an older Bothy called the file, and a guest that was started by it does. */
const earlierName = (path: string): string => join(dirname(dirname(path)), basename(path));

/** Also what a step that ended in its middle left beside one. */
export const isOfLayer = (name: string): boolean => layerOfFileName(name.replace(/(\.qcow2)\..*$/, '$1')) !== undefined;

/** Makes the directories of a pool that is ours. */
export async function arrange(pool: string, guestGid: number | undefined): Promise<void> {
  const [names] = await Promise.all([readdir(pool), makeStore(pool, { kept: layersName, guestGid })]);
  for (const name of names.filter(isOutside)) await bringIn(join(pool, name), guestGid);
}

/** What {@link arrange} would change nothing of that matters: of a pool that can only be read. */
export async function isArranged(pool: string): Promise<boolean> {
  const names = await readdir(pool);
  return names.includes(layersName) && !names.some(isOutside);
}

/** What a cache keeps of reads is made anew where it is gone, and stays until its guest ends. */
const isOutside = (name: string): boolean => isOfLayer(name) && layerOfReadsFileName(name) === undefined;

/**
 * A file that a guest writes to keeps its name beside the new one: its QEMU opens it once more by that when it is covered
 * (findings/qemu-opens-a-renamed-file-by-its-old-name.sh). Nobody else may read it,
 * and the name goes when the guest writes to it no more.
 */
async function bringIn(from: string, guestGid: number | undefined): Promise<void> {
  const to = join(layersIn(dirname(from)), basename(from));
  const [file, there] = await Promise.all([stat(from), stat(to).catch(unlessThere)]);
  const isGuests = guestGid !== undefined && file.uid !== 0;
  if (!there) await (isGuests ? link(from, to) : rename(from, to));
  else if (there.ino === file.ino && !isGuests) await rm(from);
}

/** The file is the guest's no more. */
export const forgetEarlierName = (path: string): Promise<void> => rm(earlierName(path), { force: true });

function unlessThere(error: unknown): undefined {
  if (!isNoEntry(error)) throw error;
}
