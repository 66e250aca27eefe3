/**
 * The end of a cloud's pools on this machine: its layers go, its mark last. What is not a layer stays, and so does a directory whose mark is
 * not this cloud's and host's. Backups stay: they are for what is gone. No host process runs. Safe to repeat.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isNoEntry } from '../files.ts';
import { layerOfFileName } from './names.ts';
import { markName, type PoolSetting, readMark } from './pool.ts';
import { leftovers } from './steps/removing.ts';

export function purgePools(pools: readonly PoolSetting[], owner: { cloudId: string; hostId: string }): void {
  for (const { path } of pools) {
    if (!isOwn(path, owner)) continue;
    for (const name of readdirSync(path)) {
      const suffix = leftovers.find((each) => name.endsWith(each)) ?? '';
      if (layerOfFileName(name.slice(0, name.length - suffix.length))) rmSync(join(path, name), { force: true });
    }
    rmSync(join(path, markName), { force: true });
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
