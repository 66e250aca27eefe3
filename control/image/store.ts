/** SQL about uploads and where bytes are. Nothing else. */
import { sql } from 'kysely';
import type { ImageUploadResult } from '../../contract/host/index.ts';
import { type HostId, type ImageId, newId } from '../../contract/ids.ts';
import { endpointColumns, type HostEndpoint } from '../host/index.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { type ImageStatus, type UploadPurpose, uploadStates } from './values.ts';

export interface Location extends HostEndpoint {
  connected: boolean;
}

/** The hosts that hold, or may hold, the image's bytes. */
export async function locationsOf(db: Queryable, imageId: string): Promise<Location[]> {
  const { rows } = await sql<Location>`select ${endpointColumns}, host.connected from image_location
    join host on host.id = host_id where image_id = ${imageId} order by host.id`.execute(db);
  return rows;
}

/** Hosts that could take an upload now. */
export async function hostsForUpload(db: Queryable): Promise<HostEndpoint[]> {
  const { rows } =
    await sql<Location>`select ${endpointColumns}, host.connected from host where connected order by enabled and not forced_down desc, random() limit 20`.execute(
      db,
    );
  return rows;
}

/** Also in the place of one that has run out. */
const lease = (imageId: string, uploadId: string, leaseMs: number) => sql`
  insert into image_upload (upload_id, image_id, deadline)
  values (${uploadId}, ${imageId}, now() + ${leaseMs}::double precision * interval '1 millisecond')
  on conflict (image_id) do update set upload_id = excluded.upload_id, deadline = excluded.deadline`;

/** The image is the upload's alone from now on: row, place of the bytes and lease, in one statement. */
export async function startSaving(
  tx: Tx,
  upload: {
    imageId: ImageId;
    uploadId: string;
    hostId: HostId;
    sizeBytes: number | null;
    purpose: UploadPurpose;
    leaseMs: number;
  },
): Promise<number> {
  const { rows } = await sql<{ generation: number }>`
    with place as (
      insert into image_location (image_id, host_id) values (${upload.imageId}, ${upload.hostId})
      on conflict do nothing),
    lease as (${lease(upload.imageId, upload.uploadId, upload.leaseMs)})
    update image set status = ${uploadStates[upload.purpose].meanwhile}, upload_id = ${upload.uploadId}, size_bytes = ${upload.sizeBytes},
      generation = generation + 1, updated_at = now()
    where id = ${upload.imageId} returning generation`.execute(tx);
  return rows[0]!.generation;
}

/** False when the upload has lost its image: deleted, or taken back after silence. */
export async function renewLease(db: Queryable, uploadId: string, leaseMs: number): Promise<boolean> {
  const { rows } = await sql`update image_upload
    set deadline = now() + ${leaseMs}::double precision * interval '1 millisecond' from image
    where image_upload.upload_id = ${uploadId} and image.id = image_id and desired_presence = 'present'
    returning image_id`.execute(db);
  return rows.length === 1;
}

/** False when the upload has lost its image. */
export async function finishSaving(
  tx: Tx,
  { imageId, uploadId, purpose }: { imageId: ImageId; uploadId: string; purpose: UploadPurpose },
  result: ImageUploadResult,
): Promise<boolean> {
  const { meanwhile, after } = uploadStates[purpose];
  // What is staged has yet to be imported; nothing else that is filled by a task has failed.
  const failure = purpose === 'import' ? sql`''` : sql`import_failure`;
  const { rows } = await sql`
    with lease as (delete from image_upload where upload_id = ${uploadId})
    update image set status = ${after}, upload_id = null, import_failure = ${failure}, size_bytes = ${result.sizeBytes},
      virtual_size_bytes = ${result.virtualSizeBytes}, md5 = ${result.md5}, sha256 = ${result.sha256}, sha512 = ${result.sha512}, updated_at = now()
    where id = ${imageId} and upload_id = ${uploadId} and status = ${meanwhile} and desired_presence = 'present'
    returning id`.execute(tx);
  return rows.length === 1;
}

