/**
 * One upload: the image is its own from `begin` to its end, and so is a place on a host. If this process dies on any line, the
 * lease runs out and the controller takes the image back.
 */
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { CloudError, hasReason, isCloudError } from '../../contract/errors.ts';
import type { ImageFormat, ImageUploadResult } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import type { HostClient, HostEndpoint } from '../host/index.ts';
import { type Actor, cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import { beginOperation, endOperations } from '../kit/operation/operations.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { checkQuota, lockQuota, requireQuota } from '../kit/quota/quota.ts';
import type { Usage } from '../kit/resource.ts';
import { fileFormat } from './image.ts';
import { image as descriptor } from './resource.ts';
import { endTask, finishSaving, hostsForUpload, renewLease, startSaving, undoSaving, uploadState } from './store.ts';
import type { ImageRow } from './tables.ts';
import type { UploadPurpose } from './values.ts';

const leaseMs = 30_000;
const renewMs = 10_000;
/** Nothing times an upload out that keeps moving; the operation only has to have an end. */
const uploadDeadlineMs = 24 * 3600 * 1000;
const cleanMs = 5000;

export interface Upload {
  uploadId: string;
  imageId: ImageId;
  projectId: string | null;
  purpose: UploadPurpose;
  generation: number;
  host: HostEndpoint;
  format: ImageFormat;
  maxBytes: number;
  sizeBytes: number | undefined;
}

export interface UploadDependencies {
  database: Database;
  client: HostClient;
  log: Logger;
}

/**
 * Takes the image, whose row is locked. Undefined while it is being cleaned of what an earlier upload left.
 * @throws CloudError `invalid`, `quota_exceeded`, `unavailable` (no host)
 */
export async function beginUpload(
  tx: Tx,
  client: HostClient,
  image: ImageRow,
  options: { actor: Actor; purpose: UploadPurpose; sizeBytes: number | undefined },
): Promise<Upload | undefined> {
  const { actor, purpose, sizeBytes } = options;
  if (image.upload_id !== null && (await uploadState(tx, image.id))?.expired === false) return undefined;
  requireFormats(image);
  const maxBytes = await allowedBytes(tx, image.project_id, purpose, sizeBytes);
  const host = choose(client, await hostsForUpload(tx));
  const uploadId = newId();
  const imageId = image.id as ImageId;
  const place = { imageId, uploadId, hostId: host.id, sizeBytes: sizeBytes ?? null, purpose, leaseMs };
  const generation = await startSaving(tx, place);
  await beginOperation(tx, actor, {
    projectId: image.project_id,
    resourceType: 'image',
    resourceId: imageId,
    verb: purpose,
    generation,
    owner: `host ${host.id}`,
    waitingFor: purpose === 'import' ? 'the bytes from their source' : 'the bytes from the caller',
    deadlineMs: uploadDeadlineMs,
  });
  await enqueue(tx, 'image', imageId, { afterMs: leaseMs });
  const format = fileFormat({ ...image, disk_format: image.disk_format! });
  return { uploadId, imageId, projectId: image.project_id, purpose, generation, host, format, maxBytes, sizeBytes };
}

/** @throws CloudError `invalid` */
export function requireFormats(image: ImageRow): void {
  const missing = (['disk_format', 'container_format'] as const).filter((key) => image[key] === null);
  if (missing.length > 0) throw new CloudError('invalid', 'image_format_unset', { missing });
}

/** Streams the bytes to the host, and gives the image back, filled or as it was. @throws CloudError */
export async function runUpload(
  deps: UploadDependencies,
  upload: Upload,
  source: Readable,
  { actor, abort }: { actor: Actor; abort: AbortController },
): Promise<ImageUploadResult> {
  const fields = { imageId: upload.imageId, hostId: upload.host.id, requestId: actor.requestId };
  deps.log.info({ ...fields, purpose: upload.purpose }, 'image: upload began');
  const lease = setInterval(() => renew(deps, upload, abort), renewMs).unref();
  try {
    const { format, maxBytes, sizeBytes } = upload;
    const options = { format, maxBytes, sizeBytes, signal: abort.signal };
    const result = await deps.client.putImage(upload.host, upload.imageId, source, options);
    await finish(deps.database, upload, result, actor);
    deps.log.info({ ...fields, sizeBytes: result.sizeBytes }, 'image: upload finished');
    return result;
  } catch (cause) {
    const error = abort.signal.aborted ? abort.signal.reason : cause;
    deps.log.info({ ...fields, err: error }, 'image: upload failed');
    await undo(deps, upload, error).catch((err) =>
      deps.log.warn({ ...fields, err }, 'image: upload could not be undone; its lease will run out'),
    );
    throw error;
  } finally {
    clearInterval(lease);
  }
}

async function finish(database: Database, upload: Upload, result: ImageUploadResult, actor: Actor): Promise<void> {
  await database.transaction(actor, async (tx) => {
    // A size that was announced was counted when the upload began.
    if (upload.sizeBytes === undefined && upload.projectId !== null)
      await checkQuota(tx, upload.projectId, descriptor.usage, {
        image_bytes: result.sizeBytes,
        ...(upload.purpose === 'stage' && { image_staged_bytes: result.sizeBytes }),
      });
    if (!(await finishSaving(tx, upload, result))) throw gone(upload.imageId);
    if (upload.purpose === 'import') await endTask(tx, upload.imageId, { status: 'success' });
    await endOperations(tx, upload.imageId, upload.generation, { state: 'succeeded' });
    // Who keeps copies is the controller's to decide.
    await enqueue(tx, 'image', upload.imageId);
  });
}

/** The bytes go first, while the image is still this upload's: a next upload must not meet the removal of this one. */
async function undo({ database, client }: UploadDependencies, upload: Upload, error: unknown): Promise<void> {
  const { imageId, host, generation } = upload;
  const clean = await client.deleteImage(host, imageId, { timeoutMs: cleanMs }).then(
    () => [host.id],
    () => [],
  );
  await database.transaction(cloudActor, async (tx) => {
    await undoSaving(tx, upload, clean);
    await endOperations(tx, imageId, generation, {
      state: 'failed',
      code: isCloudError(error) ? error.code : 'internal',
      message: whyFailed(error),
    });
    // Looks again where bytes may be left, and finishes a deletion that waited for this upload.
    await enqueue(tx, 'image', imageId);
  });
}

function renew({ database, log }: UploadDependencies, upload: Upload, abort: AbortController): void {
  renewLease(database.query, upload.uploadId, leaseMs).then(
    (held) => held || abort.abort(gone(upload.imageId)),
    (error) => log.warn({ err: error, imageId: upload.imageId }, 'image: the lease of an upload could not be renewed'),
  );
}

/** What the image's operation keeps, for whoever owns it: without the host that it was. */
export function whyFailed(error: unknown): string {
  if (hasReason(error, 'host_refused')) return error.fields.said;
  return isCloudError(error) ? error.message : 'the upload failed';
}

export const gone = (imageId: string): CloudError =>
  new CloudError('not_found', 'image_deleted_during_upload', { id: imageId });

/** @throws CloudError `unavailable` */
function choose(client: HostClient, hosts: readonly HostEndpoint[]): HostEndpoint {
  const host = hosts.find((each) => client.isLocal(each)) ?? hosts[0];
  if (host) return host;
  throw new CloudError('unavailable', 'no_host_for_image', {});
}

/** What an upload counts against. An import was counted among the uploads when it was asked for. */
function usageOf(purpose: UploadPurpose): Usage {
  const { image_bytes, image_uploads, image_staged_bytes } = descriptor.usage;
  if (purpose === 'import') return { image_bytes };
  return purpose === 'upload' ? { image_bytes, image_uploads } : { image_bytes, image_uploads, image_staged_bytes };
}

/** How many bytes the upload may have, if it may begin at all. @throws CloudError `quota_exceeded` */
async function allowedBytes(
  tx: Tx,
  projectId: string | null,
  purpose: UploadPurpose,
  sizeBytes: number | undefined,
): Promise<number> {
  if (projectId === null) return sizeBytes ?? Number.MAX_SAFE_INTEGER;
  const quota = await lockQuota(tx, projectId, usageOf(purpose));
  // Of an unknown number at least one byte must fit; how many it will be is checked again at the end.
  const bytes = sizeBytes ?? 1;
  requireQuota(quota, { image_bytes: bytes, image_staged_bytes: bytes, image_uploads: 1 });
  if (sizeBytes !== undefined) return sizeBytes;
  const { image_uploads: _counted, ...ofBytes } = quota;
  const left = Object.values(ofBytes).map(({ used, maximum }) =>
    maximum === null || maximum < 0 ? Number.MAX_SAFE_INTEGER : maximum - used,
  );
  return Math.min(...left);
}
