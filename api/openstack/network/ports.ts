import { Type } from 'typebox';
import { isAdmin } from '../../../control/kit/caller.ts';
import { dnsAssignment, type PortRow, portListing, portStatus } from '../../../control/network/port/port.ts';
import type { PortWish } from '../../../control/network/port/rules.ts';
import type { NewPortWish, PortService } from '../../../control/network/port/service.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  boolean,
  ip,
  listOf,
  mac,
  nothing,
  nullable,
  object,
  oneOf,
  type Reader,
  reader,
  standard,
  text,
  Unreadable,
  unique,
  uuid,
  without,
} from './attributes.ts';
import { dnsDomain, dnsName } from './dns-names.ts';
import { type Resource, standardView } from './resource.ts';
import { resourceRequest, resourceRequestShown } from './resource-request.ts';
import { subportShown } from './trunks.ts';

const fixedIp = object({ 'subnet_id?': uuid, 'ip_address?': ip }, { ip_address: 'ip' });

const addresses = listOf(fixedIp, 64);

const fixedIps: Reader = reader(addresses.schema, (value) => {
  const list = addresses(value) as { ip?: string }[];
  const ips = list.flatMap((one) => one.ip ?? []);
  if (new Set(ips).size < ips.length) throw new Unreadable(`Duplicate IP address '${ips.join(', ')}'.`);
  return list;
});

const pair = object({ 'ip_address?': text(64), 'mac_address?': text(32) });

const blankOptions = new Set(['router', 'classless-static-route']);
const maxOptionName = 64;
const maxOptionValue = 255;

const optionParts = object({
  opt_name: text(maxOptionName),
  opt_value: nullable(text(maxOptionValue)),
  'ip_version?': oneOf(4, 6),
});

const dhcpOption: Reader = reader(optionParts.schema, (value) => {
  const option = optionParts(value) as { opt_name: string; opt_value: string | null; ip_version?: 4 | 6 };
  if (/[\r\n]/.test(`${option.opt_name}${option.opt_value ?? ''}`) || option.opt_name.trim() === '') {
    throw new Unreadable('the name of a DHCP option must not be empty, and neither name nor value have line breaks.');
  }
  if (option.opt_value === '' && !blankOptions.has(option.opt_name)) {
    throw new Unreadable(`the value of the DHCP option '${option.opt_name}' is empty.`);
  }
  return { ip_version: 4, ...option };
});

