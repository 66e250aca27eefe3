/** What Neutron says of segments; the types that go with it are in fault.ts. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

type Some = Partial<SentenceTable<NetworkReasons>>;

/** InvalidInput. */
export const badSegments = {
  segments_not_carried:
    'the segments of a network must all be of type geneve, or each on another physical network: others reach each other in one direction at most',
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
  router_on_segments: ({ network }) =>
    `A router cannot be on network ${network}, whose segments are on several physical networks.`,
} satisfies Some;
