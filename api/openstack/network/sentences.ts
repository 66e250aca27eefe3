/**
 * What Neutron says of each reason, word for word where clients look for it. The type that goes with it is in fault.ts: the
 * tables {@link invalidInputs} and {@link badRequests} are each of one exception of Neutron's, which frames the sentence.
 */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { HostReasons } from '../../../control/host/reasons.ts';
import type { KitReasons } from '../../../control/kit/reasons.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';
import { hostSentences, kitSentences } from '../common/sentences.ts';
import {
  badLocalIps,
  badNdpProxies,
  badPortForwardings,
  badSubports,
  madeOfPorts,
  missingForLocalIps,
} from './sentences-ports.ts';
import { meteringLabels, qosPolicies } from './sentences-qos.ts';
import { securityGroups } from './sentences-security.ts';
import { badSegments, segments } from './sentences-segments.ts';

/** All that a call of this dialect may be refused for. */
export type NeutronReasons = KitReasons & HostReasons & NetworkReasons;
type Some = Partial<SentenceTable<NeutronReasons>>;

/** InvalidInput: 'Invalid input for operation: ….' */
export const invalidInputs = {
  ...badSubports,
  ...badLocalIps,
  ...badSegments,
  marker_not_found: ({ marker }) => `marker ${marker} could not be found`,
  tag_invalid: ({ tag, maximum }) => `'${tag}' is not a valid tag: 1 to ${maximum} characters and no comma`,
  too_many_tags: ({ maximum }) => `a resource can have at most ${maximum} tags`,
  network_type_required: 'provider:network_type required',
  network_type_not_supported: ({ type }) => `network_type value '${type}' not supported`,
  provider_attribute_not_of_type: ({ attribute, type }) => `provider:${attribute} specified for ${type} network`,
  provider_attributes_fixed: 'Plugin does not support updating provider attributes',
  segmentation_id_out_of_range: ({ maximum }) => `segmentation_id out of range (1 through ${maximum})`,
  physical_network_required: ({ type }) => `physical_network required for ${type} provider network`,
  physical_network_unknown: ({ physical_network, type }) =>
    `physical_network '${physical_network}' unknown for ${type} provider network`,
  mtu_out_of_range: ({ mtu, minimum, maximum }) =>
    `requested MTU ${mtu} is not between ${minimum} and ${maximum}, which this type of network can carry`,
  cidr_of_another_ip_version: ({ cidr, ip_version }) => `cidr '${cidr}' does not match the ip_version '${ip_version}'`,
  cidr_of_every_address: '0 is not allowed as CIDR prefix length',
  cidr_unspecified_ipv6: "IPv6 subnet '::' is not supported",
  cidr_overlaps: ({ cidr, network }) =>
    `Requested subnet with cidr: ${cidr} for network: ${network} overlaps with another subnet`,
  cidr_kind_without_dhcp: ({ kind }) =>
    ({
      multicast: 'Multicast IP subnet is not supported if enable_dhcp is True',
      loopback: 'Loopback IP subnet is not supported if enable_dhcp is True',
      unspecified: "First IP '0.0.0.0' of network is not supported if enable_dhcp is True.",
    })[kind],
  prefix_too_long_for_dhcp: 'Subnet has a prefix length that is incompatible with DHCP service enabled',
  prefix_length_not_64: ({ cidr }) =>
    `Invalid CIDR ${cidr} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
  gateway_of_another_ip_version: ({ gateway, ip_version }) =>
    `gateway_ip '${gateway}' does not match the ip_version '${ip_version}'`,
  gateway_not_valid_on_subnet: 'Gateway is not valid on subnet',
  ipv6_mode_of_ipv4_subnet: ({ attribute }) => `${attribute} is not valid when ip_version is 4`,
  ipv6_modes_need_dhcp: 'ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False',
  ipv6_modes_differ: ({ ipv6_ra_mode, ipv6_address_mode }) =>
    `ipv6_ra_mode set to '${ipv6_ra_mode}' with ipv6_address_mode set to '${ipv6_address_mode}' is not valid. If both attributes are set, they must be the same value`,
  dns_name_server_malformed: ({ server }) => `Error parsing dns address ${server}`,
  dns_name_server_of_another_ip_version: ({ server, ip_version }) =>
    `dns_nameserver '${server}' does not match the ip_version '${ip_version}'`,
  rbac_action_of_another_type: ({ type }) =>
    `Invalid action 'access_as_external' for object type '${type}'. Valid actions: access_as_shared`,
  rbac_object_of_another_project: 'Only admins can manipulate policies on objects they do not own',
  too_many_default_security_group_rules: ({ maximum }) => `the template can have at most ${maximum} rules`,
  too_many_metering_label_rules: ({ maximum }) =>
    `at most ${maximum} rules of metering labels can count on the routers of one project`,
  too_many_addresses: ({ maximum }) => `an address group can have at most ${maximum} addresses`,
  default_subnet_pool_exists:
    'A default subnetpool for this IP family has already been set. Only one default may exist per IP family',
  host_route_malformed: ({ destination, nexthop }) => `Invalid route: destination ${destination}, nexthop ${nexthop}`,
  host_route_of_another_ip_version: ({ destination, nexthop, ip_version }) =>
    `destination '${destination}' or nexthop '${nexthop}' does not match the ip_version '${ip_version}'`,
  network_without_subnets: 'IP allocation requires subnets for network',
  ip_address_malformed: ({ ip }) => `'${ip}' is not a valid IP address`,
  fixed_ip_subnet_of_another_network: ({ network, subnet }) =>
    `Failed to create port on network ${network}, because fixed_ips included invalid subnet ${subnet}`,
  fixed_ip_without_subnet_or_address: 'IP allocation requires subnet_id or ip_address',
  fixed_ip_filter_malformed: ({ filter }) => `'${filter}' is invalid attribute for filtering`,
  too_many_fixed_ips: ({ maximum }) => `a port can have at most ${maximum} addresses`,
  allowed_address_pair_malformed: ({ ip, mac }) => `allowed address pair ${ip} ${mac} is not valid`,
  mac_address_malformed: ({ mac }) => `'${mac}' is not a valid MAC address`,
} satisfies Some;

const badPorts = {
  fixed_ip_has_floating_ip: ({ port }) =>
    `Cannot update the fixed_ips of the port ${port}, because its original fixed_ip has been associated to a floating ip`,
} satisfies Some;

const badRouters = {
  router_up_changes_distributed:
    "Cannot change the 'distributed' attribute of active routers. Please set router admin_state_up to False prior to upgrade",
  router_has_subnet: ({ subnet }) => `Router already has a port on subnet ${subnet}`,
  router_subnets_overlap: ({ subnet, cidr, other, other_cidr }) =>
    `Cidr ${cidr} of subnet ${subnet} overlaps with cidr ${other_cidr} of subnet ${other}`,
  router_subnet_overlaps_external_network: ({ subnet, cidr, network }) =>
    `Cidr ${cidr} of subnet ${subnet} overlaps with a subnet of external network ${network}`,
  router_subnet_overlaps_nat64: ({ subnet, cidr, kept }) =>
    `Cidr ${cidr} of subnet ${subnet} overlaps with ${kept}, which a router with nat64 keeps for itself`,
  router_route_overlaps_nat64: ({ cidr, kept }) =>
    `Destination ${cidr} of a route is in ${kept}, which a router with nat64 keeps for itself`,
  router_subnet_without_gateway: 'Subnet for router interface must have a gateway IP',
  router_subnet_of_another_project: ({ subnet }) =>
    `Cannot add interface to router because subnet ${subnet} is not owned by project making the request`,
  router_subnet_has_external_ra: ({ subnet }) =>
    `IPv6 subnet ${subnet} configured to receive RAs from an external router cannot be added to Neutron Router`,
  router_port_without_ip: 'Router port must have at least one fixed IP',
  router_port_with_several_ipv4: 'Cannot have multiple IPv4 subnets on router port',
  router_interface_ambiguous: 'Cannot specify both subnet-id and port-id',
  router_interface_unnamed: 'Either subnet_id or port_id must be specified',
  gateway_network_not_external: ({ network }) => `Network ${network} is not an external network`,
  gateway_ip_is_subnets_gateway: ({ ip }) => `External IP ${ip} is the same as the gateway IP`,
} satisfies Some;

const badFloatingIps = {
  floating_ip_network_not_external: ({ network }) => `Network ${network} is not a valid external network`,
  floating_ip_network_without_ipv4: ({ network }) => `Network ${network} does not contain any IPv4 subnet`,
  floating_ip_port_of_another_project: ({ port }) =>
    `Cannot process floating IP association with Port ${port}, since that port is owned by a different project`,
  floating_ip_port_unfit: ({ port }) => `Port ${port} is unable to be assigned a floating IP`,
  floating_ip_needs_ipv4: ({ ip }) =>
    `Cannot process floating IP association with ${ip}, since that is not an IPv4 address`,
  fixed_ip_without_port: 'fixed_ip_address cannot be specified without a port_id',
  port_without_that_fixed_ip: ({ port, ip }) => `Port ${port} does not have fixed ip ${ip}`,
  port_without_ipv4: ({ port }) => `Cannot add floating IP to port ${port} that has no fixed IPv4 addresses`,
  port_with_several_ipv4: ({ port }) =>
    `Port ${port} has multiple fixed IPv4 addresses.  Must provide a specific IPv4 address when assigning a floating IP`,
} satisfies Some;

const badSubnets = {
  subnet_without_cidr_or_pool: 'a subnetpool must be specified in the absence of a cidr',
  subnet_with_pool_and_default_pool: 'subnetpool_id and use_default_subnetpool cannot both be specified',
  subnet_with_cidr_and_prefix_length: 'cidr and prefixlen must not be supplied together',
  allocation_pools_without_cidr: 'allocation_pools allowed only for specific subnet requests',
  no_default_subnet_pool: ({ ip_version }) => `No default subnetpool found for IPv${ip_version}`,
  subnet_pool_of_another_ip_version: ({ ip_version, of_pool }) =>
    `Cannot allocate IPv${ip_version} subnet from IPv${of_pool} subnet pool`,
} satisfies Some;

/** Each sentence of the table within the same words. */
function framed<T extends object>(table: T, frame: (sentence: string) => string): T {
  const say = (sentence: unknown) =>
    typeof sentence === 'function' ? (fields: unknown) => frame(sentence(fields)) : frame(String(sentence));
  return Object.fromEntries(Object.entries(table).map(([reason, sentence]) => [reason, say(sentence)])) as T;
}

/** BadRequest: 'Bad … request: ….' */
export const badRequests = {
  ...framed(badPortForwardings, (sentence) => `Bad port_forwarding request: ${sentence}.`),
  ...framed(missingForLocalIps, (sentence) => `Bad local_ip request: ${sentence}.`),
  ...framed(badNdpProxies, (sentence) => `Bad ndp_proxy request: ${sentence}.`),
  ...framed(badPorts, (sentence) => `Bad port request: ${sentence}.`),
  ...framed(badSubnets, (sentence) => `Bad subnets request: ${sentence}.`),
  ...framed(badRouters, (sentence) => `Bad router request: ${sentence}.`),
  ...framed(badFloatingIps, (sentence) => `Bad floatingip request: ${sentence}.`),
};

const noPortSecurity =
  'Port security must be enabled and port must have an IP address in order to use security groups.';

const networks = {
  ...segments,
  network_not_found: ({ id }) => `Network ${id} could not be found.`,
  network_in_use: ({ id, ports }) =>
    `Unable to complete operation on network ${id}. There are one or more ports still in use on the network, id for these ports is: ${ports.join(',')}.`,
  network_mtu_subnet_conflict: ({ id, minimum }) =>
    `MTU of ${id} is not valid, subnet requires a minimum of ${minimum}.`,
  flat_network_in_use: ({ physical_network }) =>
    `Unable to create the flat network. Physical network ${physical_network} is in use.`,
  vlan_id_in_use: ({ segmentation_id, physical_network }) =>
    `Unable to create the network. The VLAN ${segmentation_id} on physical network ${physical_network} is in use.`,
  tunnel_id_in_use: ({ segmentation_id }) =>
    `Unable to create the network. The tunnel ID ${segmentation_id} is in use.`,
  default_external_network_exists: ({ id }) => `A default external network already exists: ${id}.`,
  external_network_in_use: ({ id }) =>
    `External network ${id} cannot be updated to be made non-external, since it has existing gateway ports.`,
  invalid_shared_setting: ({ id }) =>
    `Unable to reconfigure sharing settings for network ${id}. Multiple projects are using it.`,
  availability_zone_not_found: ({ zone }) => `AvailabilityZone ${zone} could not be found.`,
  agent_not_found: ({ id }) => `Agent ${id} could not be found.`,
  agent_goes_with_host: ({ id, host }) =>
    `Agent ${id} is the network of host ${host}: it comes with the host and goes with it.`,
  network_flavor_not_found: ({ id }) => `Flavor ${id} could not be found.`,
  flavor_in_use: ({ id }) => `Flavor ${id} is used by some service instance.`,
  flavor_disabled: 'Flavor is not enabled.',
  flavor_service_profile_binding_exists: ({ flavor, profile }) =>
    `Service Profile ${profile} is already associated with flavor ${flavor}.`,
  flavor_service_profile_binding_not_found: ({ flavor, profile }) =>
    `Service Profile ${profile} is not associated with flavor ${flavor}.`,
  service_profile_not_found: ({ id }) => `Service Profile ${id} could not be found.`,
  service_profile_in_use: ({ id }) => `Service Profile ${id} is used by some service instance.`,
  service_profile_empty: 'Service Profile needs either a driver or metainfo.',
  service_profile_disabled: 'Service Profile is not enabled.',
  service_profile_driver_not_found: ({ driver }) => `Service Profile driver ${driver} could not be found.`,
  auto_topology_without_external_network: 'Deployment error: No default router:external network.',
  auto_topology_without_subnet_pools: 'Deployment error: No default subnetpools defined.',
  subnet_not_found: ({ id }) => `Subnet ${id} could not be found.`,
  subnet_in_use: ({ id }) =>
    `Unable to complete operation on subnet ${id}: One or more ports have an IP allocation from this subnet.`,
  invalid_allocation_pool: ({ pool }) => `The allocation pool ${pool} is not valid.`,
  out_of_bounds_allocation_pool: ({ pool, cidr }) =>
    `The allocation pool ${pool} spans beyond the subnet cidr ${cidr}.`,
  overlapping_allocation_pools: ({ pools, cidr }) =>
    `Found overlapping allocation pools: ${pools.join(', ')} for subnet ${cidr}.`,
  gateway_conflict_with_allocation_pools: ({ gateway, pool }) =>
    `Gateway ip ${gateway} conflicts with allocation pool ${pool}.`,
  gateway_ip_in_use: ({ gateway, port }) =>
    `Current gateway ip ${gateway} already in use by port ${port}. Unable to update.`,
  dns_name_servers_exhausted: ({ id, maximum }) =>
    `Unable to complete operation for ${id}. The number of DNS nameservers exceeds the limit ${maximum}.`,
  host_routes_exhausted: ({ id, maximum }) =>
    `Unable to complete operation for ${id}. The number of host routes exceeds the limit ${maximum}.`,
} satisfies Some;

const notAllocated = {
  not_a_superset: 'Existing prefixes must be a subset of the new prefixes',
  in_use: 'One or more the prefixes to be removed is in use by a subnet.',
};

const subnetPools = {
  subnet_pool_not_found: ({ id }) => `Subnet pool ${id} could not be found.`,
  empty_subnet_pool_prefix_list: 'Empty subnet pool prefix list.',
  prefix_version_mismatch: 'Cannot mix IPv4 and IPv6 prefixes in a subnet pool.',
  illegal_subnet_pool_prefix_bounds: ({ bound, length, other, other_length }) =>
    `Illegal prefix bounds: ${bound}=${length}, ${other}=${other_length}.`,
  illegal_subnet_pool_prefix_update: ({ why }) => `Illegal update to prefixes: ${notAllocated[why]}.`,
  illegal_subnet_pool_ip_version_association_to_address_scope: ({ pool, scope, ip_version }) =>
    `Illegal subnetpool association: subnetpool ${pool} cannot associate with address scope ${scope} because subnetpool ip_version is not ${ip_version}.`,
  onboarded_subnet_conflicts: ({ subnet, cidr, pool }) =>
    `Illegal subnetpool update : Onboarding subnet ${subnet}: ${cidr} conflicts with allocated prefixes in subnet pool ${pool}.`,
  subnet_pool_has_allocations: () => 'Unable to delete subnet pool: Subnet pool has existing allocations.',
  min_prefix_subnet_allocation_error: ({ length, minimum }) =>
    `Unable to allocate subnet with prefix length ${length}, minimum allowed prefix is ${minimum}.`,
  max_prefix_subnet_allocation_error: ({ length, maximum }) =>
    `Unable to allocate subnet with prefix length ${length}, maximum allowed prefix is ${maximum}.`,
  subnet_pool_exhausted: ({ length }) =>
    `Failed to allocate subnet: Insufficient prefix space to allocate subnet size /${length}.`,
  subnet_pool_prefix_not_available: ({ cidr }) =>
    `Failed to allocate subnet: Cannot allocate requested subnet ${cidr} from the available set of prefixes.`,
  subnet_pool_quota_exceeded: ({ quota }) => `Per-project subnet pool prefix quota exceeded: it is ${quota}.`,
  network_subnet_pool_affinity_error: 'Subnets hosted on the same network must be allocated from the same subnet pool.',
  network_address_scope_affinity_error:
    'Subnets of the same address family hosted on the same network must all participate in the same address scope.',
  rbac_policy_not_found: ({ id }) => `RBAC policy with ID ${id} not found`,
  rbac_policy_in_use: ({ object }) =>
    `RBAC policy on object ${object} cannot be removed because other objects depend on it.`,
  rbac_policy_init_error: ({ object }) =>
    `Failed to create RBAC policy on object ${object} because target project doesn't have access to associated address scope.`,
  duplicate_rbac_policy: 'An RBAC policy already exists with those values.',
  address_group_not_found: ({ id }) => `Address group ${id} could not be found.`,
  address_group_in_use: ({ id }) => `Address group ${id} is in use on one or more security group rules.`,
  addresses_already_exist: ({ id, addresses }) =>
    `Addresses ${addresses.join(', ')} already exist in the address group ${id}.`,
  addresses_not_found: ({ id, addresses }) => `Addresses ${addresses.join(', ')} not found in the address group ${id}.`,
  address_scope_not_found: ({ id }) => `Address scope ${id} could not be found.`,
  address_scope_in_use: ({ id }) =>
    `Unable to complete operation on address scope ${id}. There are one or more subnet pools in use on the address scope.`,
  address_scope_stays_shared: ({ id }) =>
    `Unable to update address scope ${id} : Shared address scope can't be unshared.`,
  address_scope_prefix_conflict:
    'Failed to associate address scope: subnetpools within an address scope must have unique prefixes.',
} satisfies Some;

