import { Type } from 'typebox';
import { parseId } from '../../../contract/ids.ts';
import { notFound } from '../../../control/kit/refusal.ts';
import { isShared } from '../../../control/network/access.ts';
import { type RuleWish, readPort, readProtocol } from '../../../control/network/security-group/rules.ts';
import {
  type NestedRule,
  type SecurityGroupRow,
  type SecurityGroupRuleRow,
  securityGroupListing,
  securityGroupRuleListing,
} from '../../../control/network/security-group/security-group.ts';
import type { SecurityGroupService, SecurityGroupWish } from '../../../control/network/security-group/service.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  boolean,
  nullable,
  oneOf,
  type Reader,
  reader,
  standard,
  text,
  Unreadable,
  uuid,
} from './attributes.ts';
import { neutronRefusal } from './fault.ts';
import { type Resource, standardView, type View } from './resource.ts';

const ruleMembers = {
  belongs_to_default_sg: a.boolean,
  security_group_id: a.id,
  direction: a.one('ingress', 'egress'),
  ethertype: a.one('IPv4', 'IPv6'),
  protocol: a.orNull(a.text),
  port_range_min: a.orNull(a.integer),
  port_range_max: a.orNull(a.integer),
  remote_group_id: a.orNull(a.id),
  remote_ip_prefix: a.orNull(a.text),
  remote_address_group_id: a.orNull(a.id),
  normalized_cidr: a.orNull(a.text),
};
const ruleAnswer = Type.Object(
  {
    ...Object.fromEntries(Object.entries(standard).map(([name, { show }]) => [name, show!])),
    ...ruleMembers,
  },
  { additionalProperties: false, title: 'Security group rule in its group' },
);

const groupAttributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  stateful: { post: true, put: true, read: boolean, show: a.boolean },
  shared: { show: a.boolean },
  security_group_rules: { noFilter: true, show: Type.Array(ruleAnswer) },
  tags: { noFilter: true, show: a.texts },
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
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    stateful: row.stateful,
    shared: isShared(caller, row),
    security_group_rules: row.rules.map((rule) => ruleView({ ...rule, of_default_group: row.is_default })),
  }),
});

export const ethertype: Reader = reader(Type.String({ examples: ['IPv4'] }), (value) => {
  const known = ['IPv4', 'IPv6'].find((name) => name.toLowerCase() === String(value).toLowerCase());
  if (known) return known;
  throw neutronRefusal(
    'invalid',
    'SecurityGroupRuleInvalidEtherType',
    `Security group rule for ethertype '${String(value).slice(0, 80)}' not supported. Allowed values are ['IPv4', 'IPv6'].`,
  );
});

export const protocol: Reader = reader(
  Type.Union([Type.String({ examples: ['tcp'] }), Type.Integer(), Type.Null()]),
  (value) => {
    if (value === null) return null;
    if (typeof value !== 'string' && typeof value !== 'number')
      throw new Unreadable('a protocol is a name or a number.');
    return readProtocol(String(value).slice(0, 80));
  },
);

/** A group is looked for, whatever its id looks like: what is no id names nothing. */
export const groupReference: Reader = reader(
  Type.String({ examples: ['0198c0de-0000-7000-8000-000000000001'] }),
  (value) => {
    if (typeof value !== 'string') throw new Unreadable('the id of a security group is a text.');
    const id = parseId(value);
    if (id === undefined) throw notFound('security_group', value.slice(0, 255));
    return id;
  },
);

export const portNumber = reader(
  Type.Union([Type.Integer(), Type.String({ pattern: '^-?\\d{1,6}$' }), Type.Null()]),
  readPort,
);

const ruleAttributes: Attributes = {
  ...standard,
  security_group_id: { post: true, required: true, read: groupReference, show: ruleMembers.security_group_id },
  direction: { post: true, required: true, read: oneOf('ingress', 'egress'), show: ruleMembers.direction },
  ethertype: { post: true, read: ethertype, show: ruleMembers.ethertype },
  protocol: { post: true, read: protocol, show: ruleMembers.protocol },
  port_range_min: { post: true, read: portNumber, show: ruleMembers.port_range_min },
  port_range_max: { post: true, read: portNumber, show: ruleMembers.port_range_max },
  remote_group_id: { post: true, read: nullable(groupReference), show: ruleMembers.remote_group_id },
  remote_ip_prefix: { post: true, read: nullable(text(64)), show: ruleMembers.remote_ip_prefix },
  remote_address_group_id: { post: true, read: nullable(uuid), show: ruleMembers.remote_address_group_id },
  normalized_cidr: { show: ruleMembers.normalized_cidr },
  belongs_to_default_sg: { to: 'of_default_group', show: ruleMembers.belongs_to_default_sg },
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

function ruleView(row: SecurityGroupRuleRow | (NestedRule & { of_default_group: boolean })): View {
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
    remote_address_group_id: row.remote_address_group_id,
    remote_ip_prefix: row.remote_ip_prefix,
    normalized_cidr: row.normalized_cidr,
    belongs_to_default_sg: row.of_default_group,
  };
}
