/** Images without bytes: what they name is elsewhere, in snapshots of volumes. In the transaction of whoever made those. */
import { hash } from 'node:crypto';
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { checkQuota } from '../kit/quota/quota.ts';
import { checkProperties, limits } from './image.ts';
import { image as descriptor } from './resource.ts';

/** Of no bytes: known, so that nobody asks a host for them. */
const digests = { md5: hash('md5', ''), sha256: hash('sha256', ''), sha512: hash('sha512', '') };

/** @throws CloudError `quota_exceeded`, `invalid`, `too_large` */
export async function insertImageOfVolumes(
  tx: Tx,
  image: {
    id: string;
    projectId: string;
    name: string;
    minDiskGib: number;
    minMemoryMib: number;
    properties: Record<string, string>;
  },
): Promise<void> {
  const { id, projectId, name, properties } = image;
  if ([...name].length > limits.nameLength) {
    throw new CloudError('invalid', 'image_text_too_long', { what: 'name', maximum: limits.nameLength });
  }
  checkProperties(properties);
  await checkQuota(tx, projectId, descriptor.usage, { images: 1 });
  await sql`insert into image (id, project_id, name, status, visibility, size_bytes, md5, sha256, sha512, min_disk_gib,
      min_memory_mib, owner_properties)
    values (${id}, ${projectId}, ${name}, 'active', 'private', 0, ${digests.md5}, ${digests.sha256}, ${digests.sha512}, ${image.minDiskGib}, ${image.minMemoryMib}, ${json(properties)})`.execute(
    tx,
  );
}
