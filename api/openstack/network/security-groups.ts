import { parseId } from '../../../contract/ids.ts';
import { notFound, refusal } from '../../../control/kit/refusal.ts';
import { type RuleWish, readPort, readProtocol } from '../../../control/network/security-group/rules.ts';
import {
  type NestedRule,
  type SecurityGroupRow,
  type SecurityGroupRuleRow,
  securityGroupListing,
  securityGroupRuleListing,
} from '../../../control/network/security-group/security-group.ts';
import type { SecurityGroupService, SecurityGroupWish } from '../../../control/network/security-group/service.ts';
import {
  type Attributes,
  boolean,
  nothing,
  nullable,
  oneOf,
  type Reader,
  standard,
  text,
  Unreadable,
} from './attributes.ts';
import { type Resource, standardView, type View } from './resource.ts';

const groupAttributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255) },
  stateful: { post: true, put: true, read: boolean },
  shared: {},
  security_group_rules: { noFilter: true },
  tags: { noFilter: true },
};

export const securityGroups = (service: SecurityGroupService): Resource<SecurityGroupRow> => ({
  single: 'security_group',
  plural: 'security_groups',
  path: 'security-groups',
  attributes: groupAttributes,
  listing: securityGroupListing,
  bulk: true,
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as SecurityGroupWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as SecurityGroupWish),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    stateful: row.stateful,
    shared: false,
    security_group_rules: row.rules.map(ruleView),
  }),
});

const ethertype: Reader = (value) => {
  const known = ['IPv4', 'IPv6'].find((name) => name.toLowerCase() === String(value).toLowerCase());
  if (known) return known;
  throw refusal(
    'invalid',
    'security_group_rule_invalid_ether_type',
    `Security group rule for ethertype '${String(value).slice(0, 80)}' not supported. Allowed values are ['IPv4', 'IPv6'].`,
  );
};

const protocol: Reader = (value) => {
  if (value === null) return null;
  if (typeof value !== 'string' && typeof value !== 'number') throw new Unreadable('a protocol is a name or a number.');
  return readProtocol(String(value).slice(0, 80));
};

/** A group is looked for, whatever its id looks like: what is no id names nothing. */
const groupReference: Reader = (value) => {
  if (typeof value !== 'string') throw new Unreadable('the id of a security group is a text.');
  const id = parseId(value);
  if (id === undefined) throw notFound('security_group', value.slice(0, 255));
  return id;
};

const ruleAttributes: Attributes = {
  ...standard,
  security_group_id: { post: true, required: true, read: groupReference },
  direction: { post: true, required: true, read: oneOf('ingress', 'egress') },
  ethertype: { post: true, read: ethertype },
  protocol: { post: true, read: protocol },
  port_range_min: { post: true, read: readPort },
  port_range_max: { post: true, read: readPort },
  remote_group_id: { post: true, read: nullable(groupReference) },
  remote_ip_prefix: { post: true, read: nullable(text(64)) },
  remote_address_group_id: { post: true, read: nothing, noFilter: true },
  normalized_cidr: {},
};

export const securityGroupRules = (service: SecurityGroupService): Resource<SecurityGroupRuleRow> => ({
  single: 'security_group_rule',
  plural: 'security_group_rules',
  path: 'security-group-rules',
  attributes: ruleAttributes,
  listing: securityGroupRuleListing,
  bulk: true,
  list: (caller, query) => service.listRules(caller, query),
  read: (caller, id) => service.readRule(caller, id),
  create: (caller, wishes) => service.createRules(caller, wishes as unknown as RuleWish[]),
  delete: (caller, id) => service.deleteRule(caller, id),
  view: ruleView,
});

function ruleView(row: SecurityGroupRuleRow | NestedRule): View {
  const { tags: _, ...common } = standardView(row);
  return {
    id: row.id,
    ...common,
    security_group_id: row.security_group_id,
    direction: row.direction,
    ethertype: row.ethertype,
    protocol: row.protocol,
    port_range_min: row.port_range_min,
    port_range_max: row.port_range_max,
    remote_group_id: row.remote_group_id,
    remote_address_group_id: null,
    remote_ip_prefix: row.remote_ip_prefix,
    normalized_cidr: row.normalized_cidr,
  };
}
