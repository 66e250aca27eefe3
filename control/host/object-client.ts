/**
 * Control as a client of hosts' object disks: blobs in, out, copied and removed (contract/host/object.ts). Which blob is whose, and what goes
 * together in a batch, is who calls' business. What a host refuses is `host_refused` with its own code (`corrupt`, `not_found`, `no_capacity` …).
 *
 * Bytes that lie on this machine are read from their files, verified here; whatever keeps control from that, or does not pass, the host reads once
 * more and says what it is. Owns open packs.
 */
import { type Readable, Writable } from 'node:stream';
import { type CloudError, hasReason } from '../../contract/errors.ts';
import {
  type BlobDigestName,
  type BlobFaults,
  type BlobPlace,
  blobFaults,
  type CopiedBlobs,
  copiedBlobs,
  type IntentFiles,
  intentFiles,
  type ObjectDiskLevel,
  objectDisks,
  objectFilePath,
  objectPaths,
  type StoredBlob,
  type StoredPlace,
  storedBlob,
  writtenBlobs,
} from '../../contract/host/index.ts';
import type { BlobId, ObjectIntentId } from '../../contract/ids.ts';
import { BlobFault, openBlob, PackReader } from '../../protocols/blobs/index.ts';
import { type Bytes, getBytes } from '../../protocols/bytes/index.ts';
import {
  answer,
  answerOf,
  collect,
  type HostEndpoint,
  maxAnswerBytes,
  refusal,
  refused,
  unreachable,
} from './answers.ts';
import { answerMs, type HostConnections, silenceMs } from './connections.ts';
import { LocalDisks } from './local-disks.ts';
import { upload } from './upload.ts';

/** A disk of a host. */
export interface DiskOfHost {
  host: HostEndpoint;
  disk: string;
}

export interface SmallBlob {
  id: BlobId;
  /** At most objectLimits.packedBytes. */
  bytes: Buffer;
}

export interface WriteFileOptions {
  /** The host refuses more with `too_large`. */
  maxBytes: number;
  /** When known, the host refuses a body of any other length. */
  sizeBytes?: number | undefined;
  digests?: readonly BlobDigestName[];
  signal?: AbortSignal;
}

/** Both inclusive, of the blob's bytes. */
export interface BlobRange {
  first: number;
  last: number;
}

/** A disk that is slow is no disk that is gone. */
const durableMs = 60_000;
/** Copying reads and writes hundreds of megabytes. */
const copyMs = 600_000;
const listBytes = 128 * 2 ** 20;

export class HostObjects {
  readonly #connections: HostConnections;
  readonly #local: LocalDisks;
  readonly #packs = new PackReader();

  constructor(connections: HostConnections) {
    this.#connections = connections;
    this.#local = new LocalDisks((host) => this.disks(host));
  }

  close(): void {
    this.#packs.close();
  }

