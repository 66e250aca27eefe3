/** Queries of the native dialect: known parameters only, each once. */
import type { FastifyRequest } from 'fastify';
import { CloudError } from '../../contract/errors.ts';

/** @throws CloudError `invalid` */
export function queryOf(request: FastifyRequest, known: readonly string[]): Record<string, string | undefined> {
  for (const [name, value] of Object.entries(request.query as Record<string, unknown>)) {
    if (!known.includes(name)) {
      throw new CloudError('invalid', `there is no parameter ${name}; there are ${known.join(', ')}`);
    }
    if (typeof value !== 'string') throw new CloudError('invalid', `${name} can be given only once`);
  }
  return request.query as Record<string, string>;
}

/** There, and not told to be off. */
export const flag = (value: string | undefined): boolean =>
  value !== undefined && !['0', 'false', 'no'].includes(value.toLowerCase());

/** @throws CloudError `invalid` */
export function numberOf(
  name: string,
  text: string | undefined,
  bounds: { lowest: number; highest: number; otherwise: number },
): number {
  if (text === undefined) return bounds.otherwise;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= bounds.lowest && value <= bounds.highest)) {
    throw new CloudError('invalid', `${name} is a whole number from ${bounds.lowest} to ${bounds.highest}`);
  }
  return value;
}
