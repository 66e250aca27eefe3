/**
 * The pool of a new volume, decided in the transaction that makes the volume: what one decision took, the next one sees. What a pool has
 * promised is counted by the trigger of migration 0312 when the layer is inserted.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { hostExportsSql } from './capabilities.ts';
import { choose, iopsLeft, type PoolChoice, type PoolState, type PoolWish, roomOf } from './choose.ts';
import { iopsOf, type VolumesOfKind, volumesOfPool } from './iops.ts';
import type { PoolKind } from './tables.ts';

/** Any constant that no other advisory lock uses: 'pool' in ASCII. */
const poolLock = 0x70_6f_6f_6c;
/** A host's process, or ours, is being restarted: seconds, as a rule. */
const awaySeconds = 60;
/** Of each kind: more than one, since the largest may have no room for this very volume. */
const emptiest = 4;

/**
 * Chooses a pool; then insert the layer in the same transaction, and do little else: choices are made one after another.
 * A `pool` of null is no error here: `message` and `fix` say why, for the volume's fault.
 */
export async function choosePool(tx: Tx, wish: PoolWish): Promise<PoolChoice> {
  return chooseFrom(tx, wish, await poolsFor(tx, wish));
}

/** What may win, for a choice by {@link chooseFrom}: sent with what else is read before it, for others wait from here on. */
export async function poolsFor(tx: Tx, wish: PoolSearch): Promise<PoolState[]> {
  // A cache may be in any other pool of a host.
  const read = () => (wish.cache ? readPools(tx, wish.imageId ?? null) : readFitting(tx, wish));
  const [, some] = await Promise.all([lockPools(tx), read()]);
  return some;
}

export type PoolSearch = Pick<PoolWish, 'hostId' | 'poolId' | 'notOnHosts' | 'imageId' | 'cache'>;

export async function chooseFrom(tx: Tx, wish: PoolWish, some: readonly PoolState[]): Promise<PoolChoice> {
  const found = choose(wish, some);
  // Why none takes it, all have to say.
  return found.pool ? found : choose(wish, await readPools(tx, wish.imageId ?? null));
}

/** Of a pool in which something lies that is to be built on. */
export async function placeOf(tx: Tx, poolId: string, inUse: boolean): Promise<NonNullable<PoolWish['from']>> {
  const { rows } = await sql<{ kind: PoolKind }>`select kind from storage_pool where id = ${poolId}`.execute(tx);
  return { poolId, kind: rows[0]?.kind ?? 'directory', inUse };
}

