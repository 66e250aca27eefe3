/**
 * SQL about layers as they shall be; nothing else. Each write raises the layer's generation where the host must act on it, and belongs to
 * the transaction of whoever owns what the layer is of.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type LayerId, newId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import type { AnySource, LayerBackup, LayerCapture, LayerImage, LayerRow } from './tables.ts';

export type LayerBase = { parentId: string } | { imageId: string; image: LayerImage };

export interface NewLayer {
  /** Absent: a new one. */
  id?: LayerId;
  /** Of which it is made. */
  volumeId: string;
  pool: { id: string; host_id: string };
  sizeBytes: number;
  /** What it builds on: a frozen layer of the same host, or an image. Null: nothing, it is zeros where nobody writes. */
  base: LayerBase | null;
  /**
   * The backup, the file, or the layer of another host that its content comes from; what it builds on holds what that layer builds on there, which is
   * frozen (or `conflict`) and stays until the copy is whole.
   */
  source?: AnySource;
  /** Nobody will write to it. Absent: somebody will. */
  frozen?: boolean;
  /** What it is to its volume's cache. Absent: it has none. */
  cache?: { role: 'base' | 'writes'; fullBytes: number | null };
  /** The key that its file is encrypted with; null: it is in the clear. Absent: as what it builds on. */
  keyId?: string | null;
  /** It comes on its volume in one moment with others that say the same. Absent: in one of its own. */
  moment?: string | undefined;
}

/**
 * A new layer, that may be written to as a rule. Whoever releases its parent at the same moment waits, or this one finds it gone.
 * @throws CloudError `conflict` `layer_gone` where the parent is not there, still written to (but for a generation's base), or on another host
 */
export async function insertLayer(tx: Tx, layer: NewLayer): Promise<LayerId> {
  const {
    id = newId<LayerId>(),
    volumeId,
    pool,
    sizeBytes,
    base,
    source,
    cache,
    keyId,
    moment,
    frozen = false,
  } = layer;
  if (source && 'copy_of' in source) await giveCopy(tx, source.copy_of);
  const image = base && 'imageId' in base ? base : null;
  const columns = sql`insert into volume_layer
    (id, volume_id, host_id, pool_id, size_bytes, image_id, image, desired_source, cache_role, full_bytes, moment, read_only, parent_id, key_id)`;
  const values = sql`${id}::uuid, ${volumeId}::uuid, ${pool.host_id}::uuid, ${pool.id}::uuid, ${sizeBytes}::bigint,
    ${image?.imageId ?? null}::uuid, ${image && json(image.image)}::jsonb, ${source ? json(source) : null}::jsonb,
    ${cache?.role ?? null}::text, ${cache?.fullBytes ?? null}::bigint, ${moment ?? null}::uuid, ${frozen}::boolean`;
  if (!base || image) {
    await sql`${columns} values (${values}, null, ${keyId ?? null}::uuid)`.execute(tx);
    return id;
  }
  const { parentId } = base as { parentId: string };
  const { numAffectedRows } =
    await sql`${columns} select ${values}, p.id, ${keyId === undefined ? sql`p.key_id` : sql`${keyId}::uuid`} from (
      select id, key_id from volume_layer where id = ${parentId} and desired_presence = 'present'
        and (read_only or (cache_role = 'base' and ${cache?.role === 'writes'}::boolean)) and host_id = ${pool.host_id} for share) p`.execute(
      tx,
    );
  if (numAffectedRows !== 1n) throw new CloudError('conflict', 'layer_gone', { id: parentId });
  return id;
}

/** Its host hears that another one takes a copy of it. */
async function giveCopy(tx: Tx, id: string): Promise<void> {
  const { numAffectedRows } = await sql`update volume_layer set generation = generation + 1, updated_at = now()
    where id = ${id} and desired_presence = 'present' and read_only and cache_role is null`.execute(tx);
  if (numAffectedRows !== 1n) throw new CloudError('conflict', 'layer_gone', { id });
}

/** Nobody writes to the layer any more. That it is frozen already is fine. What is on it makes a chain longer: shorten.ts looks at that. */
export async function freezeLayer(tx: Tx, id: string): Promise<void> {
  await sql`with frozen as (update volume_layer set read_only = true, generation = generation + 1, updated_at = now()
      where id = ${id} and not read_only returning id, parent_id)
    select enqueue('volume_layer', id::text, now()) from frozen where parent_id is not null`.execute(tx);
}

/** Only ever grows. */
export async function growLayer(tx: Tx, id: string, sizeBytes: number): Promise<void> {
  await sql`update volume_layer set size_bytes = ${sizeBytes}, generation = generation + 1, updated_at = now()
    where id = ${id} and size_bytes < ${sizeBytes}::bigint`.execute(tx);
}

/** An image shall be made of the layer's content; the row holds the layer until {@link endCapture}. */
export async function addCapture(tx: Tx, id: string, capture: LayerCapture): Promise<void> {
  await sql`update volume_layer set desired_captures = desired_captures || ${json([capture])}::jsonb,
      generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
}

/** The image is made, has failed, or is not wanted any more. A layer that nobody else needs is to be released afterwards. */
export async function endCapture(tx: Tx, id: string, imageId: string): Promise<void> {
  await sql`update volume_layer set desired_captures = ${without('desired_captures', 'image_id', imageId)},
      observed_captures = ${without('observed_captures', 'image_id', imageId)}, updated_at = now()
    where id = ${id}`.execute(tx);
}

/** A backup shall be made of the layer's content; the row holds the layer until {@link endBackup}. */
export async function addBackup(tx: Tx, id: string, backup: LayerBackup): Promise<void> {
  await sql`update volume_layer set desired_backups = desired_backups || ${json([backup])}::jsonb,
      generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
}

/** The backup is made, has failed, or is not wanted any more. A layer that nobody else needs is to be released afterwards. */
export async function endBackup(tx: Tx, id: string, backupId: string): Promise<void> {
  await sql`update volume_layer set desired_backups = ${without('desired_backups', 'id', backupId)},
      observed_backups = ${without('observed_backups', 'id', backupId)}, updated_at = now()
    where id = ${id}`.execute(tx);
}

const without = (column: string, key: string, value: string) =>
  sql`coalesce((select jsonb_agg(each) from jsonb_array_elements(${sql.ref(column)}) each
    where each ->> ${key} <> ${value}::text), '[]')`;

/** All in whose files lies what the layer holds, from itself down; also what is still to be moved into another one. */
export async function filesOf(db: Queryable, id: string): Promise<LayerRow[]> {
  const { rows } = await sql<LayerRow>`with recursive chain (id, depth) as (
      select ${id}::uuid, 0
      union all select below, depth + 1 from chain, lateral (
        select coalesce(former_parent_id, parent_id) as below from volume_layer where id = chain.id offset 0) l where below is not null)
    select l.* from chain join volume_layer l on l.id = chain.id order by depth`.execute(db);
  return rows;
}

/** Undefined where there is none, or none any more. */
export async function findLayer(db: Queryable, id: string): Promise<LayerRow | undefined> {
  return db.selectFrom('volume_layer').selectAll().where('id', '=', id).executeTakeFirst();
}
