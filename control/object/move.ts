/**
 * Blobs to another place: out of a pack that is mostly dead, or off a disk that shall be empty. Copied under an intent of this process first, then the rows are switched
 * in one transaction that finds the intent open; what was is nobody's from then on. Stopped anywhere, the copies are nobody's or the rows are switched.
 */
import type { BlobId, ObjectIntentId } from '../../contract/ids.ts';
import type { HostClient } from '../host/index.ts';
import { cloudActor, type Database } from '../kit/database/database.ts';
import { type Disk, placeOf } from './disks.ts';
import type { Intents } from './intents.ts';
import { run } from './statements.ts';

export interface Movable {
  id: string;
  intentId: string;
  file: string;
  offset: number;
  length: number;
}

export interface MoveOptions {
  database: Database;
  client: Pick<HostClient, 'objects'>;
  intents: Intents;
}

const openText = `select from object_intent where id = $1 and state = 'open' for share`;
/** Only what is still where it was copied from. */
const switchText = `update object_blob b set disk_id = $2, intent_id = $3, file = n.file, offset_bytes = n.offset_bytes
  from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::bigint[]) n(id, from_intent, from_file, file, offset_bytes)
  where b.id = n.id and b.disk_id = $1 and b.intent_id = n.from_intent and b.file = n.from_file
    and ($1 = $2 or not exists (select from object_blob other where other.id = n.id and other.disk_id = $2))`;

/** @returns those that can't be read where they are */
export async function moveBlobs(
  { database, client, intents }: MoveOptions,
  from: Disk,
  to: Disk,
  blobs: readonly Movable[],
): Promise<Movable[]> {
  const [hold] = await intents.hold([to.id]);
  try {
    const places = blobs.map(({ id, intentId, file, offset, length }) => ({
      ...{ blob: id as BlobId, intent: intentId as ObjectIntentId, file, offset, length },
    }));
    const copies = await client.objects.copy(placeOf(from), placeOf(to), hold!.intent, places);
    const moved = blobs.flatMap((blob, at) => {
      const place = copies[at]!.place;
      return place ? [{ blob, place }] : [];
    });
    await database.transaction(cloudActor, async (tx) => {
      const open = await run(tx, openText, [hold!.intent]);
      if (open.length === 0) throw new Error('the intent of copies is closed');
      await run(tx, switchText, [
        ...[from.id, to.id, hold!.intent, moved.map(({ blob }) => blob.id), moved.map(({ blob }) => blob.intentId)],
        ...[moved.map(({ blob }) => blob.file), moved.map(({ place }) => place.file)],
        moved.map(({ place }) => place.offset),
      ]);
    });
    return blobs.filter((_, at) => copies[at]!.place === null);
  } finally {
    hold!.release();
  }
}

interface Replacing {
  from: Disk;
  source: Movable;
  /** Where the copy is that is lost. */
  to: Disk;
  lost: Movable;
}

/** What is left behind is looked at. */
const replaceText = `with replaced as (update object_blob set intent_id = $3, file = $4, offset_bytes = $5
    where id = $1 and disk_id = $2 and intent_id = $6 and file = $7 and offset_bytes = $8 returning id)
  update object_intent_disk set look_at = least(look_at, now() + interval '1 minute')
  where intent_id = $6 and disk_id = $2 and exists (select from replaced)`;

/** A copy that is lost, written anew from another one. False: that one can't be read either. */
export async function replaceCopy(
  { database, client, intents }: MoveOptions,
  { from, source, to, lost }: Replacing,
): Promise<boolean> {
  const [hold] = await intents.hold([to.id]);
  try {
    const place = { ...source, blob: source.id as BlobId, intent: source.intentId as ObjectIntentId };
    const { file, offset, length, blob, intent } = place;
    const [copy] = await client.objects.copy(placeOf(from), placeOf(to), hold!.intent, [
      { blob, intent, file, offset, length },
    ]);
    const made = copy?.place;
    if (!made) return false;
    await database.transaction(cloudActor, async (tx) => {
      const open = await run(tx, openText, [hold!.intent]);
      if (open.length === 0) throw new Error('the intent of a copy is closed');
      await run(tx, replaceText, [
        ...[lost.id, to.id, hold!.intent, made.file, made.offset],
        ...[lost.intentId, lost.file, lost.offset],
      ]);
    });
    return true;
  } finally {
    hold!.release();
  }
}
