/** What a security group rule may be. Pure; refusals speak as Neutron does. */

import type { Selectable } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { canonicalIp, parseCidr } from '../../kit/address.ts';
import type { SecurityGroupRuleTable } from './tables.ts';

/** IANA protocol numbers by the names that Neutron knows. */
export const protocols: Readonly<Record<string, number>> = {
  ah: 51,
  dccp: 33,
  egp: 8,
  esp: 50,
  gre: 47,
  hopopt: 0,
  icmp: 1,
  icmpv6: 58,
  igmp: 2,
  ip: 0,
  ipip: 4,
  'ipv6-encap': 41,
  'ipv6-frag': 44,
  'ipv6-icmp': 58,
  'ipv6-nonxt': 59,
  'ipv6-opts': 60,
  'ipv6-route': 43,
  ospf: 89,
  pgm: 113,
  rsvp: 46,
  sctp: 132,
  tcp: 6,
  udp: 17,
  udplite: 136,
  vrrp: 112,
};

const withPorts = new Set([33, 132, 6, 17, 136]);
const onlyIpv6 = new Set([41, 44, 58, 59, 60, 43]);
const icmp = 1;
const icmpv6 = 58;

/** What a rule lets through, whatever group it is of. */
export interface FilterWish {
  direction: 'ingress' | 'egress';
  ethertype?: 'IPv4' | 'IPv6';
  protocol?: string | null;
  port_range_min?: number | null;
  port_range_max?: number | null;
  remote_group_id?: string | null;
  remote_ip_prefix?: string | null;
  remote_address_group_id?: string | null;
  description?: string;
}

export interface RuleWish extends FilterWish {
  project_id?: string;
  security_group_id: string;
}

export type Rule = Omit<
  Selectable<SecurityGroupRuleTable>,
  'id' | 'project_id' | 'normalized_cidr' | 'generation' | 'created_at' | 'updated_at'
>;
export type Filter = Omit<Rule, 'security_group_id'>;

/** Name or number to canonical text; null for any. @throws CloudError `invalid` */
export function readProtocol(value: string | null): string | null {
  if (value === null || value.toLowerCase() === 'any' || value === '') return null;
  const lower = value.toLowerCase();
  if (Object.hasOwn(protocols, lower)) return lower;
  if (/^\d{1,3}$/.test(value) && Number(value) <= 255) return String(Number(value));
  throw new CloudError('invalid', 'security_group_rule_invalid_protocol', {
    protocol: value,
    known: Object.keys(protocols),
  });
}

export const protocolNumber = (protocol: string): number => protocols[protocol] ?? Number(protocol);

/** The whole rule, canonical. @throws CloudError `invalid` */
export const readRule = (wish: RuleWish): Rule => ({
  ...readFilter(wish),
  security_group_id: wish.security_group_id,
});

/** @throws CloudError `invalid` */
export function readFilter(wish: FilterWish): Filter {
  const ethertype = wish.ethertype ?? 'IPv4';
  let protocol = readProtocol(wish.protocol ?? null);
  // Neutron's old clients say 'icmp' for both versions.
  if (ethertype === 'IPv6' && (protocol === 'icmp' || protocol === 'icmpv6')) protocol = 'ipv6-icmp';
  if (ethertype === 'IPv6' && protocol === '1') protocol = '58';
  if (ethertype === 'IPv4' && protocol !== null && onlyIpv6.has(protocolNumber(protocol))) {
    throw new CloudError('invalid', 'security_group_ethertype_conflict_with_protocol', { ethertype, protocol });
  }
  const rule: Filter = {
    direction: wish.direction,
    ethertype,
    protocol,
    port_range_min: wish.port_range_min ?? null,
    port_range_max: wish.port_range_max ?? null,
    remote_group_id: wish.remote_group_id ?? null,
    remote_address_group_id: wish.remote_address_group_id ?? null,
    remote_ip_prefix: readPrefix(wish.remote_ip_prefix ?? null, ethertype),
    description: wish.description ?? '',
  };
  checkRange(rule);
  const remotes = [rule.remote_group_id, rule.remote_ip_prefix, rule.remote_address_group_id];
  if (remotes.filter((remote) => remote !== null).length > 1) {
    throw new CloudError('invalid', 'security_group_several_remotes', {});
  }
  if (rule.port_range_min === 1 && rule.port_range_max === 65535) {
    return { ...rule, port_range_min: null, port_range_max: null };
  }
  return rule;
}

function readPrefix(text: string | null, ethertype: 'IPv4' | 'IPv6'): string | null {
  if (text === null || text === '') return null;
  const cidr = parseCidr(text);
  if (!cidr) throw new CloudError('invalid', 'invalid_cidr', { cidr: text });
  if (`IPv${cidr.version}` !== ethertype) {
    throw new CloudError('invalid', 'security_group_rule_parameter_conflict', { ethertype, cidr: text });
  }
  return `${canonicalIp(text.split('/', 1)[0]!)}/${cidr.prefixLength}`;
}

function checkRange(rule: Filter): void {
  const { port_range_min: min, port_range_max: max } = rule;
  if (min === null && max === null) return;
  if (rule.protocol === null) {
    throw new CloudError('invalid', 'security_group_protocol_required_with_ports', {});
  }
  const number = protocolNumber(rule.protocol);
  if (withPorts.has(number)) {
    if (min === 0 || max === 0) throw new CloudError('invalid', 'security_group_invalid_port_value', { port: '0' });
    if (min === null || max === null || min > max) {
      throw new CloudError('invalid', 'security_group_invalid_port_range', {});
    }
    return;
  }
  if (number !== icmp && number !== icmpv6) {
    throw new CloudError('invalid', 'security_group_invalid_protocol_for_port', { protocol: rule.protocol });
  }
  for (const [field, attribute, value] of [
    ['type', 'port_range_min', min],
    ['code', 'port_range_max', max],
  ] as const) {
    if (value !== null && (value < 0 || value > 255)) {
      throw new CloudError('invalid', 'security_group_invalid_icmp_value', { field, attribute, value });
    }
  }
  if (min === null) {
    throw new CloudError('invalid', 'security_group_missing_icmp_type', { code: Number(max) });
  }
}

/** Two rules that let the same through are one rule: 'tcp' is '6', and any address is no condition. */
export const sameRule = (a: Rule, b: Rule): boolean => a.security_group_id === b.security_group_id && sameFilter(a, b);

export function sameFilter(a: Omit<Filter, 'description'>, b: Omit<Filter, 'description'>): boolean {
  const number = (rule: typeof a) => (rule.protocol === null ? null : protocolNumber(rule.protocol));
  const prefix = (rule: typeof a) => (rule.remote_ip_prefix?.endsWith('/0') ? null : rule.remote_ip_prefix);
  return (
    a.direction === b.direction &&
    a.ethertype === b.ethertype &&
    number(a) === number(b) &&
    a.port_range_min === b.port_range_min &&
    a.port_range_max === b.port_range_max &&
    a.remote_group_id === b.remote_group_id &&
    a.remote_address_group_id === b.remote_address_group_id &&
    prefix(a) === prefix(b)
  );
}

/** @throws CloudError `invalid` */
export function readPort(value: unknown): number | null {
  if (value === null) return null;
  const number = typeof value === 'string' && /^-?\d{1,6}$/.test(value) ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isInteger(number) || number < 0 || number > 65535) {
    throw new CloudError('invalid', 'security_group_invalid_port_value', { port: String(value).slice(0, 80) });
  }
  return number;
}
