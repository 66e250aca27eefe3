/**
 * Copies of other hosts' images, one fetch per image however many servers wait for it. Owns the partial file, which
 * outlives a crash or a lost connection: the next attempt digests it and asks for the rest. A copy is used only when its
 * size and checksum are those that control recorded, and our own reader (format.ts) has passed it; qemu-img has where it was uploaded.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { type DesiredImage, hostPaths } from '../../contract/host/index.ts';
import type { HostId, ImageId } from '../../contract/ids.ts';
import { abortable } from '../abortable.ts';
import { HostFault } from '../host-error.ts';
import type { HostLogger } from '../logger.ts';
import { type ImageContents, inspectImage } from './format.ts';
import { bytesOfFile } from './formats/bytes.ts';
import type { ImageConverter } from './inspect.ts';
import { ImageRefused } from './qcow2.ts';
import type { ImageFacts, ImageStore } from './store.ts';
import { ImageUnpacker } from './unpack.ts';

/**
 * Opens the byte stream of a URL from an offset on; answers whether the source honoured the offset.
 * @param from the host whose it has to be; absent: any host's, for bytes that are checked
 */
export type OpenSource = (
  url: string,
  offset: number,
  signal: AbortSignal,
  from?: HostId,
) => Promise<{ body: IncomingMessage; offset: number }>;

export interface FetchOptions {
  store: ImageStore;
  open: OpenSource;
  convert: ImageConverter;
  maxVirtualBytes: number;
  maxConcurrent?: number;
  log: HostLogger;
}

interface Flight {
  done: Promise<void>;
  waiters: number;
  stop: AbortController;
  received: number;
}

export class ImageFetcher {
  readonly #options: FetchOptions;
  readonly #flights = new Map<ImageId, Flight>();
  readonly #queue: (() => void)[] = [];
  readonly #unpacker: ImageUnpacker;
  #running = 0;

  constructor(options: FetchOptions) {
    this.#options = options;
    this.#unpacker = new ImageUnpacker(options);
  }

  /**
   * The facts of the image once this host has it, and has it in a form that guests can read. What can't be verified is not fetched.
   * @throws HostFault; the signal's reason where the caller no longer waits
   */
  async ensure(image: DesiredImage, signal: AbortSignal): Promise<ImageFacts> {
    const present = this.#options.store.facts(image.id);
    if (present) {
      const facts = matching(present, image);
      await this.#unpacker.ensure(image.id, facts, signal);
      return facts;
    }
    let flight = this.#flights.get(image.id);
    if (!flight) {
      if (image.sha256 === null)
        throw new HostFault('image_unreachable', `the digest of image ${image.id} is not known`);
      flight = this.#start(image);
      this.#flights.set(image.id, flight);
    }
    flight.waiters++;
    try {
      await abortable(flight.done, signal);
    } finally {
      if (--flight.waiters === 0) flight.stop.abort();
    }
    return this.ensure(image, signal);
  }

  /** For people: how far the fetch of an image has come. */
  progress(image: DesiredImage): string | undefined {
    const flight = this.#flights.get(image.id);
    if (!flight) return this.#unpacker.isAtWork(image.id) ? 'unpacking the image' : undefined;
    const mebibytes = (bytes: number) => Math.floor(bytes / 2 ** 20);
    return `fetching image, ${mebibytes(flight.received)} of ${mebibytes(image.sizeBytes)} MiB`;
  }

