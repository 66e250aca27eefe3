/**
 * Taking an image in: streamed to a file, digested on the way, bounded, inspected, and only then in its place. Owns the
 * temporary file: whatever goes wrong, nothing of it stays; after a crash `ImageStore.open` removes it.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { ImageUploadResult } from '../../contract/host.ts';
import type { ImageId } from '../../contract/ids.ts';
import { readPiece } from '../files.ts';
import { HostFault } from '../host-error.ts';
import { checkImage } from './format.ts';
import { type GrowingHash, type HashThreads, hashBytes } from './hashes.ts';
import type { ImageInspector } from './inspect.ts';
import { ImageRefused, qcow2HeadBytes } from './qcow2.ts';
import type { ImageStore } from './store.ts';

export interface UploadOptions {
  id: ImageId;
  format: 'raw' | 'qcow2';
  maxBytes: number;
  /** When the sender said so; a body of any other length is refused. */
  sizeBytes: number | undefined;
}

export interface UploadContext {
  store: ImageStore;
  hashes: HashThreads;
  inspect: ImageInspector;
  maxVirtualBytes: number;
  /** True where a guest's disk builds on the image. */
  inUse(id: ImageId): boolean;
}

const batchBytes = 1024 * 1024;

/** @throws HostFault */
export async function receiveImage(
  source: Readable,
  options: UploadOptions,
  context: UploadContext,
): Promise<ImageUploadResult> {
  const { store } = context;
  if ((options.sizeBytes ?? 0) > options.maxBytes) throw tooLarge(options.maxBytes);
  const path = join(store.paths.incoming, `upload-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o640);
  let hashing: Hashing | undefined;
  try {
    hashing = new Hashing(file, context.hashes);
    await store.share(path);
    const early = new EarlyInspection(path, options.format, context.inspect);
    const sizeBytes = await writeAll(source, file, options, (written, parts) => {
      early.grown(written);
      return hashing!.grown(written, parts);
    });
    const digests = hashing.finish(sizeBytes);
    const inspected = inspectFile({ path, file, sizeBytes, early }, options, context);
    const [{ md5, sha256 }, virtualSizeBytes] = await Promise.all([digests, inspected]);
    const result = { sizeBytes, virtualSizeBytes, md5, sha256 };
    await keep(path, result, options, context);
    return result;
  } catch (error) {
    hashing?.abandon();
    throw error instanceof ImageRefused ? new HostFault('invalid', error.message, { permanent: true }) : error;
  } finally {
    await file.close();
    await rm(path, { force: true });
  }
}

async function writeAll(
  source: Readable,
  file: FileHandle,
  options: UploadOptions,
  grown: (written: number, parts: Buffer[]) => boolean,
): Promise<number> {
  let size = 0;
  let written = 0;
  let batch: Buffer[] = [];
  let batched = 0;
  /** One write is under way while the next batch is collected. */
  let writing = Promise.resolve();
  const flush = async () => {
    const parts = batch;
    const bytes = batched;
    batch = [];
    batched = 0;
    await writing;
    writing = file.writev(parts, written).then(({ bytesWritten }) => {
      if (bytesWritten !== bytes) throw Object.assign(new Error('a write was cut short'), { code: 'ENOSPC' });
      written += bytes;
      if (!grown(written, parts)) for (const part of parts) free(part);
    });
    writing.catch(() => {});
  };
  try {
    for await (const chunk of source as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > options.maxBytes) throw tooLarge(options.maxBytes);
      batch.push(chunk);
      batched += chunk.length;
      if (batched >= batchBytes) await flush();
    }
  } catch (error) {
    if (error instanceof HostFault || (error as NodeJS.ErrnoException).syscall === 'write') throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOSPC') throw error;
    throw new HostFault('invalid', 'the upload was cut off before its end', { cause: error });
  }
  if (batched > 0) await flush();
  await writing;
  if (options.sizeBytes !== undefined && size !== options.sizeBytes) {
    throw new HostFault('invalid', `the upload ended after ${size} of ${options.sizeBytes} bytes`);
  }
  return size;
}

async function inspectFile(
  { path, file, sizeBytes, early }: { path: string; file: FileHandle; sizeBytes: number; early: EarlyInspection },
  { format }: UploadOptions,
  context: UploadContext,
): Promise<number> {
  const head = await readPiece(file, 0, Math.min(sizeBytes, format === 'raw' ? 65_536 : qcow2HeadBytes));
  const tail = await readPiece(file, Math.max(0, sizeBytes - 512), Math.min(sizeBytes, 512));
  const { maxVirtualBytes } = context;
  const { virtualSizeBytes } = checkImage({ declared: format, head, tail, sizeBytes, maxVirtualBytes });
  if (early.started) await early.started;
  else await context.inspect({ path, declared: format, virtualSizeBytes });
  return virtualSizeBytes;
}

/**
 * What a raw file might be instead shows in its beginning, so qemu-img looks while the rest arrives. A qcow2 file is
 * judged whole.
 */
class EarlyInspection {
  started: Promise<void> | undefined;
  readonly #start: (() => Promise<void>) | undefined;

  constructor(path: string, format: 'raw' | 'qcow2', inspect: ImageInspector) {
    if (format === 'raw') this.#start = () => inspect({ path, declared: 'raw', virtualSizeBytes: undefined });
  }

  grown(written: number): void {
    if (!this.#start || this.started || written < batchBytes) return;
    this.started = this.#start();
    this.started.catch(() => {}); // inspectFile sees it
  }
}

/** An upload that is repeated finds its own bytes; other bytes never take the place of those that a guest reads. */
async function keep(
  path: string,
  result: ImageUploadResult,
  { id, format }: UploadOptions,
  context: UploadContext,
): Promise<void> {
  const known = context.store.facts(id);
  if (known?.sha256 === result.sha256 && known.format === format && known.md5 !== null) return;
  if (known && known.sha256 !== result.sha256 && context.inUse(id)) {
    throw new HostFault('conflict', `image ${id} is in use with other contents`);
  }
  await context.store.adopt(id, path, { ...result, format, origin: 'uploaded' });
}

const tooLarge = (maxBytes: number) =>
  new HostFault('too_large', `the image has more than ${maxBytes} bytes`, { permanent: true });

/**
 * Memory of what has been written goes back at once: V8 counts it as its own growth and would mark the whole heap for every
 * 64 MiB that pass. Buffers that share their memory with others are left to the collector.
 */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached && byteLength === buffer.byteLength) buffer.transfer(0);
}

/** Both digests; threads only where the file is worth them. */
class Hashing {
  readonly #file: FileHandle;
  readonly #threads: HashThreads;
  #running: GrowingHash[] | undefined;
  #first: Buffer[] | undefined = [];

  constructor(file: FileHandle, threads: HashThreads) {
    this.#file = file;
    this.#threads = threads;
  }

  /** True where the parts are still needed. */
  grown(bytes: number, parts: Buffer[]): boolean {
    if (this.#first && bytes < 2 * batchBytes) {
      this.#first.push(...parts);
      return true;
    }
    this.#first = undefined;
    this.#running ??= [this.#threads.start('md5', this.#file.fd), this.#threads.start('sha256', this.#file.fd)];
    for (const hash of this.#running) hash.grown(bytes);
    return false;
  }

  async finish(bytes: number): Promise<{ md5: string; sha256: string }> {
    if (this.#first) return hashBytes(Buffer.concat(this.#first));
    const [md5, sha256] = await Promise.all(this.#running!.map((hash) => hash.finish(bytes)));
    this.#running = undefined;
    return { md5: md5!, sha256: sha256! };
  }

  abandon(): void {
    for (const hash of this.#running ?? []) hash.abandon();
  }
}
