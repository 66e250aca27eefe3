/** What the network area refuses (see contract/errors.ts). Ids are plain; where a caller may name it otherwise, as it was given. */
import type { NoFields } from '../../contract/errors.ts';
import type { NetworkReasons as NdpProxyReasons } from './ndp-proxy/reasons.ts';
import type { QosRuleKind } from './qos-policy/rule.ts';
import type { QosKeeper } from './qos-policy/use.ts';

interface Id {
  id: string;
}

/** Networks. */
export interface NetworkReasons {
  network_not_found: Id;
  network_type_required: NoFields;
  network_type_not_supported: { type: string };
  provider_attribute_not_of_type: { attribute: 'physical_network' | 'segmentation_id'; type: string };
  provider_attributes_fixed: NoFields;
  segmentation_id_out_of_range: { maximum: number };
  physical_network_required: { type: string };
  physical_network_unknown: { physical_network: string; type: string };
  segments_with_provider_attributes: NoFields;
  segments_contain_duplicate_entry: NoFields;
  segments_not_carried: NoFields;
  segments_of_external_network: NoFields;
  segments_of_network_with_router: Id;
  segment_not_found: Id;
  segment_in_use: Id;
  segment_with_ports: { id: string; ports: readonly string[] };
  last_segment_of_network: Id;
  router_on_segments: { network: string };
  host_not_connected_to_any_segment: { host: string; network: string };
  host_connected_to_multiple_segments: { host: string; network: string };
  host_not_compatible_with_fixed_ips: { host: string; port: string };
  subnets_not_all_associated_with_segments: { network: string };
  network_ids_dont_match: { network: string; segment: string };
  subnet_of_tunnels: Id;
  subnet_segment_association_change_not_allowed: NoFields;
  no_update_subnet_when_multiple_segments_on_network: { network: string };
  fixed_ips_elsewhere: { network: string };
  flat_network_in_use: Segment;
  vlan_id_in_use: Segment;
  tunnel_id_in_use: Segment;
  mtu_out_of_range: { mtu: number; minimum: number; maximum: number };
  network_mtu_subnet_conflict: { id: string; minimum: number };
  network_in_use: { id: string; ports: readonly string[] };
  default_external_network_exists: Id;
  external_network_in_use: Id;
  invalid_shared_setting: Id;
  availability_zone_not_found: { zone: string };
  agent_not_found: Id;
  agent_goes_with_host: { id: string; host: string };
  network_flavor_not_found: Id;
  flavor_in_use: Id;
  flavor_disabled: NoFields;
  flavor_service_profile_binding_exists: { flavor: string; profile: string };
  flavor_service_profile_binding_not_found: { flavor: string; profile: string };
  service_profile_not_found: Id;
  service_profile_in_use: Id;
  service_profile_empty: NoFields;
  service_profile_disabled: NoFields;
  service_profile_driver_not_found: { driver: string };
  auto_topology_without_external_network: NoFields;
  auto_topology_without_subnet_pools: NoFields;
}

interface Segment {
  physical_network: string | null;
  segmentation_id: number | null;
}

/** Any change of a network. */
export interface NetworkReasons {
  /** A standing assertion would be untrue. */
  reachability_assertion_violated: {
    id: string;
    name: string;
    kind: 'must' | 'never';
    from: string;
    to: string;
    /** Of what must get there: why it would not. */
    stops: readonly { kind: string; id: string | null; reason: string }[];
  };
}

/** Subnets and the addresses in them. */
export interface NetworkReasons {
  subnet_not_found: Id;
  subnet_in_use: Id;
  cidr_of_another_ip_version: { cidr: string; ip_version: number };
  cidr_of_every_address: NoFields;
  cidr_unspecified_ipv6: NoFields;
  cidr_overlaps: { cidr: string; network: string };
  cidr_kind_without_dhcp: { kind: 'multicast' | 'loopback' | 'unspecified' };
  prefix_too_long_for_dhcp: NoFields;
  prefix_length_not_64: { cidr: string };
  invalid_allocation_pool: { pool: string };
  out_of_bounds_allocation_pool: { pool: string; cidr: string };
  overlapping_allocation_pools: { pools: readonly [string, string]; cidr: string };
  gateway_conflict_with_allocation_pools: { gateway: string; pool: string };
  gateway_of_another_ip_version: { gateway: string; ip_version: number };
  gateway_not_valid_on_subnet: NoFields;
  gateway_ip_in_use: { gateway: string; port: string };
  ipv6_mode_of_ipv4_subnet: { attribute: 'ipv6_ra_mode' | 'ipv6_address_mode' };
  ipv6_modes_need_dhcp: NoFields;
  ipv6_modes_differ: { ipv6_ra_mode: string; ipv6_address_mode: string };
  dns_name_servers_exhausted: { id: string; maximum: number };
  dns_name_server_malformed: { server: string };
  dns_name_server_of_another_ip_version: { server: string; ip_version: number };
  host_routes_exhausted: { id: string; maximum: number };
  host_route_malformed: { destination: string; nexthop: string };
  host_route_of_another_ip_version: { destination: string; nexthop: string; ip_version: number };
  network_without_subnets: NoFields;
  ip_address_malformed: { ip: string };
  ip_address_in_use: { network: string; ip: string };
  /** With `subnet`: the one subnet that was asked for has none. */
  ip_address_generation_failure: { network: string; subnet?: string };
  ip_address_generation_failure_no_matching_subnet: { network: string; device_owner: string };
  allocation_on_auto_address_subnet: { ip: string; subnet: string };
  invalid_ip_for_subnet: { ip: string };
  invalid_ip_for_network: { ip: string };
  fixed_ip_subnet_of_another_network: { network: string; subnet: string };
  fixed_ip_without_subnet_or_address: NoFields;
}

