/** The header Range of a request. Pure. */
import { HostFault } from '../host-error.ts';

/** One range of bytes (RFC 9110 section 14); several, or another unit, mean the whole. */
export function parseRange(header: string | undefined, size: number): { first: number; last: number } | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match || (match[1] === '' && match[2] === '')) return undefined;
  const suffix = match[1] === '';
  const first = suffix ? Math.max(0, size - Number(match[2])) : Number(match[1]);
  const last = suffix || match[2] === '' ? size - 1 : Math.min(Number(match[2]), size - 1);
  if (first > last) throw new HostFault('range', `there are ${size} bytes`);
  return { first, last };
}
