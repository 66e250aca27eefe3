/** What Neutron says of each reason of security groups. */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

export const securityGroups = {
  security_group_not_found: ({ id }) => `Security group ${id} does not exist`,
  security_group_rule_not_found: ({ id }) => `Security group rule ${id} does not exist`,
  security_group_in_use: ({ id }) => `Security Group ${id} in use.`,
  security_group_default_already_exists: 'Default security group already exists.',
  security_group_cannot_update_default: 'Updating default security group not allowed.',
  security_group_cannot_remove_default: 'Insufficient rights for removing default security group.',
  duplicate_security_group_rule_in_post: 'Duplicate Security Group Rule in POST.',
  default_security_group_rule_not_found: ({ id }) => `Default Security Group rule ${id} does not exist`,
  default_security_group_rule_exists: ({ id }) => `Default Security group rule already exists. Rule id is ${id}.`,
  duplicate_default_sg_rule_in_post: 'Duplicate Default Security Group Rule in POST.',
  security_group_rule_exists: ({ id }) => `Security group rule already exists. Rule id is ${id}.`,
  security_group_rule_invalid_protocol: ({ protocol, known }) =>
    `Security group rule protocol ${protocol} not supported. Only protocol values ${known.join(', ')} and integer representations [0 to 255] are supported.`,
  security_group_rule_parameter_conflict: ({ ethertype, cidr }) =>
    `Conflicting value ethertype ${ethertype} for CIDR ${cidr}`,
  security_group_ethertype_conflict_with_protocol: ({ ethertype, protocol }) =>
    `Invalid ethertype ${ethertype} for protocol ${protocol}.`,
  security_group_several_remotes:
    'Only one of remote_ip_prefix or remote_group_id or remote_address_group_id may be provided.',
  security_group_protocol_required_with_ports: 'Must also specify protocol if port range is given.',
  security_group_invalid_protocol_for_port: ({ protocol }) =>
    `Ports cannot be specified for protocol ${protocol}. Ports are only supported for DCCP, SCTP, TCP, UDP, UDPLITE.`,
  security_group_invalid_port_value: ({ port }) => `Invalid value for port ${port}`,
  security_group_invalid_port_range: 'For TCP/UDP protocols, port_range_min must be <= port_range_max',
  security_group_invalid_icmp_value: ({ field, attribute, value }) =>
    `Invalid value for ICMP ${field} (${attribute}) ${value}. It must be 0 to 255.`,
  security_group_missing_icmp_type: ({ code }) =>
    `ICMP code (port-range-max) ${code} is provided but ICMP type (port-range-min) is missing.`,
  invalid_cidr: ({ cidr }) => `Invalid CIDR ${cidr} given as IP prefix.`,
} satisfies Partial<SentenceTable<NetworkReasons>>;
