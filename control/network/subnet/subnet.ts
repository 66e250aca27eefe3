/** A subnet as it is read. It is seen with its network, but an external network's subnets only by their owner. */
import { type Selectable, sql } from 'kysely';
import { isAdmin } from '../../kit/caller.ts';
import type { Listing } from '../../kit/listing.ts';
import { goesWith } from '../access.ts';
import type { SubnetTable } from './tables.ts';

export interface SubnetRow extends Selectable<SubnetTable> {
  /** Its network is. */
  external: boolean;
}

const external = sql<boolean>`(select n.external from network n where n.id = t.network_id)`;

export const subnetListing: Listing<SubnetRow> = {
  noun: 'subnet',
  select: sql<SubnetRow>`t.*, ${external} as external`,
  from: sql`subnet t`,
  visible: (caller) =>
    isAdmin(caller)
      ? sql`true`
      : sql`(${goesWith(caller, 't', 'network')}
          or exists (select from network n where n.id = t.network_id and n.project_id = ${caller.projectId}))`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    network_id: { kind: 'uuid', sortable: true },
    subnet_pool_id: { kind: 'uuid', sortable: true },
    segment_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    ip_version: { kind: 'integer', sortable: true },
    cidr: { kind: 'cidr', sortable: true },
    gateway_ip: { kind: 'ip', sortable: true },
    enable_dhcp: { kind: 'boolean', sortable: true },
    ipv6_address_mode: { kind: 'text', sortable: true },
    ipv6_ra_mode: { kind: 'text', sortable: true },
    service_types: { kind: 'texts' },
    external: { kind: 'boolean', expression: external },
    shared: {
      kind: 'boolean',
      expression: sql`(select n.shared from network n where n.id = t.network_id)`,
    },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};
