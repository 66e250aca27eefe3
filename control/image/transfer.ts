/**
 * Bytes of images: relayed between a caller, or a source elsewhere, and a host; never kept here. Owns the uploads that run in this
 * process (upload.ts).
 *
 * An upload takes the image in one transaction (queued → saving, place, lease), streams, and gives it back in another (→ active, or
 * → queued with the host's bytes removed first, while no one else may upload). If the process dies on any line, the lease
 * runs out and the controller takes the image back to queued.
 */
import { type Readable, Transform } from 'node:stream';
import type { Logger } from 'pino';
import { CloudError } from '../../contract/errors.ts';
import type { ImageId } from '../../contract/ids.ts';
import type { Bytes } from '../../protocols/bytes/index.ts';
import type { ByteRange, HostClient } from '../host/index.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import { cloudActor, type Database } from '../kit/database/database.ts';
import { Gates } from '../kit/gate.ts';
import { requireOwner } from './image.ts';
import { findVisible, type ImageService } from './service.ts';
import { locationsOf } from './store.ts';
import type { ImageRow } from './tables.ts';
import { beginUpload, gone, runUpload, type Upload } from './upload.ts';
import { uploadStates } from './values.ts';

/** Of one project at a time in this process: each has memory and threads of its host for as long as its caller likes. Others of it wait. */
const uploadsOfProject = 8;
const cleanWaitMs = 10_000;
const cleanRetryMs = 100;

export interface ByteSource {
  bytes: Readable;
  sizeBytes: number | undefined;
}

export class ImageTransfer {
  readonly #database: Database;
  readonly #client: HostClient;
  readonly #log: Logger;
  readonly #running = new Map<ImageId, AbortController>();
  readonly #turns = new Gates(uploadsOfProject);
  #stopped = false;

  constructor(options: { database: Database; images: ImageService; client: HostClient; log: Logger }) {
    this.#database = options.database;
    this.#client = options.client;
    this.#log = options.log;
    options.images.onDeleted = (id) => this.#running.get(id)?.abort(gone(id));
  }

  /** Breaks off what runs here, and what waits for its turn; each caller is told. */
  stop(): void {
    this.#stopped = true;
    for (const upload of this.#running.values()) upload.abort(new CloudError('unavailable', 'service_stopping', {}));
  }

  /**
   * Streams an image in and makes it active, or stages it: then it waits for its import.
   * @throws CloudError `not_found`, `forbidden`, `conflict` (not queued), `quota_exceeded`, `unavailable` (no host), `invalid` (cut
   *   off, or not what it claims to be), `too_large`, `no_capacity` (the host's disk is full)
   */
  async upload(
    caller: Caller,
    imageId: string,
    source: ByteSource,
    purpose: 'upload' | 'stage' = 'upload',
  ): Promise<void> {
    await this.#turns.run(caller.projectId ?? '', () => this.#upload(caller, imageId, source, purpose));
  }

  async #upload(
    caller: Caller,
    imageId: string,
    { bytes, sizeBytes }: ByteSource,
    purpose: 'upload' | 'stage',
  ): Promise<void> {
    if (this.#stopped) throw new CloudError('unavailable', 'service_stopping', {});
    if (bytes.destroyed) throw new CloudError('invalid', 'upload_cut_off', {});
    const actor = actorOf(caller);
    const upload = await this.#patiently(imageId, () =>
      this.#database.transaction(actor, async (tx) => {
        const image = await findVisible(tx, caller, imageId, { lock: true });
        requireOwner(caller, image, 'upload_image');
        const { from, meanwhile } = uploadStates[purpose];
        if (image.status !== from) {
          throw new CloudError('conflict', 'image_state_conflict', { status: image.status, wanted: meanwhile });
        }
        return beginUpload(tx, this.#client, image, { actor, purpose, sizeBytes });
      }),
    );
    await this.#run(upload, actor, bytes);
  }

  /**
   * Fills an image that is being imported, as the cloud: rights were asked for with the import.
   * @throws CloudError `not_found`, and as `upload`
   */
  async fill(imageId: ImageId, open: (signal: AbortSignal) => Promise<ByteSource>): Promise<void> {
    const abort = new AbortController();
    this.#running.set(imageId, abort);
    try {
      const { bytes, sizeBytes } = await open(abort.signal);
      bytes.on('error', () => {}); // the upload hears of it
      try {
        const upload = await this.#patiently(imageId, () =>
          this.#database.transaction(cloudActor, async (tx) => {
            const image = await tx
              .selectFrom('image')
              .selectAll()
              .where('id', '=', imageId)
              .where('status', '=', 'importing')
              .where('desired_presence', '=', 'present')
              .forUpdate()
              .executeTakeFirst();
            if (!image) throw gone(imageId);
            return beginUpload(tx, this.#client, image, { actor: cloudActor, purpose: 'import', sizeBytes });
          }),
        );
        await this.#run(upload, cloudActor, bytes, abort);
      } finally {
        bytes.destroy();
      }
    } finally {
      this.#running.delete(imageId);
    }
  }

  async #run(
    upload: Upload,
    actor: Parameters<typeof runUpload>[3]['actor'],
    bytes: Readable,
    abort = new AbortController(),
  ): Promise<void> {
    this.#running.set(upload.imageId, abort);
    const deps = { database: this.#database, client: this.#client, log: this.#log };
    try {
      await runUpload(deps, upload, bytes, { actor, abort });
    } finally {
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
  ): Promise<{ image: ImageRow; read: (range?: ByteRange) => Promise<Bytes> }> {
    const image = await findVisible(this.#database.query, caller, imageId);
    if (image.status === 'deactivated' && !isAdmin(caller)) {
      throw new CloudError('forbidden', 'image_deactivated', {});
    }
    return { image, read: (range) => this.#read(image, range) };
  }

  /** All bytes of an image, as a source for another. @throws CloudError `unavailable` */
  async source(image: ImageRow): Promise<ByteSource> {
    const answer = await this.#read(image);
    // The answer's memory is used again as soon as it was taken.
    const bytes = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, Buffer.from(chunk)) });
    bytes.once('close', () => answer.destroy());
    answer.sendTo(bytes).catch((error) => bytes.destroy(error));
    return { bytes, sizeBytes: image.size_bytes! };
  }

  /** From the first of its hosts that answers, those on this machine first. @throws CloudError `unavailable` */
  async #read({ id, size_bytes: size }: ImageRow, range?: ByteRange): Promise<Bytes> {
    const imageId = id as ImageId;
    const wanted = range ? range.last - range.first + 1 : size;
    const locations = (await locationsOf(this.#database.query, imageId)).sort(
      (a, b) => Number(this.#client.isLocal(b)) - Number(this.#client.isLocal(a)),
    );
    let last: unknown;
    for (const host of locations) {
      try {
        const answer = await this.#client.getImage(host, imageId, range);
        if (answer.length === wanted) return answer;
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
  async #patiently(imageId: string, begin: () => Promise<Upload | undefined>): Promise<Upload> {
    const until = performance.now() + cleanWaitMs;
    for (;;) {
      const upload = await begin();
      if (upload) return upload;
      if (performance.now() > until) {
        throw new CloudError('unavailable', 'image_being_cleaned', { id: imageId });
      }
      await new Promise((resolve) => setTimeout(resolve, cleanRetryMs));
    }
  }
}