const ports = {
  port_not_found: ({ id }) => `Port ${id} could not be found.`,
  port_in_use: ({ id }) => `Port ${id} is still in use.`,
  port_has_another_device: ({ id, network, device }) =>
    `Unable to complete operation on port ${id} for network ${network}. Port already has an attached device ${device}.`,
  service_port_in_use: ({ id, device_owner }) =>
    `Port ${id} cannot be deleted directly via the port API: has device owner ${device_owner}.`,
  port_bound: ({ id, old_mac, new_mac }) =>
    `Unable to complete operation on port ${id}, port is already bound, port type: ovs, old_mac ${old_mac}, new_mac ${new_mac}.`,
  port_requires_fixed_ip: ({ id }) => `Port ${id} requires a FixedIP in order to be used.`,
  part_of_port_vanished: ({ noun }) => `The ${noun.replace('_', ' ')} of the port could not be found.`,
  mac_address_in_use: ({ network, mac }) =>
    `Unable to complete operation for network ${network}. The mac address ${mac} is in use.`,
  ip_address_in_use: ({ network, ip }) =>
    `Unable to complete operation for network ${network}. The IP address ${ip} is in use.`,
  ip_address_generation_failure: ({ network, subnet }) =>
    `No more IP addresses available ${subnet === undefined ? `on network ${network}` : `for subnet ${subnet}`}.`,
  ip_address_generation_failure_no_matching_subnet: ({ network, device_owner }) =>
    `No valid service subnet for the given device owner, network ${network}, service type ${device_owner}.`,
  allocation_on_auto_address_subnet: ({ ip, subnet }) =>
    `IPv6 address ${ip} cannot be directly assigned to a port on subnet ${subnet} as the subnet is configured for automatic addresses`,
  invalid_ip_for_subnet: ({ ip }) => `IP address ${ip} is not a valid IP for the specified subnet.`,
  invalid_ip_for_network: ({ ip }) =>
    `IP address ${ip} is not a valid IP for any of the subnets on the specified network.`,
  port_security_and_ip_required_for_security_groups: noPortSecurity,
  port_security_port_has_security_group:
    'Port has security group associated. Cannot disable port security or IP address until security group is removed.',
  address_pair_and_port_security_required:
    'Port Security must be enabled in order to have allowed address pairs on a port.',
  allowed_address_pair_exhausted: ({ maximum }) => `The number of allowed address pair exceeds the maximum ${maximum}.`,
  allowed_address_pairs_missing_ip: 'AllowedAddressPair must contain ip_address',
  dhcp_option_unknown: ({ name, version }) => `The DHCP option '${name}' of IPv${version} can not be sent.`,
  dhcp_option_malformed: ({ name, value }) => `'${value}' is no value of the DHCP option '${name}'.`,
  dhcp_option_twice: ({ name }) => `The DHCP option '${name}' is named twice.`,
  duplicate_address_pair_in_request: ({ ip, mac }) =>
    `Request contains duplicate address pair: mac_address ${mac} ip_address ${ip}.`,
  invalid_fixed_ip: ({ ip }) => `${ip} is not an IP address`,
  network_ambiguous: 'Multiple possible networks found, use a Network ID to be more specific.',
  network_requires_subnet: ({ id }) => `Network ${id} requires a subnet in order to boot instances on.`,
  unable_to_allocate_network:
    'Unable to automatically allocate a network: the project has no network with a subnet; make one, or ask for none',
  external_network_attach_forbidden: ({ id }) => `It is not allowed to create an interface on external network ${id}`,
  security_group_ambiguous: ({ name }) =>
    `Multiple security groups found matching '${name}'. Use an ID to be more specific.`,
  security_group_not_found_in_project: ({ name, project }) =>
    `Security group ${name} not found for project ${project}.`,
} satisfies Some;

