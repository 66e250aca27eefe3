/** A port as it is read, and who may see it: its project, and the project of its network. */

import { type RawBuilder, type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import { isAdmin } from '../../kit/caller.ts';
import type { Column, Listing } from '../../kit/listing.ts';
import { domainOf } from '../domain.ts';
import type { QosDirection } from '../qos-policy/rule.ts';
import type { PortTable } from './tables.ts';

export interface TrunkDetails {
  trunk_id: string;
  sub_ports: { port_id: string; segmentation_type: string; segmentation_id: number; mac_address: string }[];
}

export interface PortRow extends Selectable<PortTable> {
  fixed_ips: { subnet_id: string; ip_address: string }[];
  security_groups: string[];
  host_name: string | null;
  /** Its own or of its network's guests, as `domainOf` says it. */
  domain: string;
  /** Its network's, which holds where it has none. */
  qos_network_policy_id: string | null;
  /** Of the policy that it keeps to; null: none. */
  minimum_bandwidth: { id: string; direction: QosDirection; min_kbps: number }[] | null;
  /** Its network's; null: tunnels. */
  physical_network: string | null;
  /** Of one that carries others. */
  trunk_details: TrunkDetails | null;
}

const status = sql`case
  when t.device_owner in ('network:floatingip', 'network:local_ip') then 'N/A'
  when t.admin_state_up and (t.observed_up or t.device_owner like 'network:%') then 'ACTIVE' else 'DOWN' end`;

/** Shown status, for rows that are already read. */
export function portStatus(port: Pick<PortRow, 'device_owner' | 'admin_state_up' | 'observed_up'>): string {
  if (port.device_owner === 'network:floatingip' || port.device_owner === 'network:local_ip') return 'N/A';
  return port.admin_state_up && (port.observed_up || port.device_owner.startsWith('network:')) ? 'ACTIVE' : 'DOWN';
}

/**
 * What the port's addresses are called. One without a name of its own has a made-up one, as in Neutron; its network's resolvers answer for
 * names of its own alone.
 */
export function dnsAssignment({
  dns_name: name,
  domain,
  fixed_ips: ips,
}: Pick<PortRow, 'dns_name' | 'domain' | 'fixed_ips'>) {
  return ips.map(({ ip_address: ip }) => {
    const hostname = name || `host-${ip.replace(/[.:]+/g, '-')}`;
    return { hostname, ip_address: ip, fqdn: hostname.endsWith('.') ? hostname : `${hostname}.${domain}.` };
  });
}

/** Neutron's form: "subnet_id=…", "ip_address=…", "ip_address_substr=…"; several of one kind are alternatives. */
function fixedIpFilter(values: readonly string[]): RawBuilder<unknown> {
  const wanted = { subnet_id: [] as string[], ip_address: [] as string[], ip_address_substr: [] as string[] };
  for (const value of values) {
    const cut = value.indexOf('=');
    const [key, text] = [value.slice(0, cut), value.slice(cut + 1)];
    if (cut < 0 || !Object.hasOwn(wanted, key))
      throw new CloudError('invalid', 'fixed_ip_filter_malformed', { filter: value });
    wanted[key as keyof typeof wanted].push(text);
  }
  const conditions: RawBuilder<unknown>[] = [];
  const defined = (list: (string | undefined)[]): string[] => list.filter((item) => item !== undefined);
  if (wanted.subnet_id.length > 0) {
    conditions.push(sql`i.subnet_id = any(${defined(wanted.subnet_id.map((id) => parseId(id)))}::uuid[])`);
  }
  if (wanted.ip_address.length > 0) {
    conditions.push(sql`i.ip = any(${defined(wanted.ip_address.map(canonicalIp))}::inet[])`);
  }
  if (wanted.ip_address_substr.length > 0) {
    const parts = wanted.ip_address_substr.map((text) => sql`position(${text} in host(i.ip)) > 0`);
    conditions.push(sql`(${sql.join(parts, sql` or `)})`);
  }
  return sql`t.id in (select i.port_id from port_ip i where ${sql.join(conditions, sql` and `)})`;
}

/** The index on device_id is partial; it serves where the empty one is not asked for. */
const deviceFilter = (values: readonly string[]): RawBuilder<unknown> =>
  values.includes('')
    ? sql`t.device_id = any(${[...values]}::text[])`
    : sql`t.device_id <> '' and t.device_id = any(${values.filter((value) => !value.includes('\0'))}::text[])`;

const groupFilter = (values: readonly string[]): RawBuilder<unknown> => sql`t.id in (
  select g.port_id from port_security_group g
  where g.security_group_id = any(${values.map((id) => parseId(id)).filter((id) => id !== undefined)}::uuid[]))`;

const columns: Record<string, Column> = {
  id: { kind: 'uuid', sortable: true },
  project_id: { kind: 'uuid', sortable: true },
  network_id: { kind: 'uuid', sortable: true },
  name: { kind: 'text', sortable: true },
  description: { kind: 'text' },
  mac: { kind: 'mac', sortable: true },
  admin_state_up: { kind: 'boolean', sortable: true },
  status: { kind: 'text', sortable: true, expression: status },
  device_id: { kind: 'text', sortable: true, matches: deviceFilter },
  device_owner: { kind: 'text', sortable: true },
  fixed_ips: { kind: 'text', matches: fixedIpFilter },
  security_groups: { kind: 'uuid', matches: groupFilter },
  port_security_enabled: { kind: 'boolean' },
  binding_vnic_type: { kind: 'text' },
  host_name: { kind: 'text', expression: sql`coalesce(h.name, t.binding_host)` },
  dns_name: { kind: 'text' },
  qos_policy_id: { kind: 'uuid' },
  propagate_uplink_status: { kind: 'boolean' },
  qos_network_policy_id: { kind: 'uuid', expression: sql`w.qos_policy_id` },
  generation: { kind: 'integer' },
  created_at: { kind: 'time', sortable: true },
  updated_at: { kind: 'time', sortable: true },
};

const idLength = 36;

/**
 * Of '<subnet's id><address>,…', null where there are none. JSON of them, built row by row, was a quarter of a long list's statement.
 */
export const fixedIpsOf = (packed: string | null): PortRow['fixed_ips'] =>
  packed === null
    ? []
    : packed.split(',').map((one) => ({ subnet_id: one.slice(0, idLength), ip_address: one.slice(idLength) }));

export const portListing: Listing<PortRow> = {
  noun: 'port',
  select: sql<PortRow>`t.*, h.name as host_name, ${domainOf(sql`coalesce(nullif(t.dns_domain, ''), w.dns_domain)`)} as domain, w.qos_policy_id as qos_network_policy_id,
    w.provider_physical_network as physical_network,
    case when coalesce(t.qos_policy_id, w.qos_policy_id) is not null then (
      select jsonb_agg(jsonb_build_object('id', r.id, 'direction', r.direction, 'min_kbps', r.min_kbps) order by r.direction)
      from qos_rule r where r.qos_policy_id = coalesce(t.qos_policy_id, w.qos_policy_id) and r.kind = 'minimum_bandwidth') end as minimum_bandwidth,
    (select string_agg(i.subnet_id || host(i.ip), ',' order by i.position)
      from port_ip i where i.port_id = t.id) as fixed_ips,
    array(select g.security_group_id from port_security_group g where g.port_id = t.id order by 1) as security_groups,
    case when trunk.id is not null then jsonb_build_object('trunk_id', trunk.id, 'sub_ports', coalesce((
      select jsonb_agg(jsonb_build_object('port_id', s.port_id, 'segmentation_type', s.segmentation_type,
        'segmentation_id', s.segmentation_id, 'mac_address', sub.mac) order by s.segmentation_id)
      from subport s join port sub on sub.id = s.port_id where s.trunk_id = trunk.id), '[]')) end as trunk_details`,
  unpack: (row) => {
    row.fixed_ips = fixedIpsOf(row.fixed_ips as unknown as string | null);
  },
  from: sql`port t left join host h on h.id = t.host_id left join network w on w.id = t.network_id
    left join trunk on trunk.port_id = t.id`,
  visible: (caller) =>
    isAdmin(caller)
      ? sql`true`
      : sql`(t.project_id = ${caller.projectId}
          or t.network_id = any(array(select n.id from network n where n.project_id = ${caller.projectId})))`,
  columns,
};