/** Back to where it came from, if the image is still the upload's. The locations named are clean. */
export async function undoSaving(
  tx: Tx,
  { imageId, uploadId, purpose }: { imageId: string; uploadId: string; purpose: UploadPurpose },
  cleanHosts: readonly HostId[],
): Promise<void> {
  const { meanwhile, undone } = uploadStates[purpose];
  await sql`with lease as (delete from image_upload where upload_id = ${uploadId}),
    undone as (
      update image set status = ${undone}, upload_id = null, size_bytes = null, updated_at = now()
      where id = ${imageId} and upload_id = ${uploadId} and status = ${meanwhile} returning id)
    delete from image_location where image_id in (select id from undone) and host_id = any(${[...cleanHosts]}::uuid[])`.execute(
    tx,
  );
}

/**
 * The image is this cleaner's alone, as if it uploaded: an earlier upload has lost it, and none begins. Answers the name to finish
 * under; undefined when anything has moved since `seen`.
 */
export async function startCleaning(tx: Tx, seen: UploadState, leaseMs: number): Promise<string | undefined> {
  const now = await uploadState(tx, seen.id, { lock: true });
  if (!now?.expired || now.status !== seen.status || now.upload_id !== seen.upload_id) return undefined;
  if (now.desired_presence !== 'present') return undefined;
  const id = newId();
  await sql`with lease as (${lease(seen.id, id, leaseMs)})
    update image set upload_id = ${id} where id = ${seen.id}`.execute(tx);
  return id;
}

/** Of an image that waits for its upload. The locations named are clean. */
export async function finishCleaning(
  tx: Tx,
  imageId: string,
  id: string,
  cleanHosts: readonly HostId[],
): Promise<void> {
  await sql`with lease as (delete from image_upload where upload_id = ${id}),
    done as (update image set upload_id = null where id = ${imageId} and upload_id = ${id} returning id)
    delete from image_location where image_id in (select id from done) and host_id = any(${[...cleanHosts]}::uuid[])`.execute(
    tx,
  );
}

/** The image's task, if it has one that has not ended. */
export async function endTask(
  db: Queryable,
  imageId: string,
  end: { status: 'success' } | { status: 'failure'; message: string },
): Promise<void> {
  await sql`update image_task set status = ${end.status}, message = ${end.status === 'failure' ? end.message : ''},
    ended_at = now(), updated_at = now() where image_id = ${imageId} and ended_at is null`.execute(db);
}

/** Whoever had the image's task has it no more: it begins anew, or gives up. */
export async function freeTask(tx: Tx, imageId: string): Promise<void> {
  await sql`update image_task set status = 'pending', updated_at = now()
    where image_id = ${imageId} and ended_at is null`.execute(tx);
  await enqueue(tx, 'image_import', imageId);
}

export interface UploadState {
  id: ImageId;
  project_id: string | null;
  status: ImageStatus;
  desired_presence: 'present' | 'absent';
  generation: number;
  upload_id: string | null;
  captured_from: string | null;
  /** When the lease of the running upload, or clean-up, ends; null when none runs. */
  deadline: Date | null;
  expired: boolean;
}

export async function uploadState(
  db: Queryable,
  imageId: string,
  options: { lock: boolean } = { lock: false },
): Promise<UploadState | undefined> {
  const { rows } = await sql<UploadState>`
    select image.id, project_id, status, desired_presence, generation, image.upload_id, captured_from, deadline,
      coalesce(deadline < now(), true) as expired
    from image left join image_upload on image_id = image.id where image.id = ${imageId}
    ${options.lock ? sql`for update of image` : sql``}`.execute(db);
  return rows[0];
}

export async function forgetLocation(db: Queryable, imageId: string, hostId: HostId): Promise<void> {
  await sql`delete from image_location where image_id = ${imageId} and host_id = ${hostId}`.execute(db);
}

/** Images that wait for this host so that their bytes can go. */
export async function imagesToClean(db: Queryable, hostId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select image.id from image_location join image on image.id = image_id
    where host_id = ${hostId} and (desired_presence = 'absent' or status = 'queued')`.execute(db);
  return rows.map((row) => row.id);
}
