/**
 * Lists: one SQL statement with the rights in its WHERE, filters, order and a keyset page. A resource describes its
 * columns once (`Listing`); every list and every single read goes through here.
 */

import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { parseId } from '../../contract/ids.ts';
import { canonicalIp, formatCidr, parseCidr, parseMac } from './address.ts';
import { type Caller, isAdmin, requireProject } from './caller.ts';
import type { Queryable } from './database/database.ts';
import { isOneOf } from './database/one-of.ts';
import { type Noun, notFound } from './refusal.ts';

export type ColumnKind = 'text' | 'uuid' | 'integer' | 'boolean' | 'ip' | 'cidr' | 'mac' | 'time' | 'texts';

export interface Column {
  kind: ColumnKind;
  /** Default: the column of this name of the table with alias `t`. */
  expression?: RawBuilder<unknown>;
  /** Filters that are no comparison with the column. */
  matches?: (values: readonly string[]) => RawBuilder<unknown>;
  sortable?: boolean;
}

export interface Listing<Row> {
  noun: Noun;
  /** What is selected; the table's alias is `t`. */
  select: RawBuilder<Row>;
  /** Makes of a row as it was selected, in place, one as it is read: what SQL would build of long lists for much more. */
  unpack?(row: Row): void;
  from: RawBuilder<unknown>;
  columns: Readonly<Record<string, Column>>;
  visible(caller: Caller): RawBuilder<unknown>;
}

export interface TagFilters {
  tags?: string[];
  tagsAny?: string[];
  notTags?: string[];
  notTagsAny?: string[];
}

export interface ListQuery extends TagFilters {
  ids?: readonly string[];
  /** Values of one filter are alternatives; filters all hold. */
  filters?: readonly { column: string; values: readonly string[] }[];
  sort?: readonly { column: string; descending: boolean }[];
  limit?: number;
  /** The id of the last row of the page before (of the first one after, when reversed). */
  marker?: string;
  /** How many to leave out first. */
  offset?: number;
  reverse?: boolean;
}

const own = (name: string): RawBuilder<unknown> => sql.ref(`t.${name}`);

const never = sql`false`;

function condition(listing: Listing<unknown>, name: string, values: readonly string[]): RawBuilder<unknown> {
  const column = listing.columns[name]!;
  if (column.matches) return column.matches(values);
  const expression = column.expression ?? own(name);
  // An empty value asks for rows without one.
  const empty = values.includes('') ? sql` or ${expression} is null` : sql``;
  const among = (list: readonly (string | undefined)[], type: string): RawBuilder<unknown> => {
    const known = list.filter((value) => value !== undefined && !value.includes('\0'));
    return known.length === 0 && !values.includes('')
      ? never
      : sql`(${expression} = any(${known}::${sql.raw(type)}[])${empty})`;
  };
  const given = values.filter((value) => value !== '');
  switch (column.kind) {
    case 'text':
      return among(values, 'text');
    case 'uuid':
      return among(
        given.map((value) => parseId(value)),
        'uuid',
      );
    case 'integer':
      return among(
        given.map((value) => (/^-?\d{1,9}$/.test(value) ? value : undefined)),
        'integer',
      );
    case 'boolean':
      return among(given.map(readBoolean), 'boolean');
    case 'ip':
      return among(given.map(canonicalIp), 'inet');
    case 'cidr':
      return among(
        given.map((value) => mapped(parseCidr(value), formatCidr)),
        'cidr',
      );
    case 'mac':
      return among(
        given.map((value) => parseMac(value)),
        'macaddr',
      );
    case 'time':
      // Callers see whole seconds, so they compare whole seconds.
      return sql`(date_trunc('second', ${expression}) = any(${given.flatMap(readTime)}::timestamptz[])${empty})`;
    case 'texts':
      return sql`${expression} && ${[...values]}::text[]`;
  }
}

const mapped = <A, B>(value: A | undefined, change: (value: A) => B): B | undefined =>
  value === undefined ? undefined : change(value);

