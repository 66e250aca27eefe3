/** Files of a tar archive, one after the other as the bytes come: ustar with the long names of pax and GNU. */
import { Refusal } from '../../boundary/refusal.ts';

export interface ArchivedFile {
  name: string;
  sizeBytes: number;
  /** Of pax: `SCHILY.xattr.user.mime_type` and the like. */
  attributes: Readonly<Record<string, string>>;
  /** Must be read to its end, or left with {@link ArchiveReader.skip}. */
  bytes(): AsyncGenerator<Buffer>;
}

const block = 512;
/** Of what says names and attributes; a file's own bytes have none. */
const maxHeadBytes = 64 * 1024;

const broken = (why: string) => new Refusal('invalid', `Invalid Tar File: ${why}`);

/** @throws Refusal for what is no archive, or ends in the middle */
export async function* filesOf(source: AsyncIterable<Buffer>): AsyncGenerator<ArchivedFile> {
  const reader = new Reader(source);
  let [pax, longName]: [Record<string, string>, string | undefined] = [{}, undefined];
  while (true) {
    const head = await reader.take(block, { mayEnd: true });
    // Two blocks of zeros end it; what follows is filling.
    if (head === undefined || head.every((byte) => byte === 0)) return reader.drain();
    const { name, sizeBytes: said, type } = headOf(head);
    const sizeBytes = pax.size === undefined ? said : Number(pax.size);
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < 0) throw broken('a file has no size');
    if (['x', 'g', 'L', 'K'].includes(type)) {
      if (sizeBytes > maxHeadBytes) throw broken('a name is too long');
      const text = (await reader.take(sizeBytes))!;
      await reader.skip(padding(sizeBytes));
      if (type === 'x') pax = attributesOf(text);
      if (type === 'L') longName = cString(text);
      continue;
    }
    const isFile = type === '0' || type === '\0' || type === '7';
    let left = sizeBytes;
    if (isFile) {
      yield {
        name: pax.path ?? longName ?? name,
        sizeBytes,
        attributes: pax,
        async *bytes() {
          while (left > 0) {
            const piece = await reader.some(left);
            left -= piece.length;
            yield piece;
          }
        },
      };
    }
    await reader.skip(left + padding(sizeBytes));
    [pax, longName] = [{}, undefined];
  }
}

const padding = (sizeBytes: number): number => (block - (sizeBytes % block)) % block;

const cString = (bytes: Buffer): string => {
  const end = bytes.indexOf(0);
  return (end < 0 ? bytes : bytes.subarray(0, end)).toString('utf8');
};

function headOf(head: Buffer): { name: string; sizeBytes: number; type: string } {
  const sum = Number.parseInt(cString(head.subarray(148, 156)).trim(), 8);
  const counted = head.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (sum !== counted) throw broken('a header is damaged');
  const size = head.subarray(124, 136);
  // GNU's form of large numbers has the first bit set.
  const sizeBytes = size[0]! & 0x80 ? Number(size.readBigUInt64BE(4)) : Number.parseInt(cString(size).trim() || '0', 8);
  const prefix =
    head.toString('latin1', 257, 262) === 'ustar' && head[262] === 0 ? cString(head.subarray(345, 500)) : '';
  const name = cString(head.subarray(0, 100));
  return { name: prefix === '' ? name : `${prefix}/${name}`, sizeBytes, type: String.fromCharCode(head[156]!) };
}

/** Records of `length key=value\n`. */
function attributesOf(text: Buffer): Record<string, string> {
  const attributes: Record<string, string> = {};
  let at = 0;
  while (at < text.length) {
    const space = text.indexOf(32, at);
    const length = Number(text.toString('latin1', at, space));
    if (space < 0 || !Number.isSafeInteger(length) || length < 5 || at + length > text.length) {
      throw broken('its attributes are damaged');
    }
    const record = text.toString('utf8', space + 1, at + length - 1);
    const equals = record.indexOf('=');
    if (equals > 0) attributes[record.slice(0, equals)] = record.slice(equals + 1);
    at += length;
  }
  return attributes;
}

class Reader {
  readonly #pieces: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.#pieces = source[Symbol.asyncIterator]();
  }

  /** At least one byte and at most so many. */
  async some(most: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const next = await this.#pieces.next();
      if (next.done) throw broken('it ends in the middle');
      this.#rest = next.value;
    }
    const piece = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(piece.length);
    return piece;
  }

  async take(count: number, { mayEnd = false } = {}): Promise<Buffer | undefined> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      if (mayEnd && parts.length === 0 && this.#rest.length === 0) {
        const next = await this.#pieces.next();
        if (next.done) return undefined;
        this.#rest = next.value;
        continue;
      }
      const piece = await this.some(left);
      parts.push(piece);
      left -= piece.length;
    }
    return Buffer.concat(parts);
  }

  async skip(count: number): Promise<void> {
    for (let left = count; left > 0; ) left -= (await this.some(left)).length;
  }

  async drain(): Promise<void> {
    this.#rest = Buffer.alloc(0);
    while (!(await this.#pieces.next()).done);
  }
}
