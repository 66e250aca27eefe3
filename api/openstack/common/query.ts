/** A request's query string, and links as answers have them. */
import type { FastifyRequest } from 'fastify';

export type Query = Record<string, string | string[] | undefined>;

export const queryOf = (request: FastifyRequest): Query => request.query as Query;

/** The first value of a query parameter. */
export function first(query: Query, key: string): string | undefined {
  const value = query[key];
  return Array.isArray(value) ? value[0] : value;
}

export interface Link {
  rel: string;
  href: string;
}
