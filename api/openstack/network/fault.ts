/** Neutron's faults: {"NeutronError": {"type", "message", "detail"}}, the type named after Neutron's exception. */
import type { ErrorCode } from '../../../contract/errors.ts';
import type { Fault, FaultForm } from '../common/faults.ts';

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
const irregular: Readonly<Record<string, string>> = {
  floating_ip_not_found: 'FloatingIPNotFound',
  dns_name_servers_exhausted: 'DNSNameServersExhausted',
  invalid_cidr: 'InvalidCIDR',
  allowed_address_pairs_missing_ip: 'AllowedAddressPairsMissingIP',
  port_security_and_ip_required_for_security_groups: 'PortSecurityAndIPRequiredForSecurityGroups',
  floating_ip_port_already_associated: 'FloatingIPPortAlreadyAssociated',
  external_gateway_for_floating_ip_not_found: 'ExternalGatewayForFloatingIPNotFound',
  router_interface_in_use_by_floating_ip: 'RouterInterfaceInUseByFloatingIP',
  network_mtu_subnet_conflict: 'NetworkMTUSubnetConflict',
  project_required: 'HTTPBadRequest',
  http_bad_request: 'HTTPBadRequest',
};

const pascal = (reason: string): string =>
  reason
    .split('_')
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join('');

export function faultType(fault: Fault): string {
  const { reason } = fault.details;
  if (typeof reason !== 'string') return typeOf[fault.code];
  return irregular[reason] ?? pascal(reason);
}

/** Quota names of control and of Neutron. */
export const quotaNames: Readonly<Record<string, string>> = {
  networks: 'network',
  subnets: 'subnet',
  ports: 'port',
  routers: 'router',
  floating_ips: 'floatingip',
  security_groups: 'security_group',
  security_group_rules: 'security_group_rule',
};

function messageOf(fault: Fault): string {
  if (fault.code === 'quota_exceeded') {
    const resource = String(fault.details.resource);
    return `Quota exceeded for resources: ['${quotaNames[resource] ?? resource}'].`;
  }
  return fault.code === 'internal'
    ? 'Request Failed: internal server error while processing your request.'
    : fault.message;
}

export const neutronFaults: FaultForm = {
  body: (fault) => ({ NeutronError: { type: faultType(fault), message: messageOf(fault), detail: '' } }),
};
