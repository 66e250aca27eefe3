/**
 * Security groups as port groups with ACLs, in Neutron's layout: a filtered port is in the drop group, which lets nothing
 * through, and in the port group of each of its security groups, whose rules stand above it.
 */
import { protocols } from '../../security-group/rules.ts';
import { type DesiredRow, names } from '../desired.ts';
import type { IndexedModel, SecurityGroupRuleRow } from '../model.ts';
import { dropUnit, type Unit, unit } from '../units.ts';

const priority = { drop: 1001, allow: 1002, forbid: 1003 } as const;

function acl(owner: Unit, key: string, direction: 'from-lport' | 'to-lport', columns: Acl): DesiredRow {
  return {
    table: 'ACL',
    key,
    columns: { direction, log: false, ...columns },
    parent: { table: 'Port_Group', owner, key: 'group', column: 'acls' },
  };
}
interface Acl {
  priority: number;
  match: string;
  action: 'allow' | 'allow-related' | 'allow-stateless' | 'drop';
}

export function dropRows(): DesiredRow[] {
  const group = `@${names.dropGroup}`;
  const forbid = (key: string, match: string) =>
    acl(dropUnit, key, 'from-lport', {
      priority: priority.forbid,
      match: `inport == ${group} && ${match}`,
      action: 'drop',
    });
  const allow = (key: string, direction: 'from-lport' | 'to-lport', match: string) =>
    acl(dropUnit, key, direction, {
      priority: priority.allow,
      match: `${direction === 'from-lport' ? 'inport' : 'outport'} == ${group} && ${match}`,
      action: 'allow',
    });
  return [
    { table: 'Port_Group', key: 'group', columns: { name: names.dropGroup } },
    acl(dropUnit, 'drop/in', 'to-lport', {
      priority: priority.drop,
      match: `outport == ${group} && ip`,
      action: 'drop',
    }),
    acl(dropUnit, 'drop/out', 'from-lport', {
      priority: priority.drop,
      match: `inport == ${group} && ip`,
      action: 'drop',
    }),
    // A guest may ask for an address, whatever its groups say; what it may not do is give addresses or routes to others.
    allow('dhcp4', 'from-lport', 'ip4 && udp.src == 68 && udp.dst == 67'),
    allow('dhcp6', 'from-lport', 'ip6 && udp.src == 546 && udp.dst == 547'),
    forbid('dhcp4-server', 'ip4 && udp.src == 67 && udp.dst == 68'),
    forbid('dhcp6-server', 'ip6 && udp.src == 547 && udp.dst == 546'),
    // Router advertisements cannot be forbidden: northd lets them pass above all ACLs (OVN 23.03). They are marked, see advertisement.ts.
    forbid('redirect', 'icmp6.type == 137'),
    // Neighbour discovery is what ARP is to IPv4, which no ACL sees. Port security keeps its senders honest.
    allow('neighbour/out', 'from-lport', 'icmp6.type == {133, 135, 136, 143}'),
    allow('neighbour/in', 'to-lport', 'icmp6.type == {134, 135, 136, 130, 131, 132}'),
  ];
}

/** Two sets, for one has addresses of one IP version. Both are always there, so that whatever a rule names exists. */
export function addressGroupRows(model: IndexedModel, id: string): DesiredRow[] {
  const group = model.addressGroups.get(id);
  if (!group) return [];
  return (['ip4', 'ip6'] as const).map((version) => ({
    table: 'Address_Set',
    key: version,
    columns: {
      name: names.addressSet(id, version),
      addresses: group.addresses.filter((address) => address.includes(':') === (version === 'ip6')),
    },
    labels: { 'bothy:name': group.name },
  }));
}

export function securityGroupRows(model: IndexedModel, id: string): DesiredRow[] {
  const group = model.securityGroups.get(id);
  if (!group) return [];
  const owner = unit('security_group', id);
  const action = group.stateful ? 'allow-related' : 'allow-stateless';
  return [
    { table: 'Port_Group', key: 'group', columns: { name: names.portGroup(id) }, labels: { 'bothy:name': group.name } },
    ...group.rules.map((rule) =>
      acl(owner, rule.id, rule.direction === 'ingress' ? 'to-lport' : 'from-lport', {
        priority: priority.allow,
        match: ruleMatch(names.portGroup(id), rule),
        action,
      }),
    ),
  ];
}

export function ruleMatch(portGroup: string, rule: SecurityGroupRuleRow): string {
  const ip = rule.ethertype === 'IPv4' ? 'ip4' : 'ip6';
  const remote = `${ip}.${rule.direction === 'ingress' ? 'src' : 'dst'}`;
  return [
    `${rule.direction === 'ingress' ? 'outport' : 'inport'} == @${portGroup}`,
    ip,
    // ovn-northd keeps these address sets: all addresses of the group's ports.
    ...(rule.remote_group_id ? [`${remote} == $${names.portGroup(rule.remote_group_id)}_${ip}`] : []),
    ...(rule.remote_address_group_id ? [`${remote} == $${names.addressSet(rule.remote_address_group_id, ip)}`] : []),
    ...(rule.remote_ip_prefix && !isAny(rule.remote_ip_prefix) ? [`${remote} == ${rule.remote_ip_prefix}`] : []),
    ...protocolMatch(rule),
  ].join(' && ');
}

const isAny = (prefix: string): boolean => prefix.endsWith('/0');

const portNames: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

function protocolMatch(rule: SecurityGroupRuleRow): string[] {
  const protocol = rule.protocol?.toLowerCase();
  if (protocol === undefined || protocol === 'any' || protocol === '') return [];
  const number = /^\d+$/.test(protocol) ? Number(protocol) : protocols[protocol];
  if (number === undefined) throw new Error(`security group rule ${rule.id} has the unknown protocol ${protocol}`);
  const { port_range_min: min, port_range_max: max } = rule;
  // Neutron takes icmp for IPv6 rules and means the ICMP of that version.
  if (number === 1 || number === 58) {
    const icmp = rule.ethertype === 'IPv4' ? 'icmp4' : 'icmp6';
    return [
      icmp,
      ...(min === null ? [] : [`${icmp}.type == ${min}`]),
      ...(max === null ? [] : [`${icmp}.code == ${max}`]),
    ];
  }
  const name = portNames[number];
  if (!name) return [`ip.proto == ${number}`];
  if (min !== null && min === max) return [name, `${name}.dst == ${min}`];
  return [name, ...(min === null ? [] : [`${name}.dst >= ${min}`]), ...(max === null ? [] : [`${name}.dst <= ${max}`])];
}
