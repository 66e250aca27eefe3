/** Writes what a plan says, in statements that travel together, and the counters as they are after it. SQL, nothing else. */
import type { Tx } from '../kit/database/database.ts';
import type { Insert, Plan } from './plan.ts';
import { jsonOrNull, run } from './statements.ts';

export interface Inserted {
  id: string;
  sequence: number;
}

const removeText = `with gone as (delete from object o using unnest($1::uuid[], $2::text[], $3::bigint[]) k(container_id, name, sequence)
    where o.container_id = k.container_id and o.name = k.name and o.sequence = k.sequence returning o.blob_id)
  insert into object_removal (blob_id) select blob_id from gone where blob_id is not null on conflict do nothing`;
const demoteText = `update object o set current = false from unnest($1::uuid[], $2::text[], $3::bigint[]) k(container_id, name, sequence)
  where o.container_id = k.container_id and o.name = k.name and o.sequence = k.sequence`;
const promoteText = `update object o set current = true from unnest($1::uuid[], $2::text[], $3::bigint[]) k(container_id, name, sequence)
  where o.container_id = k.container_id and o.name = k.name and o.sequence = k.sequence`;
const objectsText = `insert into object (container_id, name, id, current, null_version, delete_marker, size_bytes, etag, content_type, metadata,
    headers, checksums, tags, lock, manifest, blob_id, parts, owner_id, expires_at)
  select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::boolean[], $5::boolean[], $6::boolean[], $7::bigint[], $8::text[], $9::text[],
    $10::jsonb[], $11::jsonb[], $12::jsonb[], $13::jsonb[], $14::jsonb[], $15::jsonb[], $16::uuid[], $17::integer[], $18::text[],
    $19::timestamptz[])
  returning id, sequence`;
const blobsText = (first: number) => `insert into object_blob (id, disk_id, intent_id, file, offset_bytes, length)
  select * from unnest($${first}::uuid[], $${first + 1}::uuid[], $${first + 2}::uuid[], $${first + 3}::text[], $${first + 4}::bigint[], $${first + 5}::bigint[])`;
const blobsAloneText = blobsText(1);
const objectsAndBlobsText = `with blob as (${blobsText(20)}) ${objectsText}`;
const removalsText = 'insert into object_removal (blob_id) select unnest($1::uuid[]) on conflict do nothing';
const removePartsText = `with gone as (delete from object_part where object_id = any($1::uuid[]) returning blob_id)
  insert into object_removal (blob_id) select blob_id from gone where blob_id is not null on conflict do nothing`;
const partsText = `insert into object_part (object_id, number, blob_id, size_bytes, etag, checksums)
  select * from unnest($1::uuid[], $2::integer[], $3::uuid[], $4::bigint[], $5::text[], $6::jsonb[])`;
/** Of an upload that is complete the parts that it did not take go, with their bytes. */
const uploadsText = `with parts as (delete from object_upload_part p where upload_id = any($1::uuid[]) returning blob_id),
    gone as (delete from object_upload where id = any($1::uuid[]))
  insert into object_removal (blob_id) select blob_id from parts where blob_id is not null and not blob_id = any($2::uuid[]) on conflict do nothing`;
const updateText = `update object set content_type = coalesce($4, content_type), metadata = case when $5 then $6::jsonb else metadata end,
    headers = case when $7 then $8::jsonb else headers end, tags = case when $9 then $10::jsonb else tags end,
    lock = case when $11 then $12::jsonb else lock end, manifest = case when $13 then $14::jsonb else manifest end,
    expires_at = case when $15 then $16::timestamptz else expires_at end, updated_at = case when $17 then now() else updated_at end
  where container_id = $1 and name = $2 and sequence = $3`;
const countersText = `with account as (update object_account a set objects = n.objects, bytes = n.bytes
    from unnest($7::uuid[], $8::bigint[], $9::bigint[]) n(id, objects, bytes) where project_id = n.id)
  update container_use u set objects = n.objects, bytes = n.bytes, past_objects = n.past_objects, past_bytes = n.past_bytes,
    upload_bytes = n.upload_bytes, changed_at = now()
  from unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
    n(id, objects, bytes, past_objects, past_bytes, upload_bytes) where container_id = n.id`;

/**
 * All at once; the answer is that of the rows that were made, by their ids.
 * @param options.counted counters have changed although no object comes or goes
 */
