/**
 * Blobs that no object names any more: their files go, their records count as dead. Some time after the name went: whoever had found it may be reading. Safe to stop
 * anywhere and to repeat; by several at once, too.
 */

import type { BlobId, ObjectIntentId } from '../../contract/ids.ts';
import type { HostClient } from '../host/index.ts';
import type { Database } from '../kit/database/database.ts';
import { type Disk, placeOf } from './disks.ts';
import { run } from './statements.ts';

export interface RemovalOptions {
  database: Database;
  client: Pick<HostClient, 'objects'>;
  /** How long after. */
  graceMs: number;
}

interface Removed {
  blobId: string;
  diskId: string | null;
  intentId: string;
  file: string;
}

/** In one go; on a host's disk so many files are unlinked side by side. */
const [most, sideBySide] = [1000, 8];

const lookText = `select r.blob_id as "blobId", b.disk_id as "diskId", b.intent_id as "intentId", b.file
  from object_removal r left join object_blob b on b.id = r.blob_id
  where r.removed_at < now() - $1::double precision * interval '1 millisecond' and (b.disk_id is null or b.disk_id = any($2::uuid[]))
  order by r.removed_at limit $3`;
/** Only who takes the row away counts its bytes. */
const forgetText = `with gone as (
    delete from object_blob b using unnest($1::uuid[], $2::uuid[]) k(id, disk_id) where b.id = k.id and b.disk_id = k.disk_id
    returning b.intent_id, b.disk_id, b.length, b.id),
  dead as (select intent_id, disk_id, sum(length) as bytes from gone group by 1, 2),
  told as (update object_intent_disk d set dead_bytes = d.dead_bytes + dead.bytes, look_at = least(d.look_at, now() + interval '1 minute')
    from dead where d.intent_id = dead.intent_id and d.disk_id = dead.disk_id)
  select count(*) from gone`;
const doneText = `delete from object_removal r where blob_id = any($1::uuid[]) and not exists (select from object_blob b where b.id = r.blob_id)`;

/**
 * @param disks one that does not answer is taken out: for now it is left alone
 * @returns how many there were to look at: more may wait
 */
export async function removeBlobs(options: RemovalOptions, disks: Map<string, Disk>): Promise<number> {
  const { database, client, graceMs } = options;
  const rows = await run<Removed>(database.query, lookText, [graceMs, [...disks.keys()], most]);
  if (rows.length === 0) return 0;
  const copies = rows.filter((row): row is Removed & { diskId: string } => row.diskId !== null);
  const unlinked = new Set<Removed>();
  const files = copies.filter(({ blobId, file }) => file === blobId);
  const unlink = async (row: Removed & { diskId: string }) => {
    const disk = disks.get(row.diskId);
    if (!disk) return;
    // It keeps its own; the next look is for it too.
    await client.objects.removeBlob(placeOf(disk), row.intentId as ObjectIntentId, row.blobId as BlobId).then(
      () => unlinked.add(row),
      () => disks.delete(row.diskId),
    );
  };
  for (let at = 0; at < files.length; at += sideBySide) {
    await Promise.all(files.slice(at, at + sideBySide).map(unlink));
  }
  const forgotten = copies.filter((row) => row.file !== row.blobId || unlinked.has(row));
  await run(database.query, forgetText, [forgotten.map(({ blobId }) => blobId), forgotten.map(({ diskId }) => diskId)]);
  await run(database.query, doneText, [[...new Set(rows.map(({ blobId }) => blobId))]]);
  return rows.length;
}
