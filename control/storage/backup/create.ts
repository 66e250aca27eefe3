/**
 * A backup is made of a volume by the volume's host, into its directory: no byte passes control. Of a volume that nobody has its top is
 * read, which nobody can take meanwhile; of one in use a layer that is frozen for it, so that the backup is of one moment; of a snapshot
 * the snapshot's layer. Of an encrypted one it is encrypted with the same key. The volume is held by the task until the backup is made or given up (controller.ts).
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireProjectMember } from '../../kit/caller.ts';
import { databaseNow } from '../../kit/database/clock.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { beginOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { addBackup } from '../layer/index.ts';
import { lockSnapshot } from '../snapshot/index.ts';
import {
  changeVolume,
  freezeTop,
  type ListedVolume,
  lockVolume,
  reachOf,
  requireStatus,
  snapshotStatus,
  zoneOf,
} from '../volume/index.ts';
import { backup as descriptor } from './resource.ts';
import { insertBackup } from './store.ts';

export interface BackupWish {
  volumeId: string;
  /** Of what the volume was then. */
  snapshotId: string | null;
  name: string;
  description: string | null;
  metadata: Record<string, string>;
  container: string | null;
  zone: string | null;
  /** Only what differs from the volume's latest backup. */
  incremental: boolean;
  /** Also of a volume in use. */
  force: boolean;
}

const makeDeadlineMs = 6 * 3600_000;

/** @returns its id @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
export function createBackup(database: Database, caller: Caller, wish: BackupWish): Promise<string> {
  const projectId = requireProjectMember(caller, 'back up a volume');
  const id = newId();
  return database.transaction(actorOf(caller), async (tx) => {
    const volume = await lockVolume(tx, reachOf(caller), wish.volumeId);
    const from = await contentOf(tx, caller, volume, wish);
    requireZone(volume, wish.zone);
    await checkQuota(tx, projectId, descriptor.usage, { backups: 1, backup_gigabytes: from.sizeGib });
    const parent = wish.incremental ? await latestOf(tx, caller, volume, from.at) : null;
    const layerId = from.layerId ?? (await freezeTop(tx, volume)).frozen;
    const fileName = `${id}.qcow2`;
    await insertBackup(tx, {
      ...{ id, project_id: projectId, user_id: caller.userId, name: wish.name, description: wish.description },
      ...{ volume_id: volume.id, snapshot_id: from.snapshotId, parent_id: parent?.id ?? null, size_gib: from.sizeGib },
      volume: asItIs(volume),
      ...{ metadata: wish.metadata, container: wish.container, availability_zone: wish.zone ?? volume.host_zone },
      ...{ host_id: volume.host_id, file_name: fileName, file_bytes: null, sha256: null, layer_id: layerId },
      key_id: volume.key_id,
      ...{ data_at: from.at ?? (await databaseNow(tx)), ready_at: null },
    });
    await addBackup(tx, layerId, { id, name: fileName, parent_name: parent?.file_name ?? null });
    const task = { kind: 'backup', backup_id: id, snapshot_id: from.snapshotId } as const;
    await changeVolume(tx, volume.id, { task });
    await beginOperation(tx, actorOf(caller), {
      ...{ projectId, resourceType: 'backup', resourceId: id, verb: 'create', generation: 1 },
      ...{ owner: `host ${volume.host_id}`, waitingFor: 'the host to make the backup', deadlineMs: makeDeadlineMs },
    });
    await enqueue(tx, 'backup', id);
    return id;
  });
}

/** A backup lies where its volume's host keeps its own. @throws CloudError `invalid` where it shall lie in another zone */
function requireZone(volume: ListedVolume, wanted: string | null): void {
  const zone = zoneOf(volume);
  if (wanted === null || wanted === zone) return;
  throw new CloudError('invalid', 'backup_zone_unfit', { wanted, zone });
}

interface Content {
  /** Null: what is on the volume's top now, which has to be frozen first. */
  layerId: string | null;
  snapshotId: string | null;
  sizeGib: number;
  /** Null: now. */
  at: Date | null;
}

async function contentOf(tx: Tx, caller: Caller, volume: ListedVolume, wish: BackupWish): Promise<Content> {
  const status = requireStatus(volume, 'backup', ['available', 'in-use']);
  if (volume.layer_id === null || volume.host_id === null) throw new Error('an available volume has no layer');
  if (wish.snapshotId !== null) return ofSnapshot(tx, caller, volume, wish.snapshotId);
  if (status === 'in-use' && !wish.force) throw new CloudError('invalid', 'backup_needs_force', { id: volume.id });
  const layerId = status === 'in-use' ? null : volume.layer_id;
  return { layerId, snapshotId: null, sizeGib: volume.size_gib, at: null };
}

async function ofSnapshot(tx: Tx, caller: Caller, volume: ListedVolume, snapshotId: string): Promise<Content> {
  const snapshot = await lockSnapshot(tx, reachOf(caller), snapshotId);
  const { id, volume_id, layer_id: layerId, size_gib: sizeGib, created_at: at } = snapshot;
  if (volume_id !== volume.id) throw new CloudError('invalid', 'backup_snapshot_of_other', { id, volume: volume.id });
  const status = snapshotStatus(snapshot);
  if (status !== 'available' || layerId === null)
    throw new CloudError('invalid', 'backup_snapshot_unfit', { id, status });
  return { layerId, snapshotId: id, sizeGib, at };
}

/**
 * The volume's latest backup that is whole, in the same host's directory, encrypted with the volume's key if it has one, and of what the volume was
 * before. It stays until this
 * transaction ends: whoever deletes it waits, and then sees us.
 */
async function latestOf(
  tx: Tx,
  caller: Caller,
  { id, host_id, key_id }: ListedVolume,
  before: Date | null,
): Promise<{ id: string; file_name: string }> {
  const { rows } = await sql<{ id: string; file_name: string }>`select id, file_name from backup
    where volume_id = ${id} and host_id = ${host_id} and ready_at is not null and fault is null and desired_presence = 'present'
      and key_id is not distinct from ${key_id}::uuid
      and ${isAdmin(caller) ? sql`true` : sql`project_id = ${caller.projectId}::uuid`}
      and (${before}::timestamptz is null or data_at < ${before}::timestamptz)
    order by data_at desc, id desc limit 1 for share`.execute(tx);
  if (!rows[0]) throw new CloudError('invalid', 'backup_parent_missing', { id });
  return rows[0];
}

const asItIs = ({ name, description, bootable, metadata, image_metadata, volume_type_id }: ListedVolume) => ({
  ...{ name, description, bootable, metadata, image_metadata, type_id: volume_type_id },
});
