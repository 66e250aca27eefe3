/**
 * The native dialect's faults: {"error": {"code", "reason", "message", "details"}}; code and reason are our own, the details are
 * the reason's fields. What this dialect itself refuses has no reason.
 */
import type { SentenceTable } from '../../contract/errors.ts';
import type { ChangeReasons, KitReasons } from '../../control/kit/reasons.ts';
import type { Fault, FaultForm } from '../openstack/common/faults.ts';
import { kitSentences } from '../openstack/common/sentences.ts';

const whyExpired = {
  another_database: 'the database is another one since',
  older_than_kept: 'it is older than what is kept',
  in_the_future: 'it lies in the future',
};

export const nativeSentences: SentenceTable<KitReasons & ChangeReasons> = {
  ...kitSentences,
  authentication_required: 'the request needs a token that is valid',
  resume_token_malformed: 'the resume token is malformed; take one from an earlier answer',
  resume_token_expired: ({ why }) =>
    `the resume token is of no use any more: ${whyExpired[why]}; list anew, then carry on from "resume"`,
  change_feed_not_started: 'the change feed has not started',
};

export const nativeFaults: FaultForm = {
  sentences: nativeSentences,
  body: ({ code, reason, message, details }: Fault) => ({
    error: { code, ...(reason !== undefined && { reason }), message, details },
  }),
};
