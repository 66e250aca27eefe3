/** What Nova says of each reason, word for word where clients look for it. */
import type { Sentences } from '../../../contract/errors.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';
import { kitSentences } from '../common/sentences.ts';
import { neutronSentences } from '../network/sentences.ts';

/** All that a call of this dialect may be refused for. */
export type NovaReasons = KitReasons & NetworkReasons;

export const novaSentences: Sentences<NovaReasons> = {
  // Nova passes on what Neutron says of a server's ports.
  ...neutronSentences,
  ...kitSentences,
  port_not_found: ({ id }) => `Port id ${id} could not be found.`,
};
