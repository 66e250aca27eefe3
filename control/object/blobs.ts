/**
 * Bytes as blobs: written to disks under an intent before any row names them, and read from whichever copy gives them back. Small ones go together, many in one request.
 * Of what is given up nothing is named by a row; it is swept when its intent is closed (sweep.ts).
 */
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import { CloudError, isCloudError } from '../../contract/errors.ts';
import { type BlobDigestName, objectLimits, type StoredPlace } from '../../contract/host/index.ts';
import { type BlobId, newOrderedId, type ObjectIntentId } from '../../contract/ids.ts';
import type { Bytes } from '../../protocols/bytes/index.ts';
import type { HostClient } from '../host/index.ts';
import { type Disk, type Disks, placeOf } from './disks.ts';
import { Gather } from './gather.ts';
import type { Hold, Intents } from './intents.ts';
import type { ObjectRange } from './object.ts';
import { writeToAll } from './tee.ts';

/** A copy of a blob. */
export interface BlobCopy {
  diskId: string;
  intentId: string;
  file: string;
  offset: number;
}

/** Durable, and named by no row yet. */
export interface WrittenBlob {
  id: BlobId;
  length: number;
  copies: BlobCopy[];
  /** Until then its intent stays open, if this process lives. */
  hold: Hold;
}

export interface KeptBlob {
  id: string;
  length: number;
  copies: readonly BlobCopy[];
}

/** On how many other disks a write is tried where some refuse. */
const retries = 2;
/** A disk that takes longer over small blobs gets no more of them meanwhile, where there are others. */
const patientMs = 1000;
/** So much later what waits behind it goes, and does not go there. */
const waitsMs = 2 * patientMs;

export class Blobs {
  readonly #disks: Disks;
  readonly #intents: Intents;
  readonly #client: Pick<HostClient, 'objects'>;
  readonly #copies: number;
  readonly #log: Logger;
  readonly #small: Gather<Buffer, WrittenBlob>;
  readonly #slow = new Set<string>();

  constructor(options: {
    disks: Disks;
    intents: Intents;
    client: Pick<HostClient, 'objects'>;
    copies: number;
    log: Logger;
  }) {
    this.#disks = options.disks;
    this.#intents = options.intents;
    this.#client = options.client;
    this.#copies = options.copies;
    this.#log = options.log;
    const bounds = { most: 256, bytes: objectLimits.batchBytes / 2, atOnce: 1, patientMs: waitsMs };
    this.#small = new Gather((bodies) => this.#writeBatch(bodies), bounds);
  }

  /** At most objectLimits.packedBytes. @throws CloudError `unavailable`, `no_capacity` */
  writeSmall(bytes: Buffer): Promise<WrittenBlob> {
    return this.#small.ask(bytes, bytes.length + 20);
  }

