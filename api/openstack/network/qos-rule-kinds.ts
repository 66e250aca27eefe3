/** Kinds of QoS rules in Neutron's words: what a body may say of each, what an answer shows, what `/qos/rule-types` tells. */
import { Type } from 'typebox';
import type { QosRuleRow } from '../../../control/network/qos-policy/qos-policy.ts';
import { type QosRuleKind, qosRuleKinds } from '../../../control/network/qos-policy/rule.ts';
import * as a from './answers.ts';
import { type Attributes, integer, oneOf, type Reader, reader, Unreadable } from './attributes.ts';
import type { View } from './resource.ts';

const largest = 2 ** 31 - 1;

const between = (minimum: number): Reader =>
  reader(integer.schema, (value) => {
    const number = integer(value) as number;
    if (number >= minimum) return number;
    throw new Unreadable(`'${number}' is not in range ${minimum} through ${largest}.`);
  });

/** Those that are a service class of some standard; others have no meaning to anybody. */
const dscpMarks = [0, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30, 32, 34, 36, 38, 40, 46, 48, 56] as const;
const directions = ['egress', 'ingress'] as const;

const id: Attributes = { id: { show: a.id } };
const direction: Attributes = {
  direction: { post: true, put: true, read: oneOf(...directions), show: a.one(...directions) },
};

/** A rate of nothing is refused: OVN has no meter for it, and a port that is down passes nothing. */
const attributesOf: Readonly<Record<QosRuleKind, Attributes>> = {
  bandwidth_limit: {
    ...id,
    max_kbps: { post: true, put: true, required: true, read: between(1), show: a.integer },
    max_burst_kbps: { post: true, put: true, read: between(0), show: a.integer },
    ...direction,
  },
  dscp_marking: {
    ...id,
    dscp_mark: { post: true, put: true, required: true, read: oneOf(...dscpMarks), show: a.one(...dscpMarks) },
  },
  minimum_bandwidth: {
    ...id,
    min_kbps: { post: true, put: true, required: true, read: between(0), show: a.integer },
    ...direction,
  },
};

export interface RuleKind {
  kind: QosRuleKind;
  single: string;
  plural: string;
  attributes: Attributes;
}

export const ruleKinds: readonly RuleKind[] = qosRuleKinds.map((kind) => ({
  kind,
  single: `${kind}_rule`,
  plural: `${kind}_rules`,
  attributes: attributesOf[kind],
}));

/** What a rule without a word of it means. */
export const ruleDefaults: Readonly<Record<QosRuleKind, object>> = {
  bandwidth_limit: { max_burst_kbps: 0 },
  dscp_marking: {},
  minimum_bandwidth: {},
};

/** As it stands in its policy. */
export const ruleAnswers = ruleKinds.map(({ kind, attributes }) =>
  a.record({
    ...Object.fromEntries(Object.entries(attributes).map(([name, { show }]) => [name, show!])),
    qos_policy_id: a.id,
    type: Type.Literal(kind),
  }),
);

export const ruleView = (row: QosRuleRow): View =>
  Object.fromEntries(Object.keys(attributesOf[row.kind]).map((name) => [name, row[name as keyof QosRuleRow]]));

const range = (start: number) => ({ start, end: largest });
const choices = (name: string, values: readonly (string | number)[]) => ({
  parameter_name: name,
  parameter_type: 'choices',
  parameter_values: [...values],
});

/** As Neutron's drivers tell of themselves. */
export const ruleTypes: Readonly<Record<QosRuleKind, readonly object[]>> = {
  bandwidth_limit: [
    { parameter_name: 'max_kbps', parameter_type: 'range', parameter_values: range(1) },
    { parameter_name: 'max_burst_kbps', parameter_type: 'range', parameter_values: range(0) },
    choices('direction', directions),
  ],
  dscp_marking: [choices('dscp_mark', dscpMarks)],
  minimum_bandwidth: [
    { parameter_name: 'min_kbps', parameter_type: 'range', parameter_values: range(0) },
    choices('direction', directions),
  ],
};