/** What JavaScript takes for a time and PostgreSQL does not ('1', the years 0 and 20000) is no row's. */
function readTime(text: string): string[] {
  const time = /^\d{4}-\d\d-\d\d/.test(text)
    ? new Date(/([zZ]|[+-]\d\d:?\d\d)$/.test(text.slice(10)) ? text : `${text}Z`)
    : null;
  // The comparison is false for what is no time at all, too.
  if (!time || !(time.getUTCFullYear() >= 1 && time.getUTCFullYear() <= 9999)) return [];
  return [new Date(Math.floor(time.getTime() / 1000) * 1000).toISOString()];
}

function readBoolean(text: string): string | undefined {
  const lower = text.toLowerCase();
  if (lower === 'true' || lower === '1') return 'true';
  return lower === 'false' || lower === '0' ? 'false' : undefined;
}

function tagConditions(query: TagFilters): RawBuilder<unknown>[] {
  const tags = own('tags');
  const conditions: RawBuilder<unknown>[] = [];
  if (query.tags) conditions.push(sql`${tags} @> ${query.tags}::text[]`);
  if (query.tagsAny) conditions.push(sql`${tags} && ${query.tagsAny}::text[]`);
  if (query.notTags) conditions.push(sql`not ${tags} @> ${query.notTags}::text[]`);
  if (query.notTagsAny) conditions.push(sql`not ${tags} && ${query.notTagsAny}::text[]`);
  return conditions;
}

/** Comparable in keyset order: no nulls. */
function sortExpression(listing: Listing<unknown>, name: string): RawBuilder<unknown> {
  const column = listing.columns[name]!;
  const expression = column.expression ?? own(name);
  switch (column.kind) {
    case 'integer':
      return sql`coalesce(${expression}, -1)`;
    case 'boolean':
      return sql`coalesce(${expression}, false)`;
    case 'time':
      return expression;
    case 'text':
      return sql`coalesce(${expression}, '')`;
    default:
      return sql`coalesce(${expression}::text, '')`;
  }
}

/**
 * The first word on a key counts, those after it could only order what is equal. A condition for a page's place grows with the square
 * of the keys, and a query string has room for a thousand of them.
 */
export function onePerKey<T>(sort: readonly T[], keyOf: (one: T) => string): T[] {
  const seen = new Map(sort.toReversed().map((one) => [keyOf(one), one]));
  return sort.filter((one) => seen.get(keyOf(one)) === one);
}

interface Key {
  expression: RawBuilder<unknown>;
  descending: boolean;
}

/** Rows after the marker's row, in the order of the keys: (a > A) or (a = A and b > B) … */
function afterMarker(listing: Listing<unknown>, keys: readonly Key[], marker: string): RawBuilder<unknown> {
  const names = keys.map((_, index) => sql.ref(`k${index}`));
  const markerKeys = sql.join(keys.map(({ expression }, index) => sql`${expression} as ${names[index]!}`));
  const alternatives = keys.map(({ expression, descending }, index) => {
    const equal = keys.slice(0, index).map((key, before) => sql`${key.expression} = m.${names[before]!}`);
    const beyond = descending ? sql`${expression} < m.${names[index]!}` : sql`${expression} > m.${names[index]!}`;
    return sql`(${sql.join([...equal, beyond], sql` and `)})`;
  });
  return sql`exists (select from (select ${markerKeys} from ${listing.from} where t.id = ${marker}) m
    where ${sql.join(alternatives, sql` or `)})`;
}

/** As Neutron: where the marker is gone, or never was the caller's to see, there is no place to go on from. */
async function requireMarker(db: Queryable, caller: Caller, listing: Listing<unknown>, id: string): Promise<void> {
  const { rows } = await sql`select from ${listing.from} where t.id = ${id} and ${listing.visible(caller)}`.execute(db);
  if (rows.length === 0) throw notFound(listing.noun, id);
}

