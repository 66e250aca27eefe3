/** Neutron's metering labels and rules. What they have counted is no part of Neutron's API: /native/v1/meters. */
import { Type } from 'typebox';
import { canonicalIp, parseCidr } from '../../../control/kit/address.ts';
import {
  type MeteringLabelRow,
  type MeteringLabelRuleRow,
  meteringLabelListing,
  meteringLabelRuleListing,
} from '../../../control/network/metering-label/metering-label.ts';
import type {
  MeteringLabelRuleWish,
  MeteringLabelService,
  MeteringLabelWish,
} from '../../../control/network/metering-label/service.ts';
import * as a from './answers.ts';
import {
  type Attributes,
  boolean,
  oneOf,
  type Reader,
  reader,
  standard,
  text,
  Unreadable,
  uuid,
} from './attributes.ts';
import type { Resource } from './resource.ts';

const { id, tenant_id, project_id } = standard as Required<typeof standard>;

const labelAttributes: Attributes = {
  ...{ id: id!, tenant_id: tenant_id!, project_id: project_id! },
  name: { post: true, read: text(255), show: a.text },
  description: { post: true, read: text(1024), show: a.text },
  shared: { post: true, read: boolean, show: a.boolean },
};

export const meteringLabels = (service: MeteringLabelService): Resource<MeteringLabelRow> => ({
  single: 'metering_label',
  plural: 'metering_labels',
  path: 'metering/metering-labels',
  attributes: labelAttributes,
  listing: meteringLabelListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.list(caller, query),
  read: (caller, wanted) => service.read(caller, wanted),
  create: (caller, wishes) => service.create(caller, wishes as MeteringLabelWish[]),
  delete: (caller, wanted) => service.delete(caller, wanted),
  view: (row) => ({
    ...{ id: row.id, name: row.name, description: row.description, shared: row.shared },
    ...{ tenant_id: row.project_id, project_id: row.project_id },
  }),
});

/** As Neutron reads and shows them: bits of a host may be set, and one address alone is a prefix too. Null or '': none. */
const prefix: Reader = reader(Type.Union([Type.String({ examples: ['10.0.0.0/24'] }), Type.Null()]), (value) => {
  if (value === null || value === '') return null;
  const cidr = typeof value === 'string' ? parseCidr(value) : undefined;
  if (cidr === undefined) throw new Unreadable(`'${String(value).slice(0, 80)}' is not a valid IP subnet.`);
  return `${canonicalIp((value as string).split('/')[0]!)}/${cidr.prefixLength}`;
});

const ruleAttributes: Attributes = {
  id: id!,
  // Taken and let go, as Neutron does: a rule is of its label's project.
  tenant_id: { to: 'project_id', post: true, read: uuid, noFilter: true },
  project_id: { post: true, read: uuid, noFilter: true },
  metering_label_id: { post: true, required: true, read: uuid, show: a.id },
  direction: { post: true, required: true, read: oneOf('ingress', 'egress'), show: a.text },
  excluded: { post: true, read: boolean, show: a.boolean },
  remote_ip_prefix: { post: true, read: prefix, show: a.orNull(a.text) },
  source_ip_prefix: { post: true, read: prefix, show: a.orNull(a.text) },
  destination_ip_prefix: { post: true, read: prefix, show: a.orNull(a.text) },
};

export const meteringLabelRules = (service: MeteringLabelService): Resource<MeteringLabelRuleRow> => ({
  single: 'metering_label_rule',
  plural: 'metering_label_rules',
  path: 'metering/metering-label-rules',
  attributes: ruleAttributes,
  listing: meteringLabelRuleListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.listRules(caller, query),
  read: (caller, wanted) => service.readRule(caller, wanted),
  create: (caller, wishes) => service.createRules(caller, wishes.map(ruleWish)),
  delete: (caller, wanted) => service.deleteRule(caller, wanted),
  view: (row) => ({
    ...{ id: row.id, metering_label_id: row.metering_label_id, direction: row.direction, excluded: row.excluded },
    ...{ remote_ip_prefix: row.remote_ip_prefix, source_ip_prefix: row.source_ip_prefix },
    destination_ip_prefix: row.destination_ip_prefix,
  }),
});

const ruleWish = ({ project_id: _, ...wish }: Record<string, unknown>) => wish as unknown as MeteringLabelRuleWish;