/** Subnet pools and address scopes. */
export interface NetworkReasons {
  subnet_pool_not_found: Id;
  empty_subnet_pool_prefix_list: NoFields;
  prefix_version_mismatch: NoFields;
  illegal_subnet_pool_prefix_bounds: { bound: string; length: number; other: string; other_length: number };
  illegal_subnet_pool_prefix_update: { why: 'not_a_superset' | 'in_use' };
  illegal_subnet_pool_ip_version_association_to_address_scope: { pool: string; scope: string; ip_version: number };
  onboarded_subnet_conflicts: { subnet: string; cidr: string; pool: string };
  default_subnet_pool_exists: NoFields;
  subnet_pool_has_allocations: Id;
  subnet_pool_of_another_ip_version: { ip_version: number; of_pool: number };
  min_prefix_subnet_allocation_error: { length: number; minimum: number };
  max_prefix_subnet_allocation_error: { length: number; maximum: number };
  subnet_pool_exhausted: { length: number };
  subnet_pool_prefix_not_available: { cidr: string };
  subnet_pool_quota_exceeded: { id: string; quota: number };
  subnet_without_cidr_or_pool: NoFields;
  subnet_with_pool_and_default_pool: NoFields;
  subnet_with_cidr_and_prefix_length: NoFields;
  allocation_pools_without_cidr: NoFields;
  no_default_subnet_pool: { ip_version: number };
  network_subnet_pool_affinity_error: NoFields;
  network_address_scope_affinity_error: NoFields;
  address_scope_not_found: Id;
  address_scope_in_use: Id;
  address_scope_stays_shared: Id;
  address_scope_prefix_conflict: NoFields;
}

/** Policies of who may use what. */
export interface NetworkReasons {
  rbac_policy_not_found: Id;
  rbac_policy_in_use: { object: string };
  /** The target does not see the address scope that the subnet pool is in. */
  rbac_policy_init_error: { object: string };
  duplicate_rbac_policy: NoFields;
  rbac_action_of_another_type: { type: string };
  rbac_object_of_another_project: Id;
  address_group_not_found: Id;
}

/** Metering labels. */
export interface NetworkReasons {
  metering_label_not_found: Id;
  metering_label_rule_not_found: Id;
  metering_label_rule_overlaps: { prefix: string };
  metering_label_rule_prefixes_ambiguous: NoFields;
  metering_label_rule_without_prefix: NoFields;
  metering_label_rule_of_two_ip_versions: { source: string; destination: string };
  too_many_metering_label_rules: { maximum: number };
}

/** Address groups. */
export interface NetworkReasons {
  address_group_in_use: Id;
  addresses_already_exist: { id: string; addresses: readonly string[] };
  addresses_not_found: { id: string; addresses: readonly string[] };
  too_many_addresses: { maximum: number };
}

/** Ports. */
export interface NetworkReasons {
  port_not_found: Id;
  port_in_use: Id;
  port_has_another_device: { id: string; network: string; device: string };
  service_port_in_use: { id: string; device_owner: string };
  port_bound: { id: string; old_mac: string; new_mac: string };
  port_requires_fixed_ip: Id;
  mac_address_malformed: { mac: string };
  mac_address_in_use: { network: string; mac: string };
  /** It was there when the port was begun. */
  part_of_port_vanished: { noun: 'network' | 'subnet' | 'security_group' };
  port_security_and_ip_required_for_security_groups: NoFields;
  port_security_port_has_security_group: NoFields;
  address_pair_and_port_security_required: NoFields;
  allowed_address_pair_exhausted: { maximum: number };
  allowed_address_pairs_missing_ip: NoFields;
  allowed_address_pair_malformed: { ip: string; mac: string };
  duplicate_address_pair_in_request: { ip: string; mac: string };
  too_many_fixed_ips: { maximum: number };
  dhcp_option_unknown: { name: string; version: 4 | 6 };
  dhcp_option_malformed: { name: string; value: string };
  dhcp_option_twice: { name: string };
  fixed_ip_filter_malformed: { filter: string };
  fixed_ip_has_floating_ip: { port: string };
}

