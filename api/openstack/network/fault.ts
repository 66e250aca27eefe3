/** Neutron's faults: {"NeutronError": {"type", "message", "detail"}}, the type named after Neutron's exception. */
import type { ErrorCode, Reason } from '../../../contract/errors.ts';
import { Refusal } from '../../boundary/refusal.ts';
import type { Fault, FaultForm } from '../common/faults.ts';
import { absent } from './absent.ts';
import { badRequests, invalidInputs, type NeutronReasons, neutronSentences } from './sentences.ts';

/** Where control gave no reason of its own. */
export const typeOf: Readonly<Record<ErrorCode, string>> = {
  invalid: 'HTTPBadRequest',
  unauthenticated: 'HTTPUnauthorized',
  forbidden: 'PolicyNotAuthorized',
  not_found: 'HTTPNotFound',
  conflict: 'HTTPConflict',
  quota_exceeded: 'OverQuota',
  no_capacity: 'HTTPConflict',
  too_large: 'HTTPRequestEntityTooLarge',
  expired: 'HTTPGone',
  unavailable: 'HTTPServiceUnavailable',
  internal: 'HTTPInternalServerError',
};

/** Reasons whose Neutron name is not the reason in Pascal case. */
const irregular: Partial<Record<keyof NeutronReasons, string>> = {
  floating_ip_not_found: 'FloatingIPNotFound',
  dns_name_servers_exhausted: 'DNSNameServersExhausted',
  invalid_cidr: 'InvalidCIDR',
  allowed_address_pairs_missing_ip: 'AllowedAddressPairsMissingIP',
  port_security_and_ip_required_for_security_groups: 'PortSecurityAndIPRequiredForSecurityGroups',
  port_has_another_device: 'PortInUse',
  floating_ip_port_already_associated: 'FloatingIPPortAlreadyAssociated',
  floating_ip_in_use_by_port_forwarding: 'FipInUseByPortForwarding',
  ndp_proxy_not_found: 'NDPProxyNotFound',
  ndp_proxy_exists: 'NDPProxyInUse',
  ndp_proxy_invalid_address: 'InvalidAddress',
  router_ndp_proxy_not_enable: 'RouterNDPProxyNotEnable',
  router_ipv6_gateway_in_use: 'RouterIPv6GatewayInUse',
  router_gateway_in_use_by_ndp_proxy: 'RouterGatewayInUseByNDPProxy',
  router_interface_in_use_by_ndp_proxy: 'RouterInterfaceInUseByNDPProxy',
  local_ip_not_found: 'LocalIPNotFound',
  local_ip_in_use: 'LocalIPInUse',
  local_ip_exists: 'LocalIPInUse',
  local_ip_association_not_found: 'LocalIPAssociationNotFound',
  local_ip_association_exists: 'LocalIPAssociationInUse',
  port_has_local_ip: 'ServicePortInUse',
  port_has_binding_floating_ip: 'PortHasBindingFloatingIP',
  external_gateway_for_floating_ip_not_found: 'ExternalGatewayForFloatingIPNotFound',
  router_interface_in_use_by_floating_ip: 'RouterInterfaceInUseByFloatingIP',
  onboarded_subnet_conflicts: 'IllegalSubnetPoolUpdate',
  subnet_pool_has_allocations: 'SubnetPoolDeleteError',
  subnet_pool_exhausted: 'SubnetAllocationError',
  subnet_pool_prefix_not_available: 'SubnetAllocationError',
  address_scope_stays_shared: 'AddressScopeUpdateError',
  network_flavor_not_found: 'FlavorNotFound',
  auto_topology_without_external_network: 'AutoAllocationFailure',
  auto_topology_without_subnet_pools: 'AutoAllocationFailure',
  network_mtu_subnet_conflict: 'NetworkMTUSubnetConflict',
  qos_policy_default_already_exists: 'QoSPolicyDefaultAlreadyExists',
  // With Neutron the first two are 500, since it forgot what Invalid is.
  metering_label_rule_prefixes_ambiguous: 'Invalid',
  metering_label_rule_without_prefix: 'Invalid',
  metering_label_rule_of_two_ip_versions: 'Invalid',
  qos_rules_conflict: 'QoSRulesConflict',
  qos_rule_parameter_conflict: 'QoSRuleParameterConflict',
  segments_with_provider_attributes: 'SegmentsSetInConjunctionWithProviders',
  segment_with_ports: 'SegmentInUse',
  last_segment_of_network: 'SegmentInUse',
  bandwidth_exceeded: 'QosPlacementAllocationUpdateConflict',
  // So Neutron spells it.
  security_group_several_remotes: 'SecurityGroupMultipleRemoteEntites',
  ...everyOf(invalidInputs, 'InvalidInput'),
  ...everyOf(badRequests, 'BadRequest'),
  local_ip_port_or_network_required: 'LocalIPPortOrNetworkRequired',
  local_ip_no_ip: 'LocalIPNoIP',
  local_ip_no_requested_ip: 'LocalIPNoRequestedIP',
  local_ip_requested_ip_not_found: 'LocalIPRequestedIPNotFound',
  project_required: 'HTTPBadRequest',
  project_of_another: 'HTTPBadRequest',
  tag_not_found: 'TagNotFound',
};

/** Reasons that are none of Neutron's exceptions: their type is that of their code. */
const plain: ReadonlySet<Reason> = new Set<keyof NeutronReasons>([
  'authentication_required',
  'role_required',
  'project_scope_required',
  'actor_malformed',
  'project_not_found',
  'agent_goes_with_host',
  'quota_exceeded',
  'quota_project_invalid',
  'quota_above_project',
  'quota_of_no_user',
  'quota_below_usage',
  'host_not_found',
  'host_unreachable',
  'host_answer_malformed',
  'host_refused',
  'upload_cut_off',
]);

function everyOf<T extends object>(table: T, type: string): Partial<Record<keyof T, string>> {
  return Object.fromEntries(Object.keys(table).map((reason) => [reason, type])) as Partial<Record<keyof T, string>>;
}

const pascal = (reason: string): string =>
  reason
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

export function faultType({ code, reason, details }: Fault): string {
  // What this dialect itself refuses says its type.
  if (typeof details.type === 'string' && reason === undefined) return details.type;
  if (reason === undefined || plain.has(reason)) return typeOf[code];
  if (reason === 'part_of_port_vanished') return pascal(`${details.noun}_not_found`);
  return irregular[reason as keyof NeutronReasons] ?? pascal(reason);
}

/** A refusal of this dialect itself, under the name of Neutron's exception. */
export const neutronRefusal = (code: ErrorCode, type: string, message: string): Refusal =>
  new Refusal(code, message, { details: { type } });

export const invalidInput = (message: string): Refusal =>
  neutronRefusal('invalid', 'InvalidInput', `Invalid input for operation: ${message}.`);

export const neutronFaults: FaultForm = {
  reasonOverrides: { revision_number_constraint_failed: 412 },
  sentences: neutronSentences,
  unknownPath: absent,
  body: (fault) => ({ NeutronError: { type: faultType(fault), message: messageOf(fault), detail: '' } }),
};

const messageOf = ({ code, message }: Fault): string =>
  code === 'internal' ? 'Request Failed: internal server error while processing your request.' : message;
