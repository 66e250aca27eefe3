/**
 * What lies on a disk under an intent that is closed: nothing new becomes visible there, so what no row names is nobody's. Files of nobody go, packs without a living
 * record too; of a pack that is more than half dead what lives moves into a new one. An intent that the database does not know is never looked at.
 */
import type { Logger } from 'pino';
import { isCloudError } from '../../contract/errors.ts';
import type { BlobId, ObjectIntentId } from '../../contract/ids.ts';
import { type Disk, placeOf } from './disks.ts';
import { type Movable, type MoveOptions, moveBlobs } from './move.ts';
import { run } from './statements.ts';

interface Look {
  intentId: string;
  diskId: string;
}

/** What a record takes beside its bytes, about. */
const recordOverhead = 64;
const [looks, moves] = [20, 1000];

/** Whoever takes it has it for ten minutes; if it dies another does. */
const takeText = `update object_intent_disk set look_at = now() + interval '10 minutes', dead_bytes = 0
  where (intent_id, disk_id) in (
    select d.intent_id, d.disk_id from object_intent_disk d join object_intent i on i.id = d.intent_id
    where d.look_at <= now() and i.state = 'closed' and d.disk_id = any($1::uuid[]) order by d.look_at limit $2 for update of d skip locked)
  returning intent_id as "intentId", disk_id as "diskId"`;
const filesText = `select file, sum(length + $3)::bigint as bytes from object_blob where intent_id = $1 and disk_id = $2 group by file`;
const blobsText = `select id, intent_id as "intentId", file, offset_bytes as offset, length from object_blob
  where intent_id = $1 and disk_id = $2 and file = $3 limit $4`;
const restText = `update object_intent_disk set look_at = $3::timestamptz where intent_id = $1 and disk_id = $2 and dead_bytes = 0`;
const soonText = `update object_intent_disk set look_at = now() + interval '1 minute' where intent_id = $1 and disk_id = $2`;
const endText = `with gone as (delete from object_intent_disk d where intent_id = $1 and disk_id = $2
    and not exists (select from object_blob b where b.intent_id = $1 and b.disk_id = $2))
  select 1`;
const endIntentsText = `delete from object_intent i where state = 'closed' and not exists (select from object_intent_disk d where d.intent_id = i.id)`;

/**
 * @param disks one that does not answer is taken out: for now it is left alone
 * @returns how many were looked at
 */
export async function sweepIntents(options: MoveOptions & { log: Logger }, disks: Map<string, Disk>): Promise<number> {
  const { database, log } = options;
  const taken = await run<Look>(database.query, takeText, [[...disks.keys()], looks]);
  for (const look of taken) {
    const disk = disks.get(look.diskId);
    if (!disk) continue;
    try {
      await sweepIntent(options, disk, look);
    } catch (error) {
      // One that can't be swept now, a pack that there is no room to copy, holds up no other.
      if (isCloudError(error, 'unavailable')) disks.delete(disk.id);
      log.warn({ err: error, ...look }, 'objects: what an intent left on a disk was not swept, will be tried again');
    }
  }
  // It looks through all: once behind the last.
  if (taken.length > 0 && taken.length < looks) await run(database.query, endIntentsText, []);
  return taken.length;
}

async function sweepIntent(options: MoveOptions, disk: Disk, { intentId, diskId }: Look): Promise<void> {
  const { database, client } = options;
  const intent = intentId as ObjectIntentId;
  const files = await client.objects.listIntent(placeOf(disk), intent);
  // Read after the list: what a row names now is not nobody's, and of a closed intent no row comes any more.
  const rows = await run<{ file: string; bytes: number }>(database.query, filesText, [
    intentId,
    diskId,
    recordOverhead,
  ]);
  if (files.length === 0 && rows.length === 0) {
    await client.objects.removeIntent(placeOf(disk), intent);
    await run(database.query, endText, [intentId, diskId]);
    return;
  }
  const living = new Map(rows.map(({ file, bytes }) => [file, bytes]));
  const dead = files.filter(({ name }) => (living.get(name) ?? 0) === 0);
  const mostlyDead = files.filter(({ name, sizeBytes }) => {
    const bytes = living.get(name) ?? 0;
    return name.endsWith('.pack') && bytes > 0 && bytes * 2 < sizeBytes;
  });
  // These make the room that those may need.
  for (const { name } of dead) await removeFile(options, disk, intent, name);
  for (const { name } of mostlyDead) await emptyPack(options, disk, intent, name);
  if (dead.length + mostlyDead.length > 0) await run(database.query, soonText, [intentId, diskId]);
  else await run(database.query, restText, [intentId, diskId, 'infinity']);
}

/** The pack itself goes with a later look: somebody may be about to read what was found there. */
async function emptyPack(options: MoveOptions, disk: Disk, intent: string, file: string): Promise<void> {
  for (;;) {
    const blobs = await run<Movable>(options.database.query, blobsText, [intent, disk.id, file, moves]);
    if (blobs.length === 0) return;
    const unreadable = await moveBlobs(options, disk, disk, blobs);
    // They stay where they are, and keep the pack: another copy may mend them.
    if (unreadable.length > 0) return;
  }
}

async function removeFile({ client }: MoveOptions, disk: Disk, intent: ObjectIntentId, name: string): Promise<void> {
  if (name.endsWith('.pack')) await client.objects.removePack(placeOf(disk), intent, name);
  else await client.objects.removeBlob(placeOf(disk), intent, name as BlobId);
}
