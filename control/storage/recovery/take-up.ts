/**
 * The rows of layers, volumes and snapshots that are taken up from what a host holds: a group of layers (plan.ts) in the caller's transaction,
 * any number of times. Nothing is erased here, and nothing let go of: what of it nobody needs, people decide.
 */
import { sql } from 'kysely';
import type { HostId, LayerId } from '../../../contract/ids.ts';
import type { QuarantinedLayerRow } from '../../host/index.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import { type KnownLayer, type LayerFate, layerFate, neededOf, topsOf } from './plan.ts';
import { recoverSnapshot } from './snapshot.ts';
import { otherContent, recoverVolume } from './volume.ts';

export interface StorageOutcome {
  kind: 'volume' | 'snapshot' | 'layer';
  id: string;
  name: string | null;
  outcome: LayerFate['fate'];
  reason?: string;
}

export interface TakeUp {
  hostId: HostId;
  /** Whose a volume is of which no layer says it: of the server that has it, or the administrator's. */
  ownerOf(volumeId: string): Promise<{ projectId: string; userId: string }>;
}

interface Known extends KnownLayer {
  id: LayerId;
  parent_id: string | null;
}

/** @param group with what others build on first */
export async function takeUpLayers(
  tx: Tx,
  group: readonly QuarantinedLayerRow[],
  options: TakeUp,
): Promise<StorageOutcome[]> {
  const ids = group.flatMap(({ layer_id, document }) => [layer_id, ...(document.parentId ? [document.parentId] : [])]);
  const { rows } = await sql<Known>`select id, host_id, epoch, generation, desired_presence, parent_id
    from volume_layer where ${isOneOf(sql`id`, ids)} order by id for update`.execute(tx);
  const known = new Map(rows.map((row) => [row.id, row]));
  const pools = await poolsOf(tx, options.hostId);
  const outcomes: StorageOutcome[] = [];
  const tops = [];
  for (const top of topsOf(group)) {
    const reason = await otherContent(tx, { ...top, group });
    if (reason === null) tops.push(top);
    else outcomes.push({ kind: 'volume', id: top.volumeId, name: nameOf(top.held), outcome: 'leave', reason });
  }
  const needed = neededOf(group, tops);
  const present = new Set(rows.filter((row) => row.desired_presence === 'present').map(({ id }) => id));
  const fates = new Map<LayerId, LayerFate>();
  for (const held of group) {
    const row = known.get(held.layer_id);
    const fate = fateOf(held, { row, pools, present, needed, hostId: options.hostId });
    fates.set(held.layer_id, fate);
    if (fate.fate === 'leave') {
      present.delete(held.layer_id);
      outcomes.push({ kind: 'layer', id: held.layer_id, name: nameOf(held), outcome: 'leave', reason: fate.reason });
      continue;
    }
    if (fate.fate === 'end') await raiseGeneration(tx, held);
    if (fate.fate !== 'remake' && fate.fate !== 'raise') continue;
    present.add(held.layer_id);
    await (row ? raiseLayer(tx, held, row) : remakeLayer(tx, held, pools.get(held.document.pool)!));
  }
  const there = group.filter(({ layer_id }) => present.has(layer_id));
  for (const top of tops) {
    if (!there.includes(top.held)) continue;
    const outcome = await recoverVolume(tx, { ...top, group: there }, options);
    outcomes.push({ kind: 'volume', id: top.volumeId, ...outcome, outcome: toldAs(outcome.outcome, fates, top.held) });
  }
  for (const held of there) {
    for (const snapshot of held.document.record?.snapshots ?? []) {
      outcomes.push({
        kind: 'snapshot',
        id: snapshot.id,
        name: snapshot.name,
        ...(await recoverSnapshot(tx, held, snapshot)),
      });
    }
  }
  return outcomes;
}

const nameOf = ({ document }: QuarantinedLayerRow): string | null => document.record?.volume?.name ?? null;

/** A volume that was there all the time is what its layer is. */
const toldAs = (
  outcome: LayerFate['fate'],
  fates: ReadonlyMap<LayerId, LayerFate>,
  { layer_id }: QuarantinedLayerRow,
): LayerFate['fate'] => (outcome === 'wait' ? (fates.get(layer_id)?.fate ?? outcome) : outcome);

interface Surroundings {
  row: Known | undefined;
  pools: ReadonlyMap<string, string>;
  present: ReadonlySet<string>;
  needed: ReadonlySet<string>;
  hostId: HostId;
}

function fateOf(held: QuarantinedLayerRow, { row, pools, present, needed, hostId }: Surroundings): LayerFate {
  const { pool, parentId } = held.document;
  const fate = layerFate(hostId, held.document, row);
  if (fate.fate !== 'remake' && fate.fate !== 'raise') return fate;
  if (!pools.has(pool)) return { fate: 'leave', reason: `its host has no pool '${pool}' now: declare it again` };
  if (parentId !== null && !present.has(parentId))
    return { fate: 'leave', reason: `layer ${parentId}, on which it builds, is not taken up` };
  if (fate.fate === 'remake' && !needed.has(held.layer_id))
    return { fate: 'leave', reason: 'nothing that is taken up needs it: it can only be discarded' };
  return fate;
}

