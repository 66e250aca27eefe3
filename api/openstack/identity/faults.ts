/** Keystone's faults: {"error": {"code", "message", "title"}}. */
import { STATUS_CODES } from 'node:http';
import type { Fault, FaultForm } from '../common/faults.ts';
import { kitSentences } from '../common/sentences.ts';

export const identityFaults: FaultForm = {
  sentences: kitSentences,
  body({ status: general, message, details }: Fault, _request, reply) {
    // Whose own share is used up is told so; that is not the service's failure, and no gateway should take it for one.
    const status = details.reason === 'too_many_requests' ? 429 : general;
    reply.code(status);
    if (typeof details.retryAfterSeconds === 'number') reply.header('retry-after', String(details.retryAfterSeconds));
    return { error: { code: status, message, title: STATUS_CODES[status] ?? 'Error' } };
  },
};
