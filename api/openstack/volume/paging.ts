/** Cinder's pages (limit, offset, marker, sort), its links, and the address of a request. */
import type { FastifyRequest } from 'fastify';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { ListQuery } from '../../../control/kit/listing.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { callerOf } from '../common/authenticate.ts';
import { first, type Link, type Query, queryOf } from '../common/query.ts';
import { looseBoolean } from '../common/validate.ts';

export { first, queryOf } from '../common/query.ts';

/** Cinder's osapi_max_limit. */
const maxLimit = 1000;

export interface Page {
  limit: number;
  offset: number;
  marker: string | undefined;
  sort: { column: string; descending: boolean }[];
}

function wholeNumber(query: Query, key: 'limit' | 'offset'): number | undefined {
  const text = first(query, key);
  if (text === undefined) return undefined;
  if (/^-\d+$/.test(text)) throw new Refusal('invalid', `${key} param must be positive`);
  if (!/^\d{1,9}$/.test(text)) throw new Refusal('invalid', `${key} param must be an integer`);
  return Number(text);
}

/**
 * @param columns ours, by the keys that Cinder sorts this resource by
 * @throws CloudError `invalid`
 */
export function pageOf(query: Query, columns: Readonly<Record<string, string>>): Page {
  return {
    limit: Math.min(wholeNumber(query, 'limit') ?? maxLimit, maxLimit),
    offset: wholeNumber(query, 'offset') ?? 0,
    marker: first(query, 'marker'),
    sort: sortOf(query).map(({ key, direction }) => {
      if (!Object.hasOwn(columns, key))
        throw new Refusal('invalid', `Sort key provided is invalid: ${key.slice(0, 50)}`);
      if (direction !== 'asc' && direction !== 'desc') {
        throw new Refusal('invalid', 'Unknown sort direction, must be one of: asc, desc');
      }
      return { column: columns[key]!, descending: direction === 'desc' };
    }),
  };
}

/** `sort=name:asc,size`, or the older `sort_key` and `sort_dir`. */
function sortOf(query: Query): { key: string; direction: string }[] {
  const [sort, key, direction] = [first(query, 'sort'), first(query, 'sort_key'), first(query, 'sort_dir')];
  if (sort === undefined) return [{ key: key?.trim() ?? 'created_at', direction: direction?.trim() ?? 'desc' }];
  if (key !== undefined || direction !== undefined) {
    throw new Refusal(
      'invalid',
      "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
    );
  }
  return sort
    .trim()
    .split(',')
    .map((one) => {
      const [name = '', way = ''] = one.split(':');
      return { key: name.trim(), direction: way.trim() || 'desc' };
    });
}

export const rootOf = (request: FastifyRequest): string => `${request.protocol}://${request.host}/volume`;

/** Cinder's links name the project of whoever asks, whatever path they asked by. */
const own = (request: FastifyRequest): string => {
  const { projectId } = callerOf(request);
  return projectId === null ? '' : `/${projectId}`;
};

/** Cinder's pair of links for one resource. */
export function linksOf(request: FastifyRequest, collection: string, id: string): Link[] {
  const tail = `${own(request)}/${collection}/${encodeURIComponent(id)}`;
  return [
    { rel: 'self', href: `${rootOf(request)}/v3${tail}` },
    { rel: 'bookmark', href: `${rootOf(request)}${tail}` },
  ];
}

/** The next page's link when this page is full. */
export function nextLinks(
  request: FastifyRequest,
  collection: string,
  page: { limit: number; count: number; last: string | undefined },
): Link[] | undefined {
  if (page.count < page.limit || page.last === undefined) return undefined;
  const query = new URLSearchParams(request.url.split('?')[1] ?? '');
  query.set('marker', page.last);
  query.delete('offset');
  return [{ rel: 'next', href: `${rootOf(request)}/v3${own(request)}/${collection}?${query}` }];
}

/** What a list is asked by: ours, by the keys that Cinder sorts and filters by. */
export interface ListedBy {
  columns: Readonly<Record<string, string>>;
  filters: Readonly<Record<string, string>>;
  /** Those of a part of what there is, which have `~` behind their keys from 3.34 on. */
  parts?: Readonly<Record<string, string>>;
  /** The first version whose lists have pages and filters. */
  from?: number;
  /** They are of projects, one of which an administrator may ask for. */
  owned?: boolean;
}

/** What administrators alone filter all lists of things of projects by; the others' say is overlooked or refused (filters.ts). */
export function ofProject(request: FastifyRequest, asked: Query): { column: string; values: string[] }[] {
  const project = first(asked, 'project_id');
  return project !== undefined && isAdmin(callerOf(request)) ? [{ column: 'project_id', values: [project] }] : [];
}

/**
 * A page of the caller's project, or (`all_tenants`, administrators) of all.
 * @param at its path, which the next page's link has too: who asked for details is shown details behind the first page as well
 * @returns the rows, and the next page's links where there may be one
 */
export async function listPage<Row extends { id: string }>(
  request: FastifyRequest,
  at: string,
  { columns, filters, parts = {}, from = 0, owned = false }: ListedBy,
  list: (query: ListQuery, options: { allProjects: boolean }) => Promise<Row[]>,
): Promise<{ rows: Row[]; links: Link[] | undefined }> {
  const asked = request.microversion < from ? {} : queryOf(request);
  const { marker, ...page } = pageOf(asked, columns);
  const like =
    request.microversion < 34 ? [] : Object.entries(parts).map(([key, column]) => [`${key}~`, column] as const);
  const wanted = [...Object.entries(filters), ...like].flatMap(([key, column]) => {
    const value = first(asked, key);
    return value === undefined ? [] : [{ column, values: [value] }];
  });
  const all = first(queryOf(request), 'all_tenants');
  const allProjects = all !== undefined && looseBoolean(all, true);
  if (owned) wanted.push(...ofProject(request, asked));
  const query = { ...page, filters: wanted, ...(marker !== undefined && { marker }) };
  const rows = page.limit === 0 ? [] : await list(query, { allProjects });
  return {
    rows,
    links: nextLinks(request, at, { limit: page.limit, count: rows.length, last: rows.at(-1)?.id }),
  };
}
