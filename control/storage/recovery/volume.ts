/** The row of a volume that is taken up with its top. In the caller's transaction; safe to repeat. */
import { sql } from 'kysely';
import type { QuarantinedLayerRow } from '../../host/index.ts';
import { recoverProject } from '../../identity/recovered-project.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { faultOf, gibOf, recordLoss } from '../volume/index.ts';
import { defaultTypeName } from '../volume-type/index.ts';
import { below, type Top } from './plan.ts';

export interface RecoveredVolume {
  name: string | null;
  outcome: 'remake' | 'raise' | 'wait';
  reason?: string;
}

interface Recovering extends Top<QuarantinedLayerRow> {
  /** All layers that are taken up with it. */
  group: readonly QuarantinedLayerRow[];
}

interface KnownVolume {
  name: string;
  layer_id: string | null;
  desired_presence: 'present' | 'absent';
}

const keyLost = 'Its key was in the database that is lost: without a dump of it nobody can read the volume.';

export async function recoverVolume(
  tx: Tx,
  volume: Recovering,
  { ownerOf }: { ownerOf(volumeId: string): Promise<{ projectId: string; userId: string }> },
): Promise<RecoveredVolume> {
  const { held, volumeId } = volume;
  const { rows } = await sql<KnownVolume>`select name, layer_id, desired_presence from volume
    where id = ${volumeId} for update`.execute(tx);
  const recorded = held.document.record?.volume;
  const owner = recorded ?? (await ownerOf(volumeId));
  const name = rows[0]?.name ?? recorded?.name ?? `recovered-${volumeId}`;
  if (!rows[0]) {
    await remake(tx, volume, { owner, name });
    return keyIsLost(tx, volume).then((lost) => ({ name, outcome: 'remake', ...(lost && { reason: keyLost }) }));
  }
  if (rows[0].layer_id === held.layer_id) return { name, outcome: 'wait' };
  const place = await placeOf(tx, volume);
  await sql`update volume set layer_id = ${held.layer_id}, size_gib = greatest(size_gib, ${gibOf(held.document.sizeBytes)}),
      pool_id = ${place.pool_id}, cache_pool_id = ${place.cache_pool_id}, cache_bytes = ${place.cache_bytes}, cache_policy = ${place.cache_policy},
      launched_at = coalesce(launched_at, now()), generation = generation + 1, updated_at = now()
    where id = ${volumeId}`.execute(tx);
  await enqueue(tx, 'volume', volumeId);
  return { name, outcome: 'raise' };
}

async function remake(
  tx: Tx,
  volume: Recovering,
  { owner, name }: { owner: { projectId: string; userId: string }; name: string },
): Promise<void> {
  const { held, volumeId } = volume;
  const { record, sizeBytes, image } = held.document;
  await recoverProject(tx, owner.projectId);
  const place = await placeOf(tx, volume);
  const lost = await keyIsLost(tx, volume);
  const bootable = record?.volume?.bootable ?? image !== null;
  await sql`insert into volume (id, project_id, user_id, name, size_gib, volume_type_id, host_id, pool_id, layer_id, cache_pool_id, cache_bytes,
      cache_policy, bootable, fault, launched_at)
    select ${volumeId}, ${owner.projectId}, ${owner.userId}, ${name}, ${gibOf(sizeBytes)}, t.id, ${held.host_id}, ${place.pool_id},
      ${held.layer_id}, ${place.cache_pool_id}, ${place.cache_bytes}, ${place.cache_policy}, ${bootable},
      ${lost ? json(faultOf('key', keyLost, 1)) : null}::jsonb, now()
    from volume_type t where t.name in (${record?.volume?.typeName ?? defaultTypeName}, ${defaultTypeName})
    order by t.name = ${defaultTypeName} limit 1`.execute(tx);
  if (lost) {
    const failure = { state: 'failed', code: 'unavailable', message: keyLost } as const;
    await recordLoss(tx, 'volume', { id: volumeId, project_id: owner.projectId, generation: 1 }, failure);
  }
  await enqueue(tx, 'volume', volumeId);
}

interface Place {
  pool_id: string;
  cache_pool_id: string | null;
  cache_bytes: number | null;
  cache_policy: 'write-back' | 'write-through' | null;
}

/** A volume is where its own base is; what lies above that in a cache's pool is its cache. */
async function placeOf(tx: Tx, { held, group }: Recovering): Promise<Place> {
  const base = [held, ...below(group, held)].find(({ document }) => document.cache?.role !== 'writes') ?? held;
  const generation = held.document.cache?.role === 'writes' ? held.document : undefined;
  const recorded = held.document.record?.volume?.cache;
  const cachePool = recorded?.pool ?? generation?.pool ?? null;
  const cacheBytes = recorded?.bytes ?? (generation?.cache?.fullBytes ? 2 * generation.cache.fullBytes : null);
  const { rows } = await sql<{ pool_id: string; cache_pool_id: string | null }>`select p.id as pool_id,
      (select c.id from storage_pool c where c.host_id = p.host_id and c.name = ${cachePool}) as cache_pool_id
    from storage_pool p where p.host_id = ${held.host_id} and p.name = ${base.document.pool}`.execute(tx);
  const { pool_id, cache_pool_id } = rows[0]!;
  const cached = cache_pool_id !== null && cacheBytes !== null;
  if (!cached) return { pool_id, cache_pool_id: null, cache_bytes: null, cache_policy: null };
  return { pool_id, cache_pool_id, cache_bytes: cacheBytes, cache_policy: recorded?.policy ?? 'write-back' };
}

/** Why the layer can't be the volume's top, in words; null: nothing is in the way. Locks the volume. */
export async function otherContent(tx: Tx, volume: Recovering): Promise<string | null> {
  const { rows } = await sql<KnownVolume>`select name, layer_id, desired_presence from volume
    where id = ${volume.volumeId} for update`.execute(tx);
  const present = rows[0]?.layer_id ?? null;
  if (present === null || present === volume.held.layer_id || (await isBelow(tx, volume, present))) return null;
  return `the database has other content of the volume, layer ${present}`;
}

/** By what the host says of those that it holds, and by the rows of those below. */
async function isBelow(tx: Tx, { held, group }: Recovering, layerId: string): Promise<boolean> {
  const chain = [held, ...below(group, held)];
  const ids = [...chain.map(({ layer_id }) => layer_id), ...chain.flatMap(({ document }) => document.parentId ?? [])];
  if (ids.some((id) => id === layerId)) return true;
  const { rows } = await sql`with recursive chain as (
      select id, parent_id from volume_layer where ${isOneOf(sql`id`, ids)}
      union select l.id, l.parent_id from volume_layer l join chain c on l.id = c.parent_id)
    select from chain where id = ${layerId}`.execute(tx);
  return rows.length > 0;
}

/** Of any layer that its content is in. */
async function keyIsLost(tx: Tx, { held, group }: Recovering): Promise<boolean> {
  const keys = [held, ...below(group, held)].flatMap(({ document }) => document.encryption?.keyId ?? []);
  const { rows } = await sql`select from volume_key where ${isOneOf(sql`id`, keys)} and sealed is null limit 1`.execute(
    tx,
  );
  return rows.length > 0;
}
