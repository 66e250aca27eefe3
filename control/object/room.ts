/**
 * Whether there is room for a body, judged before its bytes are taken: what would be refused in the end would lie on the disks until then, and cost its sender the
 * whole way. The transaction judges anew.
 */
import { objectLimits } from '../../contract/host/index.ts';
import type { Queryable } from '../kit/database/database.ts';
import { usage } from './commit.ts';
import type { ObjectSource } from './object.ts';
import { overQuota } from './plan.ts';
import { run } from './statements.ts';

interface Place {
  projectId: string;
  containerId: string;
  name: string;
  /** Of an upload. */
  part?: { uploadId: string; number: number };
}

const objectText = 'select size_bytes as bytes from object where container_id = $1 and name = $2 and current';
const partText = 'select size_bytes as bytes from object_upload_part where upload_id = $1 and number = $2';

/** Of a body without a length only that there is any room. @throws CloudError `quota_exceeded` */
export async function requireRoom(db: Queryable, place: Place, { sizeBytes }: ObjectSource): Promise<void> {
  // Small ones are in memory first, and judged soon enough.
  if (sizeBytes !== undefined && sizeBytes <= objectLimits.packedBytes) return;
  const { projectId, containerId, name, part } = place;
  const [used, [replaced]] = await Promise.all([
    usage(db, projectId, containerId),
    part
      ? run<{ bytes: number }>(db, partText, [part.uploadId, part.number])
      : run<{ bytes: number }>(db, objectText, [containerId, name]),
  ]);
  if (!used) return;
  const stays = part === undefined && used.container.versioning === 'enabled';
  const bytes = (sizeBytes ?? 1) - (stays ? 0 : (replaced?.bytes ?? 0));
  const refusal = overQuota(used, { bytes, objects: 0 });
  if (refusal) throw refusal;
}