  /**
   * A stream, of which the disks' hosts take the digests. With several copies it goes to all side by side, as fast as the slowest takes it.
   * @throws CloudError `invalid` where it is cut off, `too_large`, `unavailable`, `no_capacity`
   */
  async writeLarge(
    source: Readable,
    options: { sizeBytes?: number | undefined; maxBytes: number; digests: readonly BlobDigestName[] },
  ): Promise<{ blob: WrittenBlob; digests: Partial<Record<BlobDigestName, string>> }> {
    const disks = await this.#choose(options.sizeBytes ?? objectLimits.packedBytes, new Set());
    const [hold] = (await this.#intents.hold(disks.map(({ id }) => id))) as [Hold];
    const id = newOrderedId<BlobId>();
    const write = (disk: Disk, bytes: Readable) =>
      this.#client.objects.writeFile(placeOf(disk), hold.intent, id, bytes, {
        ...{ maxBytes: options.maxBytes, sizeBytes: options.sizeBytes, digests: options.digests },
      });
    try {
      const [first, ...others] =
        disks.length === 1
          ? [await write(disks[0]!, source)]
          : await writeToAll(
              source,
              disks.map((disk) => (bytes) => write(disk, bytes)),
            );
      if (others.some(({ sizeBytes, digests }) => sizeBytes !== first!.sizeBytes || digests.md5 !== first!.digests.md5))
        throw new Error('the copies of a blob differ');
      const copies = disks.map((disk) => ({ diskId: disk.id, intentId: hold.intent, file: id, offset: 0 }));
      const { digests, sizeBytes } = first!;
      return { blob: { id, length: sizeBytes, copies, hold }, digests };
    } catch (error) {
      hold.release();
      if (!isCloudError(error, 'conflict')) throw error;
      this.#intents.lost(hold.intent);
      throw new CloudError('unavailable', 'object_intent_closed', {}, { cause: error });
    }
  }

  /** Its intent was found closed: the next write is under another. */
  lost({ hold }: WrittenBlob): void {
    this.#intents.lost(hold.intent);
  }

  /** It was written for nothing. What can't be removed now is swept later; of packs nothing is. */
  discard(blob: WrittenBlob): void {
    for (const { diskId, file } of blob.copies) {
      if (file !== blob.id) continue;
      void this.#disks
        .get(diskId)
        .then((disk) => disk && this.#client.objects.removeBlob(placeOf(disk), blob.hold.intent, blob.id))
        .catch((error) =>
          this.#log.info({ err: error, blobId: blob.id }, 'object: an unused blob stays for the sweep'),
        );
    }
    blob.hold.release();
  }

  /** Verified. Small ones come as a buffer. @throws CloudError `unavailable` where no copy gives them back */
  async read(blob: KeptBlob, range?: ObjectRange): Promise<Bytes | Buffer> {
    let failure: unknown;
    for (const copy of await this.#nearestFirst(blob.copies)) {
      const place = storedPlace(blob, copy.copy);
      try {
        return copy.copy.file === blob.id
          ? await this.#client.objects.read(placeOf(copy.disk), place, range)
          : await this.#client.objects.readRecord(placeOf(copy.disk), place, range);
      } catch (error) {
        this.#log.warn({ err: error, blobId: blob.id, diskId: copy.disk.id }, 'object: a copy could not be read');
        failure = error;
      }
    }
    throw new CloudError('unavailable', 'object_bytes_unavailable', {}, { cause: failure });
  }

  async #nearestFirst(copies: readonly BlobCopy[]): Promise<{ copy: BlobCopy; disk: Disk }[]> {
    const found = await Promise.all(copies.map(async (copy) => ({ copy, disk: await this.#disks.get(copy.diskId) })));
    const known = found.filter((each): each is { copy: BlobCopy; disk: Disk } => each.disk !== undefined);
    const rank = ({ disk }: { disk: Disk }) => Number(!disk.connected) * 2 + Number(disk.problem !== null);
    return known.length < 2 ? known : known.sort((a, b) => rank(a) - rank(b));
  }

  async #writeBatch(bodies: readonly Buffer[]): Promise<WrittenBlob[]> {
    const refused = new Set<string>();
    const bytes = bodies.reduce((sum, body) => sum + body.length, 0);
    for (let attempt = 0; ; attempt++) {
      const disks = await this.#choose(bytes, refused);
      try {
        return await this.#writeTo(disks, bodies, refused);
      } catch (error) {
        if (attempt === retries || !isCloudError(error, 'unavailable', 'no_capacity', 'not_found', 'conflict'))
          throw error;
        this.#log.warn({ err: error }, 'object: a disk took no blobs, others are tried');
      }
    }
  }

  async #choose(bytes: number, refused: ReadonlySet<string>): Promise<Disk[]> {
    const choose = (without: ReadonlySet<string>) => this.#disks.choose(this.#copies, bytes, without);
    return this.#slow.size === 0 ? choose(refused) : choose(refused.union(this.#slow)).catch(() => choose(refused));
  }

  async #watched<T>(disk: Disk, writing: Promise<T>): Promise<T> {
    const timer = setTimeout(() => this.#slow.add(disk.id), patientMs);
    try {
      return await writing;
    } finally {
      clearTimeout(timer);
      this.#slow.delete(disk.id);
    }
  }

  async #writeTo(disks: readonly Disk[], bodies: readonly Buffer[], refused: Set<string>): Promise<WrittenBlob[]> {
    const holds = await this.#intents.hold(
      disks.map(({ id }) => id),
      bodies.length,
    );
    const { intent } = holds[0]!;
    const blobs = bodies.map((body) => ({ id: newOrderedId<BlobId>(), bytes: body }));
    try {
      const places = await Promise.all(
        disks.map((disk) =>
          this.#watched(disk, this.#client.objects.writeBatch(placeOf(disk), intent, blobs)).catch((error) => {
            // Its intent is over, and swept: this process was away for long.
            if (isCloudError(error, 'conflict')) this.#intents.lost(intent);
            else refused.add(disk.id);
            throw error;
          }),
        ),
      );
      return blobs.map(({ id, bytes }, at) => ({
        ...{ id, length: bytes.length, hold: holds[at]! },
        copies: disks.map((disk, which) => ({ diskId: disk.id, intentId: intent, ...places[which]![at]! })),
      }));
    } catch (error) {
      for (const hold of holds) hold.release();
      throw error;
    }
  }
}

const storedPlace = (blob: KeptBlob, { intentId, file, offset }: BlobCopy): StoredPlace => ({
  ...{ blob: blob.id as BlobId, intent: intentId as ObjectIntentId, file, offset, length: blob.length },
});
