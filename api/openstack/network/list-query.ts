/** The query string of a list: filters, fields, order, pages. */
import type { CloudError } from '../../../contract/errors.ts';
import type { Listing, ListQuery } from '../../../control/kit/listing.ts';
import { type Attributes, badRequest } from './attributes.ts';

export type RawQuery = Readonly<Record<string, string | string[] | undefined>>;

export interface ReadQuery {
  query: ListQuery;
  /** Undefined: all. */
  fields: string[] | undefined;
}

const listOf = (value: string | string[] | undefined): string[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

const tagKeys = { tags: 'tags', 'tags-any': 'tagsAny', 'not-tags': 'notTags', 'not-tags-any': 'notTagsAny' } as const;

const pageWords = ['fields', 'limit', 'marker', 'page_reverse', 'sort_key', 'sort_dir'];

/** Parameters that are no filter; only what has tags can be asked for them. */
export const wordsOf = (attributes: Attributes): ReadonlySet<string> =>
  new Set('tags' in attributes ? [...pageWords, ...Object.keys(tagKeys)] : pageWords);

export function readListQuery(
  raw: RawQuery,
  attributes: Attributes,
  listing: Pick<Listing<unknown>, 'columns'>,
  options: { admin: boolean },
): ReadQuery {
  const columnOf = (name: string): string | undefined => {
    const attribute = Object.hasOwn(attributes, name) ? attributes[name]! : undefined;
    if (!attribute || attribute.noFilter || (attribute.admin && !options.admin)) return undefined;
    const column = attribute.to ?? name;
    return Object.hasOwn(listing.columns, column) ? column : undefined;
  };
  const words = wordsOf(attributes);
  const filters: { column: string; values: string[] }[] = [];
  const unknown: string[] = [];
  for (const [name, value] of Object.entries(raw)) {
    if (words.has(name)) continue;
    const column = columnOf(name);
    if (column === undefined) unknown.push(`'${name.slice(0, 80)}'`);
    else filters.push({ column, values: listOf(value) });
  }
  if (unknown.length > 0) throw badRequest(`[${unknown.slice(0, 20).join(', ')}] is invalid attribute for filtering`);
  const query: ListQuery = {
    filters,
    sort: readSort(raw, columnOf, listing),
    reverse: /^true$/i.test(listOf(raw.page_reverse)[0] ?? ''),
  };
  for (const [key, member] of Object.entries(tagKeys)) {
    const tags = listOf(raw[key]).flatMap((value) => value.split(','));
    if (tags.length > 0) query[member] = tags;
  }
  const limit = readLimit(raw);
  if (limit !== undefined) query.limit = limit;
  const marker = listOf(raw.marker)[0];
  if (marker !== undefined) query.marker = marker;
  const fields = listOf(raw.fields).filter((field) => field !== '');
  return { query, fields: fields.length > 0 ? fields : undefined };
}

function readLimit(raw: RawQuery): number | undefined {
  const given = listOf(raw.limit)[0];
  if (given === undefined) return undefined;
  if (!/^\d{1,9}$/.test(given)) {
    throw badRequest(`Limit must be an integer 0 or greater and not '${given.slice(0, 80)}'`);
  }
  // Zero asks for no limit.
  return Number(given) === 0 ? undefined : Number(given);
}

function readSort(
  raw: RawQuery,
  columnOf: (name: string) => string | undefined,
  listing: Pick<Listing<unknown>, 'columns'>,
): { column: string; descending: boolean }[] {
  const keys = listOf(raw.sort_key);
  const directions = listOf(raw.sort_dir);
  if (directions.length > 0 && directions.length !== keys.length) {
    throw badRequest('The number of sort_keys and sort_dirs must be same');
  }
  return keys.map((key, index) => {
    const column = columnOf(key);
    if (column === undefined || !listing.columns[column]!.sortable) throw notSortable(key);
    const direction = directions[index] ?? 'asc';
    if (direction !== 'asc' && direction !== 'desc')
      throw badRequest(`'${direction}' is invalid attribute for sort_dirs`);
    return { column, descending: direction === 'desc' };
  });
}

const notSortable = (key: string): CloudError =>
  badRequest(`['${key.slice(0, 80)}'] is invalid attribute for sort_keys`);

/**
 * Links to the neighbouring pages, as Neutron has them: before a page that was read forwards there is always one, also before the first
 * and beside an empty one, which leads to the last page; after one that was read backwards likewise.
 */
export function pageLinks(
  base: string,
  raw: RawQuery,
  query: ListQuery,
  ids: readonly string[],
): { rel: 'next' | 'previous'; href: string }[] {
  if (query.limit === undefined) return [];
  const link = (rel: 'next' | 'previous', marker: string | undefined) => {
    const search = new URLSearchParams();
    for (const [name, value] of Object.entries(raw)) {
      if (name === 'marker' || name === 'page_reverse') continue;
      for (const one of listOf(value)) search.append(name, one);
    }
    if (marker !== undefined) search.append('marker', marker);
    if (rel === 'previous') search.append('page_reverse', 'True');
    return { rel, href: `${base}?${search}` };
  };
  const full = ids.length >= query.limit;
  const links: { rel: 'next' | 'previous'; href: string }[] = [];
  if (full || query.reverse) links.push(link('next', ids.at(-1)));
  if (full || !query.reverse) links.push(link('previous', ids[0]));
  return links;
}
