/** The setting of this machine's storage pools: NAME:TIER:PLACE, with commas between. Pure. */
import type { PoolSetting } from '../../host/index.ts';

export const notPools =
  'NAME:TIER:PLACE with commas between, NAME of small letters, digits and dashes, TIER one of ram, flash, disk, PLACE a directory, filesystem=DEVICE (also UUID=… or LABEL=…) block=DEVICE or rbd=USER@POOL (also /NAMESPACE and ?conf=FILE&keyring=FILE), such as fast:flash:/srv/nvme, slow:disk:filesystem=LABEL=raid';

const form =
  /^\s*([a-z0-9][a-z0-9-]{0,62}):(ram|flash|disk):(?:(filesystem|block)=)?((?:(?:UUID|LABEL)=|rbd=|\/)[^:]*[^:\s])(?::([1-9]\d{0,6}))?\s*$/;
const kinds = { filesystem: 'file-system', block: 'block-device' } as const;

/** Undefined where it says none: the host has one of its own then, in the data directory. Null where it is wrong. */
export function storagePools(value: string): PoolSetting[] | undefined | null {
  if (value.trim() === '') return undefined;
  const pools: PoolSetting[] = [];
  for (const part of value.split(',')) {
    const [, name, tier, kind, source, iops] = form.exec(part) ?? [];
    if (name === undefined || source === undefined) return null;
    const place = placeOf(kind as keyof typeof kinds | undefined, source);
    if (!place || pools.some((pool) => pool.name === name || sourceOf(pool) === sourceOf(place))) return null;
    // No cache has its base in a cluster.
    if (place.rbd && iops !== undefined) return null;
    const limit = iops !== undefined && { iopsPerVolume: Number(iops) };
    pools.push({ name, tier: tier as PoolSetting['tier'], ...place, ...limit });
  }
  return pools;
}

type Place = Pick<PoolSetting, 'path' | 'device' | 'rbd'>;

function placeOf(kind: keyof typeof kinds | undefined, source: string): Place | null {
  if (source.startsWith('rbd=')) {
    const rbd = kind ? null : rbdSetting(source.slice('rbd='.length));
    return rbd && { rbd };
  }
  if (!source.startsWith('/') && kind !== 'filesystem') return null;
  return kind ? { device: { kind: kinds[kind], source } } : { path: source };
}

const sourceOf = ({ path, device, rbd }: Place): string | undefined =>
  rbd ? `${rbd.conf} ${rbd.pool}/${rbd.namespace ?? ''}` : (path ?? device?.source);

/** Null where it is wrong. */
function rbdSetting(text: string): NonNullable<PoolSetting['rbd']> | null {
  const [, user, pool, namespace, query = ''] = /^([\w.-]+)@([\w.-]+)(?:\/([\w.-]+))?(?:\?(.+))?$/.exec(text) ?? [];
  if (user === undefined || pool === undefined) return null;
  const more = new URLSearchParams(query);
  if ([...more].some(([key, value]) => (key !== 'conf' && key !== 'keyring') || !value.startsWith('/'))) return null;
  const conf = more.get('conf') ?? '/etc/ceph/ceph.conf';
  const keyring = more.get('keyring') ?? `/etc/ceph/ceph.client.${user}.keyring`;
  return { conf, user, keyring, pool, ...(namespace !== undefined && { namespace }) };
}