/** At most this many rows a page, also when none was asked for: the next page has a link. */
const maxPage = 10_000;

export async function listRows<Row>(
  db: Queryable,
  caller: Caller,
  listing: Listing<Row>,
  query: ListQuery,
): Promise<Row[]> {
  const where = conditionsOf(caller, listing, query);
  const keys: Key[] = onePerKey(query.sort ?? [], ({ column }) => column).map(({ column, descending }) => ({
    expression: sortExpression(listing, column),
    descending: descending !== (query.reverse ?? false),
  }));
  keys.push({ expression: own('id'), descending: query.reverse ?? false });
  if (query.marker !== undefined) {
    const marker = parseId(query.marker);
    if (marker === undefined) throw new CloudError('invalid', 'marker_not_found', { marker: String(query.marker) });
    await requireMarker(db, caller, listing, marker);
    where.push(afterMarker(listing, keys, marker));
  }
  const order = keys.map(({ expression, descending }) => (descending ? sql`${expression} desc` : expression));
  const { rows } = await sql<Row>`select ${listing.select} from ${listing.from}
    where ${sql.join(where, sql` and `)} order by ${sql.join(order)}
    limit ${Math.min(query.limit ?? maxPage, maxPage)} offset ${query.offset ?? 0}`.execute(db);
  if (listing.unpack) for (const row of rows) listing.unpack(row);
  return query.reverse ? rows.reverse() : rows;
}

/** What is listed at all, whatever the page. */
function conditionsOf(caller: Caller, listing: Listing<unknown>, query: ListQuery): RawBuilder<unknown>[] {
  if (!isAdmin(caller)) requireProject(caller, `list ${listing.noun}`);
  const where = [listing.visible(caller), ...tagConditions(query)];
  if (query.ids) where.push(isOneOf(own('id'), query.ids));
  for (const { column, values } of query.filters ?? []) where.push(condition(listing, column, values));
  return where;
}

/** How many there are, whatever the page. */
export async function countRows(
  db: Queryable,
  caller: Caller,
  listing: Listing<unknown>,
  query: ListQuery,
): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${listing.from}
    where ${sql.join(conditionsOf(caller, listing, query), sql` and `)}`.execute(db);
  return rows[0]!.count;
}

/**
 * Those of the ids that the caller may see, in no order. Neither order nor limit is asked for: a limit that is only told with each call makes
 * a plan for any values look dearer than one for these, and PostgreSQL would plan anew at each call, for longer than it reads.
 */
async function rowsById<Row>(
  db: Queryable,
  caller: Caller,
  listing: Listing<Row>,
  ids: readonly string[],
): Promise<Row[]> {
  const { rows } = await sql<Row>`select ${listing.select} from ${listing.from}
    where ${sql.join(conditionsOf(caller, listing, { ids }), sql` and `)}`.execute(db);
  if (listing.unpack) for (const row of rows) listing.unpack(row);
  return rows;
}

/** What was made by one request, in the order that it was asked for in. */
export async function listMade<Row extends { id: string }>(
  db: Queryable,
  caller: Caller,
  listing: Listing<Row>,
  ids: readonly string[],
): Promise<Row[]> {
  const place = new Map(ids.map((id, at) => [id, at]));
  const rows = await rowsById(db, caller, listing, ids);
  return rows.sort((a, b) => place.get(a.id)! - place.get(b.id)!);
}

/** @throws CloudError `not_found`, also for what the caller may not see */
export async function readRow<Row>(db: Queryable, caller: Caller, listing: Listing<Row>, id: string): Promise<Row> {
  const [row] = await rowsById(db, caller, listing, [id]);
  if (!row) throw notFound(listing.noun, id);
  return row;
}

/** The first moment after the second of `time`: callers see whole seconds, so "not after" one of them means all of it. */
export const endOfSecond = (time: Date): Date => new Date((Math.floor(time.getTime() / 1000) + 1) * 1000);
