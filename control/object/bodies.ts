/** A body as a blob that no row names yet, with its digests taken and held against what the caller said. */
import { Readable } from 'node:stream';
import { CloudError, hasReason } from '../../contract/errors.ts';
import { objectLimits } from '../../contract/host/index.ts';
import type { Blobs, WrittenBlob } from './blobs.ts';
import { readSmall } from './body.ts';
import { digestNames, digestsOf, verified } from './digests.ts';
import { objectStoreLimits as limits } from './limits.ts';
import type { Checksums, ObjectSource, ObjectWish } from './object.ts';

/** As it was kept; its blob is to be named by a row, or discarded. */
export interface Stored {
  /** Null: there were no bytes. */
  blob: WrittenBlob | null;
  sizeBytes: number;
  md5: string;
  checksums: Checksums | null;
  /** Its bytes once more, where they are still at hand. */
  again?: () => Readable;
}

export class Bodies {
  readonly #blobs: Blobs;

  constructor(options: { blobs: Blobs }) {
    this.#blobs = options.blobs;
  }

  /** @throws CloudError `invalid` (cut off, a checksum), `too_large`, `no_capacity`, `unavailable` */
  async store({ bytes, sizeBytes }: ObjectSource, wish: Pick<ObjectWish, 'md5' | 'checksums'>): Promise<Stored> {
    const maximum = limits.objectBytes;
    if (sizeBytes !== undefined && sizeBytes > maximum)
      throw new CloudError('too_large', 'object_too_large', { maximum });
    const small = await readSmall(bytes, objectLimits.packedBytes, sizeBytes);
    if (small) {
      const kept = verified(digestsOf(small, wish), wish);
      const blob = small.length === 0 ? null : await this.#blobs.writeSmall(small);
      return { blob, sizeBytes: small.length, ...kept, again: () => Readable.from([small]) };
    }
    const { blob, digests } = await this.#blobs
      .writeLarge(bytes, { sizeBytes, maxBytes: maximum, digests: digestNames(wish) })
      .catch((error) => {
        throw hasReason(error, 'host_refused') && error.code === 'too_large'
          ? new CloudError('too_large', 'object_too_large', { maximum }, { cause: error })
          : error;
      });
    try {
      return { blob, sizeBytes: blob.length, ...verified(digests, wish) };
    } catch (error) {
      this.#blobs.discard(blob);
      throw error;
    }
  }

  /** Nothing came of it, for this reason. */
  discard({ blob }: Stored, reason: unknown): void {
    if (!blob) return;
    if (hasReason(reason, 'object_intent_closed')) this.#blobs.lost(blob);
    if (isDecided(reason)) this.#blobs.discard(blob);
    else blob.hold.release();
  }
}

/** Of a commit whose answer was lost nobody here knows what came of it: a row may name the blob by now. The sweep looks, once the intent is closed. */
const isDecided = (reason: unknown): boolean =>
  reason instanceof CloudError && (reason.code !== 'unavailable' || hasReason(reason, 'object_intent_closed'));
