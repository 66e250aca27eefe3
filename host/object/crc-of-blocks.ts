/** The CRC-32 of a whole out of those of its blocks, which are known anyway: that costs a few look-ups a block. Pure. */
import { blockBytes } from '../../protocols/blobs/file-format.ts';
import { type Checksum, combineCrc } from '../../protocols/checksum/index.ts';

/** By byte of a CRC, what it becomes when a block of zeros follows: that is linear, so it is the sum of what its bits become. */
let tables: Uint32Array | undefined;

function shifted(crc: number): number {
  tables ??= tablesOf();
  return (
    (tables[crc & 0xff]! ^
      tables[256 + ((crc >>> 8) & 0xff)]! ^
      tables[512 + ((crc >>> 16) & 0xff)]! ^
      tables[768 + (crc >>> 24)]!) >>>
    0
  );
}

function tablesOf(): Uint32Array {
  const bits = Array.from({ length: 32 }, (_, bit) => combined(2 ** bit, 0, blockBytes));
  return Uint32Array.from({ length: 1024 }, (_, index) => {
    const [place, byte] = [Math.floor(index / 256), index % 256];
    return bits.reduce((sum, each, bit) => (bit >> 3 === place && (byte >> (bit & 7)) & 1 ? sum ^ each : sum), 0) >>> 0;
  });
}

export class CrcOfBlocks implements Pick<Checksum, 'digest'> {
  #value = 0;

  /** The next block; only the last may be shorter than others. */
  add(crc: number, length: number): void {
    this.#value = length === blockBytes ? (shifted(this.#value) ^ crc) >>> 0 : combined(this.#value, crc, length);
  }

  digest(): Buffer {
    return word(this.#value);
  }
}

const combined = (first: number, second: number, length: number): number =>
  combineCrc('crc32', word(first), word(second), length).readUInt32BE();

function word(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32BE(value);
  return bytes;
}