const neededInterface = (subnet: string, router: string) =>
  `Router interface for subnet ${subnet} on router ${router} cannot be deleted, as it is required by one or more`;

const whyNoRoute = {
  versions_differ: 'destination and nexthop do not fit',
  nexthop_not_connected: 'the nexthop is not connected with router',
  nexthop_is_router: 'the nexthop is used by router',
  duplicate: 'duplicate route',
};

/** None of Neutron's: a standing assertion of the native API refuses what would break it. */
const assertions = {
  reachability_assertion_violated: ({ id, name, kind, from, to }) =>
    `This would break the reachability assertion ${name || id}: ${from} ${kind === 'must' ? 'must' : 'must never'} reach ${to}.`,
} satisfies Some;

const routers = {
  router_not_found: ({ id }) => `Router ${id} could not be found.`,
  unable_to_add_extra_gateways: ({ router, network, why }) =>
    `Unable to add extra gateways to a router ${router}: ${
      {
        network_has_one: `it has one on network ${network}, which can have more addresses (external_fixed_ips).`,
        snat_differs: `enable_snat is of its first gateway, and holds for that on network ${network} too.`,
      }[why]
    }`,
  unable_to_match_gateways: ({ router, network }) =>
    `Unable to match a requested gateway port to existing gateway ports for router ${router}: none on network ${network} is like that.`,
  router_in_use: ({ id, ports: attached }) => `Router ${id} has ports still attached: ${attached.join(', ')}`,
  router_interface_not_found: ({ router, port }) => `Router ${router} does not have an interface with id ${port}`,
  router_interface_not_found_for_subnet: ({ router, subnet }) =>
    `Router ${router} has no interface on subnet ${subnet}`,
  router_interface_in_use_by_floating_ip: ({ subnet, router }) => `${neededInterface(subnet, router)} floating IPs.`,
  router_interface_in_use_by_route: ({ subnet, router }) => `${neededInterface(subnet, router)} routes.`,
  subnet_mismatch_for_port: ({ port, subnet }) =>
    `Subnet on port ${port} does not match the requested subnet ${subnet}.`,
  router_external_gateway_in_use_by_floating_ip: ({ id, network }) =>
    `Gateway cannot be updated for router ${id}, since a gateway to external network ${network} is required by one or more floating IPs.`,
  routes_exhausted: ({ id, maximum }) =>
    `Unable to complete operation for ${id}. The number of routes exceeds the maximum ${maximum}.`,
  invalid_routes: ({ routes, why }) => `Invalid format for routes: ${JSON.stringify(routes)}, ${whyNoRoute[why]}`,
  floating_ip_not_found: ({ id }) => `Floating IP ${id} could not be found.`,
  floating_ip_port_already_associated: ({ id, ip, port, fixed_ip }) =>
    `Cannot associate floating IP ${ip} (${id}) with port ${port} using fixed IP ${fixed_ip ?? ''}, as that fixed IP already has a floating IP on the external network.`,
  external_ip_address_exhausted: ({ network }) => `Unable to find any IP address on external network ${network}.`,
  external_gateway_for_floating_ip_not_found: ({ network, subnet, port }) =>
    `External network ${network} is not reachable from subnet ${subnet}.  Therefore, cannot associate Port ${port} with a Floating IP.`,
} satisfies Some;

/** Quota names of control and of Neutron. */
export const quotaNames: Readonly<Record<string, string>> = {
  networks: 'network',
  subnets: 'subnet',
  subnet_pools: 'subnetpool',
  ports: 'port',
  routers: 'router',
  floating_ips: 'floatingip',
  security_groups: 'security_group',
  security_group_rules: 'security_group_rule',
  rbac_policies: 'rbac_policy',
  trunks: 'trunk',
};

export const neutronSentences: SentenceTable<NeutronReasons> = {
  ...kitSentences,
  ...hostSentences,
  ...framed(invalidInputs, (sentence) => `Invalid input for operation: ${sentence}.`),
  ...badRequests,
  ...networks,
  ...subnetPools,
  ...ports,
  ...routers,
  ...assertions,
  ...madeOfPorts,
  ...securityGroups,
  ...meteringLabels,
  ...qosPolicies,
  quota_exceeded: ({ resource }) => `Quota exceeded for resources: ['${quotaNames[resource] ?? resource}'].`,
  quota_below_usage: ({ resource, limit, used }) =>
    `Quota limit ${limit} for ${quotaNames[resource] ?? resource} must be greater than or equal to already used ${used}`,
};
