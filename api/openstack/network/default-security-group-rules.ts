/** The template of new security groups: administrators' to write, everybody's to read. */
import { Type } from 'typebox';
import {
  type DefaultSecurityGroupRuleRow,
  defaultSecurityGroupRuleListing,
  ownGroup,
} from '../../../control/network/security-group/default-rule.ts';
import type {
  DefaultSecurityGroupRuleService,
  DefaultSecurityGroupRuleWish,
} from '../../../control/network/security-group/default-rule-service.ts';
import * as a from './answers.ts';
import { type Attributes, boolean, nullable, oneOf, reader, standard, text, uuid } from './attributes.ts';
import type { Resource } from './resource.ts';
import { ethertype, groupReference, portNumber, protocol } from './security-groups.ts';

/** A group, or the one that the rule becomes part of. */
const remoteGroup = nullable(
  reader(Type.String({ examples: [ownGroup] }), (value) => (value === ownGroup ? value : groupReference(value))),
);

/** Neutron's have no revision or times. */
const attributes: Attributes = {
  id: standard.id!,
  tenant_id: { post: true, read: reader(Type.String(), () => undefined) },
  description: standard.description!,
  direction: { post: true, required: true, read: oneOf('ingress', 'egress'), show: a.one('ingress', 'egress') },
  ethertype: { post: true, read: ethertype, show: a.one('IPv4', 'IPv6') },
  protocol: { post: true, read: protocol, show: a.orNull(a.text) },
  port_range_min: { post: true, read: portNumber, show: a.orNull(a.integer) },
  port_range_max: { post: true, read: portNumber, show: a.orNull(a.integer) },
  remote_group_id: { post: true, read: remoteGroup, show: a.orNull(a.text) },
  remote_ip_prefix: { post: true, read: nullable(text(64)), show: a.orNull(a.text) },
  remote_address_group_id: { post: true, read: nullable(uuid), show: a.orNull(a.id) },
  used_in_default_sg: { to: 'used_in_default_group', post: true, read: boolean, show: a.boolean },
  used_in_non_default_sg: { to: 'used_in_other_groups', post: true, read: boolean, show: a.boolean },
};

export const defaultSecurityGroupRules = (
  service: DefaultSecurityGroupRuleService,
): Resource<DefaultSecurityGroupRuleRow> => ({
  single: 'default_security_group_rule',
  plural: 'default_security_group_rules',
  path: 'default-security-group-rules',
  attributes,
  listing: defaultSecurityGroupRuleListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as unknown as DefaultSecurityGroupRuleWish[]),
  delete: (caller, id) => service.delete(caller, id),
  view: (row) => ({
    id: row.id,
    description: row.description,
    direction: row.direction,
    ethertype: row.ethertype,
    protocol: row.protocol,
    port_range_min: row.port_range_min,
    port_range_max: row.port_range_max,
    remote_group_id: row.remote_own_group ? ownGroup : row.remote_group_id,
    remote_ip_prefix: row.remote_ip_prefix,
    remote_address_group_id: row.remote_address_group_id,
    used_in_default_sg: row.used_in_default_group,
    used_in_non_default_sg: row.used_in_other_groups,
  }),
});
