/** Keystone's faults: {"error": {"code", "message", "title"}}. */
import { http } from '../../../contract/node-http.ts';
import type { Fault, FaultForm } from '../common/faults.ts';
import { keystoneSentences } from './sentences.ts';

export const identityFaults: FaultForm = {
  sentences: keystoneSentences,
  body({ status: general, message, reason, details }: Fault, _request, reply) {
    const held = reason === 'too_many_logins' || reason === 'too_many_wrong_logins';
    // Whose own share is used up is told so; that is not the service's failure, and no gateway should take it for one.
    const status = held && details.whose !== 'everyone' ? 429 : general;
    reply.code(status);
    if (held) reply.header('retry-after', String(details.retry_after_seconds));
    return { error: { code: status, message, title: http.STATUS_CODES[status] ?? 'Error' } };
  },
};
