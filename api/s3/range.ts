/** The one range that S3 reads (RFC 9110, section 14). Pure. */
export interface Range {
  first: number;
  /** Inclusive. */
  last: number;
}

/** Undefined: the whole; also where several are asked for, or what is said is no range. */
export function rangeOf(said: string | undefined, sizeBytes: number): Range | 'unsatisfiable' | undefined {
  const [, from = '', to = ''] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(said?.trim() ?? '') ?? [];
  if (from === '' && to === '') return undefined;
  if (from === '') {
    const count = Math.min(Number(to), sizeBytes);
    return count === 0 ? 'unsatisfiable' : { first: sizeBytes - count, last: sizeBytes - 1 };
  }
  const [first, last] = [Number(from), to === '' ? sizeBytes - 1 : Math.min(Number(to), sizeBytes - 1)];
  if (to !== '' && Number(to) < first) return undefined;
  return first >= sizeBytes ? 'unsatisfiable' : { first, last };
}

export const contentRange = ({ first, last }: Range, sizeBytes: number): string =>
  `bytes ${first}-${last}/${sizeBytes}`;
