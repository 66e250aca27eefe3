/** What Neutron says of segments; the types that go with it are in fault.ts. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

type Some = Partial<SentenceTable<NetworkReasons>>;

/** InvalidInput. */
export const badSegments = {
  segments_not_carried:
    'the segments of a network must all be of type geneve, or each on another physical network: others reach each other in one direction at most',
  subnet_of_tunnels: ({ id }) =>
    `segment ${id} is carried by tunnels, which every host has: a subnet of it would serve no host in particular`,
  segments_of_external_network: 'an external network has one segment, for routers have one place on it',
} satisfies Some;

export const segments = {
  segment_not_found: ({ id }) => `Segment ${id} could not be found.`,
  segment_in_use: ({ id }) => `Segment '${id}' cannot be deleted: The segment is still associated with subnet(s).`,
  segment_with_ports: ({ id, ports }) =>
    `Segment '${id}' cannot be deleted: The segment is still bound with port(s) ${ports.join(', ')}.`,
  last_segment_of_network: ({ id }) => `Segment '${id}' cannot be deleted: It is the only one of its network.`,
  segments_with_provider_attributes: 'Segments and provider values cannot both be set.',
  segments_contain_duplicate_entry: 'Duplicate segment entry in request.',
  segments_of_network_with_router: ({ id }) =>
    `Network ${id} cannot have segments on several physical networks: it is external, or a router is on it.`,
  host_not_connected_to_any_segment: ({ host, network }) =>
    `Host ${host} is not connected to any segments on routed provider network '${network}'.  It should be connected to one.`,
  host_connected_to_multiple_segments: ({ host, network }) =>
    `Host ${host} is connected to multiple segments on routed provider network '${network}'.  It should be connected to one.`,
  host_not_compatible_with_fixed_ips: ({ host, port }) =>
    `Host ${host} is not connected to a segment where the existing fixed_ips on port ${port} will function given the routed network topology.`,
  subnets_not_all_associated_with_segments: ({ network }) =>
    `All of the subnets on network '${network}' must either all be associated with segments or all not associated with any segment.`,
  network_ids_dont_match: ({ network, segment }) =>
    `The subnet's network id, '${network}', doesn't match the network_id of segment '${segment}'`,
  subnet_segment_association_change_not_allowed:
    'A subnet that is already associated with a segment cannot have its segment association changed.',
  no_update_subnet_when_multiple_segments_on_network: ({ network }) =>
    `The network '${network}' has multiple segments, it is only possible to associate an existing subnet with a segment on networks with a single segment.`,
  fixed_ips_elsewhere: ({ network }) =>
    `Addresses of one port on routed network ${network} must all be of the segment that its host reaches.`,
  router_on_segments: ({ network }) =>
    `A router cannot be on network ${network}, whose segments are on several physical networks.`,
} satisfies Some;
