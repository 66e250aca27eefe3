/** Nova's pages: limit and marker, and the link to the next page. */
import type { FastifyRequest } from 'fastify';
import { Refusal } from '../../boundary/refusal.ts';
import { first, type Link, type Query, queryOf } from '../common/query.ts';

export { first, type Query, queryOf } from '../common/query.ts';

/** Nova's [api] max_limit. */
const maxLimit = 1000;

/** @throws CloudError `invalid` */
export function pageOf(query: Query): { limit: number; marker: string | undefined } {
  const text = first(query, 'limit');
  if (text !== undefined && !/^\d{1,9}$/.test(text)) {
    throw new Refusal('invalid', `Invalid input for query parameters limit. Value: ${text.slice(0, 50)}.`);
  }
  const marker = first(query, 'marker');
  return { limit: Math.min(text === undefined ? maxLimit : Number(text), maxLimit), marker };
}

export const rootOf = (request: FastifyRequest): string => `${request.protocol}://${request.host}/compute`;

/** Nova's pair of links for one resource. */
export function linksOf(request: FastifyRequest, collection: string, id: string): Link[] {
  const root = rootOf(request);
  const tail = `${collection}/${encodeURIComponent(id)}`;
  return [
    { rel: 'self', href: `${root}/v2.1/${tail}` },
    { rel: 'bookmark', href: `${root}/${tail}` },
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
  query.set('limit', String(page.limit));
  query.set('marker', page.last);
  return [{ rel: 'next', href: `${rootOf(request)}/v2.1/${collection}?${query}` }];
}

/** From 2.75 on Nova refuses query parameters that it does not know; before, it overlooked them. */
export function refuseUnknown(request: FastifyRequest, known: readonly string[], from = 75): void {
  if (request.microversion < from) return;
  const unknown = Object.keys(queryOf(request)).filter((key) => !known.includes(key));
  if (unknown.length > 0) {
    throw new Refusal(
      'invalid',
      `Additional properties are not allowed (${unknown.map((key) => `'${key.slice(0, 100)}'`).join(', ')} ${unknown.length > 1 ? 'were' : 'was'} unexpected)`,
    );
  }
}
