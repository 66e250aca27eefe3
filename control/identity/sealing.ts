/**
 * Secrets at rest: AES-256-GCM (NIST SP 800-38D) with keys that are in the cloud's data directory and not in its database, so
 * that a copy of the database alone tells nothing. The first key seals, all of them open; what is sealed names its key. The
 * row that it belongs to is bound in: a sealed text moved to another row does not open. With the same keys the cloud marks what it gives away and
 * wants to know again as its own (HMAC-SHA-256, RFC 2104, of which half is told).
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { CloudError } from '../../contract/errors.ts';
import type { Secret } from '../../contract/secret.ts';

export const sealingKeyBytes = 32;
const ivBytes = 12;
const tagBytes = 16;
const nameBytes = 8;
const markBytes = 16;
/** By how much a sealed text is longer. */
export const sealBytes = nameBytes + ivBytes + tagBytes;

interface Key {
  name: Buffer;
  key: Buffer;
}

export class Sealer {
  readonly #keys: readonly Key[];

  /** @param keys the newest first */
  constructor(keys: readonly Secret<Buffer>[]) {
    this.#keys = keys.map((secret) => {
      const key = secret.reveal();
      if (key.length !== sealingKeyBytes) throw new RangeError(`a sealing key has ${sealingKeyBytes} bytes`);
      return { key, name: createHash('sha256').update('sealing key ').update(key).digest().subarray(0, nameBytes) };
    });
  }

  get hasKey(): boolean {
    return this.#keys.length > 0;
  }

  /** @throws CloudError `unavailable` where the cloud has no key */
  seal(text: string, row: string): Buffer {
    const [newest] = this.#keys;
    if (!newest) throw new CloudError('unavailable', 'sealing_key_missing', {});
    const iv = randomBytes(ivBytes);
    const cipher = createCipheriv('aes-256-gcm', newest.key, iv).setAAD(Buffer.from(row));
    const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
    return Buffer.concat([newest.name, iv, cipher.getAuthTag(), body]);
  }

  /** @throws CloudError `unavailable` where the key that it was sealed with is not here */
  open(sealed: Buffer, row: string): string {
    const name = sealed.subarray(0, nameBytes);
    const known = this.#keys.find((one) => one.name.equals(name));
    if (!known) throw new CloudError('unavailable', 'sealing_key_missing', {});
    const iv = sealed.subarray(nameBytes, nameBytes + ivBytes);
    const tag = sealed.subarray(nameBytes + ivBytes, nameBytes + ivBytes + tagBytes);
    const decipher = createDecipheriv('aes-256-gcm', known.key, iv, { authTagLength: tagBytes })
      .setAAD(Buffer.from(row))
      .setAuthTag(tag);
    const body = sealed.subarray(nameBytes + ivBytes + tagBytes);
    return Buffer.concat([decipher.update(body), decipher.final()]).toString('utf8');
  }

  /** By which {@link isMarked} knows the text again, for this purpose alone; empty where the cloud has no key. */
  mark(text: string, purpose: string): string {
    const [newest] = this.#keys;
    return newest ? markOf(newest, text, purpose).toString('base64url') : '';
  }

  isMarked(text: string, mark: string, purpose: string): boolean {
    const given = Buffer.from(mark, 'base64url');
    return given.length === markBytes && this.#keys.some((key) => timingSafeEqual(given, markOf(key, text, purpose)));
  }
}

function markOf({ key }: Key, text: string, purpose: string): Buffer {
  const own = createHmac('sha256', key).update(`mark ${purpose}`).digest();
  return createHmac('sha256', own).update(text).digest().subarray(0, markBytes);
}
