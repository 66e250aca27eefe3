/** Ranges of bytes that a client asks for, and the body of an answer with several (RFC 9110, section 14). */
import { randomBytes } from 'node:crypto';

export interface ByteRange {
  first: number;
  /** The last byte itself is in it. */
  last: number;
}

/** More than these are an attack or a mistake. */
const maxRanges = 50;
const maxOverlapping = 2;
const maxUnordered = 8;

const isOrdered = (ranges: readonly ByteRange[], allowed: number): boolean =>
  ranges.filter((range, index) => index > 0 && range.first < ranges[index - 1]!.first).length <= allowed;

const overlaps = (ranges: readonly ByteRange[]): number =>
  ranges.filter((one, index) =>
    ranges.some((other, at) => at !== index && one.first <= other.last && other.first <= one.last),
  ).length / 2;

/**
 * What a `Range` header means for an object of this size. Undefined: the whole object, also where the header is malformed, which
 * is overlooked then; an empty list: nothing of it can be had.
 */
export function rangesOf(header: string | undefined, sizeBytes: number): ByteRange[] | undefined {
  const [, list] = /^bytes=(.*)$/i.exec(header ?? '') ?? [];
  if (list === undefined) return undefined;
  const ranges: ByteRange[] = [];
  const parts = list.split(',');
  for (const part of parts) {
    const [, from, to] = /^[ \t]*(\d*)[ \t]*-[ \t]*(\d*)[ \t]*$/.exec(part) ?? [];
    if (from === undefined || to === undefined || (from === '' && to === '')) return undefined;
    if (from !== '' && to !== '' && Number(to) < Number(from)) return undefined;
    const first = from === '' ? Math.max(0, sizeBytes - Number(to)) : Number(from);
    const last = from === '' || to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1);
    if (first <= last && !(from === '' && Number(to) === 0)) ranges.push({ first, last });
  }
  if (parts.length > maxRanges || overlaps(ranges) > maxOverlapping || !isOrdered(ranges, maxUnordered)) return [];
  return ranges;
}

export const contentRange = ({ first, last }: ByteRange, sizeBytes: number): string =>
  `bytes ${first}-${last}/${sizeBytes}`;

/** The parts of an answer of type `multipart/byteranges`. */
export class ByteRangesBody {
  readonly boundary = randomBytes(16).toString('hex');
  /** What goes before each range. */
  readonly heads: readonly Buffer[];
  readonly end: Buffer;
  readonly sizeBytes: number;

  constructor(ranges: readonly ByteRange[], { contentType, sizeBytes }: { contentType: string; sizeBytes: number }) {
    this.heads = ranges.map((range, index) =>
      Buffer.from(
        `${index === 0 ? '' : '\r\n'}--${this.boundary}\r\nContent-Type: ${contentType}\r\n` +
          `Content-Range: ${contentRange(range, sizeBytes)}\r\n\r\n`,
      ),
    );
    this.end = Buffer.from(`\r\n--${this.boundary}--`);
    const bytes = ranges.reduce((sum, { first, last }) => sum + last + 1 - first, 0);
    this.sizeBytes = this.heads.reduce((sum, { length }) => sum + length, bytes + this.end.length);
  }
}