/** Choices are made one after another; ends with the transaction. Whoever also places servers takes that lock first. */
export async function lockPools(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${poolLock})`.execute(tx);
}

/** All pools as choices see them. To be asked under {@link lockPools}: then nobody else takes of them. */
export const readPools = (tx: Tx, imageId: string | null): Promise<PoolState[]> => readSome(tx, imageId, sql`true`);

async function readSome(tx: Tx, imageId: string | null, which: RawBuilder<unknown>): Promise<PoolState[]> {
  // One value, since thousands of rows of many columns cost the reader more than the database.
  const { rows } = await sql<{ pools: (PoolState & { kinds: VolumesOfKind[] | null })[] }>`
    select coalesce(json_agg(each), '[]') as pools from (
      select p.id, p.kind, p.host_id, p.name, p.tier, h.name as host_name, h.availability_zone, ${hostExportsSql} as exports, h.enabled as host_enabled, h.connected,
        ${seenLately} as seen_lately, p.disabled, p.problem, p.total_bytes,
        greatest(p.free_bytes - coalesce(c.bytes, 0), 0) as free_bytes, coalesce(u.promised_bytes, 0) as promised_bytes,
        p.over_subscription, p.reserved_percentage, p.iops, p.iops_over_subscription, l.image_id is not null as holds_image,
        case when p.iops is not null then ${volumesOfPool(sql`p.id`)} end as kinds
      from storage_pool p join host h on h.id = p.host_id left join storage_pool_usage u on u.pool_id = p.id
        left join image_location l on l.host_id = p.host_id and l.image_id = ${imageId}::uuid
        left join (${coming}) c on c.pool_id = p.id
      where ${which}) each`.execute(tx);
  return rows[0]!.pools.map(({ kinds, ...pool }) => ({ ...pool, promised_iops: iopsOf(kinds) }));
}

/** By pool, what copies from other hosts have yet to take there: few are being made at a time, and an index has them (migration 1140: by the first condition). */
const coming = sql`select l.pool_id, sum(greatest(s.observed_allocated_bytes - l.observed_allocated_bytes, 0))::float8 as bytes
  from volume_layer l join volume_layer s on s.id = (l.desired_source ->> 'copy_of')::uuid
  where l.desired_source is not null and l.desired_source ->> 'copy_of' is not null and l.desired_presence = 'present' group by l.pool_id`;

/** Of host `h`: it is there, or it was a moment ago. */
export const seenLately = sql`coalesce(not h.forced_down and (h.connected or h.last_seen_at > now() - make_interval(secs => ${awaySeconds})), false)`;

/**
 * Those that may win: of each sort that a type can ask for (name, tier, kind, zone, portal), with and without the image, the emptiest few. In a cloud
 * of a thousand hosts a choice is paid for by what it looks at, while all others wait.
 */
async function readFitting(
  tx: Tx,
  { hostId = null, poolId = null, notOnHosts = [], imageId = null }: PoolSearch,
): Promise<PoolState[]> {
  if (hostId !== null || poolId !== null) {
    return readSome(
      tx,
      imageId,
      sql`(${hostId}::uuid is null or p.host_id = ${hostId}) and (${poolId}::uuid is null or p.id = ${poolId})`,
    );
  }
  const promisable = sql`greatest(p.total_bytes * (1 - p.reserved_percentage / 100.0)::float8 * p.over_subscription, 1)`;
  return readSome(
    tx,
    imageId,
    sql`p.id in (select id from (
      select p.id, row_number() over (partition by p.name, p.tier, p.kind, h.availability_zone, ${hostExportsSql}, l.image_id
        order by h.connected desc, coalesce(u.promised_bytes, 0)::float8 / ${promisable}, p.id) as place
      from storage_pool p join host h on h.id = p.host_id left join storage_pool_usage u on u.pool_id = p.id
        left join image_location l on l.host_id = p.host_id and l.image_id = ${imageId}::uuid
      where h.enabled and ${seenLately} and not p.disabled and p.problem is null and p.free_bytes > 0
        and not p.host_id = any(${[...notOnHosts]}::uuid[])) ranked where place <= ${emptiest})`,
  );
}

/** The why-record of a choice, for the volume that it was made for. */
export async function recordPoolChoice(
  tx: Tx,
  { projectId, volumeId, wish, found }: { projectId: string; volumeId: string; wish: PoolWish; found: PoolChoice },
): Promise<void> {
  const inputs = { request: wish, pools: found.pools, chosen: found.pool?.id ?? null, verdicts: found.verdicts };
  const { message, refusals, fix } = found;
  await sql`insert into decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation)
    values (${newOrderedId()}, ${projectId}, 'volume', ${volumeId}, 'placement', ${found.pool ? 'placed' : 'no_capacity'},
      ${json(inputs)}, ${json({ message, refusals, fix })})`.execute(tx);
}

/**
 * Room for what grows where it is, and reads and writes a second for what its type promises then.
 * @throws CloudError `no_capacity` `no_pool`
 */
export async function requireRoom(tx: Tx, poolId: string, moreBytes: number, moreIops = 0): Promise<void> {
  const [, pools] = await Promise.all([lockPools(tx), readPools(tx, null)]);
  const pool = pools.find(({ id }) => id === poolId);
  const room = pool && roomOf(pool);
  if (room && room.room >= moreBytes && room.free > 0 && iopsLeft(pool) >= moreIops) return;
  const { message, fix } = choose({ sizeBytes: moreBytes, extraSpecs: {}, poolId, iops: moreIops }, pool ? [pool] : []);
  throw new CloudError('no_capacity', 'no_pool', { why: message, fix });
}
