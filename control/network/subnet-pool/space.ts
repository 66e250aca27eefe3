/** Sets of addresses as prefixes: joined, without others, and cut. Pure. */
import { bitsOf, type Cidr, contains, formatCidr, parseCidr, type Range, rangeOf } from '../../kit/address.ts';

type Version = 4 | 6;

const ascending = (a: Range, b: Range): number => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0);

/** The same addresses, in order, neighbours and what overlaps joined. */
function joined(ranges: readonly Range[]): Range[] {
  const result: Range[] = [];
  for (const range of ranges.toSorted(ascending)) {
    const last = result.at(-1);
    if (last && range.first <= last.last + 1n) {
      if (range.last > last.last) last.last = range.last;
    } else result.push({ ...range });
  }
  return result;
}

/** What of `all` is not in `taken`; both joined. */
function without(all: readonly Range[], taken: readonly Range[]): Range[] {
  const result: Range[] = [];
  let at = 0;
  for (const { first, last } of all) {
    while (at < taken.length && taken[at]!.last < first) at++;
    let from = first;
    for (let i = at; i < taken.length && taken[i]!.first <= last; i++) {
      if (taken[i]!.first > from) result.push({ first: from, last: taken[i]!.first - 1n });
      from = taken[i]!.last + 1n;
    }
    if (from <= last) result.push({ first: from, last });
  }
  return result;
}

/** The fewest prefixes that are this range. */
function prefixesOf(version: Version, { first, last }: Range): Cidr[] {
  const bits = bitsOf(version);
  const result: Cidr[] = [];
  let base = first;
  while (base <= last) {
    let prefixLength = bits;
    const sizeOf = (length: number) => 1n << BigInt(bits - length);
    while (prefixLength > 0 && base % sizeOf(prefixLength - 1) === 0n && base + sizeOf(prefixLength - 1) - 1n <= last) {
      prefixLength--;
    }
    result.push({ version, base, prefixLength });
    base += sizeOf(prefixLength);
  }
  return result;
}

const rangesOf = (cidrs: readonly string[]): Range[] => joined(cidrs.map((cidr) => rangeOf(parseCidr(cidr)!)));

const written = (version: Version, ranges: readonly Range[]): string[] =>
  ranges.flatMap((range) => prefixesOf(version, range)).map(formatCidr);

/** The fewest prefixes of the same addresses, in order. */
export const compact = (version: Version, cidrs: readonly string[]): string[] => written(version, rangesOf(cidrs));

/** The addresses of `cidrs` that are in none of `others`. */
export const minus = (version: Version, cidrs: readonly string[], others: readonly string[]): string[] =>
  written(version, without(rangesOf(cidrs), rangesOf(others)));

export function isWithin(cidrs: readonly string[], others: readonly string[]): boolean {
  const around = rangesOf(others);
  return rangesOf(cidrs).every((range) =>
    around.some((other) => contains(other, range.first) && contains(other, range.last)),
  );
}

export function haveCommon(a: readonly string[], b: readonly string[]): boolean {
  const [one, other] = [rangesOf(a), rangesOf(b)];
  let at = 0;
  for (const range of one) {
    while (at < other.length && other[at]!.last < range.first) at++;
    if (at < other.length && other[at]!.first <= range.last) return true;
  }
  return false;
}

/** The first prefix of this length that is free, out of the smallest free one that has room: large ones stay whole. */
export function cut(version: Version, free: readonly string[], prefixLength: number): string | undefined {
  const fitting = free.map((text) => parseCidr(text)!).filter((cidr) => cidr.prefixLength <= prefixLength);
  const best = fitting.reduce<Cidr | undefined>(
    (found, cidr) => (found && found.prefixLength >= cidr.prefixLength ? found : cidr),
    undefined,
  );
  return best && formatCidr({ version, base: best.base, prefixLength });
}
