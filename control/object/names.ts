/**
 * Listings of names in UTF-8's order of bytes, and what of them a delimiter makes one entry. Seeks of an index whose order that is: a page without a delimiter is
 * one range of it, one with costs a seek an entry, however much lies below a prefix.
 */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../kit/database/database.ts';
import type { Listed, ListWish } from './object.ts';

/** Where the names are: `from … where …` with `name` as a column, and an index that has them in order. */
export interface Names {
  from: RawBuilder<unknown>;
  where: RawBuilder<unknown>;
}

const surrogates = { first: 0xd800, after: 0xe000 };
const lastCodePoint = 0x10ffff;

/** The least text that is greater than all that begin with `text`, in the order of bytes of UTF-8; undefined: there is none. */
export function successor(text: string): string | undefined {
  const points = [...text];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = last.codePointAt(0)! + 1;
    if (next > lastCodePoint) continue;
    return points.join('') + String.fromCodePoint(next === surrogates.first ? surrogates.after : next);
  }
  return undefined;
}

interface Bound {
  name: string;
  inclusive: boolean;
}

/** Below and above what is listed; undefined: no end. */
interface Range {
  low: Bound | undefined;
  high: Bound | undefined;
}

const later = (a: Bound | undefined, b: Bound | undefined): Bound | undefined => {
  if (!a || !b) return a ?? b;
  const order = compareNames(a.name, b.name);
  return order > 0 || (order === 0 && !a.inclusive) ? a : b;
};
const earlier = (a: Bound | undefined, b: Bound | undefined): Bound | undefined => {
  if (!a || !b) return a ?? b;
  const order = compareNames(a.name, b.name);
  return order < 0 || (order === 0 && !a.inclusive) ? a : b;
};

/** UTF-8's order, which is that of code points. */
export const compareNames = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The prefix that stands for the name in a listing; undefined: it stands for itself. */
export function commonPrefix(name: string, { prefix = '', delimiter }: ListWish): string | undefined {
  if (!delimiter) return undefined;
  const at = name.indexOf(delimiter, prefix.length);
  return at < 0 ? undefined : name.slice(0, at + delimiter.length);
}

function rangeOf(wish: ListWish): Range {
  const { prefix = '', marker, endMarker, reverse } = wish;
  const within: Range = {
    low: prefix === '' ? undefined : { name: prefix, inclusive: true },
    high: bound(prefix === '' ? undefined : successor(prefix), false),
  };
  const [after, until] = reverse ? [endMarker, marker] : [marker, endMarker];
  let low = bound(after || undefined, false);
  // An entry that stood for all that begins with it: the page goes on behind them.
  if (!reverse && low && commonPrefix(low.name, wish) === low.name) low = bound(successor(low.name), true);
  return { low: later(within.low, low), high: earlier(within.high, bound(until || undefined, false)) };
}

const bound = (name: string | undefined, inclusive: boolean): Bound | undefined =>
  name === undefined ? undefined : { name, inclusive };

const conditions = ({ low, high }: Range): RawBuilder<unknown> => sql`
  ${low ? (low.inclusive ? sql`and name >= ${low.name}` : sql`and name > ${low.name}`) : sql``}
  ${high ? (high.inclusive ? sql`and name <= ${high.name}` : sql`and name < ${high.name}`) : sql``}`;

/** @param wish.limit at least 0, within what the dialect allows */
export async function listNames(
  db: Queryable,
  names: Names,
  wish: ListWish & { limit: number },
): Promise<Listed<{ name: string }>> {
  if (wish.limit === 0) return { entries: [], more: false };
  const found = wish.delimiter
    ? await seekEntries(db, names, { ...wish, delimiter: wish.delimiter })
    : await scanNames(db, names, wish);
  const more = found.length > wish.limit;
  const entries = (more ? found.slice(0, wish.limit) : found).map((name) => {
    const prefix = commonPrefix(name, wish);
    return prefix === undefined ? { name } : { prefix };
  });
  return { entries, more };
}

const direction = ({ reverse }: ListWish) => (reverse ? sql`desc` : sql`asc`);

async function scanNames(db: Queryable, { from, where }: Names, wish: ListWish & { limit: number }) {
  const { rows } = await sql<{ name: string }>`select name from ${from} where ${where} ${conditions(rangeOf(wish))}
    order by name ${direction(wish)} limit ${wish.limit + 1}`.execute(db);
  return rows.map(({ name }) => name);
}

/** Of each entry a name: its own, or one of those that its prefix stands for. */
async function seekEntries(
  db: Queryable,
  { from, where }: Names,
  wish: ListWish & { limit: number; delimiter: string },
): Promise<string[]> {
  const { prefix = '', delimiter, reverse } = wish;
  const range = rangeOf(wish);
  const order = direction(wish);
  // Behind a name that stands for itself, or behind all that begin with what it stands for. Of a prefix that is the delimiter's last character counted up by one.
  const at = sql`position(${delimiter} in substr(s.name, ${[...prefix].length + 1}))`;
  const head = sql`left(s.name, ${[...prefix].length} + ${at} + ${[...delimiter].length - 1})`;
  const beyond = successor(delimiter);
  const entry = beyond === undefined ? sql`s.name` : sql`left(${head}, ${-[...delimiter].length}::int) || ${beyond}`;
  const next = reverse
    ? sql`name < case when ${at} > 0 then ${head} else s.name end collate "C"`
    : sql`(name > s.name and name >= case when ${at} > 0 then ${entry} else s.name end collate "C")`;
  const limits = reverse ? { ...range, high: undefined } : { ...range, low: undefined };
  const { rows } = await sql<{ name: string }>`
    with recursive step as (
      (select name, 1 as n from ${from} where ${where} ${conditions(range)} order by name ${order} limit 1)
      union all
      select (select name from ${from} where ${where} and ${next} ${conditions(limits)} order by name ${order} limit 1), n + 1
      from step s where s.name is not null and n <= ${wish.limit})
    select name from step where name is not null order by n`.execute(db);
  return rows.map(({ name }) => name);
}
