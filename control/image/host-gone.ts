/** What a host had of images, when it leaves the cloud. */
import { sql } from 'kysely';
import type { Tx } from '../kit/database/database.ts';
import { enqueue } from '../kit/queue/queue.ts';

/** Ask only for a host that has no image's last copy. Each image is looked at again: there may be too few copies, or none left to wait for. */
export async function forgetHostImages(tx: Tx, hostId: string): Promise<void> {
  const { rows } = await sql<{ image_id: string }>`
    with copy as (delete from image_copy where host_id = ${hostId} returning image_id),
    place as (delete from image_location where host_id = ${hostId} returning image_id)
    select image_id from copy union select image_id from place`.execute(tx);
  for (const { image_id: id } of rows) await enqueue(tx, 'image', id);
}
