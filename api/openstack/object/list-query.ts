/** What a listing is asked for. */
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { ListWish } from '../../../control/object/index.ts';
import { objectStoreLimits } from '../../../control/object/limits.ts';
import { Refusal } from '../../boundary/refusal.ts';
import { queryOf, truthy } from './request.ts';

const text = Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())]));

/** Of a parameter that repeats the first counts. */
export const listQuery = Type.Object({
  ...{ format: text, prefix: text, delimiter: text, marker: text, end_marker: text },
  ...{ limit: text, reverse: text, path: text, versions: text, version_marker: text },
});

/** A limit that is no number is overlooked. @throws Refusal for one that is too large */
export function listWish(request: FastifyRequest): ListWish & { limit: number } {
  const asked = queryOf(request, 'limit');
  const limit = asked !== undefined && /^\d+$/.test(asked) ? Number(asked) : objectStoreLimits.listing;
  if (limit > objectStoreLimits.listing) {
    throw new Refusal('invalid', `Maximum limit is ${objectStoreLimits.listing}`, { details: { httpStatus: 412 } });
  }
  const one = (name: string) => queryOf(request, name) || undefined;
  return {
    ...{ limit, prefix: one('prefix'), delimiter: one('delimiter') },
    ...{ marker: one('marker'), endMarker: one('end_marker'), reverse: truthy(queryOf(request, 'reverse')) },
  };
}