async function poolsOf(tx: Tx, hostId: HostId): Promise<Map<string, string>> {
  const { rows } = await sql<{ id: string; name: string }>`select id, name from storage_pool
    where host_id = ${hostId} order by id for share`.execute(tx);
  return new Map(rows.map(({ id, name }) => [name, id]));
}

/** What the host has to hear of is newer than what it holds. */
const raised = ({ document: { epoch, generation } }: QuarantinedLayerRow) => sql`
  epoch = greatest(epoch, ${epoch}::bigint), generation = greatest(generation, ${generation}::bigint) + 1, updated_at = now()`;

async function raiseGeneration(tx: Tx, held: QuarantinedLayerRow): Promise<void> {
  await sql`update volume_layer set ${raised(held)} where id = ${held.layer_id}`.execute(tx);
}

/** What its file may build on still stays until its host has said that it does no more. */
async function raiseLayer(tx: Tx, held: QuarantinedLayerRow, { parent_id: before }: Known): Promise<void> {
  const { document: layer } = held;
  await insertKey(tx, held);
  const moved = before !== null && before !== layer.parentId;
  await sql`update volume_layer set ${raised(held)}, size_bytes = greatest(size_bytes, ${layer.sizeBytes}::bigint),
      read_only = ${layer.readOnly}, parent_id = ${layer.parentId}, image_id = ${layer.image?.id ?? null}, image = ${imageOf(held)}::jsonb,
      former_parent_id = case when ${moved}::boolean then ${before}::uuid else former_parent_id end,
      cache_role = ${layer.cache?.role ?? null}, full_bytes = ${layer.cache?.fullBytes ?? null}, sinks = ${layer.sinks ?? false},
      key_id = ${layer.encryption?.keyId ?? null}
    where id = ${layer.id}`.execute(tx);
}

/** Its file is there, as far as anybody knows: so its key has been used, and is not made anew. */
async function remakeLayer(tx: Tx, held: QuarantinedLayerRow, poolId: string): Promise<void> {
  const { document: layer, host_id: hostId } = held;
  await insertKey(tx, held);
  const source = layer.source && { ...layer.source, backup_id: layer.source.backupId, backupId: undefined };
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, parent_id, image_id, image, size_bytes, read_only, desired_source,
      cache_role, full_bytes, sinks, key_id, epoch, generation, observed_size_bytes)
    values (${layer.id}, ${layer.volumeId}, ${hostId}, ${poolId}, ${layer.parentId}, ${layer.image?.id ?? null}, ${imageOf(held)}::jsonb,
      ${layer.sizeBytes}, ${layer.readOnly}, ${source ? json(source) : null}::jsonb, ${layer.cache?.role ?? null},
      ${layer.cache?.fullBytes ?? null}, ${layer.sinks ?? false}, ${layer.encryption?.keyId ?? null}, ${layer.epoch}, ${layer.generation + 1},
      ${layer.sizeBytes})`.execute(tx);
}

function imageOf({ document: { image } }: QuarantinedLayerRow): string | null {
  return image && json({ format: image.format, size_bytes: image.sizeBytes, sha256: image.sha256 });
}

/** Where the database has it no more its name stays, for the host has to know that what it can't read is encrypted. */
async function insertKey(tx: Tx, { document: { encryption } }: QuarantinedLayerRow): Promise<void> {
  if (!encryption) return;
  const { keyId, cipher, keySizeBits } = encryption;
  await sql`insert into volume_key (id, cipher, key_size_bits) values (${keyId}, ${cipher}, ${keySizeBits})
    on conflict (id) do nothing`.execute(tx);
}

/** These go: by way of rows that say so. */
export async function discardLayers(tx: Tx, layers: readonly QuarantinedLayerRow[]): Promise<void> {
  for (const { document: layer, host_id: hostId } of layers) {
    await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, read_only, desired_presence, epoch, generation)
      select ${layer.id}, ${layer.volumeId}, ${hostId}, p.id, ${layer.sizeBytes}, true, 'absent', ${layer.epoch}, ${layer.generation + 1}
      from storage_pool p where p.host_id = ${hostId} order by p.name = ${layer.pool} desc, p.id limit 1`.execute(tx);
  }
}

/** Of these layers, those that the database knows. */
export async function knownAmong(tx: Tx, ids: readonly LayerId[]): Promise<Set<LayerId>> {
  const { rows } = await sql<{ id: LayerId }>`select id from volume_layer where ${isOneOf(sql`id`, ids)}`.execute(tx);
  return new Set(rows.map(({ id }) => id));
}
