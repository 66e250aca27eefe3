/** A network as it is read: the row, and the ids of its subnets. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { type Grant, grantsOf, sharedCondition } from '../access.ts';
import type { NetworkType } from '../segment/provider.ts';
import type { NetworkTable } from './tables.ts';

export interface NetworkRow extends Selectable<NetworkTable> {
  subnets: string[];
  grants: Grant[];
  /** Of the pools that its subnets come from. */
  ipv4_address_scope: string | null;
  ipv6_address_scope: string | null;
  /** Where it has several; else its own provider attributes say it. */
  segments: NetworkSegment[] | null;
}

export interface NetworkSegment {
  network_type: NetworkType;
  physical_network: string | null;
  segmentation_id: number | null;
}

const scopeOf = (
  version: 4 | 6,
) => sql`(select p.address_scope_id from subnet s join subnet_pool p on p.id = s.subnet_pool_id
  where s.network_id = t.id and s.ip_version = ${sql.lit(version)} and p.address_scope_id is not null limit 1)`;

export const networkListing: Listing<NetworkRow> = {
  noun: 'network',
  select: sql<NetworkRow>`t.*, array(select s.id from subnet s where s.network_id = t.id order by s.created_at, s.id) as subnets,
    ${grantsOf('network', 't')} as grants, ${scopeOf(4)} as ipv4_address_scope, ${scopeOf(6)} as ipv6_address_scope,
    (select json_agg(json_build_object('network_type', network_type, 'physical_network', physical_network,
      'segmentation_id', segmentation_id) order by position) from segment where network_id = t.id having count(*) > 1) as segments`,
  from: sql`network t`,
  visible: (caller) => sharedCondition(caller, 't', 'network'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text' },
    admin_state_up: { kind: 'boolean', sortable: true },
    status: { kind: 'text', sortable: true, expression: sql`'ACTIVE'::text` },
    shared: { kind: 'boolean' },
    external: { kind: 'boolean' },
    is_default: { kind: 'boolean' },
    port_security_enabled: { kind: 'boolean' },
    mtu: { kind: 'integer', sortable: true },
    provider_network_type: { kind: 'text' },
    provider_physical_network: { kind: 'text' },
    provider_segmentation_id: { kind: 'integer' },
    ipv4_address_scope: { kind: 'uuid', expression: scopeOf(4) },
    ipv6_address_scope: { kind: 'uuid', expression: scopeOf(6) },
    dns_domain: { kind: 'text' },
    qos_policy_id: { kind: 'uuid' },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};
