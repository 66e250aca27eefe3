import { Type } from 'typebox';
import { isShared } from '../../../control/network/access.ts';
import { type QosPolicyRow, qosPolicyListing } from '../../../control/network/qos-policy/qos-policy.ts';
import type { QosPolicyService, QosPolicyWish } from '../../../control/network/qos-policy/service.ts';
import * as a from './answers.ts';
import { type Attributes, boolean, standard, text } from './attributes.ts';
import { ruleAnswers, ruleView } from './qos-rule-kinds.ts';
import { type Resource, standardView } from './resource.ts';

const attributes: Attributes = {
  ...standard,
  name: { post: true, put: true, read: text(255), show: a.text },
  shared: { post: true, put: true, read: boolean, show: a.boolean },
  is_default: { post: true, put: true, read: boolean, show: a.boolean },
  rules: { noFilter: true, show: Type.Array(Type.Union(ruleAnswers)) },
  tags: { noFilter: true, show: a.texts },
};

export const qosPolicies = (service: QosPolicyService): Resource<QosPolicyRow> => ({
  single: 'policy',
  plural: 'policies',
  path: 'qos/policies',
  attributes,
  listing: qosPolicyListing,
  bulk: true,
  writers: 'admin',
  list: (caller, query) => service.list(caller, query),
  read: (caller, id) => service.read(caller, id),
  create: (caller, wishes) => service.create(caller, wishes as QosPolicyWish[]),
  update: (caller, id, wish) => service.update(caller, id, wish as QosPolicyWish),
  delete: (caller, id) => service.delete(caller, id),
  view: (row, caller) => ({
    id: row.id,
    name: row.name,
    ...standardView(row),
    shared: isShared(caller, row),
    is_default: row.is_default,
    rules: row.rules.map((rule) => ({ ...ruleView(rule), qos_policy_id: rule.qos_policy_id, type: rule.kind })),
  }),
});
