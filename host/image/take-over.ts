/**
 * Taking in an image that lies on this machine already: its file is moved, not copied, and inspected while the disk writes down what it
 * still has in memory. Its digests are found later (later-digests.ts), for reading it once more takes longer than the copy did. Owns the file from the move on: whatever goes wrong nothing of it stays; after a crash
 * `ImageStore.open` removes it.
 *
 * Who made the file may be a guest's QEMU that its guest has taken over. So it is made root's first, which keeps everybody from opening it to
 * write, and then asked whether nobody has it open still (../open-elsewhere.ts).
 * A file of which that can't be said is copied like an upload.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rename, rm, stat } from 'node:fs/promises';
import type { CapturedImage, ImageFormat } from '../../contract/host/index.ts';
import type { ImageId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import { isOpenElsewhere } from '../open-elsewhere.ts';
import { ImageRefused } from './qcow2.ts';
import { inspectFile, receiveImage, type UploadContext } from './upload.ts';

export interface TakeOver {
  id: ImageId;
  format: ImageFormat;
  /** It has to be. Absent: it must not be. */
  encrypted?: boolean;
  /** @throws where it is wanted no more */
  stillWanted(): void;
}

/** The file is gone from its place, whatever comes of it. @throws HostFault */
export async function takeOverImage(
  from: string,
  { id, format, encrypted, stillWanted }: TakeOver,
  context: UploadContext,
): Promise<CapturedImage> {
  const { store } = context;
  const path = await store.incoming(`upload-${randomUUID()}`);
  const sealed = encrypted && { encrypted };
  try {
    await rename(from, path);
    await store.share(path);
    const { size: sizeBytes } = await stat(path);
    await using file = await open(path, 'r');
    const flushed = file.datasync();
    flushed.catch(() => {}); // seen below
    if ((await isOpenElsewhere([{ path, open: 'write' }])) !== 'no') {
      const source = createReadStream(path, { highWaterMark: 2 ** 20 });
      const options = { id, format, maxBytes: Number.MAX_SAFE_INTEGER, sizeBytes, ...sealed };
      return await receiveImage(source, options, context);
    }
    const virtualSizeBytes = await inspectFile({ path, file, sizeBytes }, { format, ...sealed }, context);
    await flushed;
    stillWanted();
    if (store.facts(id) && context.inUse(id)) throw new HostFault('conflict', `image ${id} is in use`);
    const unknown = { md5: null, sha256: null, sha512: null };
    await store.adopt(id, path, { format, sizeBytes, virtualSizeBytes, ...unknown, ...sealed, origin: 'uploaded' });
    return { sizeBytes, virtualSizeBytes };
  } catch (error) {
    throw error instanceof ImageRefused ? new HostFault('invalid', error.message, { permanent: true }) : error;
  } finally {
    await rm(path, { force: true });
    store.letGo(path);
  }
}
