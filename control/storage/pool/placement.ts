/**
 * The pool of a new volume, decided in the transaction that makes the volume: what one decision took, the next one sees. What a pool has
 * promised is counted by the trigger of migration 0312 when the layer is inserted.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newOrderedId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { choose, type PoolChoice, type PoolState, type PoolWish, roomOf } from './choose.ts';

/** Any constant that no other advisory lock uses: 'pool' in ASCII. */
const poolLock = 0x70_6f_6f_6c;
/** A host's process, or ours, is being restarted: seconds, as a rule. */
const awaySeconds = 60;

/**
 * Chooses a pool; then insert the layer in the same transaction, and do little else: choices are made one after another.
 * A `pool` of null is no error here: `message` and `fix` say why, for the volume's fault.
 */
export async function choosePool(tx: Tx, wish: PoolWish): Promise<PoolChoice> {
  const [, pools] = await Promise.all([lockPools(tx), readPools(tx, wish.imageId ?? null)]);
  return choose(wish, pools);
}

/** Choices are made one after another; ends with the transaction. Whoever also places servers takes that lock first. */
export async function lockPools(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(${poolLock})`.execute(tx);
}

/** All pools as choices see them. To be asked under {@link lockPools}: then nobody else takes of them. */
export async function readPools(tx: Tx, imageId: string | null): Promise<PoolState[]> {
  // One value, since thousands of rows of many columns cost the reader more than the database.
  const { rows } = await sql<{ pools: PoolState[] }>`
    select coalesce(json_agg(each), '[]') as pools from (
      select p.id, p.host_id, p.name, p.tier, h.name as host_name, h.availability_zone, h.enabled as host_enabled, h.connected,
        coalesce(h.connected or h.last_seen_at > now() - make_interval(secs => ${awaySeconds}), false) as seen_lately, p.disabled, p.problem,
        p.total_bytes, p.free_bytes, coalesce(u.promised_bytes, 0) as promised_bytes, p.over_subscription, p.reserved_percentage,
        l.image_id is not null as holds_image
      from storage_pool p join host h on h.id = p.host_id left join storage_pool_usage u on u.pool_id = p.id
        left join image_location l on l.host_id = p.host_id and l.image_id = ${imageId}::uuid) each`.execute(tx);
  return rows[0]!.pools;
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
 * Room for what grows where it is.
 * @throws CloudError `no_capacity` `no_pool`
 */
export async function requireRoom(tx: Tx, poolId: string, moreBytes: number): Promise<void> {
  const [, pools] = await Promise.all([lockPools(tx), readPools(tx, null)]);
  const pool = pools.find(({ id }) => id === poolId);
  if (pool && roomOf(pool).room >= moreBytes && roomOf(pool).free > 0) return;
  const { message, fix } = choose({ sizeBytes: moreBytes, extraSpecs: {}, poolId }, pool ? [pool] : []);
  throw new CloudError('no_capacity', 'no_pool', { why: message, fix });
}