  #start(image: DesiredImage): Flight {
    const flight: Flight = { done: Promise.resolve(), waiters: 0, stop: new AbortController(), received: 0 };
    flight.done = this.#inTurn(() => this.#fetch(image, flight)).finally(() => this.#flights.delete(image.id));
    flight.done.catch(() => {});
    return flight;
  }

  async #inTurn(work: () => Promise<void>): Promise<void> {
    if (this.#running >= (this.#options.maxConcurrent ?? 2)) await new Promise<void>((go) => this.#queue.push(go));
    this.#running++;
    try {
      await work();
    } finally {
      this.#running--;
      this.#queue.shift()?.();
    }
  }

  async #fetch(image: DesiredImage, flight: Flight): Promise<void> {
    if (image.sources.length === 0) {
      throw new HostFault('image_missing', `image ${image.id} should be on this host and is not`);
    }
    let last: unknown;
    for (const source of image.sources) {
      flight.stop.signal.throwIfAborted();
      try {
        await this.#fetchFrom(source, image, flight);
        return;
      } catch (error) {
        if (flight.stop.signal.aborted) throw error;
        last = error;
        this.#options.log.warn({ err: error, imageId: image.id, source }, 'fetching an image failed');
      }
    }
    if (last instanceof HostFault) throw last;
    throw new HostFault('image_unreachable', `image ${image.id} could not be fetched from any host`, { cause: last });
  }

  async #fetchFrom(source: string, image: DesiredImage, flight: Flight): Promise<void> {
    const { store } = this.#options;
    const path = await store.incoming(`${image.id}.part`);
    let file: FileHandle | undefined;
    try {
      file = await open(path, 'a+', 0o640);
      const hash = await this.#receive(source, image, flight, file);
      if (hash.digest('hex') !== image.sha256) {
        await rm(path, { force: true });
        throw new HostFault('image_damaged', `the bytes of image ${image.id} do not match its checksum`);
      }
      const { virtualSizeBytes, encrypted } = await this.#check(file, image);
      await store.share(path);
      const { format, sizeBytes, sha256 } = image;
      await store.adopt(image.id, path, {
        ...{ format, sizeBytes, virtualSizeBytes, sha256, md5: null, origin: 'copied' },
        ...(encrypted && { encrypted }),
      });
    } finally {
      await file?.close();
      store.letGo(path);
    }
  }

  async #receive(source: string, image: DesiredImage, flight: Flight, file: FileHandle): Promise<Hash> {
    const { signal } = flight.stop;
    let hash = createHash('sha256');
    let size = (await file.stat()).size;
    if (size > image.sizeBytes) size = 0;
    if (size > 0)
      for await (const chunk of createReadStream('', { fd: file.fd, start: 0, end: size - 1, autoClose: false }))
        hash.update(chunk as Buffer);
    if (size < image.sizeBytes) {
      const { body, offset } = await this.#options.open(`${source}${hostPaths.image(image.id)}`, size, signal);
      if (offset !== size) {
        size = 0;
        hash = createHash('sha256');
      }
      await file.truncate(size);
      for await (const chunk of body as AsyncIterable<Buffer>) {
        size += chunk.length;
        if (size > image.sizeBytes) break;
        hash.update(chunk);
        await file.appendFile(chunk);
        flight.received = size;
      }
    }
    if (size !== image.sizeBytes) throw new Error(`the source ended after ${size} of ${image.sizeBytes} bytes`);
    return hash;
  }

  async #check(file: FileHandle, image: DesiredImage): Promise<ImageContents> {
    try {
      // What control knows by its digest a host has taken in: one that is encrypted was made by that host.
      const { maxVirtualBytes } = this.#options;
      return await inspectImage(image.format, bytesOfFile(file, image.sizeBytes), {
        maxVirtualBytes,
        mayBeEncrypted: true,
      });
    } catch (error) {
      if (error instanceof ImageRefused) throw new HostFault('image_refused', error.message, { permanent: true });
      throw error;
    }
  }
}

/** Where a digest is not known yet the file is the image all the same: an id has its bytes once. */
function matching(facts: ImageFacts, image: DesiredImage): ImageFacts {
  const same =
    facts.sha256 === null || image.sha256 === null
      ? facts.sizeBytes === image.sizeBytes
      : facts.sha256 === image.sha256;
  if (same && facts.format === image.format) return facts;
  throw new HostFault('image_damaged', `image ${image.id} on this host is not the one that control knows`, {
    permanent: true,
  });
}
