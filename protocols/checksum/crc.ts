/**
 * CRCs as S3 uses them: reflected, all ones in and out. CRC-32 (ISO-HDLC), CRC-32C (Castagnoli) and CRC-64/NVME of the "Catalogue of
 * parametrised CRC algorithms" (reveng.sourceforge.io/crc-catalogue). Pure.
 */
import { crc32 as nativeCrc32 } from 'node:zlib';

export type CrcAlgorithm = 'crc32' | 'crc32c' | 'crc64nvme';

/** Reflected polynomials. */
const polynomials: Readonly<Record<CrcAlgorithm, bigint>> = {
  crc32: 0xedb88320n,
  crc32c: 0x82f63b78n,
  crc64nvme: 0x9a6c9329ac4bc9b5n,
};

export const crcBytes = (algorithm: CrcAlgorithm): number => (algorithm === 'crc64nvme' ? 8 : 4);

export interface Crc {
  update(bytes: Uint8Array): void;
  /** Big-endian. */
  digest(): Buffer;
}

export function startCrc(algorithm: CrcAlgorithm): Crc {
  switch (algorithm) {
    case 'crc32':
      return new Crc32();
    case 'crc32c':
      return new Crc32c();
    case 'crc64nvme':
      return new Crc64();
  }
}

class Crc32 implements Crc {
  #value = 0;

  update(bytes: Uint8Array): void {
    this.#value = nativeCrc32(bytes, this.#value);
  }

  digest(): Buffer {
    return word(this.#value);
  }
}

class Crc32c implements Crc {
  readonly #table = tablesOf('crc32c').low;
  #value = 0xffffffff;

  update(bytes: Uint8Array): void {
    const t = this.#table;
    let crc = this.#value;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      crc ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      crc =
        t[1792 + (crc & 0xff)]! ^
        t[1536 + ((crc >>> 8) & 0xff)]! ^
        t[1280 + ((crc >>> 16) & 0xff)]! ^
        t[1024 + (crc >>> 24)]! ^
        t[768 + bytes[at + 4]!]! ^
        t[512 + bytes[at + 5]!]! ^
        t[256 + bytes[at + 6]!]! ^
        t[bytes[at + 7]!]!;
    }
    for (; at < bytes.length; at++) crc = (crc >>> 8) ^ t[(crc ^ bytes[at]!) & 0xff]!;
    this.#value = crc;
  }

  digest(): Buffer {
    return word(~this.#value >>> 0);
  }
}

/** In two halves: 64-bit integers of JavaScript are objects. */
class Crc64 implements Crc {
  readonly #tables = tablesOf('crc64nvme');
  #high = 0xffffffff;
  #low = 0xffffffff;

  update(bytes: Uint8Array): void {
    const { high: h, low: l } = this.#tables;
    let [high, low] = [this.#high, this.#low];
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      low ^= bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
      high ^= bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
      const a = 1792 + (low & 0xff);
      const b = 1536 + ((low >>> 8) & 0xff);
      const c = 1280 + ((low >>> 16) & 0xff);
      const d = 1024 + (low >>> 24);
      const e = 768 + (high & 0xff);
      const f = 512 + ((high >>> 8) & 0xff);
      const g = 256 + ((high >>> 16) & 0xff);
      const i = high >>> 24;
      low = l[a]! ^ l[b]! ^ l[c]! ^ l[d]! ^ l[e]! ^ l[f]! ^ l[g]! ^ l[i]!;
      high = h[a]! ^ h[b]! ^ h[c]! ^ h[d]! ^ h[e]! ^ h[f]! ^ h[g]! ^ h[i]!;
    }
    for (; at < bytes.length; at++) {
      const index = (low ^ bytes[at]!) & 0xff;
      low = ((low >>> 8) | (high << 24)) ^ l[index]!;
      high = (high >>> 8) ^ h[index]!;
    }
    this.#high = high;
    this.#low = low;
  }

  digest(): Buffer {
    return Buffer.concat([word(~this.#high >>> 0), word(~this.#low >>> 0)]);
  }
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

interface Tables {
  high: Uint32Array;
  low: Uint32Array;
}

const made = new Map<CrcAlgorithm, Tables>();

function tablesOf(algorithm: CrcAlgorithm): Tables {
  const tables = made.get(algorithm) ?? makeTables(algorithm);
  made.set(algorithm, tables);
  return tables;
}

/** Eight tables: what each of the next eight bytes does to the rest after those that follow it (slicing-by-8). */
function makeTables(algorithm: CrcAlgorithm): Tables {
  const polynomial = polynomials[algorithm];
  const [high, low] = [new Uint32Array(2048), new Uint32Array(2048)];
  const one: bigint[] = [];
  for (let index = 0; index < 256; index++) {
    let value = BigInt(index);
    for (let bit = 0; bit < 8; bit++) value = value & 1n ? (value >> 1n) ^ polynomial : value >> 1n;
    one.push(value);
  }
  for (let index = 0; index < 256; index++) {
    let value = one[index]!;
    for (let slice = 0; slice < 8; slice++) {
      if (slice > 0) value = (value >> 8n) ^ one[Number(value & 0xffn)]!;
      high[slice * 256 + index] = Number(value >> 32n);
      low[slice * 256 + index] = Number(value & 0xffffffffn);
    }
  }
  return { high, low };
}

/** The CRC of two runs of bytes, one behind the other, of the CRC of each. @param length of the second one, in bytes */
export function combineCrc(algorithm: CrcAlgorithm, first: Buffer, second: Buffer, length: number): Buffer {
  const size = crcBytes(algorithm);
  const read = (bytes: Buffer) => BigInt(`0x${bytes.toString('hex')}`);
  const moved = times(algorithm, powerOf(algorithm, length), read(first));
  return Buffer.from((moved ^ read(second)).toString(16).padStart(size * 2, '0'), 'hex');
}

/** Polynomials modulo the algorithm's own, the highest bit being x^0. */
function times(algorithm: CrcAlgorithm, a: bigint, b: bigint): bigint {
  const polynomial = polynomials[algorithm];
  let product = 0n;
  let factor = b;
  for (let bit = 1n << BigInt(crcBytes(algorithm) * 8 - 1); bit > 0n; bit >>= 1n) {
    if (a & bit) product ^= factor;
    factor = factor & 1n ? (factor >> 1n) ^ polynomial : factor >> 1n;
  }
  return product;
}

/** The last one found: parts of an upload are all of one length, but for the last. */
let known = { algorithm: 'crc32' as CrcAlgorithm, length: -1, power: 0n };

/** x to the power of 8 times the length. */
function powerOf(algorithm: CrcAlgorithm, length: number): bigint {
  if (known.algorithm === algorithm && known.length === length) return known.power;
  const one = 1n << BigInt(crcBytes(algorithm) * 8 - 1);
  let power = one;
  // x^8, then its squares.
  let square = one >> 8n;
  for (let rest = BigInt(length); rest > 0n; rest >>= 1n) {
    if (rest & 1n) power = times(algorithm, square, power);
    square = times(algorithm, square, square);
  }
  known = { algorithm, length, power };
  return power;
}
