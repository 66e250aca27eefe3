import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const reachabilityAssertion = {
  noun: 'reachability_assertion',
  memberColumns: [
    ...['kind', 'source', 'destination', 'ip_version', 'protocol', 'port', 'on_violation'],
    ...['state', 'state_since', 'finding'],
  ],
  usage: {
    reachability_assertions: (p) => sql`select count(*) as used from reachability_assertion where project_id = ${p}`,
  },
  keepsProject: {},
} satisfies ResourceDescriptor;
