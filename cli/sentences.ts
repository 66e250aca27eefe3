/** What the command line says of reasons that only who runs the cloud meets: at a start, in a recovery. */
import type { SentenceTable } from '../contract/errors.ts';
import type { HostLinkReasons } from '../control/host/reasons.ts';
import type { ProcessReasons } from '../control/kit/reasons.ts';
import type { NetworkOperatorReasons } from '../control/network/reasons.ts';

export const operatorSentences: SentenceTable<ProcessReasons & HostLinkReasons & NetworkOperatorReasons> = {
  migration_unknown_to_this_version: ({ migration }) =>
    `the database has migration ${migration}, which this version of Bothy does not know: start the newer version`,
  migration_applied_with_another_text: ({ migration }) =>
    `migration ${migration} was applied with another text than this version has`,
  migration_failed: ({ migration }) => `migration ${migration} failed`,
  lease_lost: ({ role }) => `the lease of ${role} is another's by now`,
  host_name_taken: ({ id, name, by }) => `cannot register host ${id}: host ${by} has the name ${name}`,
  protocol_broken: ({ why }) => `the message breaks the protocol: ${why}`,
  external_range_malformed: ({ cidr, gateway }) => `the external network's range ${cidr} (gateway ${gateway}) is none`,
  recovered_address_malformed: ({ port, address }) => `port ${port} has an address that is none: ${address}`,
  recovered_thing_taken: ({ by, ...thing }) => {
    const what = Object.entries(thing).map(([name, value]) => `${name} ${value}`);
    return `${what.join(', ')} has been given to ${by ?? 'another'} since; free it and run the command again`;
  },
};
