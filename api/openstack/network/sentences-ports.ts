/** Sentences for refusals of what ports are made into: forwardings, trunks. See sentences.ts. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

type Some = Partial<SentenceTable<NetworkReasons>>;

/** BadRequest: 'Bad port_forwarding request: ….' */
export const badPortForwardings = {
  port_forwarding_without_port: ({ side }) => `${side}_port or ${side}_port_range must be given`,
  port_forwarding_ranges_differ:
    'Invalid ranges of internal and/or external ports. The relation between internal and external ports must be N-N or 1-N',
  port_forwarding_collision: ({ side, existing, given }) =>
    `There is a port collision with the ${side}_port_range. The following ranges collide: ${existing} and ${given}`,
  port_forwarding_too_wide: ({ maximum }) => `A floating IP can forward at most ${maximum} external ports`,
  port_forwarding_port_without_ipv4: ({ port }) =>
    `Requested internal port ${port} must allocate an IPv4 address at least`,
  port_forwarding_address_of_another_port: ({ ip, port, fixed_ips }) =>
    `Requested internal IP address ${ip} is not suitable for internal neutron port ${port}, as its fixed_ips are ${fixed_ips.join(', ')}`,
  port_forwarding_unreachable: ({ id, network, subnet, port }) =>
    `External network ${network} is not reachable from subnet ${subnet}. Cannot set Port forwarding for port ${port} with Floating IP ${id}`,
  port_forwarding_of_another_router: ({ id, router, port }) =>
    `The Floating IP ${id} had been set on router ${router}, the internal Neutron port ${port} can not reach it`,
} satisfies Some;

const portForwardings = {
  port_forwarding_not_found: ({ id }) => `Port Forwarding ${id} could not be found.`,
  port_has_port_forwarding: ({ port }) =>
    `Cannot associate floating IP to port ${port} because it already has a Port Forwarding binding.`,
  port_has_binding_floating_ip: ({ id, ip, port, fixed_ip }) =>
    `Cannot create port forwarding to floating IP ${ip} (${id}) with port ${port} using fixed IP ${fixed_ip ?? ''}, as that port already has a binding floating IP.`,
  floating_ip_in_use_by_port_forwarding: ({ id }) => `Floating IP ${id} in use by Port Forwarding resources.`,
} satisfies Some;

/** InvalidInput: 'Invalid input for operation: ….' */
export const badLocalIps = {
  local_ip_port_or_network_required: 'Either Port ID or Network ID must be specified for Local IP create',
  local_ip_no_ip: ({ port }) => `Specified Port ${port} has no fixed IPs configured`,
  local_ip_no_requested_ip: ({ port }) =>
    `Specified Port ${port} has several IPs, should specify exact IP address to use for Local IP`,
  local_ip_requested_ip_not_found: ({ port, ip }) => `Specified Port ${port} does not have requested IP address: ${ip}`,
  local_ip_needs_ipv4: ({ ip }) => `A Local IP is an IPv4 address, and ${ip} is not`,
  local_ip_subnet_too_small: ({ ip, prefix }) =>
    `Local IPs need a subnet of four addresses or more, and that of ${ip} has a prefix of ${prefix} bits`,
  local_ip_port_unfit: ({ port, device_owner }) => `Port ${port} of ${device_owner} can't be a Local IP's`,
  local_ip_port_on_another_network: ({ id, port }) =>
    `Port ${port} is not on the network of Local IP ${id}, so nobody there could reach it`,
  local_ip_leads_to_itself: ({ id, port }) => `The address of Local IP ${id} is Port ${port}'s own`,
} satisfies Some;

/** BadRequest: 'Bad local_ip request: ….' */
export const missingForLocalIps = {
  local_ip_port_not_found: ({ port }) => `Port ${port} not found`,
  local_ip_network_without_ipv4: ({ network }) => `Network ${network} does not contain any IPv4 subnet`,
} satisfies Some;

const localIps = {
  local_ip_not_found: ({ id }) => `Local IP ${id} could not be found.`,
  local_ip_in_use: ({ id }) => `Local IP ${id} is still associated with one or more ports.`,
  local_ip_exists: ({ port, ip }) => `There is a Local IP of the address ${ip} of Port ${port} already.`,
  local_ip_association_not_found: ({ id, port }) => `Local IP ${id} association with port ${port} could not be found.`,
  local_ip_association_exists: ({ id, port }) => `Local IP ${id} is associated with port ${port} already.`,
  port_has_local_ip: ({ port }) =>
    `Port ${port} cannot be deleted, or lose the address, via the port API: still referenced by Local IPs.`,
} satisfies Some;