export async function write(tx: Tx, plan: Plan, options: { counted?: boolean } = {}): Promise<Map<string, Inserted>> {
  const statements: Promise<unknown>[] = [];
  const add = (text: string, parameters: unknown[]) => statements.push(run(tx, text, parameters));
  const keys = (list: Plan['remove']) => [
    list.map(({ containerId }) => containerId),
    list.map(({ name }) => name),
    list.map(({ sequence }) => sequence),
  ];
  if (plan.remove.length > 0) add(removeText, keys(plan.remove));
  if (plan.demote.length > 0) add(demoteText, keys(plan.demote));
  if (plan.promote.length > 0) add(promoteText, keys(plan.promote));
  for (const set of plan.update) add(updateText, updated(set));
  const blobs = plan.blobs.length > 0 ? copiesOf(plan.blobs) : [];
  const inserting =
    plan.insert.length > 0
      ? run<Inserted>(tx, blobs.length > 0 ? objectsAndBlobsText : objectsText, [...inserted(plan.insert), ...blobs])
      : [];
  if (plan.insert.length === 0 && blobs.length > 0) add(blobsAloneText, blobs);
  if (plan.removeBlobs.length > 0) add(removalsText, [plan.removeBlobs]);
  if (plan.removeParts.length > 0) add(removePartsText, [plan.removeParts]);
  const parts = plan.parts.flatMap(({ objectId, parts }) => parts.map((part) => ({ objectId, ...part })));
  if (parts.length > 0) {
    add(partsText, [
      ...[parts.map(({ objectId }) => objectId), parts.map(({ number }) => number), parts.map(({ blobId }) => blobId)],
      ...[parts.map(({ sizeBytes }) => sizeBytes), parts.map(({ etag }) => etag)],
      parts.map(({ checksums }) => jsonOrNull(checksums)),
    ]);
  }
  if (plan.uploads.length > 0) add(uploadsText, [plan.uploads, parts.flatMap(({ blobId }) => blobId ?? [])]);
  if (options.counted || plan.insert.length > 0 || plan.remove.length > 0) counters(plan, add);
  const [rows] = await Promise.all([inserting, ...statements]);
  return new Map(rows.map((row) => [row.id, row]));
}

function copiesOf(blobs: Plan['blobs']): unknown[] {
  const copies = blobs.flatMap(({ id, length, copies }) => copies.map((copy) => ({ id, length, ...copy })));
  return [
    ...[copies.map(({ id }) => id), copies.map(({ diskId }) => diskId), copies.map(({ intentId }) => intentId)],
    ...[copies.map(({ file }) => file), copies.map(({ offset }) => offset), copies.map(({ length }) => length)],
  ];
}

function counters({ held }: Plan, add: (text: string, parameters: unknown[]) => void): void {
  const [uses, accounts] = [[...held.containers.values()], [...held.accounts.values()]];
  add(countersText, [
    ...[uses.map(({ id }) => id), uses.map(({ objects }) => objects), uses.map(({ bytes }) => bytes)],
    ...[uses.map(({ pastObjects }) => pastObjects), uses.map(({ pastBytes }) => pastBytes)],
    uses.map(({ uploadBytes }) => uploadBytes),
    ...[accounts.map(({ projectId }) => projectId), accounts.map(({ objects }) => objects)],
    accounts.map(({ bytes }) => bytes),
  ]);
}

const inserted = (rows: readonly Insert[]): unknown[] => [
  rows.map(({ containerId }) => containerId),
  rows.map(({ name }) => name),
  rows.map(({ object }) => object.id),
  rows.map(({ current }) => current),
  rows.map(({ nullVersion }) => nullVersion),
  rows.map(({ deleteMarker }) => deleteMarker),
  rows.map(({ object }) => object.sizeBytes),
  rows.map(({ object }) => object.etag),
  rows.map(({ object }) => object.contentType),
  rows.map(({ object }) => jsonOrNull(object.metadata)),
  rows.map(({ object }) => jsonOrNull(object.headers)),
  rows.map(({ object }) => jsonOrNull(object.checksums)),
  rows.map(({ object }) => jsonOrNull(object.tags)),
  rows.map(({ object }) => jsonOrNull(object.lock)),
  rows.map(({ object }) => jsonOrNull(object.manifest)),
  rows.map(({ blobId }) => blobId),
  rows.map(({ parts }) => parts),
  rows.map(({ object }) => object.ownerId),
  rows.map(({ object }) => object.expiresAt?.toISOString() ?? null),
];

/** What people see changed gives it a new time; a lock and tags don't. */
const updated = (set: Plan['update'][number]): unknown[] => [
  ...[set.containerId, set.name, set.sequence, set.contentType ?? null],
  ...[set.metadata !== undefined, jsonOrNull(set.metadata), set.headers !== undefined, jsonOrNull(set.headers)],
  ...[set.tags !== undefined, jsonOrNull(set.tags), set.lock !== undefined, jsonOrNull(set.lock)],
  ...[set.manifest !== undefined, jsonOrNull(set.manifest), set.expiresAt !== undefined],
  set.expiresAt?.toISOString() ?? null,
  [set.metadata, set.headers, set.contentType, set.manifest, set.expiresAt].some((value) => value !== undefined),
];
