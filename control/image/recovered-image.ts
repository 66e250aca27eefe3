/**
 * An image whose bytes a host has as an upload and that the database does not know, or does not know there. What the host
 * says of the bytes is all that is left of it. In the caller's transaction.
 */
import { sql } from 'kysely';
import type { ImageFormat } from '../../contract/host/index.ts';
import type { Tx } from '../kit/database/database.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { formatsOfFile } from './image.ts';

export interface RecoveredImage {
  image_id: string;
  host_id: string;
  format: ImageFormat;
  size_bytes: number;
  virtual_size_bytes: number | null;
  sha256: string;
  md5: string | null;
}

/** False where the database has other bytes under this id: then the host's are left alone. Safe to repeat. */
export async function recoverImage(tx: Tx, image: RecoveredImage, projectId: string): Promise<boolean> {
  const { disk, container } = formatsOfFile(image.format);
  await sql`insert into image (id, project_id, name, visibility, status, disk_format, container_format, size_bytes,
      virtual_size_bytes, md5, sha256)
    values (${image.image_id}, ${projectId}, ${`recovered-${image.image_id}`}, 'private', 'active', ${disk}, ${container},
      ${image.size_bytes}, ${image.virtual_size_bytes}, ${image.md5}, ${image.sha256})
    on conflict (id) do nothing`.execute(tx);
  // An upload that had not come to its end when the database was copied has: the host took it whole.
  await sql`update image set status = 'active', upload_id = null, disk_format = coalesce(disk_format, ${disk}),
      container_format = coalesce(container_format, ${container}), size_bytes = ${image.size_bytes},
      virtual_size_bytes = ${image.virtual_size_bytes}, md5 = ${image.md5}, sha256 = ${image.sha256},
      generation = generation + 1, updated_at = now()
    where id = ${image.image_id} and status in ('queued', 'saving', 'uploading', 'importing') and desired_presence = 'present'`.execute(
    tx,
  );
  const { rows } = await sql`insert into image_location (image_id, host_id)
    select id, ${image.host_id} from image where id = ${image.image_id} and sha256 = ${image.sha256}
    on conflict (image_id, host_id) do update set host_id = excluded.host_id returning image_id`.execute(tx);
  // One that shall be absent loses the bytes that were found as well.
  await enqueue(tx, 'image', image.image_id);
  return rows.length === 1;
}

/** The bytes shall go: by way of a row that says so. */
export async function discardImage(tx: Tx, image: RecoveredImage, projectId: string): Promise<void> {
  if (!(await recoverImage(tx, image, projectId))) return;
  await sql`update image set desired_presence = 'absent', generation = generation + 1, updated_at = now()
    where id = ${image.image_id} and desired_presence = 'present'`.execute(tx);
  await enqueue(tx, 'image', image.image_id);
}
