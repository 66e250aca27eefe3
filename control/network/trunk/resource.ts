import { sql } from 'kysely';
import type { ResourceDescriptor } from '../../kit/resource.ts';

export const trunk = {
  noun: 'trunk',
  memberColumns: ['admin_state_up', 'port_id'],
  usage: { trunks: (p) => sql`select count(*) as used from trunk where project_id = ${p}` },
  keepsProject: {},
} satisfies ResourceDescriptor;

/** Named by its port's id. */
export const subport: ResourceDescriptor = {
  noun: 'subport',
  wakes: { northbound: (touched, { resource_id: id }) => touched.unit('port', id) },
};
