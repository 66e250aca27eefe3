import { Type } from 'typebox';
import { formatCidr, parseCidr } from '../../../control/kit/address.ts';
import { isAdmin } from '../../../control/kit/caller.ts';
import type { SubnetPatch, SubnetService, SubnetWish } from '../../../control/network/subnet/service.ts';
import { type SubnetRow, subnetListing } from '../../../control/network/subnet/subnet.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  boolean,
  integer,
  ip,
  listOf,
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
} from './attributes.ts';
import { type Resource, standardView } from './resource.ts';

/** A prefix; its host bits are taken off, as Neutron does (192.168.0.10/24 is 192.168.0.0/24), and an address alone is none. */
export const cidr: Reader = reader(Type.String({ examples: ['10.77.0.0/24'] }), (value) => {
  const read = typeof value === 'string' && value.includes('/') ? parseCidr(value) : undefined;
  if (read === undefined) throw new Unreadable(`'${String(value).slice(0, 80)}' is not a valid IP subnet.`);
  return formatCidr(read);
});

const prefixLength: Reader = reader(integer.schema, (value) => {
  const number = integer(value) as number;
  if (number < 0) throw new Unreadable(`'${number}' should be non-negative.`);
  return number;
});

const modes = nullable(oneOf('dhcpv6-stateful', 'dhcpv6-stateless', 'slaac'));

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  network_id: { post: true, required: true, read: uuid, show: a.id },
  ip_version: { post: true, required: true, read: oneOf(4, 6), show: a.one(4, 6) },
  cidr: { post: true, read: nullable(cidr), show: a.text },
  gateway_ip: { post: true, put: true, read: nullable(ip), show: a.orNull(a.text) },
  enable_dhcp: { post: true, put: true, read: boolean, show: a.boolean },
  ipv6_ra_mode: { post: true, read: modes, show: a.orNull(a.text) },
  ipv6_address_mode: { post: true, read: modes, show: a.orNull(a.text) },
  allocation_pools: {
    post: true,
    put: true,
    read: listOf(object({ start: ip, end: ip })),
    noFilter: true,
    show: a.list({ start: a.text, end: a.text }),
  },
  dns_nameservers: { post: true, put: true, read: unique(listOf(text(64))), noFilter: true, show: a.texts },
  host_routes: {
    post: true,
    put: true,
    read: listOf(object({ destination: text(64), nexthop: ip })),
    noFilter: true,
    show: a.list({ destination: a.text, nexthop: a.text }),
  },
  service_types: { post: true, put: true, read: unique(listOf(text(255), 50)), show: a.texts },
  subnetpool_id: { to: 'subnet_pool_id', post: true, read: nullable(uuid), show: a.orNull(a.id) },
  use_default_subnetpool: { to: 'use_default_subnet_pool', post: true, read: boolean, noFilter: true },
  prefixlen: { to: 'prefix_length', post: true, read: nullable(prefixLength), noFilter: true },
  segment_id: { post: true, put: true, read: nullable(uuid), admin: true, show: a.orNull(a.id) },
  'router:external': { to: 'external', show: a.boolean },
  shared: {},
  tags: { noFilter: true, show: a.texts },
};

export const subnets = (service: SubnetService): Resource<SubnetRow> => ({
  single: 'subnet',
  plural: 'subnets',
  path: 'subnets',
  attributes,
  listing: subnetListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes.map(wishOf)),
  update: (caller, id, wish) => service.update(caller, id, wish as SubnetPatch),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    network_id: row.network_id,
    ip_version: row.ip_version,
    cidr: row.cidr,
    gateway_ip: row.gateway_ip,
    enable_dhcp: row.enable_dhcp,
    ipv6_ra_mode: row.ipv6_ra_mode,
    ipv6_address_mode: row.ipv6_address_mode,
    allocation_pools: row.allocation_pools,
    dns_nameservers: row.dns_nameservers,
    host_routes: row.host_routes,
    service_types: row.service_types,
    subnetpool_id: row.subnet_pool_id,
    ...(isAdmin(caller) && { segment_id: row.segment_id }),
    'router:external': row.external,
  }),
});

/** What is null was not asked for, but a gateway that shall not be. */
function wishOf(wish: Record<string, unknown>): SubnetWish {
  const given = Object.entries(wish).filter(([name, value]) => value !== null || !optional.has(name));
  return Object.fromEntries(given) as unknown as SubnetWish;
}

const optional: ReadonlySet<string> = new Set(['cidr', 'prefix_length', 'subnet_pool_id', 'segment_id']);
