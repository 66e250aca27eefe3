/**
 * Extensions: what of Neutron's API really works here. Clients ask before they use, by alias or by Neutron's own name.
 */
import { Type } from 'typebox';
import type { Boundary } from '../../boundary/boundary.ts';
import { callerOf } from '../common/authenticate.ts';
import * as a from './answers.ts';
import { neutronRefusal } from './fault.ts';

const known: readonly [alias: string, name: string, description: string][] = [
  ['address-group', 'Address group', 'Addresses that rules of security groups name together'],
  ['address-scope', 'Address scope', 'Subnet pools whose subnets route to each other without translation'],
  ['agent', 'agent', 'Hosts of the network, for administrators'],
  ['agent-resources-synced', "Agent's Resource View Synced to Placement", 'That agents have no resources to tell'],
  ['allowed-address-pairs', 'Allowed Address Pairs', 'Further addresses that a port may use'],
  [
    'auto-allocated-topology',
    'Auto Allocated Topology Services',
    'A network for the asking, with subnets and a way out',
  ],
  ['availability_zone', 'Availability Zone', 'Availability zones'],
  ['bothy-nat64', 'NAT64 of routers', 'Routers by which guests without IPv4 reach who has nothing else'],
  ['binding', 'Port Binding', 'Where a port is bound, for administrators'],
  ['default-subnetpools', 'Default Subnetpools', 'Subnets out of the default pool'],
  ['dns-domain-ports', 'dns_domain for ports', 'Domains of ports, which stand before those of their networks'],
  ['dns-integration', 'DNS Integration', 'Names of ports and floating IPs, by which guests find them'],
  ['dvr', 'Distributed Virtual Router', 'Routers whose floating IPs are handled on the hosts of their guests'],
  ['empty-string-filtering', 'Empty String Filtering Extension', 'Filters with an empty value'],
  ['ext-gw-mode', 'Neutron L3 Configurable external gateway mode', 'Routers with and without source NAT'],
  [
    'enable-default-route-ecmp',
    'Enable Default Route ECMP',
    'Routers whose connections take any of the default routes of their gateways',
  ],
  [
    'external-gateway-multihoming',
    'Neutron L3 External Gateway Multihoming',
    'Routers with gateways on several external networks',
  ],
  ['external-net', 'Neutron external network', 'External networks'],
  [
    'expose-port-forwarding-in-fip',
    'Expose Floating IP port forwardings',
    'Port forwardings in the answers of their floating IP',
  ],
  ['extra_dhcp_opt', 'Neutron Extra DHCP options', 'DHCP options of a port'],
  ['extraroute', 'Neutron Extra Route', 'Routes of a router'],
  ['extraroute-atomic', 'Atomically add/remove extra routes', 'Adds and removes single routes of a router'],
  ['filter-validation', 'Filter parameters validation', 'Refuses filters that a resource does not have'],
  [
    'fip-port-details',
    'Floating IP Port Details Extension',
    'Details of the port that a floating IP is associated with',
  ],
  ['floating-ip-port-forwarding', 'Floating IP Port Forwarding', 'Ports of a floating IP that lead to ports inside'],
  [
    'floating-ip-port-forwarding-description',
    'Floating IP Port Forwarding new attribute description',
    'Descriptions of port forwardings',
  ],
  [
    'floating-ip-port-forwarding-detail',
    'Floating IP port forwarding detail',
    'Which port forwardings a floating IP has, and to which ports',
  ],
  [
    'floating-ip-port-forwarding-port-ranges',
    'Floating IP Port Forwarding support port ranges',
    'Ranges of ports in one forwarding',
  ],
  ['ip_allocation', 'IP Allocation', 'How a port got its addresses'],
  ['ip-substring-filtering', 'IP address substring filtering', 'Ports by a part of their address'],
  ['flavors', 'Neutron Service Flavors', 'Flavors of network services, and what carries them out'],
  ['l3-flavors', 'Router Flavor Extension', 'Routers of a flavor'],
  ['l3-ext-ndp-proxy', 'Router support for NDP proxy', 'Whether a router has NDP proxies'],
  ['l3-ndp-proxy', 'L3 NDP Proxy', 'IPv6 addresses of guests for which the gateway of a router answers outside'],
  ['l3-ha', 'HA Router extension', 'Routers for whose gateway further hosts stand by'],
  ['local_ip', 'Local IP', 'Addresses that on each host lead to a port of that host'],
  ['metering', 'Neutron Metering', "Labels under which traffic of routers' gateways is counted"],
  [
    'metering_source_and_destination_fields',
    'Neutron Metering with source and destination filtering',
    'Rules of labels that name where packets come from, where they go to, or both',
  ],
  ['multi-provider', 'Multi Provider Network', 'Networks that are carried by several segments, for administrators'],
  ['net-mtu', 'Network MTU', 'MTU of a network'],
  ['net-mtu-writable', 'Network MTU (writable)', 'MTU of a network, chosen by its owner'],
  ['network-ip-availability', 'Network IP Availability', 'Addresses used and free, for administrators'],
  ['pagination', 'Pagination support', 'Lists in pages'],
  [
    'port-mac-address-regenerate',
    'Network port MAC address regenerate',
    'Another MAC address for a port that asks for none in particular',
  ],
  ['port-resource-request', 'Port Resource Request', 'What ports ask of hosts, for administrators'],
  ['port-resource-request-groups', 'Port Resource Request Groups', 'What ports ask of hosts, in groups'],
  ['port-security-groups-filtering', 'Port filtering on security groups', 'Ports by their security groups'],
  ['port-security', 'Port Security', 'Filters and anti-spoofing of a port, which can be switched off'],
  ['project-id', 'project_id field enabled', 'project_id beside tenant_id'],
  ['provider', 'Provider Network', 'How a network is carried, for administrators'],
  ['qos', 'Quality of Service', 'Policies of what may pass ports and networks'],
  [
    'qos-bw-limit-direction',
    'Direction for QoS bandwidth limit rule',
    'Limits of what is received, and of what is sent',
  ],
  [
    'qos-bw-minimum-ingress',
    'Ingress direction for QoS minimum bandwidth rule',
    'Minimum bandwidth of what is received, and of what is sent',
  ],
  ['qos-default', 'QoS default policy', 'Policies that new networks of a project keep to'],
  ['qos-fip', 'Floating IP QoS', 'Policies of floating IPs'],
  ['qos-fip-network-policy', 'QoS floating IP network policy', 'The policy of the network that a floating IP is of'],
  ['qos-gateway-ip', 'Gateway IP QoS', 'Policies of the gateways of routers'],
  ['qos-port-network-policy', 'QoS port network policy', 'The policy of the network that a port is on'],
  ['qos-rule-type-details', 'Details of QoS rule types', 'What rules of a type may say'],
  ['qos-rule-type-filter', 'QoS rule type filtering', 'Types of rules that work everywhere, or somewhere'],
  ['qos-rules-alias', 'QoS Rules Alias', 'Rules without their policy in the path'],
  ['quota-check-limit', 'Quota engine limit check', 'Refuses a limit below what is used, for who asks'],
  ['quota_details', 'Quota details management support', 'Quota used and left'],
  ['quotas', 'Quota management support', 'Quota of a project'],
  ['rbac-address-group', 'Add address_group type to RBAC', 'Address groups of other projects'],
  ['rbac-address-scope', 'Add address_scope type to RBAC', 'Address scopes of other projects'],
  ['rbac-policies', 'RBAC Policies', 'Who may use what is of another project'],
  ['rbac-security-groups', 'Add security_group type to network RBAC', 'Security groups of other projects'],
  ['rbac-subnetpool', 'Add subnetpool type to RBAC', 'Subnet pools of other projects'],
  [
    'revision-if-match',
    'If-Match constraints based on revision_number',
    'Changes of one revision, or none, by the header If-Match',
  ],
  ['router', 'Neutron L3 Router', 'Routers and floating IPs'],
  ['router_availability_zone', 'Router Availability Zone', 'Zones of the hosts that may carry a gateway'],
  ['security-group', 'security-group', 'Security groups'],
  [
    'security-groups-default-rules',
    'Default rules for security groups',
    'The rules that new security groups begin with, for administrators',
  ],
  [
    'security-groups-rules-belongs-to-default-sg',
    'Security group rule belongs to the default security group',
    "Which rules are a project's default group's",
  ],
  [
    'security-groups-remote-address-group',
    'Remote address group id field for security group rules',
    'Rules that name an address group',
  ],
  ['security-groups-shared-filtering', 'Security group filtering on the shared field', 'Security groups by `shared`'],
  [
    'security-groups-normalized-cidr',
    'Normalized CIDR field for security group rules',
    'The prefix of a rule without host bits',
  ],
  ['segment', 'Segment', 'What carries a network, piece by piece, for administrators'],
  ['service-type', 'Neutron Service Type Management', 'Who carries out network services'],
  ['sorting', 'Sorting support', 'Lists in an order'],
  ['sort-key-validation', 'Sort keys validation', 'Refuses orders by what a resource does not have'],
  ['standard-attr-description', 'standard-attr-description', 'Descriptions'],
  ['standard-attr-revisions', 'Resource revision numbers', 'Revision numbers'],
  ['standard-attr-segment', 'Resource Segment', 'Descriptions, times and revision numbers of segments'],
  [
    'standard-attr-tag',
    'Tag support for resources with standard attribute: network, subnet, port, router, floatingip, security_group',
    'Tags',
  ],
  ['standard-attr-timestamp', 'Resource timestamps', 'Times of creation and change'],
  ['stateful-security-group', 'Stateful security group', 'Security groups without connection tracking'],
  ['tag-creation', 'Tag creation extension', 'Adds several tags at once'],
  ['tag-ports-during-bulk-creation', 'Tag Ports During Bulk Creation', 'Ports that are made with their tags'],
  ['subnet_allocation', 'Subnet Allocation', 'Subnet pools'],
  ['subnet-external-network', 'Subnet belongs to an external network', 'Whether the network of a subnet is external'],
  ['subnet_onboard', 'Subnet Onboard', "Subnets that become a pool's after they were made"],
  ['subnetpool-prefix-ops', 'Subnet Pool Prefix Operations', 'Adds and removes single prefixes of a pool'],
  ['subnet-service-types', 'Subnet service types', 'Subnets for devices of some types only'],
  ['trunk', 'Trunk Extension', 'Ports that carry others, each with a tag'],
  ['trunk-details', 'Trunk port details', 'What a port carries'],
  [
    'uplink-status-propagation',
    'Uplink status propagation extension',
    'Whether a card shall lose its link with the network behind it: kept and shown, as with OVN in Neutron',
  ],
  [
    'uplink-status-propagation-updatable',
    'Uplink status propagation updatable extension',
    'The same, of a port that is there',
  ],
];

const extensions = known.map(([alias, name, description]) => ({
  alias,
  name,
  description,
  updated: '2026-01-01T00:00:00-00:00',
  links: [],
}));

const shown = a.record({ alias: a.text, name: a.text, description: a.text, updated: a.text, links: a.none });
const list = {
  summary: 'List extensions',
  rights: 'caller',
  answers: { 200: a.record({ extensions: Type.Array(shown) }) },
} as const;
const show = {
  summary: 'Show an extension',
  rights: 'caller',
  answers: { 200: a.record({ extension: shown }) },
} as const;

export function addExtensions(app: Boundary): void {
  app.get('/v2.0/extensions', list, async (request) => {
    callerOf(request);
    return { extensions };
  });
  app.get('/v2.0/extensions/:alias', show, async (request) => {
    const { alias } = request.params as { alias: string };
    const extension = extensions.find((one) => one.alias === alias);
    if (!extension) {
      throw neutronRefusal(
        'not_found',
        'ExtensionsNotFound',
        `Extension with alias ${alias.slice(0, 80)} does not exist`,
      );
    }
    return { extension };
  });
}
