/**
 * The LUKS header of a new layer: version 1, one key slot. Written by ourselves, since `qemu-img create` first measures the processor for
 * seconds, whatever time it is given; a passphrase of 256 random bits needs no slow derivation. QEMU and cryptsetup read it (test/live).
 * Also what of a header is looked at before any program is given it. Owns nothing; each layer has a master key of its own.
 *
 * @see https://gitlab.com/cryptsetup/cryptsetup/-/wikis/LUKS-standard/on-disk-format.pdf (1.2.3)
 */
import { createCipheriv, hash, pbkdf2Sync, randomBytes, randomUUID } from 'node:crypto';
import type { LayerEncryption } from '../../contract/host/index.ts';
import type { Secret } from '../../contract/secret.ts';

const magic = Buffer.from('LUKS\xba\xbe', 'latin1');
const sectorBytes = 512;
const stripes = 4000;
const slots = { count: 8, at: 208, bytes: 48, enabled: 0x00ac71f3, disabled: 0x0000dead } as const;
/** The first slot's material begins there, and each at a multiple of it. */
const alignedSectors = 8;
/** The least that QEMU and the format allow. */
const iterations = 1000;
/** More than any header of ours says: whoever derives so often is kept busy by whoever wrote it. */
const mostIterations = 10_000_000;
const digestBytes = 20;
const saltBytes = 32;
/** The fields before the first slot, and the slots. */
export const luksHeadBytes = slots.at + slots.count * slots.bytes;

export interface LuksHeader {
  /** As much as belongs to the header; what is not in `pieces` is never read. */
  bytes: number;
  pieces: { offset: number; bytes: Buffer }[];
}

const slotSectors = (keyBytes: number): number =>
  Math.ceil(Math.ceil((keyBytes * stripes) / sectorBytes) / alignedSectors) * alignedSectors;

/** A header with a new master key, which its passphrase opens. */
export function luksHeader({ keySizeBits }: Pick<LayerEncryption, 'keySizeBits'>, passphrase: Secret): LuksHeader {
  const keyBytes = keySizeBits / 8;
  const each = slotSectors(keyBytes);
  const payloadSectors = alignedSectors + slots.count * each;
  const [masterKey, digestSalt, slotSalt] = [randomBytes(keyBytes), randomBytes(saltBytes), randomBytes(saltBytes)];
  const derive = (from: string | Buffer, salt: Buffer, length: number) =>
    pbkdf2Sync(from, salt, iterations, length, 'sha256');
  const head = Buffer.alloc(luksHeadBytes);
  magic.copy(head);
  head.writeUInt16BE(1, 6);
  head.write('aes', 8);
  head.write('xts-plain64', 40);
  head.write('sha256', 72);
  head.writeUInt32BE(payloadSectors, 104);
  head.writeUInt32BE(keyBytes, 108);
  derive(masterKey, digestSalt, digestBytes).copy(head, 112);
  digestSalt.copy(head, 132);
  head.writeUInt32BE(iterations, 164);
  head.write(randomUUID(), 168);
  for (let slot = 0; slot < slots.count; slot++) {
    const at = slots.at + slot * slots.bytes;
    head.writeUInt32BE(slot === 0 ? slots.enabled : slots.disabled, at);
    if (slot === 0) {
      head.writeUInt32BE(iterations, at + 4);
      slotSalt.copy(head, at + 8);
    }
    head.writeUInt32BE(alignedSectors + slot * each, at + 40);
    head.writeUInt32BE(stripes, at + 44);
  }
  const slotKey = derive(passphrase.reveal(), slotSalt, keyBytes);
  const material = encrypted(split(masterKey), slotKey);
  masterKey.fill(0);
  slotKey.fill(0);
  return {
    bytes: payloadSectors * sectorBytes,
    pieces: [
      { offset: 0, bytes: head },
      { offset: alignedSectors * sectorBytes, bytes: material },
    ],
  };
}

/** The master key spread over all stripes (section 2.4): who erases one has erased it. */
function split(key: Buffer): Buffer {
  const whole = randomBytes(key.length * stripes);
  let sum: Buffer = Buffer.alloc(key.length);
  for (let stripe = 0; stripe < stripes - 1; stripe++) {
    sum = diffused(xor(sum, whole.subarray(stripe * key.length, (stripe + 1) * key.length)));
  }
  xor(sum, key).copy(whole, (stripes - 1) * key.length);
  return whole;
}

function xor(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.allocUnsafe(a.length);
  for (let at = 0; at < a.length; at++) result[at] = a[at]! ^ b[at]!;
  return result;
}

/** Each digest's worth of it hashed with its number before it. */
function diffused(block: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0, number = 0; at < block.length; at += 32, number++) {
    const piece = Buffer.allocUnsafe(4 + Math.min(32, block.length - at));
    piece.writeUInt32BE(number);
    block.copy(piece, 4, at);
    pieces.push(hash('sha256', piece, 'buffer').subarray(0, piece.length - 4));
  }
  return Buffer.concat(pieces);
}

/** In sectors, each under its number (aes-xts-plain64). */
function encrypted(plain: Buffer, key: Buffer): Buffer {
  const result = Buffer.alloc(Math.ceil(plain.length / sectorBytes) * sectorBytes);
  plain.copy(result);
  for (let at = 0, sector = 0; at < result.length; at += sectorBytes, sector++) {
    const tweak = Buffer.alloc(16);
    tweak.writeBigUInt64LE(BigInt(sector));
    const cipher = createCipheriv(`aes-${key.length * 4}-xts` as 'aes-256-xts', key, tweak);
    cipher.update(result.subarray(at, at + sectorBytes)).copy(result, at);
  }
  return result;
}

/**
 * It is such a header, and nobody is kept busy by deriving from it: a guest's QEMU may have written what it likes. Whether it opens is
 * QEMU's to say.
 */
export function isLuksHead(head: Buffer): boolean {
  if (head.length < luksHeadBytes || !head.subarray(0, 6).equals(magic) || head.readUInt16BE(6) !== 1) return false;
  if (head.readUInt32BE(164) > mostIterations) return false;
  for (let slot = 0; slot < slots.count; slot++) {
    const at = slots.at + slot * slots.bytes;
    if (head.readUInt32BE(at) === slots.enabled && head.readUInt32BE(at + 4) > mostIterations) return false;
  }
  return true;
}
