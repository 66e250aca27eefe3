/** A disk that shall be empty: what lies there moves to others, some at a time, until no row names it. What is left behind is nobody's and swept. */
import type { Disk, Disks } from './disks.ts';
import { type Movable, type MoveOptions, moveBlobs } from './move.ts';
import { run } from './statements.ts';

const most = 500;
/** Of one request, which has ten minutes; a larger blob goes by itself. */
const moveBytes = 2 ** 30;

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
  let failure: { cause: unknown } | undefined;
  for (const group of groups.values()) {
    try {
      await moveGroup(options, disks, from, group);
    } catch (cause) {
      failure ??= { cause };
    }
  }
  if (failure) throw failure.cause;
  return blobs.length;
}

/** Where there is room, on a host that has no other copy as far as there is one. */
async function moveGroup(
  options: MoveOptions,
  disks: Disks,
  from: Disk,
  group: readonly (Movable & { disks: string[] })[],
): Promise<void> {
  const known = group[0]!.disks;
  const others = await Promise.all(known.filter((id) => id !== from.id).map((id) => disks.get(id)));
  const apart = others.flatMap((disk) => disk?.host.id ?? []);
  for (const some of portions(group)) {
    const bytes = some.reduce((sum, { length }) => sum + length, 0);
    const [to] = await disks.choose(1, bytes, new Set(known), apart);
    await moveBlobs(options, from, to!, some);
  }
}

export function portions<T extends { length: number }>(blobs: readonly T[]): T[][] {
  const all: T[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const blob of blobs) {
    bytes += blob.length;
    if (bytes > moveBytes) {
      all.push([]);
      bytes = blob.length;
    }
    all.at(-1)!.push(blob);
  }
  return all;
}