/** What a server asks for its ports. */
export interface NetworkReasons {
  invalid_fixed_ip: { ip: string };
  network_ambiguous: NoFields;
  network_requires_subnet: Id;
  unable_to_allocate_network: NoFields;
  external_network_attach_forbidden: Id;
  security_group_ambiguous: { name: string };
  security_group_not_found_in_project: { name: string; project: string };
}

/** Routers. */
export interface NetworkReasons {
  router_not_found: Id;
  router_in_use: { id: string; ports: readonly string[] };
  unable_to_add_extra_gateways: { router: string; network: string; why: 'network_has_one' | 'snat_differs' };
  unable_to_match_gateways: { router: string; network: string };
  router_up_changes_distributed: NoFields;
  router_has_subnet: { subnet: string };
  router_subnets_overlap: { subnet: string; cidr: string; other: string; other_cidr: string };
  router_subnet_overlaps_external_network: { subnet: string; cidr: string; network: string };
  /** With what a router with NAT64 keeps for itself. */
  router_subnet_overlaps_nat64: { subnet: string; cidr: string; kept: string };
  router_route_overlaps_nat64: { cidr: string; kept: string };
  router_subnet_without_gateway: NoFields;
  router_subnet_of_another_project: { subnet: string };
  router_subnet_has_external_ra: { subnet: string };
  router_port_without_ip: NoFields;
  router_port_with_several_ipv4: NoFields;
  router_interface_ambiguous: NoFields;
  router_interface_unnamed: NoFields;
  router_interface_not_found: { router: string; port: string };
  router_interface_not_found_for_subnet: { router: string; subnet: string };
  router_interface_in_use_by_floating_ip: { router: string; subnet: string };
  router_interface_in_use_by_route: { router: string; subnet: string };
  subnet_mismatch_for_port: { port: string; subnet: string };
  router_external_gateway_in_use_by_floating_ip: { id: string; network: string };
  gateway_network_not_external: { network: string };
  gateway_ip_is_subnets_gateway: { ip: string };
  routes_exhausted: { id: string; maximum: number };
  invalid_routes: {
    routes: readonly { destination: string; nexthop: string }[];
    why: 'versions_differ' | 'nexthop_not_connected' | 'nexthop_is_router' | 'duplicate';
  };
}

/** Floating IPs. */
export interface NetworkReasons {
  floating_ip_not_found: Id;
  floating_ip_network_not_external: { network: string };
  floating_ip_network_without_ipv4: { network: string };
  floating_ip_port_of_another_project: { port: string };
  floating_ip_port_unfit: { port: string };
  floating_ip_needs_ipv4: { ip: string };
  floating_ip_port_already_associated: { id: string; ip: string; port: string; fixed_ip: string | null };
  fixed_ip_without_port: NoFields;
  port_without_that_fixed_ip: { port: string; ip: string };
  port_without_ipv4: { port: string };
  port_with_several_ipv4: { port: string };
  external_ip_address_exhausted: { network: string };
  external_gateway_for_floating_ip_not_found: { network: string; subnet: string; port: string };
}

/** Port forwardings. */
export interface NetworkReasons {
  port_forwarding_not_found: Id;
  port_forwarding_without_port: { side: 'internal' | 'external' };
  port_forwarding_ranges_differ: NoFields;
  port_forwarding_collision: { side: 'internal' | 'external'; existing: string; given: string };
  port_forwarding_too_wide: { maximum: number };
  port_forwarding_port_without_ipv4: { port: string };
  port_forwarding_address_of_another_port: { ip: string; port: string; fixed_ips: readonly string[] };
  port_forwarding_unreachable: { id: string; network: string; subnet: string; port: string };
  port_forwarding_of_another_router: { id: string; router: string; port: string };
  port_has_port_forwarding: { port: string };
  /** The floating IP that stands for the port. */
  port_has_binding_floating_ip: { id: string; ip: string; port: string; fixed_ip: string | null };
  floating_ip_in_use_by_port_forwarding: Id;
}

