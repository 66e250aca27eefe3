/**
 * Bytes of images: relayed between a caller and a host, never kept here. Owns the uploads that run in this process.
 *
 * An upload takes the image in one transaction (queued → saving, place, lease), streams, and gives it back in another (→ active, or
 * → queued with the host's bytes removed first, while no one else may upload). If the process dies on any line, the lease
 * runs out and the controller takes the image back to queued.
 */
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { CloudError, hasReason, isCloudError } from '../../contract/errors.ts';
import type { ImageFormat, ImageUploadResult } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import { type ByteAnswer, contentLength } from '../../protocols/bytes/index.ts';
import type { ByteRange, HostClient, HostEndpoint } from '../host/index.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import { cloudActor, type Database, type Tx } from '../kit/database/database.ts';
import { beginOperation, endOperations } from '../kit/operation/operations.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { quotaLimits } from '../kit/quota/limits.ts';
import { checkQuota, quotaUsage } from '../kit/quota/quota.ts';
import { fileFormat, requireOwner } from './image.ts';
import { image as descriptor } from './resource.ts';
import { findVisible, type ImageService } from './service.ts';
import {
  finishSaving,
  hostsForUpload,
  locationsOf,
  renewLease,
  startSaving,
  undoSaving,
  uploadState,
} from './store.ts';
import type { ImageRow } from './tables.ts';

const leaseMs = 30_000;
const renewMs = 10_000;
/** Nothing times an upload out that keeps moving; the operation only has to have an end. */
const uploadDeadlineMs = 24 * 3600 * 1000;
const cleanMs = 5000;
const cleanWaitMs = 10_000;
const cleanRetryMs = 100;

interface Upload {
  uploadId: string;
  imageId: ImageId;
  projectId: string;
  generation: number;
  host: HostEndpoint;
  format: ImageFormat;
  maxBytes: number;
  sizeBytes: number | undefined;
}

export class ImageTransfer {
  readonly #database: Database;
  readonly #client: HostClient;
  readonly #log: Logger;
  readonly #running = new Map<ImageId, AbortController>();

  constructor(options: { database: Database; images: ImageService; client: HostClient; log: Logger }) {
    this.#database = options.database;
    this.#client = options.client;
    this.#log = options.log;
    options.images.onDeleted = (id) => this.#running.get(id)?.abort(gone(id));
  }

