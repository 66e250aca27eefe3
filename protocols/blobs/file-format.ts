/**
 * A large blob in a file of its own: the data, the CRC-32 of each block of it (4 bytes each), and a footer:
 *
 *    0  magic `BLBF`, and version 1 (2 bytes), 2 of zero
 *    8  length of the data (8)
 *   16  blob's id (16)
 *   32  intent's id (16)
 *   48  length of a block (4)
 *   52  CRC-32 of the table (4)
 *   56  4 of zero
 *   60  CRC-32 of the 60 bytes before (4)
 *
 * Numbers have their highest byte first. Pure.
 */
import { crc32 } from 'node:zlib';
import { idBytes } from './ids.ts';

/** As much as the smallest piece of memory that bytes pass through. */
export const blockBytes = 32 * 1024;
const footerBytes = 64;
const magic = 0x424c4246;
const version = 1;
const checkedBytes = 60;

export interface BlobName {
  blob: string;
  intent: string;
  length: number;
}

export const tableBytes = (length: number): number => Math.ceil(length / blockBytes) * 4;
/** Of the whole file. */
export const blobFileBytes = (length: number): number => length + tableBytes(length) + footerBytes;

/** @param table the CRC of each block, 4 bytes each */
export function footerOf({ blob, intent, length }: BlobName, table: Buffer): Buffer {
  const footer = Buffer.alloc(footerBytes);
  footer.writeUInt32BE(magic, 0);
  footer.writeUInt16BE(version, 4);
  footer.writeBigUInt64BE(BigInt(length), 8);
  idBytes(blob).copy(footer, 16);
  idBytes(intent).copy(footer, 32);
  footer.writeUInt32BE(blockBytes, 48);
  footer.writeUInt32BE(crc32(table), 52);
  footer.writeUInt32BE(crc32(footer.subarray(0, checkedBytes)), checkedBytes);
  return footer;
}

/** The table out of what lies behind the data; undefined where it is not that of the blob, byte for byte. */
export function readTable(tail: Buffer, name: BlobName): Buffer | undefined {
  if (tail.length !== tableBytes(name.length) + footerBytes) return undefined;
  const table = tail.subarray(0, tail.length - footerBytes);
  return footerOf(name, table).equals(tail.subarray(table.length)) ? table : undefined;
}

/** The length of a blob out of the end of its file, which has at most a page behind its footer; undefined where there is no such footer. */
export function findFooter(end: Buffer, { blob, intent }: Omit<BlobName, 'length'>): number | undefined {
  for (let at = end.length - footerBytes; at >= 0; at--) {
    if (end.readUInt32BE(at) !== magic || end.readUInt16BE(at + 4) !== version) continue;
    const footer = end.subarray(at, at + footerBytes);
    if (footer.readUInt32BE(checkedBytes) !== crc32(footer.subarray(0, checkedBytes))) continue;
    const [ours, theirs] = [Buffer.concat([idBytes(blob), idBytes(intent)]), footer.subarray(16, 48)];
    if (ours.equals(theirs)) return Number(footer.readBigUInt64BE(8));
  }
  return undefined;
}

/** Of whole blocks (the last of a blob may be shorter), from that block on, the first that is not what was written. */
export function firstDamaged(bytes: Buffer, firstBlock: number, table: Buffer): number | undefined {
  for (let at = 0, block = firstBlock; at < bytes.length; at += blockBytes, block++) {
    if (crc32(bytes.subarray(at, at + blockBytes)) !== table.readUInt32BE(block * 4)) return block;
  }
  return undefined;
}