/** Local IPs. */
export interface NetworkReasons {
  local_ip_not_found: Id;
  local_ip_in_use: Id;
  local_ip_exists: { port: string; ip: string };
  local_ip_port_or_network_required: NoFields;
  local_ip_network_without_ipv4: { network: string };
  local_ip_needs_ipv4: { ip: string };
  local_ip_subnet_too_small: { ip: string; prefix: number };
  local_ip_port_not_found: { port: string };
  /** A router's, or another one of the cloud's own. */
  local_ip_port_unfit: { port: string; device_owner: string };
  /** Of IPv4. */
  local_ip_no_ip: { port: string };
  local_ip_no_requested_ip: { port: string };
  local_ip_requested_ip_not_found: { port: string; ip: string };
  local_ip_port_on_another_network: { id: string; port: string };
  local_ip_leads_to_itself: { id: string; port: string };
  local_ip_association_not_found: { id: string; port: string };
  local_ip_association_exists: { id: string; port: string };
  port_has_local_ip: { port: string };
}

/** Trunks. */
export interface NetworkReasons {
  trunk_not_found: Id;
  trunk_disabled: Id;
  trunk_port_in_use: { port: string };
  parent_port_in_use: { port: string };
  duplicate_sub_port: { trunk: string; segmentation_type: string; segmentation_id: number };
  sub_port_not_found: { port: string; trunk: string };
  sub_port_mtu_greater_than_trunk_port_mtu: { port: string; mtu: number; parent: string; parent_mtu: number };
  port_in_use_as_trunk_parent: { port: string; trunk: string };
  port_in_use_as_sub_port: { port: string; trunk: string };
  subport_twice: { port: string };
  subport_tag_twice: { port: string; segmentation_id: number };
  subport_without_segmentation: { port: string };
  segmentation_type_unknown: { type: string };
  segmentation_id_not_in_range: { segmentation_id: number };
}

/** Security groups. */
export interface NetworkReasons {
  security_group_not_found: Id;
  security_group_rule_not_found: Id;
  security_group_in_use: Id;
  security_group_default_already_exists: NoFields;
  security_group_cannot_update_default: NoFields;
  security_group_cannot_remove_default: NoFields;
  duplicate_security_group_rule_in_post: NoFields;
  default_security_group_rule_not_found: Id;
  default_security_group_rule_exists: Id;
  duplicate_default_sg_rule_in_post: NoFields;
  too_many_default_security_group_rules: { maximum: number };
  security_group_rule_exists: Id;
  security_group_rule_invalid_protocol: { protocol: string; known: readonly string[] };
  security_group_rule_parameter_conflict: { ethertype: string; cidr: string };
  security_group_ethertype_conflict_with_protocol: { ethertype: string; protocol: string };
  security_group_several_remotes: NoFields;
  security_group_protocol_required_with_ports: NoFields;
  security_group_invalid_protocol_for_port: { protocol: string };
  security_group_invalid_port_value: { port: string };
  security_group_invalid_port_range: NoFields;
  security_group_invalid_icmp_value: { field: 'type' | 'code'; attribute: string; value: number };
  security_group_missing_icmp_type: { code: number };
  invalid_cidr: { cidr: string };
}

/** QoS policies. */
export interface NetworkReasons {
  qos_policy_not_found: Id;
  /** With `policy`: in that one. */
  qos_rule_not_found: { id: string; policy?: string };
  qos_policy_in_use: { id: string; object: { type: QosKeeper; id: string } };
  qos_policy_default_already_exists: { project: string };
  /** The policy has a rule of the kind and direction. */
  qos_rules_conflict: { policy: string; kind: QosRuleKind; rule: string };
  policy_remove_authorization_error: Id;
  /** A limit below the minimum of the same direction, or a minimum above the limit. */
  qos_rule_parameter_conflict: { policy: string; value: number; existing: { kind: QosRuleKind; value: number } };
  /** A host of what keeps to it has promised as much as it gives. */
  bandwidth_exceeded: { consumer: string };
}

/** Of the cloud's first start and of a recovery: told to who runs them, by no dialect. */
export interface NetworkOperatorReasons {
  external_range_malformed: { cidr: string; gateway: string };
  recovered_address_malformed: { port: string; address: string };
  /** It was given to another one since: free it and run the command again. */
  recovered_thing_taken: {
    by: string | null;
    port?: string;
    mac?: string;
    network?: string;
    ip?: string;
    subnet?: string;
  };
}

/** NDP proxies: see there. */
export interface NetworkReasons extends NdpProxyReasons {}

declare module '../../contract/errors.ts' {
  interface Reasons extends NetworkReasons, NetworkOperatorReasons {}
}
