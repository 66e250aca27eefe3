import { Type } from 'typebox';
import { isAdmin } from '../../../control/kit/caller.ts';
import { isShared } from '../../../control/network/access.ts';
import { type NetworkRow, type NetworkSegment, networkListing } from '../../../control/network/network/network.ts';
import type { NetworkService, NetworkWish } from '../../../control/network/network/service.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  boolean,
  integer,
  listOf,
  nothing,
  nullable,
  object,
  standard,
  text,
  uuid,
} from './attributes.ts';
import { dnsDomain } from './dns-names.ts';
import { type Resource, standardView } from './resource.ts';

const segment = object(
  {
    'provider:network_type?': text(32),
    'provider:physical_network?': nullable(text(64)),
    'provider:segmentation_id?': nullable(integer),
  },
  {
    'provider:network_type': 'provider_network_type',
    'provider:physical_network': 'provider_physical_network',
    'provider:segmentation_id': 'provider_segmentation_id',
  },
);

const segmentView = (one: NetworkSegment) => ({
  'provider:network_type': one.network_type,
  'provider:physical_network': one.physical_network,
  'provider:segmentation_id': one.segmentation_id,
});

const segmentShown = {
  'provider:network_type': a.text,
  'provider:physical_network': a.orNull(a.text),
  'provider:segmentation_id': a.orNull(a.integer),
};

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  admin_state_up: { post: true, put: true, read: boolean, show: a.boolean },
  status: { show: a.text },
  subnets: { noFilter: true, show: Type.Array(a.id) },
  shared: { post: true, put: true, read: boolean, show: a.boolean },
  'router:external': { to: 'external', post: true, put: true, read: boolean, show: a.boolean },
  is_default: { post: true, put: true, read: boolean, show: a.boolean },
  port_security_enabled: { post: true, put: true, read: boolean, show: a.boolean },
  mtu: { post: true, put: true, read: integer, show: a.integer },
  dns_domain: { post: true, put: true, read: dnsDomain, show: a.text },
  'provider:network_type': {
    to: 'provider_network_type',
    post: true,
    put: true,
    read: text(32),
    admin: true,
    show: a.orNull(a.text),
  },
  'provider:physical_network': {
    to: 'provider_physical_network',
    post: true,
    put: true,
    read: nullable(text(64)),
    admin: true,
    show: a.orNull(a.text),
  },
  'provider:segmentation_id': {
    to: 'provider_segmentation_id',
    post: true,
    put: true,
    read: nullable(integer),
    admin: true,
    show: a.orNull(a.integer),
  },
  segments: {
    ...{ post: true, put: true, noFilter: true },
    read: listOf(segment, 100),
    show: Type.Optional(a.list(segmentShown)),
  },
  availability_zone_hints: { post: true, read: listOf(nothing), noFilter: true, show: a.none },
  availability_zones: { noFilter: true, show: a.none },
  qos_policy_id: { post: true, put: true, read: nullable(uuid), show: a.orNull(a.id) },
  ipv4_address_scope: { show: a.orNull(a.id) },
  ipv6_address_scope: { show: a.orNull(a.id) },
  tags: { noFilter: true, show: a.texts },
};

export const networks = (service: NetworkService): Resource<NetworkRow> => ({
  single: 'network',
  plural: 'networks',
  path: 'networks',
  attributes,
  listing: networkListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes.map(wishOf)),
  update: (caller, id, wish) => service.update(caller, id, wishOf(wish)),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    admin_state_up: row.admin_state_up,
    status: 'ACTIVE',
    subnets: row.subnets,
    shared: isShared(caller, row),
    'router:external': row.external,
    is_default: row.is_default,
    port_security_enabled: row.port_security_enabled,
    mtu: row.mtu,
    dns_domain: row.dns_domain,
    availability_zone_hints: [],
    availability_zones: [],
    qos_policy_id: row.qos_policy_id,
    ipv4_address_scope: row.ipv4_address_scope,
    ipv6_address_scope: row.ipv6_address_scope,
    ...(isAdmin(caller) && carriedBy(row)),
  }),
});

/** One segment is said by the network's own attributes, several in a list instead. */
const carriedBy = (row: NetworkRow) =>
  row.segments
    ? { segments: row.segments.map(segmentView) }
    : segmentView({
        network_type: row.provider_network_type,
        physical_network: row.provider_physical_network,
        segmentation_id: row.provider_segmentation_id,
      });

function wishOf({ availability_zone_hints: _, ...wish }: Record<string, unknown>): NetworkWish {
  return wish as NetworkWish;
}