/** Of extensions that are in no list here; who asks for them is told what is missing. */
const unsupported: Attributes = {
  device_profile: {
    post: true,
    read: without('no accelerators are managed here, so no port can have a device profile.'),
  },
  hints: {
    post: true,
    put: true,
    read: without('a guest has its cards with one transmit queue: there is nothing to steer.'),
  },
  numa_affinity_policy: {
    ...{ post: true, put: true },
    read: without('guests are not bound to NUMA nodes, so a port has no affinity to one.'),
  },
  mac_learning_enabled: {
    ...{ post: true, put: true },
    read: without('OVN learns MAC addresses of a port exactly where its port security is off (port_security_enabled).'),
  },
};

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  network_id: { post: true, required: true, read: uuid, show: a.id },
  mac_address: { to: 'mac', post: true, put: true, read: nullable(mac), show: a.text },
  admin_state_up: { post: true, put: true, read: boolean, show: a.boolean },
  status: { show: a.text },
  device_id: { post: true, put: true, read: text(255), show: a.text },
  device_owner: { post: true, put: true, read: text(255), show: a.text },
  fixed_ips: { post: true, put: true, read: fixedIps, show: a.list({ subnet_id: a.id, ip_address: a.text }) },
  security_groups: { post: true, put: true, read: unique(listOf(uuid)), show: Type.Array(a.id) },
  port_security_enabled: { post: true, put: true, read: boolean, show: a.boolean },
  allowed_address_pairs: {
    post: true,
    put: true,
    read: listOf(pair),
    noFilter: true,
    show: a.list({ ip_address: a.text, mac_address: Type.Optional(a.text) }),
  },
  extra_dhcp_opts: {
    post: true,
    put: true,
    read: listOf(dhcpOption, 64),
    noFilter: true,
    show: a.list({ opt_name: a.text, opt_value: a.text, ip_version: a.one(4, 6) }),
  },
  'binding:host_id': { to: 'host_name', post: true, put: true, read: nullable(text(255)), admin: true, show: a.text },
  'binding:vnic_type': { to: 'binding_vnic_type', post: true, put: true, read: oneOf('normal'), show: a.text },
  'binding:profile': { post: true, put: true, read: nothing, admin: true, noFilter: true, show: a.record({}) },
  'binding:vif_type': { admin: true, noFilter: true, show: a.text },
  'binding:vif_details': { admin: true, noFilter: true, show: a.record({ port_filter: Type.Optional(a.boolean) }) },
  qos_policy_id: { post: true, put: true, read: nullable(uuid), show: a.orNull(a.id) },
  qos_network_policy_id: { show: a.orNull(a.id) },
  resource_request: { admin: true, noFilter: true, show: a.orNull(resourceRequestShown) },
  propagate_uplink_status: { post: true, put: true, read: boolean, show: a.boolean },
  dns_name: { post: true, put: true, read: dnsName, show: a.text },
  dns_domain: { post: true, put: true, read: dnsDomain, noFilter: true, show: a.text },
  dns_assignment: {
    noFilter: true,
    show: a.list({ hostname: a.text, ip_address: a.text, fqdn: a.text }),
  },
  trunk_details: {
    noFilter: true,
    show: Type.Optional(a.record({ trunk_id: a.id, sub_ports: a.list({ ...subportShown, mac_address: a.text }) })),
  },
  ...unsupported,
  ip_allocation: { noFilter: true, show: a.text },
  tags: { post: true, read: unique(listOf(text(255))), noFilter: true, show: a.texts },
};

export const ports = (service: PortService): Resource<PortRow> => ({
  single: 'port',
  plural: 'ports',
  path: 'ports',
  attributes,
  listing: portListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) =>
    service.create(
      caller,
      wishes.map((wish) => wishOf(wish) as unknown as NewPortWish),
    ),
  update: (caller, id, wish) => service.update(caller, id, wishOf(wish)),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    network_id: row.network_id,
    mac_address: row.mac,
    admin_state_up: row.admin_state_up,
    status: portStatus(row),
    device_id: row.device_id,
    device_owner: row.device_owner,
    fixed_ips: row.fixed_ips,
    security_groups: row.security_groups,
    port_security_enabled: row.port_security_enabled,
    allowed_address_pairs: row.allowed_address_pairs,
    extra_dhcp_opts: row.extra_dhcp_opts,
    'binding:vnic_type': row.binding_vnic_type,
    qos_policy_id: row.qos_policy_id,
    qos_network_policy_id: row.qos_network_policy_id,
    propagate_uplink_status: row.propagate_uplink_status,
    dns_name: row.dns_name,
    dns_domain: row.dns_domain,
    dns_assignment: dnsAssignment(row),
    ...(row.trunk_details && { trunk_details: row.trunk_details }),
    ip_allocation: row.ip_deferred ? 'deferred' : 'immediate',
    ...(isAdmin(caller)
      ? {
          resource_request: resourceRequest(row),
          'binding:host_id': row.host_name ?? row.binding_host,
          'binding:profile': {},
          'binding:vif_type': (row.host_name ?? row.binding_host) === '' ? 'unbound' : 'ovs',
          'binding:vif_details': (row.host_name ?? row.binding_host) === '' ? {} : { port_filter: true },
        }
      : {}),
  }),
});

function wishOf({ host_name, ...wish }: Record<string, unknown>): PortWish {
  return {
    ...wish,
    ...(host_name === undefined ? {} : { binding_host: (host_name as string | null) ?? '' }),
  } as PortWish;
}
