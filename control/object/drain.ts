/** A disk that shall be empty: what lies there moves to others, some at a time, until no row names it. What is left behind is nobody's and swept. */
import type { Disk, Disks } from './disks.ts';
import { type Movable, type MoveOptions, moveBlobs } from './move.ts';
import { run } from './statements.ts';

const most = 500;

const blobsText = `select b.id, b.intent_id as "intentId", b.file, b.offset_bytes as offset, b.length,
    (select array_agg(o.disk_id) from object_blob o where o.id = b.id) as disks
  from object_intent_disk d cross join lateral (
    select * from object_blob b where b.intent_id = d.intent_id and b.disk_id = d.disk_id limit $2) b
  where d.disk_id = $1 limit $2`;
/** So that what was left behind is looked at; of an open intent once it is closed. */
const lookText = `update object_intent_disk d set look_at = now() from object_intent i
  where i.id = d.intent_id and i.state = 'closed' and d.disk_id = $1 and d.look_at = 'infinity'
    and not exists (select from object_blob b where b.intent_id = d.intent_id and b.disk_id = d.disk_id)`;

/** @returns how many were moved, or found unreadable */
export async function drainDisk(options: MoveOptions, disks: Disks, from: Disk): Promise<number> {
  const { database } = options;
  const blobs = await run<Movable & { disks: string[] }>(database.query, blobsText, [from.id, most]);
  if (blobs.length === 0) {
    await run(database.query, lookText, [from.id]);
    return 0;
  }
  // All of a group go to one disk that has none of them.
  const groups = Map.groupBy(blobs, ({ disks: copies }) => copies.toSorted().join());
  for (const group of groups.values()) {
    const bytes = group.reduce((sum, { length }) => sum + length, 0);
    const [to] = await disks.choose(1, bytes, new Set(group[0]!.disks));
    await moveBlobs(options, from, to!, group);
  }
  return blobs.length;
}
