/** An object store on a directory of its own, for tests of this folder. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { StoredPlace } from '../../contract/host/index.ts';
import { type BlobId, type HostId, newId, type ObjectIntentId } from '../../contract/ids.ts';
import { idBytes } from '../../protocols/blobs/index.ts';
import type { Bytes } from '../../protocols/bytes/index.ts';
import { silent } from '../logger.ts';
import { ObjectStore, type ObjectStoreOptions } from './store.ts';

/** The same in every process. */
export const cloudId = '0193a3d4-0000-4000-8000-000000000001';
export const hostId = '0193a3d4-0000-4000-8000-000000000002' as HostId;
export const newIntent = (): ObjectIntentId => newId<ObjectIntentId>();

/** On a real disk: what is synced shall be. */
export function temporaryDirectory(t: Pick<TestContext, 'after'>): string {
  const directory = mkdtempSync(join(process.env.BOTHY_TEST_DISK ?? tmpdir(), 'objects-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

function optionsOf(directory: string, changes: Partial<ObjectStoreOptions> = {}): ObjectStoreOptions {
  return {
    settings: [{ name: 'default', path: join(directory, 'objects'), own: true }],
    ...{ dataDirectory: directory, hostId, cloudId: () => cloudId, readerGid: undefined, durable: true },
    ...{ log: silent, levels: () => {}, scrub: { bytesPerSecond: 2 ** 30 } },
    ...changes,
  };
}

export async function openStore(
  t: Pick<TestContext, 'after'>,
  directory: string,
  changes: Partial<ObjectStoreOptions> = {},
): Promise<ObjectStore> {
  const store = new ObjectStore(optionsOf(directory, changes));
  t.after(() => store.close());
  await store.open();
  return store;
}

export interface Written {
  place: StoredPlace;
  data: Buffer;
}

/** Small ones, in one batch. */
export async function writeSmall(
  store: ObjectStore,
  intent: ObjectIntentId,
  contents: readonly Buffer[],
): Promise<Written[]> {
  const blobs = contents.map((data) => ({ blob: newId<BlobId>(), data }));
  const packed = blobs.map(({ blob, data }) => ({ id: idBytes(blob), data }));
  const places = await store.writePacked('default', intent, packed);
  return blobs.map(({ blob, data }, index) => ({
    place: { blob, intent, ...places[index]!, length: data.length },
    data,
  }));
}

export async function writeLarge(store: ObjectStore, intent: ObjectIntentId, data: Buffer): Promise<Written> {
  const blob = newId<BlobId>();
  const { file, sizeBytes } = await store.writeFile('default', intent, blob, pieces(data), {
    ...{ digests: ['md5'], maxBytes: 2 ** 40 },
  });
  return { place: { blob, intent, file, offset: 0, length: sizeBytes }, data };
}

/** In uneven pieces, as sockets hand them over. The pieces are the reader's own. */
export function pieces(data: Buffer, length = 50_021): Readable {
  const parts: Buffer[] = [];
  for (let at = 0; at < data.length; at += length) parts.push(Buffer.from(data.subarray(at, at + length)));
  return Readable.from(parts);
}

export async function wholeOf(bytes: Bytes): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  await bytes.sendTo(sink);
  return Buffer.concat(chunks);
}

export const bytesOf = (length: number): Buffer => randomBytes(length);
