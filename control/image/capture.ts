/**
 * Images that hosts make of servers' disks and of volumes: no upload, so there is no lease. The row of the server or volume says that one
 * is wanted, and whoever owns that row begins and ends it here, in its own transactions. `captured_from` names it until then; who deletes
 * the image meanwhile wakes its task.
 */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { CapturedImage } from '../../contract/host/index.ts';
import type { ImageId, ServerId, VolumeId } from '../../contract/ids.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { checkQuota, lockQuota, timesWithin } from '../kit/quota/quota.ts';
import { checkProperties, keyProperties, limits } from './image.ts';
import { image as descriptor } from './resource.ts';
import type { DiskFormat, Visibility } from './values.ts';

export interface NewCapture {
  id: ImageId;
  projectId: string;
  from: { kind: 'server' | 'volume'; id: ServerId | VolumeId };
  /** Whose store takes it. */
  hostId: string;
  name: string;
  minDiskGib: number;
  minMemoryMib: number;
  /** Absent: QCOW2. */
  diskFormat?: DiskFormat;
  /** Absent: private. */
  visibility?: Visibility;
  protected?: boolean;
  properties: Record<string, string>;
  /** That it is encrypted with: its own, made in the same transaction. Absent: it is in the clear. */
  keyId?: string;
}

/** @throws CloudError `quota_exceeded`, `invalid`, `too_large` */
export async function beginCapture(tx: Tx, capture: NewCapture): Promise<void> {
  const { id, projectId, from, hostId, name, properties, diskFormat = 'qcow2', visibility = 'private' } = capture;
  if ([...name].length > limits.nameLength) {
    throw new CloudError('invalid', 'image_text_too_long', { what: 'name', maximum: limits.nameLength });
  }
  checkProperties(properties);
  const said = { ...properties, ...(capture.keyId !== undefined && keyProperties(capture.keyId)) };
  await checkQuota(tx, projectId, descriptor.usage, { images: 1, image_bytes: 1 });
  await sql`with made as (
      insert into image (id, project_id, name, status, visibility, disk_format, container_format, min_disk_gib, min_memory_mib,
        owner_properties, captured_from, captured_by, protected, key_id)
      values (${id}, ${projectId}, ${name}, 'saving', ${visibility}, ${diskFormat}, 'bare', ${capture.minDiskGib}, ${capture.minMemoryMib},
        ${json(said)}, ${from.id}, ${from.kind}, ${capture.protected ?? false}, ${capture.keyId ?? null})
      returning id)
    insert into image_location (image_id, host_id) select id, ${hostId} from made`.execute(tx);
}

/** What a new image inherits of the one that a server was made from, where that is still there. */
export async function inheritedFrom(
  db: Queryable,
  imageId: string | null,
): Promise<{ properties: Record<string, string>; minMemoryMib: number }> {
  const { rows } = await sql<{ properties: Record<string, string>; minMemoryMib: number }>`
    select owner_properties as properties, min_memory_mib as "minMemoryMib" from image where id = ${imageId}::uuid`.execute(
    db,
  );
  return rows[0] ?? { properties: {}, minMemoryMib: 0 };
}

/** @returns why it can't be: the image is then as one that failed */
export async function finishCapture(
  tx: Tx,
  id: ImageId,
  from: ServerId | VolumeId,
  result: CapturedImage,
): Promise<string | undefined> {
  const { rows } = await sql<{ project_id: string | null }>`select project_id from image
    where id = ${id} and captured_from = ${from} and desired_presence = 'present' for update`.execute(tx);
  if (!rows[0]) return 'the image was deleted while it was made';
  if (!(await fits(tx, rows[0].project_id, result.sizeBytes))) {
    await failCapture(tx, id);
    return 'the quota of bytes in images does not allow it';
  }
  await sql`update image set status = 'active', captured_from = null, size_bytes = ${result.sizeBytes},
      virtual_size_bytes = ${result.virtualSizeBytes}, md5 = ${result.md5 ?? null}, sha256 = ${result.sha256 ?? null},
      sha512 = ${result.sha512 ?? null},
      updated_at = now()
    where id = ${id}`.execute(tx);
  // The controller asks for its digests, and decides who keeps copies.
  await enqueue(tx, 'image', id);
  return undefined;
}

/** An administrator may have given the image meanwhile to an owner that is no project, and has no quota. */
async function fits(tx: Tx, projectId: string | null, sizeBytes: number): Promise<boolean> {
  if (projectId === null) return true;
  const { image_bytes } = descriptor.usage;
  const quota = await lockQuota(tx, projectId, { image_bytes });
  return timesWithin(quota, { image_bytes: sizeBytes }) >= 1;
}

/** The image goes, as Nova has it; also where it is deleted already. */
export async function failCapture(tx: Tx, id: ImageId): Promise<void> {
  await sql`update image set captured_from = null, desired_presence = 'absent', generation = generation + 1, updated_at = now()
    where id = ${id} and captured_from is not null`.execute(tx);
  await enqueue(tx, 'image', id);
}

/** The disk of a shelved server, which needs it no more; one that somebody protected stays. */
export async function removeSavedDisk(tx: Tx, id: ImageId): Promise<void> {
  await sql`update image set desired_presence = 'absent', generation = generation + 1, updated_at = now()
    where id = ${id} and desired_presence = 'present' and not protected`.execute(tx);
  await enqueue(tx, 'image', id);
}

/** Of a server's backups of one kind, those that are too many go: the oldest first, as in Nova; protected ones stay. */
export async function rotateBackups(
  tx: Tx,
  serverId: ServerId,
  { backupType, keep }: { backupType: string; keep: number },
): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update image set desired_presence = 'absent', generation = generation + 1, updated_at = now()
    where id in (
      select id from image
      where desired_presence = 'present' and status = 'active' and not protected
        and owner_properties ? 'backup_type' and owner_properties ->> 'instance_uuid' = ${serverId}
        and owner_properties ->> 'image_type' = 'backup' and owner_properties ->> 'backup_type' = ${backupType}
        and project_id = (select project_id from server where id = ${serverId})
      order by created_at desc, id desc offset ${keep})
    returning id`.execute(tx);
  for (const { id } of rows) await enqueue(tx, 'image', id);
}
