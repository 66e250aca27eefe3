/** `If-Match: revision_number=7`: a change of that revision of a resource, or none (Neutron's compare and swap). */
import type { FastifyRequest } from 'fastify';
import type { Caller } from '../../../control/kit/caller.ts';
import { callerOf } from '../common/authenticate.ts';
import { badRequest } from './attributes.ts';

/** Undefined: any. Other conditions of the header are none of Neutron's, and are overlooked as there. */
export function readIfMatch(header: string | undefined): number | undefined {
  const given = (header ?? '')
    .split(',')
    .flatMap((tag) => /^(?:W\/)?"?revision_number=(.*?)"?$/.exec(tag.trim())?.[1] ?? []);
  if (given.length === 0) return undefined;
  if (given.length > 1) throw badRequest('Multiple revision_number constraints are not supported.');
  if (!/^\d{1,15}$/.test(given[0]!)) throw badRequest('Revision number must be an integer.');
  return Number(given[0]);
}

/** The caller, bound to the revision of the resource in the path where the request asks for one. */
export function callerFor(request: FastifyRequest, noun: string, id: string): Caller {
  const caller = callerOf(request);
  const generation = readIfMatch(request.headers['if-match']);
  if (generation === undefined) return caller;
  return { ...caller, onlyAt: { noun, id, generation } };
}
