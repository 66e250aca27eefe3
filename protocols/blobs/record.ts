/**
 * A small blob in a pack. Records lie back to back on multiples of 16 bytes; each says by itself whose it is and whether it is whole:
 *
 *    0  magic `BLBR`, and version 1 (2 bytes), 2 of zero
 *    8  length of the data (4 bytes)
 *   12  CRC-32 of the data (4)
 *   16  blob's id (16)
 *   32  intent's id (16)
 *   48  CRC-32 of the 48 bytes before (4), 12 of zero
 *   64  the data, then zeros up to a multiple of 16
 *
 * Numbers have their highest byte first. What a crash leaves behind the last whole record is no record. Pure.
 */
import { crc32 } from 'node:zlib';
import { idBytes, idOf } from './ids.ts';

export const recordHeaderBytes = 64;
export const recordAlignment = 16;
const magic = 0x424c4252;
const version = 1;
const checkedBytes = 48;

export interface RecordHead {
  blob: string;
  intent: string;
  length: number;
  crc: number;
}

/** What a record takes in its pack. */
export const recordBytes = (length: number): number =>
  recordHeaderBytes + Math.ceil(length / recordAlignment) * recordAlignment;

/** A whole record, at `at` of `into`, which has room for it. */
export function writeRecord(
  into: Buffer,
  at: number,
  { blob, intent }: { blob: Buffer; intent: Buffer },
  data: Buffer,
): void {
  into.fill(0, at, at + recordHeaderBytes);
  into.writeUInt32BE(magic, at);
  into.writeUInt16BE(version, at + 4);
  into.writeUInt32BE(data.length, at + 8);
  into.writeUInt32BE(crc32(data), at + 12);
  blob.copy(into, at + 16);
  intent.copy(into, at + 32);
  into.writeUInt32BE(crc32(into.subarray(at, at + checkedBytes)), at + checkedBytes);
  data.copy(into, at + recordHeaderBytes);
  into.fill(0, at + recordHeaderBytes + data.length, at + recordBytes(data.length));
}

/** Undefined where there is none, or one that is damaged. */
export function readRecordHead(bytes: Buffer, at = 0): RecordHead | undefined {
  if (bytes.length < at + recordHeaderBytes || bytes.readUInt32BE(at) !== magic) return undefined;
  if (bytes.readUInt16BE(at + 4) !== version) return undefined;
  if (bytes.readUInt32BE(at + checkedBytes) !== crc32(bytes.subarray(at, at + checkedBytes))) return undefined;
  return {
    blob: idOf(bytes, at + 16),
    intent: idOf(bytes, at + 32),
    length: bytes.readUInt32BE(at + 8),
    crc: bytes.readUInt32BE(at + 12),
  };
}

/** Whether the record at `at` is the one that is meant, byte for byte. */
export function isRecord(
  bytes: Buffer,
  { blob, intent, length }: { blob: string; intent: string; length: number },
): boolean {
  const head = readRecordHead(bytes);
  if (!head || head.length !== length || bytes.length < recordHeaderBytes + length) return false;
  if (!idBytes(blob).equals(bytes.subarray(16, 32)) || !idBytes(intent).equals(bytes.subarray(32, 48))) return false;
  return crc32(bytes.subarray(recordHeaderBytes, recordHeaderBytes + length)) === head.crc;
}
