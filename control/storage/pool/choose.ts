/**
 * Which pool takes a volume. A pure function over all pools, with a why-record: every pool's verdict for administrators, and for the
 * tenant the reasons without names and numbers, with the nearest fix.
 *
 * Spreads: the pool that keeps the largest free share of what it may promise wins; one whose host would have to fetch the image first
 * counts as if it had promised the volume `copyWeight` times more. A host that was here a moment ago is being restarted, and no reason to
 * refuse: the layer waits for it; but those that are here go first.
 */
import { type PoolTraits, unmetSpecs } from './capabilities.ts';
import type { PoolKind } from './tables.ts';

export interface PoolState extends PoolTraits {
  id: string;
  host_id: string;
  host_name: string;
  host_enabled: boolean;
  connected: boolean;
  /** Connected, or it was a moment ago. */
  seen_lately: boolean;
  disabled: boolean;
  problem: string | null;
  total_bytes: number;
  /** Less what copies that are being made have yet to take. */
  free_bytes: number;
  promised_bytes: number;
  over_subscription: number;
  reserved_percentage: number;
  /** Reads and writes a second that it gives, so many times that may be promised; null: nobody has said. */
  iops: number | null;
  iops_over_subscription: number;
  promised_iops: number;
  holds_image: boolean;
}

export interface PoolWish {
  sizeBytes: number;
  /** Copies of what it builds on take so much at once, whatever may be promised. */
  copiedBytes?: number;
  /** Of the volume's type. */
  extraSpecs: Readonly<Record<string, string>>;
  availabilityZone?: string | null;
  /** The host that it must be on: that of its source, or of its server. */
  hostId?: string | null;
  /** Whose host that is. */
  hostOf?: 'source' | 'server' | 'hint' | 'volume';
  /** The one pool that it may be in. */
  poolId?: string | null;
  /** Hosts that it must not be on. */
  notOnHosts?: readonly string[];
  /** The image that it is made from. */
  imageId?: string | null;
  /** Where what it builds on lies, and whether a guest writes to that. */
  from?: { poolId: string; kind: PoolKind; inUse: boolean } | null;
  /** With a key, its own or its source's. */
  encrypted?: boolean;
  /** Reads and writes a second that its type promises it. */
  iops?: number;
  /** Another pool of the same host is to be its cache. */
  cache?: { pool: string | null; tier: PoolState['tier'] | null; bytes: number } | null;
}

export type PoolRefusal =
  | 'other_pool'
  | 'other_host'
  | 'host_to_avoid'
  | 'other_zone'
  | 'type_unmet'
  | 'no_cache'
  | 'no_encryption'
  | 'cluster_apart'
  | 'disabled'
  | 'host_disabled'
  | 'disconnected'
  | 'problem'
  | 'too_much_promised'
  | 'too_little_space'
  | 'too_few_iops';

export interface PoolVerdict {
  pool_id: string;
  name: string;
  host_name: string;
  refusals: PoolRefusal[];
  /** Of the type's extra specs, those that it does not meet. */
  unmet: string[];
  /** What may still be promised, and what is free, less what is reserved. */
  room_bytes: number;
  free_bytes: number;
  /** Reads and writes a second that may still be promised; null: nobody has said how many it gives. */
  iops_left: number | null;
  /** Free share of what it may promise, after the volume; null where it is refused. The highest wins. */
  score: number | null;
}

export interface PoolChoice {
  pool: PoolState | null;
  /** Of that pool's host, where a cache was asked for. */
  cachePool: PoolState | null;
  /** Best first; cut to `verdictsKept`. */
  verdicts: PoolVerdict[];
  /** How many were looked at: all, where none takes it. */
  pools: number;
  refusals: Partial<Record<PoolRefusal, number>>;
  /** For the tenant. */
  message: string;
  fix: string;
}

/** A decision row must stay small in a cloud of a thousand hosts. */
const verdictsKept = 20;
const copyWeight = 2;

interface Judged {
  pool: PoolState;
  verdict: PoolVerdict;
}

/**
 * The pool of one host for each of several volumes that are made together, each seeing what those before it took; undefined: they do not all
 * fit there.
 * @param pools the host's
 * @returns the pools as they are then
 */
export function chooseTogether(wishes: readonly PoolWish[], pools: readonly PoolState[]): PoolState[] | undefined {
  let left = [...pools];
  for (const wish of wishes) {
    const { pool, cachePool } = choose(wish, left);
    if (!pool) return undefined;
    const taken = (each: PoolState) =>
      each.id === pool.id ? wish.sizeBytes : each.id === cachePool?.id ? (wish.cache?.bytes ?? 0) : 0;
    left = left.map((each) => ({
      ...{ ...each, promised_bytes: each.promised_bytes + taken(each) },
      free_bytes: each.free_bytes - (each.id === pool.id ? (wish.copiedBytes ?? 0) : 0),
      promised_iops: each.promised_iops + (each.id === pool.id ? (wish.iops ?? 0) : 0),
    }));
  }
  return left;
}

