/** Keystone's faults: {"error": {"code", "message", "title"}}. */

import type { FastifyRequest } from 'fastify';
import { parseId } from '../../../contract/ids.ts';
import { http } from '../../../contract/node-http.ts';
import type { Fault, FaultForm } from '../common/faults.ts';
import { nothing } from './resource.ts';
import { keystoneSentences } from './sentences.ts';

export const identityFaults: FaultForm = {
  sentences: keystoneSentences,
  body({ status: general, message: said, reason, details }: Fault, request, reply) {
    const message = said.includes(nothing) ? said.replaceAll(nothing, noIdOf(request)) : said;
    const held = reason === 'too_many_logins' || reason === 'too_many_wrong_logins';
    // Whose own share is used up is told so; that is not the service's failure, and no gateway should take it for one.
    const status = held && details.whose !== 'everyone' ? 429 : general;
    reply.code(status);
    if (held) reply.header('retry-after', String(details.retry_after_seconds));
    return { error: { code: status, message, title: http.STATUS_CODES[status] ?? 'Error' } };
  },
};

/** What of the path is no id, which control never heard of, else what the body calls one; where that is not clear, that it is none. */
function noIdOf({ params, body }: FastifyRequest): string {
  const ofPath = Object.values((params ?? {}) as Record<string, string>).filter((one) => parseId(one) === undefined);
  const given = ofPath.length > 0 ? ofPath : [...new Set(idsIn(body))].filter((one) => parseId(one) === undefined);
  return given.length === 1 ? given[0]!.slice(0, 255) : 'it is no id';
}

/** Texts that a body calls ids. A body has its bounds, and no route takes one that is nested deeply. */
function* idsIn(part: unknown, depth = 0): Generator<string> {
  if (typeof part !== 'object' || part === null || depth > 6) return;
  for (const [key, value] of Object.entries(part)) {
    if (typeof value === 'string' && /(?:^|_)id$/.test(key)) yield value;
    else yield* idsIn(value, depth + 1);
  }
}
