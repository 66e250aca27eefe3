/** Looking through one file of blobs without knowing what should be in it. Reads through a function; else pure. */
import { crc32 } from 'node:zlib';
import {
  blobFileBytes,
  blockBytes,
  findFooter,
  firstDamaged,
  idBytes,
  readRecordHead,
  readTable,
  recordAlignment,
  recordBytes,
  recordHeaderBytes,
  tableBytes,
} from '../../protocols/blobs/index.ts';

export interface Damage {
  offset: number;
  length: number;
}

/** A megabyte from that offset, a multiple of 4096, on, or less at the end; undefined: the disk can't read it. */
export type ReadPiece = (offset: number) => Promise<Buffer | undefined>;

const pieceBytes = 1024 * 1024;
const page = 4096;

/** Bytes of a file in order, fetched as they are needed. */
class Window {
  readonly #read: ReadPiece;
  #bytes: Buffer = Buffer.alloc(0);
  #from = 0;

  constructor(read: ReadPiece) {
    this.#read = read;
  }

  /** Undefined where the disk can't read them; shorter where the file ends. */
  async get(offset: number, length: number): Promise<Buffer | undefined> {
    const at = offset - this.#from;
    if (at >= 0 && at + length <= this.#bytes.length) return this.#bytes.subarray(at, at + length);
    const parts: Buffer[] = [];
    this.#from = Math.floor(offset / page) * page;
    for (let next = this.#from; next < offset + length; next += pieceBytes) {
      const piece = await this.#read(next);
      if (!piece) {
        this.#bytes = Buffer.alloc(0);
        return undefined;
      }
      parts.push(piece);
      if (piece.length < pieceBytes) break;
    }
    this.#bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    return this.#bytes.subarray(offset - this.#from, offset - this.#from + length);
  }
}

/** From the first byte that is no record to the next record, or the end. */
export async function* scrubPack(read: ReadPiece, sizeBytes: number, intent: string): AsyncGenerator<Damage> {
  const window = new Window(read);
  const whose = idBytes(intent);
  let damagedFrom: number | undefined;
  for (let at = 0; at < sizeBytes; ) {
    const taken = await recordAt(window, at, whose);
    if (typeof taken === 'string') {
      damagedFrom ??= at;
      // What can't be read is not tried 16 bytes further.
      at = taken === 'none' ? at + recordAlignment : (Math.floor(at / page) + 1) * page;
      continue;
    }
    if (damagedFrom !== undefined) yield { offset: damagedFrom, length: at - damagedFrom };
    damagedFrom = undefined;
    if (!taken.whole) yield { offset: at, length: taken.bytes };
    at += taken.bytes;
  }
  if (damagedFrom !== undefined) yield { offset: damagedFrom, length: sizeBytes - damagedFrom };
}

async function recordAt(
  window: Window,
  at: number,
  intent: Buffer,
): Promise<{ bytes: number; whole: boolean } | 'none' | 'unreadable'> {
  const header = await window.get(at, recordHeaderBytes);
  if (!header) return 'unreadable';
  const head = readRecordHead(header);
  if (!head || !idBytes(head.intent).equals(intent)) return 'none';
  const data = await window.get(at + recordHeaderBytes, head.length);
  return { bytes: recordBytes(head.length), whole: data?.length === head.length && crc32(data) === head.crc };
}

/** All of it where its end says nothing. */
export async function* scrubFile(
  read: ReadPiece,
  sizeBytes: number,
  { blob, intent }: { blob: string; intent: string },
): AsyncGenerator<Damage> {
  const all = { offset: 0, length: sizeBytes };
  const window = new Window(read);
  const endFrom = Math.max(0, sizeBytes - 2 * page);
  const end = await window.get(endFrom, sizeBytes - endFrom);
  const length = end && findFooter(end, { blob, intent });
  if (length === undefined || blobFileBytes(length) > sizeBytes) return yield all;
  const tail = await window.get(length, blobFileBytes(length) - length);
  const table = tail && readTable(Buffer.from(tail), { blob, intent, length });
  if (!table || table.length !== tableBytes(length)) return yield all;
  for (let at = 0; at < length; at += pieceBytes) {
    const wanted = Math.min(pieceBytes, length - at);
    const bytes = await window.get(at, wanted);
    if (bytes?.length !== wanted) yield { offset: at, length: wanted };
    else if (firstDamaged(bytes, at / blockBytes, table) !== undefined) yield { offset: at, length: wanted };
  }
}
