/** The setting of this machine's storage pools: NAME:TIER:PLACE, with commas between. Pure. */
import type { PoolSetting } from '../../host/index.ts';

export const notPools =
  'NAME:TIER:PLACE with commas between, NAME of small letters, digits and dashes, TIER one of ram, flash, disk, PLACE a directory, filesystem=DEVICE (also UUID=… or LABEL=…) or block=DEVICE, such as fast:flash:/srv/nvme, slow:disk:filesystem=LABEL=raid';

const kinds = { filesystem: 'file-system', block: 'block-device' } as const;

/** Undefined where it says none: the host has one of its own then, in the data directory. Null where it is wrong. */
export function storagePools(value: string): PoolSetting[] | undefined | null {
  if (value.trim() === '') return undefined;
  const pools: PoolSetting[] = [];
  for (const part of value.split(',')) {
    const [, name, tier, kind, source, iops] =
      /^\s*([a-z0-9][a-z0-9-]{0,62}):(ram|flash|disk):(?:(filesystem|block)=)?((?:(?:UUID|LABEL)=|\/)[^:]*[^:\s])(?::([1-9]\d{0,6}))?\s*$/.exec(
        part,
      ) ?? [];
    if (name === undefined || source === undefined) return null;
    if (!source.startsWith('/') && kind !== 'filesystem') return null;
    const place = kind ? { device: { kind: kinds[kind as keyof typeof kinds], source } } : { path: source };
    if (pools.some((pool) => pool.name === name || sourceOf(pool) === source)) return null;
    const limit = iops !== undefined && { iopsPerVolume: Number(iops) };
    pools.push({ name, tier: tier as PoolSetting['tier'], ...place, ...limit });
  }
  return pools;
}

const sourceOf = ({ path, device }: PoolSetting): string | undefined => path ?? device?.source;
