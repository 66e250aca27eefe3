/**
 * Taking an image in: streamed to a file, digested on the way, bounded, inspected, and only then in its place. Owns the
 * temporary file: whatever goes wrong, nothing of it stays; after a crash `ImageStore.open` removes it.
 */
import { randomUUID } from 'node:crypto';
import { type FileHandle, open, rm } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { ImageFormat } from '../../contract/host/index.ts';
import type { ImageId } from '../../contract/ids.ts';
import { freeBuffer } from '../../protocols/bytes/index.ts';
import { HostFault } from '../host-error.ts';
import type { DigestSets, Digests } from './digests.ts';
import { inspectImage } from './format.ts';
import { bytesOfFile } from './formats/bytes.ts';
import type { ImageInspector } from './inspect.ts';
import { Intake } from './intake.ts';
import { ImageRefused } from './qcow2.ts';
import type { ImageStore } from './store.ts';

export interface UploadOptions {
  id: ImageId;
  format: ImageFormat;
  maxBytes: number;
  /** When the sender said so; a body of any other length is refused. */
  sizeBytes: number | undefined;
  /** A host made it of an encrypted volume, and it has to be encrypted. Absent: it must not be. */
  encrypted?: boolean;
}

export interface UploadContext {
  store: ImageStore;
  sets: DigestSets;
  inspect: ImageInspector;
  maxVirtualBytes: number;
  /** True where a guest's disk builds on the image. */
  inUse(id: ImageId): boolean;
}

export interface TakenImage extends Digests {
  sizeBytes: number;
  /** Null where it is no disk. */
  virtualSizeBytes: number | null;
}

/** @throws HostFault */
export async function receiveImage(
  source: Readable,
  options: UploadOptions,
  context: UploadContext,
): Promise<TakenImage> {
  const { store, sets } = context;
  if ((options.sizeBytes ?? 0) > options.maxBytes) throw tooLarge(options.maxBytes);
  using deletion = store.deletions.watch(options.id);
  const path = await store.incoming(`upload-${randomUUID()}`);
  const file = await open(path, 'wx+', 0o640);
  let intake: Intake | undefined;
  try {
    intake = await Intake.begin({ path, file, sets });
    await store.share(path);
    const sizeBytes = await takeIn(source, intake, options);
    const digests = await intake.finish();
    const virtualSizeBytes = await inspectFile({ path, file, sizeBytes }, options, context);
    const result = { sizeBytes, virtualSizeBytes, ...digests };
    deletion.refuse();
    await keep(path, result, options, context);
    // Its file may have come into its place behind the deletion's back.
    if (deletion.happened) await deleteImage(context, options.id);
    deletion.refuse();
    return result;
  } catch (error) {
    await intake?.abandon();
    throw error instanceof ImageRefused ? new HostFault('invalid', error.message, { permanent: true }) : error;
  } finally {
    await file.close();
    await rm(path, { force: true });
    store.letGo(path);
  }
}

/** How many bytes came. */
async function takeIn(source: Readable, intake: Intake, options: UploadOptions): Promise<number> {
  let size = 0;
  try {
    // Not destroyed when this breaks off: the caller has to get its answer first.
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > options.maxBytes) throw tooLarge(options.maxBytes);
      const wait = intake.add(chunk);
      if (wait) await wait;
      freeBuffer(chunk);
    }
  } catch (cause) {
    if (intake.failed || cause instanceof HostFault) throw cause;
    throw new HostFault('invalid', 'the upload was cut off before its end', { cause });
  }
  if (options.sizeBytes !== undefined && size !== options.sizeBytes) {
    throw new HostFault('invalid', `the upload ended after ${size} of ${options.sizeBytes} bytes`);
  }
  return size;
}

export async function inspectFile(
  { path, file, sizeBytes }: { path: string; file: FileHandle; sizeBytes: number },
  { format, encrypted: wanted = false }: Pick<UploadOptions, 'format' | 'encrypted'>,
  { maxVirtualBytes, inspect }: UploadContext,
): Promise<number | null> {
  const options = { maxVirtualBytes, mayBeEncrypted: wanted };
  const {
    virtualSizeBytes,
    disk,
    encrypted = false,
  } = await inspectImage(format, bytesOfFile(file, sizeBytes), options);
  if (encrypted !== wanted) throw new ImageRefused('the image is not encrypted');
  // Only what passed; and a raw file is never looked into by anybody else.
  if (virtualSizeBytes !== null && disk && disk.driver !== 'raw')
    await inspect({ path, disk, virtualSizeBytes, encrypted });
  return virtualSizeBytes;
}

/** An upload that is repeated finds its own bytes; other bytes never take the place of those that a guest reads. */
async function keep(
  path: string,
  result: TakenImage,
  { id, format, encrypted }: Pick<UploadOptions, 'id' | 'format' | 'encrypted'>,
  context: UploadContext,
): Promise<void> {
  const known = context.store.facts(id);
  if (known?.sha256 === result.sha256 && known.format === format && known.md5 !== null) return;
  if (known && known.sha256 !== result.sha256 && context.inUse(id)) {
    throw new HostFault('conflict', `image ${id} is in use with other contents`);
  }
  await context.store.adopt(id, path, {
    ...{ ...result, format, origin: 'uploaded' },
    ...(encrypted && { encrypted }),
  });
}

/** A guest's disk may build on it: then the sweep removes it after the last one has gone. */
export async function deleteImage(
  { store, inUse }: Pick<UploadContext, 'store' | 'inUse'>,
  id: ImageId,
): Promise<void> {
  store.deletions.tell(id);
  await (inUse(id) ? store.release(id) : store.remove(id));
}

const tooLarge = (maxBytes: number) =>
  new HostFault('too_large', `the image has more than ${maxBytes} bytes`, { permanent: true });
