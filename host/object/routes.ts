/** What the host's HTTPS service does for the paths of object disks (contract/host/object.ts). Every word of a request is checked before a disk is touched. */
import type { TSchema } from 'typebox';
import {
  type BlobDigestName,
  type BlobFaults,
  blobDigestNames,
  blobFilePattern,
  type CopiedBlobs,
  copyBlobs as copyWish,
  grantBlobs,
  type IntentFiles,
  type ObjectDisks,
  objectLimits,
  type StoredPlace,
  type WrittenBlobs,
} from '../../contract/host/index.ts';
import { type BlobId, type ObjectIntentId, parseId } from '../../contract/ids.ts';
import { Mismatch, read } from '../../contract/schema/read.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import { HostFault } from '../host-error.ts';
import { answerJson, type Exchange, readBody, type ServiceRoutes } from '../service/http-service.ts';
import { parseRange } from '../service/range.ts';
import { copyBlobs } from './copies.ts';
import type { PackedBlob } from './pack-writer.ts';
import type { ObjectStore } from './store.ts';

type Query = Exchange['query'];

const frameHeadBytes = 20;
const maxWishBytes = 1024 * 1024;
const isBlobFile = new RegExp(blobFilePattern);
const isDisk = /^[a-z0-9][a-z0-9-]{0,62}$/;

interface ObjectRouteOptions {
  store: ObjectStore;
  /** This host's own certificate. */
  tls(): TlsTexts;
}

export const objectRoutes =
  (options: ObjectRouteOptions): ServiceRoutes['objects'] =>
  (rest, exchange) =>
    serveObjects(rest, exchange, options);

async function serveObjects(
  rest: readonly string[],
  exchange: Exchange,
  { store, tls }: ObjectRouteOptions,
): Promise<void> {
  const [kind = '', idText, ...more] = rest;
  const method = exchange.request.method ?? '';
  const route = `${method} ${kind}${idText === undefined ? '' : '/*'}`;
  const id = idText === undefined ? '' : parseId(idText);
  if (more.length > 0 || id === undefined) throw new HostFault('not_found', 'there is nothing here');
  if (exchange.peer !== 'control' && route !== 'GET blobs/*')
    throw new HostFault('forbidden', 'only control does this with object disks');
  switch (route) {
    case 'GET disks':
      await store.disks.look();
      return answerJson(exchange.response, 200, { disks: store.disks.levels() } satisfies ObjectDisks);
    case 'POST blobs':
      return writeBatch(exchange, store);
    case 'PUT blobs/*':
      return putBlob(id as BlobId, exchange, store);
    case 'GET blobs/*':
      return getBlob(id as BlobId, exchange, store);
    case 'DELETE blobs/*':
      await store.removeFile(diskOf(exchange.query), intentOf(exchange.query), id);
      return done(exchange);
    case 'DELETE packs': {
      const file = fileOf(exchange.query);
      if (!file.endsWith('.pack')) throw new HostFault('invalid', 'file is no pack');
      await store.removeFile(diskOf(exchange.query), intentOf(exchange.query), file);
      return done(exchange);
    }
    case 'GET intents/*': {
      const files = await store.listIntent(diskOf(exchange.query), id as ObjectIntentId);
      return answerJson(exchange.response, 200, { files } satisfies IntentFiles);
    }
    case 'DELETE intents/*':
      await store.removeIntent(diskOf(exchange.query), id as ObjectIntentId);
      return done(exchange);
    case 'POST copies': {
      const copies = await copyBlobs(store, await wishOf(exchange, copyWish), tls);
      return answerJson(exchange.response, 200, { copies } satisfies CopiedBlobs);
    }
    case 'POST grants':
      store.grants.add(await wishOf(exchange, grantBlobs));
      return done(exchange);
    case 'GET faults': {
      const disk = diskOf(exchange.query);
      await store.disks.require(disk, { toWrite: false });
      const found = { scrubbedAt: store.scrubbedAt(disk), faults: store.faults.of(disk) } satisfies BlobFaults;
      return answerJson(exchange.response, 200, found);
    }
    case 'DELETE faults':
      store.faults.forget(diskOf(exchange.query), intentOf(exchange.query), fileOf(exchange.query));
      return done(exchange);
    default:
      throw new HostFault('not_found', 'there is nothing here');
  }
}

async function writeBatch({ request, response, query }: Exchange, store: ObjectStore): Promise<void> {
  const [disk, intent] = [diskOf(query), intentOf(query)];
  const most = objectLimits.batchBytes + objectLimits.batchBlobs * frameHeadBytes;
  const blobs = readFrames(await readBody(request, most));
  const places = await store.writePacked(disk, intent, blobs);
  answerJson(response, 200, { places } satisfies WrittenBlobs);
}

