/**
 * Copies of blobs under another intent: out of packs that are mostly dead, off a disk that is drained, from another host. Each is verified where it
 * is read, and on the disk before it is told of. If the process dies, what was copied is nobody's, and control asks again.
 */
import { type CopiedBlobs, type CopyBlobs, objectLimits, type StoredPlace } from '../../contract/host/index.ts';
import { idBytes } from '../../protocols/blobs/index.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import { HostFault } from '../host-error.ts';
import { bodyOf } from './body.ts';
import { PeerBlobs } from './peers.ts';
import type { ObjectStore } from './store.ts';

type Copied = CopiedBlobs['copies'][number];

/** Small blobs that are read before they are written together. */
const smallAtOnce = 16;

/** In their order. @throws HostFault where the disks or the other host are the reason, no blob */
export async function copyBlobs(store: ObjectStore, wish: CopyBlobs, tls: () => TlsTexts): Promise<Copied[]> {
  const { host } = wish.from;
  const peer = host && new PeerBlobs(host, tls());
  try {
    const copies: Copied[] = [];
    for (let at = 0; at < wish.blobs.length; at += smallAtOnce) {
      const some = wish.blobs.slice(at, at + smallAtOnce);
      const done = await Promise.allSettled(some.map((place) => copyOne(store, wish, place, peer)));
      for (const each of done) {
        if (each.status === 'fulfilled') copies.push({ place: each.value, problem: null });
        else copies.push({ place: null, problem: problemOf(each.reason) });
      }
    }
    return copies;
  } finally {
    peer?.close();
  }
}

async function copyOne(store: ObjectStore, wish: CopyBlobs, place: StoredPlace, peer: PeerBlobs | undefined) {
  const { disk, intent, from } = wish;
  const { blob, length } = place;
  if (length <= objectLimits.packedBytes) {
    const data = await readSmall(store, from.disk, place, peer);
    const [copied] = await store.writePacked(disk, intent, [{ id: idBytes(blob), data }]);
    return copied!;
  }
  const body = peer ? await peer.open(from.disk, place) : bodyOf(await store.readFile(from.disk, place));
  const stored = await store.writeFile(disk, intent, blob, body, {
    ...{ digests: [], maxBytes: length, sizeBytes: length },
  });
  return { file: stored.file, offset: 0 };
}

async function readSmall(
  store: ObjectStore,
  disk: string,
  place: StoredPlace,
  peer: PeerBlobs | undefined,
): Promise<Buffer> {
  if (!peer && place.file.endsWith('.pack')) return store.readPacked(disk, place);
  const body = peer ? await peer.open(disk, place) : bodyOf(await store.readFile(disk, place));
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      chunks.push(chunk);
      size += chunk.length;
    }
  } catch (cause) {
    if (cause instanceof HostFault) throw cause;
    throw new HostFault('unavailable', 'the blob was cut off before its end', { cause });
  }
  if (size !== place.length) throw new HostFault('unavailable', 'the blob was cut off before its end');
  return Buffer.concat(chunks);
}

/** What is of one blob alone; anything else is of all. @throws it */
function problemOf(error: unknown): Copied['problem'] {
  if (error instanceof HostFault && (error.code === 'corrupt' || error.code === 'not_found'))
    return { code: error.code, message: error.message };
  throw error;
}
