/** What a new volume is made from: another volume or a snapshot, locked so that it stays until the transaction ends. SQL and its checks. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { VolumeTypeRow } from '../volume-type/index.ts';
import { snapshotStatusSql } from './snapshot-states-sql.ts';
import { lockVolume, reachOf } from './store.ts';
import { type ListedVolume, requireStatus } from './volume.ts';

export interface SourceWish {
  snapshotId: string | null;
  sourceVolumeId: string | null;
}

export interface VolumeSource {
  kind: 'volume' | 'snapshot';
  id: string;
  size_gib: number;
  layer_id: string | null;
  layer_bytes: number;
  /** What it holds is encrypted with it. */
  key_id: string | null;
  host_id: string | null;
  host_zone: string | null;
  pool_id: string | null;
  cache_pool_id: string | null;
  cache_bytes: number | null;
  cache_policy: ListedVolume['cache_policy'];
  bootable: boolean;
  image_metadata: Record<string, string> | null;
  type: VolumeTypeRow;
}

/** Null where it is made of neither. @throws CloudError `not_found`; `invalid` where its state does not allow it */
export async function findSource(tx: Tx, caller: Caller, wish: SourceWish): Promise<VolumeSource | null> {
  if (wish.sourceVolumeId !== null) return ofVolume(tx, caller, wish.sourceVolumeId);
  if (wish.snapshotId !== null) return ofSnapshot(tx, caller, wish.snapshotId);
  return null;
}

async function ofVolume(tx: Tx, caller: Caller, id: string): Promise<VolumeSource> {
  const volume = await lockVolume(tx, reachOf(caller), id);
  requireStatus(volume, 'clone', ['available', 'in-use']);
  return { kind: 'volume', ...placeOf(volume), type: await typeById(tx, volume.volume_type_id) };
}

const placeOf = (volume: ListedVolume) => {
  const { id, size_gib, layer_id, layer_bytes, host_id, host_zone, pool_id, bootable, image_metadata } = volume;
  const { cache_pool_id, cache_bytes, cache_policy, key_id } = volume;
  const place = {
    layer_id,
    layer_bytes,
    key_id,
    host_id,
    host_zone,
    pool_id,
    cache_pool_id,
    cache_bytes,
    cache_policy,
  };
  return { id, size_gib, ...place, bootable, image_metadata };
};

async function typeById(tx: Tx, id: string): Promise<VolumeTypeRow> {
  return tx.selectFrom('volume_type').selectAll().where('id', '=', id).executeTakeFirstOrThrow();
}

interface SnapshotSource extends Omit<VolumeSource, 'kind' | 'type'> {
  status: string;
  type: VolumeTypeRow;
}

async function ofSnapshot(tx: Tx, caller: Caller, id: string): Promise<VolumeSource> {
  const known = parseId(id);
  if (!known) throw notFound('volume_snapshot', id);
  // Not deleted meanwhile: whoever does locks it.
  await sql`select from volume_snapshot where id = ${known} for key share`.execute(tx);
  const { rows } =
    await sql<SnapshotSource>`select s.id, s.size_gib, s.layer_id, l.size_bytes as layer_bytes, l.key_id, l.host_id,
      h.availability_zone as host_zone, l.pool_id, v.cache_pool_id, v.cache_bytes, v.cache_policy, v.bootable, v.image_metadata, to_jsonb(t) as type,
      ${snapshotStatusSql} as status
    from volume_snapshot s join volume v on v.id = s.volume_id join volume_type t on t.id = v.volume_type_id
      left join volume_layer l on l.id = s.layer_id left join host h on h.id = l.host_id
    where s.id = ${known} and ${isAdmin(caller) ? sql`true` : sql`s.project_id = ${caller.projectId}::uuid`}`.execute(
      tx,
    );
  const [snapshot] = rows;
  if (!snapshot) throw notFound('volume_snapshot', id);
  const { status, ...found } = snapshot;
  if (status !== 'available') {
    throw new CloudError('invalid', 'snapshot_status_unfit', { id, status, wanted: ['available'] });
  }
  return { kind: 'snapshot', ...found };
}
