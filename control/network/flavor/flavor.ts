/** Flavors and service profiles as they are read. */
import { type Selectable, sql } from 'kysely';
import { isAdmin } from '../../kit/caller.ts';
import type { Listing } from '../../kit/listing.ts';
import type { NetworkFlavorTable, ServiceProfileTable } from './tables.ts';

export interface NetworkFlavorRow extends Selectable<NetworkFlavorTable> {
  service_profiles: string[];
}

export type ServiceProfileRow = Selectable<ServiceProfileTable>;

/** Who carries out what: all that a profile may name as its driver. */
export const serviceProviders = [{ service_type: 'L3_ROUTER_NAT', name: 'ovn', default: true }] as const;

export const flavorListing: Listing<NetworkFlavorRow> = {
  noun: 'network_flavor',
  select: sql<NetworkFlavorRow>`t.*, array(select p.service_profile_id from network_flavor_profile p
    where p.network_flavor_id = t.id order by 1) as service_profiles`,
  from: sql`network_flavor t`,
  visible: () => sql`true`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    service_type: { kind: 'text', sortable: true },
    enabled: { kind: 'boolean', sortable: true },
  },
};

export const serviceProfileListing: Listing<ServiceProfileRow> = {
  noun: 'service_profile',
  select: sql<ServiceProfileRow>`t.*`,
  from: sql`service_profile t`,
  visible: (caller) => (isAdmin(caller) ? sql`true` : sql`false`),
  columns: {
    id: { kind: 'uuid', sortable: true },
    description: { kind: 'text', sortable: true },
    driver: { kind: 'text', sortable: true },
    metainfo: { kind: 'text', sortable: true },
    enabled: { kind: 'boolean', sortable: true },
  },
};
