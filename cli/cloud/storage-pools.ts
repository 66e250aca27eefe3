/** The setting of this machine's storage pools: NAME:TIER:DIRECTORY, with commas between. Pure. */
import type { PoolSetting } from '../../host/index.ts';

export const notPools =
  'NAME:TIER:DIRECTORY with commas between, NAME of small letters, digits and dashes, TIER one of ram, flash, disk, such as fast:flash:/srv/nvme, slow:disk:/srv/raid';

/** Undefined where it says none: the host has one of its own then, in the data directory. Null where it is wrong. */
export function storagePools(value: string): PoolSetting[] | undefined | null {
  if (value.trim() === '') return undefined;
  const pools: PoolSetting[] = [];
  for (const part of value.split(',')) {
    const [, name, tier, path, iops] =
      /^\s*([a-z0-9][a-z0-9-]{0,62}):(ram|flash|disk):(\/[^:]*[^:\s])(?::([1-9]\d{0,6}))?\s*$/.exec(part) ?? [];
    if (name === undefined || path === undefined) return null;
    if (pools.some((pool) => pool.name === name || pool.path === path)) return null;
    const limit = iops !== undefined && { iopsPerVolume: Number(iops) };
    pools.push({ name, tier: tier as PoolSetting['tier'], path, ...limit });
  }
  return pools;
}
