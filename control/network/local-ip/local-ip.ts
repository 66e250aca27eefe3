/** Local IPs and what they lead to, as they are read: their project's alone. */
import { type Selectable, sql } from 'kysely';
import type { Listing } from '../../kit/listing.ts';
import { ownCondition } from '../access.ts';
import type { LocalIpTable } from './tables.ts';

export type LocalIpRow = Selectable<LocalIpTable>;

export const localIpListing: Listing<LocalIpRow> = {
  noun: 'local_ip',
  select: sql<LocalIpRow>`t.*, host(t.local_ip_address) as local_ip_address`,
  from: sql`local_ip t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    network_id: { kind: 'uuid', sortable: true },
    local_port_id: { kind: 'uuid', sortable: true },
    local_ip_address: { kind: 'ip', sortable: true },
    ip_mode: { kind: 'text', sortable: true },
    generation: { kind: 'integer' },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
};

export interface LocalIpAssociationRow {
  /** The port's: below one local IP it names the association. */
  id: string;
  project_id: string;
  local_ip_id: string;
  fixed_ip: string;
  local_ip_address: string;
  /** Where the port is bound; '' where it is not. */
  host: string;
}

export const localIpAssociationListing: Listing<LocalIpAssociationRow> = {
  noun: 'port',
  select: sql<LocalIpAssociationRow>`t.*, host(t.fixed_ip) as fixed_ip, host(t.local_ip_address) as local_ip_address`,
  from: sql`(select a.fixed_port_id as id, a.project_id, a.local_ip_id, a.fixed_ip, l.local_ip_address, p.binding_host as host
    from local_ip_association a join local_ip l on l.id = a.local_ip_id join port p on p.id = a.fixed_port_id) t`,
  visible: (caller) => ownCondition(caller, 't'),
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid' },
    local_ip_id: { kind: 'uuid' },
    fixed_ip: { kind: 'ip', sortable: true },
    local_ip_address: { kind: 'ip', sortable: true },
    host: { kind: 'text', sortable: true },
  },
};