  /** The host's disks, as they are now. */
  async disks(host: HostEndpoint): Promise<ObjectDiskLevel[]> {
    return answerOf(host, objectDisks, await this.#connections.ask(host, 'GET', objectPaths.disks)).disks;
  }

  /**
   * Small blobs into packs: of each its place, in their order, once all are durable. Together at most objectLimits.batchBytes.
   * @throws CloudError with the host's own code; then none of them is ever told to be there
   */
  async writeBatch(at: DiskOfHost, intent: ObjectIntentId, blobs: readonly SmallBlob[]): Promise<BlobPlace[]> {
    const parts = blobs.flatMap(({ id, bytes }) => [headOf(id, bytes.length), bytes]);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    const { host } = at;
    const request = this.#connections.request(host, 'POST', pathOf(objectPaths.blobs, at, { intent }), {
      'content-type': 'application/octet-stream',
      'content-length': length,
    });
    // Joined they go out in one write.
    request.end(Buffer.concat(parts, length));
    const response = await answer(host, request, durableMs);
    if (response.statusCode! >= 300) throw await refusal(host, response);
    const { places } = answerOf(host, writtenBlobs, await collect(host, response, maxAnswerBytes));
    if (places.length !== blobs.length) throw unreachable(host, new Error('the host told places of other blobs'));
    return places;
  }

  /**
   * One large blob into a file of its own. The source's buffers are given away: their memory is freed as soon as it is written.
   * @throws CloudError with the host's own code; `invalid` when the source ends early
   */
  async writeFile(
    at: DiskOfHost,
    intent: ObjectIntentId,
    blob: BlobId,
    source: Readable,
    { maxBytes, sizeBytes, digests = [], signal }: WriteFileOptions,
  ): Promise<StoredBlob> {
    const query = { intent, maxBytes: String(maxBytes), digests: digests.join(',') };
    const request = this.#connections.request(at.host, 'PUT', pathOf(objectPaths.blob(blob), at, query), {
      'content-type': 'application/octet-stream',
      ...(sizeBytes === undefined ? {} : { 'content-length': String(sizeBytes) }),
    });
    return answerOf(at.host, storedBlob, await upload(at.host, request, source, signal));
  }

  /** Verified bytes of a blob; they have to be sent or destroyed. @throws CloudError `conflict` (host_code `corrupt`), `not_found` */
  async read(at: DiskOfHost, place: StoredPlace, range?: BlobRange): Promise<Bytes> {
    return (await this.#openHere(at, place, range)) ?? (await this.#stream(at, place, range));
  }

  async #openHere(at: DiskOfHost, place: StoredPlace, range?: BlobRange): Promise<Bytes | undefined> {
    if (place.file.endsWith('.pack')) return undefined;
    const path = await this.#pathHere(at, place);
    const bytes = path && (await openBlob({ path, name: place, range, silenceMs }).catch(() => undefined));
    if (!bytes) return undefined;
    return {
      length: bytes.length,
      destroy: () => bytes.destroy(),
      sendTo: (sink) =>
        bytes.sendTo(sink).catch((error) => {
          // The host finds it too, and notes it.
          if (error instanceof BlobFault) this.#stream(at, place, range).then(discard, () => {});
          throw error;
        }),
    };
  }

  /** Where it lies, if that is this machine. */
  async #pathHere({ host, disk }: DiskOfHost, { intent, file }: StoredPlace): Promise<string | undefined> {
    if (!this.#connections.isLocal(host)) return undefined;
    const path = this.#local.known(host.id, disk) ?? (await this.#local.find(host, disk));
    return path && objectFilePath(path, intent, file);
  }

  async #stream(at: DiskOfHost, place: StoredPlace, range?: BlobRange): Promise<Bytes> {
    const { blob, intent, file, offset, length } = place;
    const query = { intent, file, offset: String(offset), length: String(length) };
    const found = await getBytes({
      to: this.#connections.target(at.host),
      path: pathOf(objectPaths.blob(blob), at, query),
      headers: range ? { range: `bytes=${range.first}-${range.last}` } : {},
      ...{ answerMs, silenceMs },
    }).catch((error) => {
      throw unreachable(at.host, error);
    });
    const { status } = found.head;
    if (status === (range ? 206 : 200)) return found;
    throw refused(at.host, status, await found.text(maxAnswerBytes).catch(() => ''));
  }

  /** The whole of a small blob, verified, or a range of it. */
  async readRecord(at: DiskOfHost, place: StoredPlace, range?: BlobRange): Promise<Buffer> {
    const here = place.file.endsWith('.pack') ? await this.#readHere(at, place) : undefined;
    if (!here) return this.#askFor(at, place, range);
    return range ? here.subarray(range.first, range.last + 1) : here;
  }

  async #readHere(at: DiskOfHost, place: StoredPlace): Promise<Buffer | undefined> {
    const path = await this.#pathHere(at, place);
    return path === undefined ? undefined : this.#packs.read(path, place).catch(() => undefined);
  }

  async #askFor(at: DiskOfHost, place: StoredPlace, range?: BlobRange): Promise<Buffer> {
    const { blob, intent, file, offset, length } = place;
    const path = pathOf(objectPaths.blob(blob), at, { intent, file, offset: String(offset), length: String(length) });
    const headers = range ? { range: `bytes=${range.first}-${range.last}` } : {};
    const request = this.#connections.request(at.host, 'GET', path, headers);
    request.end();
    const response = await answer(at.host, request, answerMs);
    if (response.statusCode! >= 300) throw await refusal(at.host, response);
    const wanted = range ? range.last + 1 - range.first : length;
    const bytes = await collect(at.host, response, wanted);
    if (bytes.length !== wanted) throw unreachable(at.host, new Error(`${bytes.length} of ${wanted} bytes came`));
    return bytes;
  }

  /** A large blob's file. Idempotent. */
  async removeBlob(at: DiskOfHost, intent: ObjectIntentId, blob: BlobId): Promise<void> {
    await this.#remove(at.host, pathOf(objectPaths.blob(blob), at, { intent }));
  }

  /** Idempotent. */
  async removePack(at: DiskOfHost, intent: ObjectIntentId, file: string): Promise<void> {
    await this.#remove(at.host, pathOf(objectPaths.packs, at, { intent, file }));
  }

  /** What lies there of an intent; of a pack to which the host still writes its size now. */
  async listIntent(at: DiskOfHost, intent: ObjectIntentId): Promise<IntentFiles['files']> {
    const path = pathOf(objectPaths.intent(intent), at, {});
    const bytes = await this.#connections.ask(at.host, 'GET', path, undefined, { maxBytes: listBytes });
    return answerOf(at.host, intentFiles, bytes).files;
  }

  /** The empty directory of an intent. Idempotent. @throws CloudError `conflict` where it is not empty */
  async removeIntent(at: DiskOfHost, intent: ObjectIntentId): Promise<void> {
    await this.#remove(at.host, pathOf(objectPaths.intent(intent), at, {}));
  }

  /**
   * Copies blobs to a disk, under an intent: from itself (compaction), another of the same host, or another host's, which is asked first to let it.
   * Of each its new place or why there is none, in their order; all durable.
   */
  async copy(
    from: DiskOfHost,
    to: DiskOfHost,
    intent: ObjectIntentId,
    blobs: readonly StoredPlace[],
  ): Promise<CopiedBlobs['copies']> {
    const elsewhere = from.host.id !== to.host.id;
    if (elsewhere) {
      const grant = { disk: from.disk, to: to.host.id, forMs: copyMs, blobs };
      await this.#connections.ask(from.host, 'POST', objectPaths.grants, grant);
    }
    const { id, url } = from.host;
    const wish = { disk: to.disk, intent, from: { disk: from.disk, ...(elsewhere && { host: { id, url } }) }, blobs };
    const bytes = await this.#connections.ask(to.host, 'POST', objectPaths.copies, wish, { timeoutMs: copyMs });
    const { copies } = answerOf(to.host, copiedBlobs, bytes);
    if (copies.length !== blobs.length) throw unreachable(to.host, new Error('the host told of other blobs'));
    return copies;
  }

  /** What reads and the scrub have found on a disk. */
  async faults({ host, disk }: DiskOfHost): Promise<BlobFaults> {
    const path = pathOf(objectPaths.faults, { host, disk }, {});
    return answerOf(host, blobFaults, await this.#connections.ask(host, 'GET', path));
  }

  /** What was found in that file has been seen to: it is told again only when it is found again. */
  async forgetFaults(at: DiskOfHost, intent: ObjectIntentId, file: string): Promise<void> {
    await this.#remove(at.host, pathOf(objectPaths.faults, at, { intent, file }));
  }

  async #remove(host: HostEndpoint, path: string): Promise<void> {
    await this.#connections.ask(host, 'DELETE', path, undefined, { timeoutMs: durableMs });
  }
}

/** True where a host's disk does not give back what was written: a copy elsewhere may. */
export const isBlobLost = (error: unknown): error is CloudError<'host_refused'> =>
  hasReason(error, 'host_refused') && ['corrupt', 'not_found'].includes(error.fields.host_code);

/** Reads it to its end, for what reading it finds. */
const discard = (bytes: Bytes): Promise<void> =>
  bytes.sendTo(new Writable({ write: (_chunk, _encoding, done) => done() })).catch(() => {});

function headOf(id: BlobId, length: number): Buffer {
  const head = Buffer.allocUnsafe(20);
  head.write(id.replaceAll('-', ''), 0, 16, 'hex');
  head.writeUInt32BE(length, 16);
  return head;
}

const pathOf = (path: string, { disk }: DiskOfHost, query: Record<string, string>): string =>
  `${path}?${new URLSearchParams({ disk, ...query })}`;