/** @throws HostFault where the bytes are not blobs back to back */
function readFrames(body: Buffer): PackedBlob[] {
  const blobs: PackedBlob[] = [];
  for (let at = 0; at < body.length; ) {
    const from = at + frameHeadBytes;
    const length = from <= body.length ? body.readUInt32BE(at + 16) : Number.POSITIVE_INFINITY;
    if (length > objectLimits.packedBytes)
      throw new HostFault('invalid', 'a blob of the batch is cut off or too large');
    if (from + length > body.length) throw new HostFault('invalid', 'the batch ends within a blob');
    blobs.push({ id: body.subarray(at, at + 16), data: body.subarray(from, from + length) });
    at = from + length;
  }
  if (blobs.length === 0 || blobs.length > objectLimits.batchBlobs)
    throw new HostFault('invalid', `a batch has 1 to ${objectLimits.batchBlobs} blobs`);
  return blobs;
}

async function putBlob(blob: BlobId, { request, response, query }: Exchange, store: ObjectStore): Promise<void> {
  const maxBytes = numberOf(query, 'maxBytes', objectLimits.blobBytes);
  const announced = request.headers['content-length'];
  const stored = await store.writeFile(
    diskOf(query),
    intentOf(query),
    blob,
    // Not destroyed when it breaks off: the caller has to get its answer first.
    request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>,
    {
      digests: digestsOf(query),
      maxBytes: Math.min(maxBytes, objectLimits.blobBytes),
      sizeBytes: announced === undefined ? undefined : Number(announced),
    },
  );
  answerJson(response, 201, stored);
}

async function getBlob(blob: BlobId, exchange: Exchange, store: ObjectStore): Promise<void> {
  const { query, request, response, hostId, peer } = exchange;
  const disk = diskOf(query);
  const [offset, length] = [numberOf(query, 'offset', 0), numberOf(query, 'length')];
  const place: StoredPlace = { blob, intent: intentOf(query), file: fileOf(query), offset, length };
  const allowed = peer === 'control' || (hostId !== undefined && store.grants.allows(hostId, disk, place));
  // As if there were none.
  if (!allowed) throw new HostFault('not_found', 'there is nothing here');
  const range = parseRange(request.headers.range, length);
  const { first, last } = range ?? { first: 0, last: length - 1 };
  const packed = place.file.endsWith('.pack');
  const head = { 'content-type': 'application/octet-stream', 'content-length': last + 1 - first };
  const answerHead = () =>
    range
      ? response.writeHead(206, { ...head, 'content-range': `bytes ${first}-${last}/${length}` })
      : response.writeHead(200, head);
  if (packed) {
    if (length > objectLimits.packedBytes) throw new HostFault('invalid', 'no pack has a blob of that length');
    const data = await store.readPacked(disk, place);
    answerHead().end(data.subarray(first, last + 1));
    return;
  }
  if (place.file !== blob || offset !== 0) throw new HostFault('invalid', 'a file has the name of its blob');
  const bytes = await store.readFile(disk, place, range);
  answerHead();
  await bytes.sendTo(response);
}

const done = ({ response }: Exchange): void => void response.writeHead(204).end();

/** @throws HostFault where the body is not what the schema says */
async function wishOf<T extends TSchema>({ request }: Exchange, schema: T) {
  const body = await readBody(request, maxWishBytes);
  try {
    return read(schema, JSON.parse(body.toString('utf8')));
  } catch (error) {
    if (!(error instanceof Mismatch) && !(error instanceof SyntaxError)) throw error;
    throw new HostFault('invalid', 'the body is not what this takes', { cause: error });
  }
}

function diskOf(query: Query): string {
  const disk = query.get('disk') ?? '';
  if (!isDisk.test(disk)) throw new HostFault('invalid', 'disk must be the name of an object disk');
  return disk;
}

function intentOf(query: Query): ObjectIntentId {
  const text = query.get('intent') ?? '';
  const intent = parseId<ObjectIntentId>(text);
  // Only the form that ids have here: it becomes a path.
  if (intent === undefined || intent !== text) throw new HostFault('invalid', 'intent must be an id');
  return intent;
}

function fileOf(query: Query): string {
  const file = query.get('file') ?? '';
  if (!isBlobFile.test(file)) throw new HostFault('invalid', 'file is no name of a pack or a blob');
  return file;
}

function numberOf(query: Query, name: string, absent?: number): number {
  const text = query.get(name);
  if (text === null && absent !== undefined) return absent;
  const value = /^\d{1,16}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new HostFault('invalid', `${name} must be a whole number`);
  return value;
}

function digestsOf(query: Query): BlobDigestName[] {
  const names = (query.get('digests') ?? '').split(',').filter((each) => each !== '');
  return [...new Set(names)].map((name) => {
    const known = blobDigestNames.find((each) => each === name);
    if (!known) throw new HostFault('invalid', `digests are some of ${blobDigestNames.join(', ')}`);
    return known;
  });
}