/** Which of the pools takes it, and why the others do not. */
export function choose(wish: PoolWish, pools: readonly PoolState[]): PoolChoice {
  const judged = pools.map((pool) => ({ pool, verdict: judge(wish, pool, pools) })).sort(order);
  const refusals: Partial<Record<PoolRefusal, number>> = {};
  for (const refusal of judged.flatMap(({ verdict }) => verdict.refusals))
    refusals[refusal] = (refusals[refusal] ?? 0) + 1;
  const [best] = judged;
  const pool = best && best.verdict.score !== null ? best.pool : null;
  const verdicts = judged.slice(0, verdictsKept).map(({ verdict }) => verdict);
  return {
    pool,
    cachePool: (pool && wish.cache && cacheFor(wish.cache, pool, pools)) ?? null,
    verdicts,
    pools: pools.length,
    refusals,
    ...(pool ? { message: placedAs(wish), fix: '' } : explain(judged)),
  };
}

const placedWhere: Readonly<Record<NonNullable<PoolWish['hostOf']>, string>> = {
  source: 'placed where the layers that it builds on are',
  server: 'placed where its server goes',
  hint: 'placed where its scheduler hint says',
  volume: 'placed on the host that it is on',
};

const placedAs = ({ hostId, hostOf }: PoolWish): string =>
  hostId != null && hostOf !== undefined ? placedWhere[hostOf] : 'placed';

/** A total order, so that the same pools give the same answer. */
function order(a: Judged, b: Judged): number {
  return (
    Number(b.verdict.score !== null) - Number(a.verdict.score !== null) ||
    Number(b.pool.connected) - Number(a.pool.connected) ||
    (b.verdict.score ?? 0) - (a.verdict.score ?? 0) ||
    a.verdict.refusals.length - b.verdict.refusals.length ||
    (a.pool.id < b.pool.id ? -1 : 1)
  );
}

/** The pool of the same host that may be the cache of what lies in this one; of several the one with the largest free share. */
function cacheFor(
  wish: NonNullable<PoolWish['cache']>,
  pool: PoolState,
  pools: readonly PoolState[],
): PoolState | undefined {
  const fit = (each: PoolState): boolean => {
    const { room, free } = roomOf(each);
    const named = (wish.pool ?? each.name) === each.name && (wish.tier ?? each.tier) === each.tier;
    const well =
      each.kind !== 'rbd' && !each.disabled && each.problem === null && room >= wish.bytes && free >= wish.bytes;
    return pool.kind !== 'rbd' && each.id !== pool.id && each.host_id === pool.host_id && named && well;
  };
  const share = (each: PoolState) => roomOf(each).room / Math.max(1, roomOf(each).promisable);
  return pools.filter(fit).sort((a, b) => share(b) - share(a) || (a.id < b.id ? -1 : 1))[0];
}

function judge(wish: PoolWish, pool: PoolState, pools: readonly PoolState[]): PoolVerdict {
  const { room, free, promisable } = roomOf(pool);
  const unmet = unmetSpecs(wish.extraSpecs, pool);
  const { poolId = null, hostId = null, availabilityZone: zone = null, sizeBytes, copiedBytes = 0 } = wish;
  const said: readonly [PoolRefusal, boolean][] = [
    ['other_pool', poolId !== null && poolId !== pool.id],
    ['other_host', hostId !== null && hostId !== pool.host_id],
    ['host_to_avoid', wish.notOnHosts?.includes(pool.host_id) ?? false],
    ['other_zone', zone !== null && zone !== pool.availability_zone],
    ['type_unmet', unmet.length > 0],
    ['no_cache', wish.cache != null && cacheFor(wish.cache, pool, pools) === undefined],
    ['no_encryption', pool.kind === 'rbd' && wish.encrypted === true],
    ['cluster_apart', isApart(wish, pool)],
    ['disabled', pool.disabled],
    // What is there already may have children there: a host that is closed takes nothing new.
    ['host_disabled', !pool.host_enabled && hostId === null],
    ['disconnected', !pool.seen_lately],
    ['problem', pool.problem !== null],
    ['too_much_promised', room < sizeBytes],
    ['too_little_space', free <= 0 || free < copiedBytes || free * pool.over_subscription < sizeBytes],
    ['too_few_iops', iopsLeft(pool) < (wish.iops ?? 0)],
  ];
  const refusals = said.flatMap(([refusal, so]) => (so ? [refusal] : []));
  const copies = wish.imageId && !pool.holds_image ? copyWeight : 0;
  // Rounded so that equal loads are equal numbers, whichever way they came about.
  const share = promisable > 0 ? Math.round(((room - (1 + copies) * sizeBytes) / promisable) * 1e9) / 1e9 : 0;
  const { id: pool_id, name, host_name } = pool;
  const score = refusals.length === 0 ? share : null;
  const iops_left = pool.iops === null ? null : iopsLeft(pool);
  return { pool_id, name, host_name, refusals, unmet, room_bytes: room, free_bytes: free, iops_left, score };
}