  /** Breaks off what runs here; each caller is told. */
  stop(): void {
    for (const upload of this.#running.values()) upload.abort(new CloudError('unavailable', 'service_stopping', {}));
  }

  /**
   * Streams an image in and makes it active.
   * @throws CloudError `not_found`, `forbidden`, `conflict` (not queued), `quota_exceeded`, `unavailable` (no host), `invalid` (cut
   *   off, or not what it claims to be), `too_large`, `no_capacity` (the host's disk is full)
   */
  async upload(caller: Caller, imageId: string, source: Readable, sizeBytes: number | undefined): Promise<void> {
    if (sizeBytes === 0) throw new CloudError('invalid', 'upload_empty', {});
    const upload = await this.#beginPatiently(caller, imageId, sizeBytes);
    const fields = { imageId: upload.imageId, hostId: upload.host.id, requestId: caller.requestId };
    this.#log.info(fields, 'image: upload began');
    const abort = new AbortController();
    this.#running.set(upload.imageId, abort);
    const lease = setInterval(() => this.#renew(upload, abort), renewMs).unref();
    try {
      const result = await this.#client.putImage(upload.host, upload.imageId, source, {
        format: upload.format,
        maxBytes: upload.maxBytes,
        sizeBytes,
        signal: abort.signal,
      });
      await this.#finish(upload, result, caller);
      this.#log.info({ ...fields, sizeBytes: result.sizeBytes }, 'image: upload finished');
    } catch (cause) {
      const error = abort.signal.aborted ? abort.signal.reason : cause;
      this.#log.info({ ...fields, err: error }, 'image: upload failed');
      await this.#undo(upload, error).catch((err) =>
        this.#log.warn({ ...fields, err }, 'image: upload could not be undone; its lease will run out'),
      );
      throw error;
    } finally {
      clearInterval(lease);
      this.#running.delete(upload.imageId);
    }
  }

  /**
   * The image and, when it has bytes, a way to read them.
   * @throws CloudError `not_found`, `forbidden` (deactivated)
   */
  async download(
    caller: Caller,
    imageId: string,
  ): Promise<{ image: ImageRow; read: (range?: ByteRange) => Promise<ByteAnswer> }> {
    const image = await findVisible(this.#database.query, caller, imageId);
    if (image.status === 'deactivated' && !isAdmin(caller)) {
      throw new CloudError('forbidden', 'image_deactivated', {});
    }
    return { image, read: (range) => this.#read(image, range) };
  }

  /** From the first of its hosts that answers, those on this machine first. @throws CloudError `unavailable` */
  async #read({ id, size_bytes: size }: ImageRow, range?: ByteRange): Promise<ByteAnswer> {
    const imageId = id as ImageId;
    const wanted = range ? range.last - range.first + 1 : size;
    const locations = (await locationsOf(this.#database.query, imageId)).sort(
      (a, b) => Number(this.#client.isLocal(b)) - Number(this.#client.isLocal(a)),
    );
    let last: unknown;
    for (const host of locations) {
      try {
        const answer = await this.#client.getImage(host, imageId, range);
        if (contentLength(answer.head) === wanted) return answer;
        answer.destroy();
        throw new Error(`the host has another number of bytes than ${wanted}`);
      } catch (error) {
        this.#log.warn({ imageId, hostId: host.id, err: error }, 'image: a host could not be read from');
        last = error;
      }
    }
    throw new CloudError('unavailable', 'image_hosts_unreachable', { id: imageId }, { cause: last });
  }

  /** What an earlier upload left may just be taken away; that is over in a moment. */
  async #beginPatiently(caller: Caller, imageId: string, sizeBytes: number | undefined): Promise<Upload> {
    const until = performance.now() + cleanWaitMs;
    for (;;) {
      const upload = await this.#begin(caller, imageId, sizeBytes);
      if (upload) return upload;
      if (performance.now() > until) {
        throw new CloudError('unavailable', 'image_being_cleaned', { id: imageId });
      }
      await new Promise((resolve) => setTimeout(resolve, cleanRetryMs));
    }
  }

  /** Undefined while the image is being cleaned of what an earlier upload left. */
  #begin(caller: Caller, imageId: string, sizeBytes: number | undefined): Promise<Upload | undefined> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await findVisible(tx, caller, imageId, { lock: true });
      requireOwner(caller, image, 'upload_image');
      if (image.status !== 'queued') {
        throw new CloudError('conflict', 'image_state_conflict', { status: image.status, wanted: 'saving' });
      }
      if (image.upload_id !== null && (await uploadState(tx, image.id))?.expired === false) return undefined;
      const missing = (['disk_format', 'container_format'] as const).filter((key) => image[key] === null);
      if (missing.length > 0) {
        throw new CloudError('invalid', 'image_format_unset', { missing });
      }
      const maxBytes = await allowedBytes(tx, image.project_id, sizeBytes);
      const host = choose(this.#client, await hostsForUpload(tx));
      const uploadId = newId();
      const id = image.id as ImageId;
      const generation = await startSaving(tx, {
        imageId: id,
        uploadId,
        hostId: host.id,
        sizeBytes: sizeBytes ?? null,
        leaseMs,
      });
      await beginOperation(tx, actorOf(caller), {
        projectId: image.project_id,
        resourceType: 'image',
        resourceId: id,
        verb: 'upload',
        generation,
        owner: `host ${host.id}`,
        waitingFor: 'the bytes from the caller',
        deadlineMs: uploadDeadlineMs,
      });
      await enqueue(tx, 'image', id, { at: new Date(Date.now() + leaseMs) });
      return {
        uploadId,
        imageId: id,
        projectId: image.project_id,
        generation,
        host,
        format: fileFormat({ ...image, disk_format: image.disk_format! }),
        maxBytes,
        sizeBytes,
      };
    });
  }

  async #finish(upload: Upload, result: ImageUploadResult, caller: Caller): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      // A size that was announced was counted when the upload began.
      if (upload.sizeBytes === undefined)
        await checkQuota(tx, upload.projectId, descriptor.usage, { image_bytes: result.sizeBytes });
      if (!(await finishSaving(tx, upload.imageId, upload.uploadId, result))) throw gone(upload.imageId);
      await endOperations(tx, upload.imageId, upload.generation, { state: 'succeeded' });
    });
  }

  /** The bytes go first, while the image is still this upload's: a next upload must not meet the removal of this one. */
  async #undo(upload: Upload, error: unknown): Promise<void> {
    const { imageId, host, generation } = upload;
    const clean = await this.#client.deleteImage(host, imageId, { timeoutMs: cleanMs }).then(
      () => [host.id],
      () => [],
    );
    await this.#database.transaction(cloudActor, async (tx) => {
      await undoSaving(tx, imageId, upload.uploadId, clean);
      await endOperations(tx, imageId, generation, {
        state: 'failed',
        code: isCloudError(error) ? error.code : 'internal',
        message: whyFailed(error),
      });
      // Looks again where bytes may be left, and finishes a deletion that waited for this upload.
      await enqueue(tx, 'image', imageId);
    });
  }

  #renew(upload: Upload, abort: AbortController): void {
    renewLease(this.#database.query, upload.uploadId, leaseMs).then(
      (held) => held || abort.abort(gone(upload.imageId)),
      (error) =>
        this.#log.warn({ err: error, imageId: upload.imageId }, 'image: the lease of an upload could not be renewed'),
    );
  }
}

/** What the image's operation keeps, for whoever owns it: without the host that it was. */
function whyFailed(error: unknown): string {
  if (hasReason(error, 'host_refused')) return error.fields.said;
  return isCloudError(error) ? error.message : 'the upload failed';
}

const gone = (imageId: string): CloudError =>
  new CloudError('not_found', 'image_deleted_during_upload', { id: imageId });

/** @throws CloudError `unavailable` */
function choose(client: HostClient, hosts: readonly HostEndpoint[]): HostEndpoint {
  const host = hosts.find((each) => client.isLocal(each)) ?? hosts[0];
  if (host) return host;
  throw new CloudError('unavailable', 'no_host_for_image', {});
}

/** How many bytes the upload may have. @throws CloudError `quota_exceeded` */
async function allowedBytes(tx: Tx, projectId: string, sizeBytes: number | undefined): Promise<number> {
  if (sizeBytes !== undefined) {
    await checkQuota(tx, projectId, descriptor.usage, { image_bytes: sizeBytes });
    return sizeBytes;
  }
  // At least one byte must fit; how many it will be is checked again at the end.
  await checkQuota(tx, projectId, descriptor.usage, { image_bytes: 1 });
  const { image_bytes: limit = -1 } = await quotaLimits(tx, projectId);
  const { image_bytes: used = 0 } = await quotaUsage(tx, projectId, { image_bytes: descriptor.usage.image_bytes });
  return limit < 0 ? Number.MAX_SAFE_INTEGER : limit - used;
}
