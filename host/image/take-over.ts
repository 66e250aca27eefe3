/**
 * Taking in an image that lies on this machine already: its file is moved, not copied, and read once for its digest while the disk writes
 * down what it still has in memory. Owns the file from the move on: whatever goes wrong nothing of it stays; after a crash
 * `ImageStore.open` removes it.
 *
 * Who made the file may be a guest's QEMU that its guest has taken over. So it is made root's first, which keeps everybody from opening it to
 * write, and then asked whether nobody has it open still: the kernel gives a read lease for no other file (fcntl(2), F_SETLEASE).
 * A file of which that can't be said is copied like an upload.
 */
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import type { ImageFormat } from '../../contract/host/index.ts';
import type { ImageId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';
import type { DigestSets, Digests } from './digests.ts';
import { ImageRefused } from './qcow2.ts';
import { inspectFile, keep, receiveImage, type TakenImage, type UploadContext } from './upload.ts';

export interface TakeOver {
  id: ImageId;
  format: ImageFormat;
  /** Asked now and then. @throws where it is wanted no more */
  stillWanted(): void;
}

/** The file is gone from its place, whatever comes of it. @throws HostFault */
export async function takeOverImage(
  from: string,
  { id, format, stillWanted }: TakeOver,
  context: UploadContext,
): Promise<TakenImage> {
  const { store } = context;
  const path = await store.incoming(`upload-${randomUUID()}`);
  try {
    await rename(from, path);
    await store.share(path);
    const { size: sizeBytes } = await stat(path);
    if (!(await nobodyWrites(path))) {
      const source = createReadStream(path, { highWaterMark: 2 ** 20 });
      return await receiveImage(source, { id, format, maxBytes: Number.MAX_SAFE_INTEGER, sizeBytes }, context);
    }
    await using file = await open(path, 'r');
    const flushed = file.datasync();
    flushed.catch(() => {}); // seen below
    const digests = await digestFile(file, { sizeBytes, sets: context.sets, stillWanted });
    await flushed;
    const virtualSizeBytes = await inspectFile({ path, file, sizeBytes }, { format }, context);
    const result = { sizeBytes, virtualSizeBytes, ...digests };
    stillWanted();
    await keep(path, result, { id, format }, context);
    return result;
  } catch (error) {
    throw error instanceof ImageRefused ? new HostFault('invalid', error.message, { permanent: true }) : error;
  } finally {
    await rm(path, { force: true });
    store.letGo(path);
  }
}

/** One half of the set's memory is filled while its threads read the other. */
async function digestFile(
  file: FileHandle,
  { sizeBytes, sets, stillWanted }: { sizeBytes: number; sets: DigestSets } & Pick<TakeOver, 'stillWanted'>,
): Promise<Digests> {
  const set = sets.take();
  try {
    const half = set.memory.byteLength / 2;
    let digested = Promise.resolve();
    for (let at = 0, offset = 0; at < sizeBytes; offset = half - offset) {
      stillWanted();
      const { bytesRead } = await file.read(new Uint8Array(set.memory, offset, half), 0, half, at);
      if (bytesRead === 0) throw new HostFault('invalid', 'the file became shorter while it was read');
      await digested;
      digested = set.add(offset, bytesRead);
      digested.catch(() => {}); // seen by whoever awaits it next
      at += bytesRead;
    }
    await digested;
    const digests = await set.end();
    sets.giveBack(set);
    return digests;
  } catch (error) {
    set.close();
    throw error;
  }
}

/** F_SETLEASE and F_RDLCK of Linux. Node.js has no fcntl; perl-base is part of every Debian. */
const lease = 'open(my $file, "<", $ARGV[0]) or exit 2; fcntl($file, 1024, 0) or exit 1';

function nobodyWrites(path: string): Promise<boolean> {
  const options = { timeout: 10_000, env: { PATH: '/usr/bin:/bin' }, cwd: '/' };
  return new Promise((resolve) => {
    execFile('perl', ['-e', lease, path], options, (error) => resolve(error === null));
  });
}