/** What lies in a cluster does not leave it; into it goes what nobody writes to meanwhile. */
const isApart = ({ from }: PoolWish, { id, kind }: PoolState): boolean =>
  from != null && from.poolId !== id && (from.kind === 'rbd' || (kind === 'rbd' && from.inUse));

/** Reads and writes a second that it may still promise; what asks for none takes none. */
export const iopsLeft = ({
  iops,
  iops_over_subscription,
  promised_iops,
}: Pick<PoolState, 'iops' | 'iops_over_subscription' | 'promised_iops'>): number =>
  iops === null ? Number.POSITIVE_INFINITY : Math.max(0, iops * iops_over_subscription - promised_iops);

/** What the pool may still promise, as Cinder counts thin pools (cinder/scheduler/filters/capacity_filter.py). */
export function roomOf(
  pool: Pick<PoolState, 'total_bytes' | 'free_bytes' | 'promised_bytes' | 'over_subscription' | 'reserved_percentage'>,
) {
  const reserved = Math.ceil((pool.total_bytes * pool.reserved_percentage) / 100);
  const promisable = Math.floor((pool.total_bytes - reserved) * pool.over_subscription);
  return { promisable, room: promisable - pool.promised_bytes, free: Math.max(0, pool.free_bytes - reserved) };
}

const words: Readonly<Record<PoolRefusal, string>> = {
  other_pool: 'is not the one where it must be',
  other_host: 'is not on the host where it must be',
  host_to_avoid: 'is on a host where it must not be',
  other_zone: 'is in another availability zone',
  type_unmet: 'is not as the volume type asks',
  no_cache: 'is on a host without a pool for the cache that the volume type asks for, or with too little room in it',
  no_encryption: 'is of a Ceph cluster, where no volume is encrypted',
  cluster_apart: 'is not in the Ceph cluster where it lies, or is in one and it is in use',
  disabled: 'is closed for new volumes',
  host_disabled: 'is on a host that is closed',
  disconnected: 'is on a host that is away',
  problem: 'is not well',
  too_much_promised: 'has promised too much already',
  too_little_space: 'has too little space free',
  too_few_iops: 'has promised too many reads and writes a second already',
};

/** What each refusal's end would look like, from the tenant's side. */
const cures: Readonly<Record<PoolRefusal, string>> = {
  other_pool: 'make it of another source',
  other_host: 'make it of another source or for another server',
  host_to_avoid: 'do not ask for other hosts than those of certain volumes',
  other_zone: 'do not ask for a certain availability zone, or ask for another',
  type_unmet: 'use another volume type',
  no_cache: 'use another volume type, or ask the administrators for a faster pool',
  no_encryption: 'use another volume type',
  cluster_apart: 'detach it first, or copy it by way of an image or a backup',
  disabled: 'ask the administrators to open a pool',
  host_disabled: 'ask the administrators to open a host',
  disconnected: 'try again when the hosts are back',
  problem: 'ask the administrators to mend the pool',
  too_much_promised: 'ask for a smaller volume or delete one',
  too_little_space: 'ask for a smaller volume, or delete volumes or snapshots',
  too_few_iops: 'use a volume type with fewer of them, or delete a volume of such a type',
};

const size: ReadonlySet<PoolRefusal> = new Set(['too_much_promised', 'too_little_space', 'too_few_iops']);
/** Of pools that are out of the question whatever else is said of them, nobody wants to hear the rest. */
const beside: readonly PoolRefusal[] = ['other_pool', 'other_host', 'host_to_avoid', 'other_zone', 'type_unmet'];

function explain(judged: readonly Judged[]): { message: string; fix: string } {
  if (judged.length === 0) return { message: 'there is no pool yet', fix: 'ask the administrators to add one' };
  let relevant = judged.map(({ verdict }) => verdict.refusals);
  for (const refusal of beside) {
    const others = relevant.filter((refusals) => !refusals.includes(refusal));
    if (others.length > 0) relevant = others;
  }
  const counts = new Map<PoolRefusal, number>();
  for (const refusal of relevant.flat()) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  const parts = [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([refusal, count]) => `${count === relevant.length ? 'every pool' : 'a pool'} ${words[refusal]}`);
  const nearest = relevant.toSorted((a, b) => distance(a) - distance(b))[0]!;
  return { message: parts.join('; '), fix: nearest.map((refusal) => cures[refusal]).join(', and ') };
}

/** What the caller can change alone (a smaller volume) is nearer than what others must do. */
const distance = (refusals: readonly PoolRefusal[]): number =>
  refusals.reduce((sum, refusal) => sum + (size.has(refusal) ? 1 : 10), 0);