/** BadRequest: 'Bad ndp_proxy request: ….' */
export const badNdpProxies = {
  ndp_proxy_port_without_ipv6: ({ port }) => `Requested port ${port} must allocate one IPv6 address at least`,
} satisfies Some;

const ndpProxies = {
  ndp_proxy_not_found: ({ id }) => `NDP proxy ${id} could not be found.`,
  ndp_proxy_exists: ({ router, ip }) => `There is an NDP proxy of router ${router} for the address ${ip} already.`,
  port_unreachable_router: ({ port, router }) => `The port ${port} cannot reach the router ${router} by IPv6 subnet.`,
  router_ndp_proxy_not_enable: ({ router }) =>
    `The enable_ndp_proxy parameter of router ${router} must be set as True while create ndp proxy entry on it.`,
  ndp_proxy_invalid_address: ({ ip, port, router, why }) =>
    `The address ${ip} is invalid, reason: ${why === 'of_another_port' ? `This address not belong to the port ${port}` : `This address cannot reach the router ${router}`}.`,
  address_scope_conflict: ({ scope, external_scope }) =>
    `The IPv6 address scope ${external_scope ?? 'None'} of external network conflict with internal network's IPv6 address scope ${scope ?? 'None'}.`,
  router_gateway_not_valid: ({ router }) =>
    `Can not enable ndp proxy on router ${router}, The router has no external gateway or the external gateway port has no IPv6 address or IPv6 address scope.`,
  router_ipv6_gateway_in_use: ({ router }) =>
    `Can't remove the IPv6 subnet from external gateway of router ${router}, the IPv6 subnet in use by the router's ndp proxy.`,
  router_gateway_in_use_by_ndp_proxy: ({ router }) =>
    `Unable to unset external gateway of router ${router}, There are one or more ndp proxies still in use on the router.`,
  router_interface_in_use_by_ndp_proxy: ({ router, subnet }) =>
    `Unable to remove subnet ${subnet} from router ${router}, There are one or more ndp proxies still in use on the subnet.`,
} satisfies Some;

/** InvalidInput: 'Invalid input for operation: ….' */
export const badSubports = {
  subport_twice: ({ port }) => `Non unique UUID for subport: '${port}'`,
  subport_tag_twice: ({ port, segmentation_id }) => `Segmentation ID '${segmentation_id}' for '${port}' is not unique`,
  subport_without_segmentation: ({ port }) =>
    `Invalid subport details '${port}': missing segmentation information. Must specify both segmentation_id and segmentation_type`,
  segmentation_type_unknown: ({ type }) => `Unknown segmentation_type '${type}'`,
  segmentation_id_not_in_range: ({ segmentation_id }) => `Segmentation ID '${segmentation_id}' is not in range`,
} satisfies Some;

const trunks = {
  trunk_not_found: ({ id }) => `Trunk ${id} could not be found.`,
  trunk_disabled: ({ id }) => `Trunk ${id} is currently disabled.`,
  trunk_port_in_use: ({ port }) => `Port ${port} is in use by another trunk.`,
  parent_port_in_use: ({ port }) => `Port ${port} is currently in use and is not eligible for use as a parent port.`,
  duplicate_sub_port: ({ trunk, segmentation_type, segmentation_id }) =>
    `segmentation_type ${segmentation_type} and segmentation_id ${segmentation_id} already in use on trunk ${trunk}.`,
  sub_port_not_found: ({ port, trunk }) => `SubPort ${port} on trunk ${trunk} could not be found.`,
  sub_port_mtu_greater_than_trunk_port_mtu: ({ port, mtu, parent, parent_mtu }) =>
    `MTU ${mtu} of subport ${port} cannot be greater than MTU ${parent_mtu} of trunk ${parent}.`,
  port_in_use_as_trunk_parent: ({ port, trunk }) => `Port ${port} is currently a parent port for trunk ${trunk}.`,
  port_in_use_as_sub_port: ({ port, trunk }) => `Port ${port} is currently a subport for trunk ${trunk}.`,
} satisfies Some;

/** Each with a name of Neutron's own. */
export const madeOfPorts = { ...portForwardings, ...localIps, ...ndpProxies, ...trunks };
