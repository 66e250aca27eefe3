/** What Neutron says of QoS policies and of metering labels (see sentences.ts). */
import type { SentenceTable } from '../../../contract/errors.ts';
import type { NetworkReasons } from '../../../control/network/reasons.ts';

type Some = Partial<SentenceTable<NetworkReasons>>;

/** Ours and Neutron's words for who keeps to a policy. */
const keepers = { port: 'port', network: 'network', floating_ip: 'floatingip', router: 'router' } as const;

export const qosPolicies = {
  qos_policy_not_found: ({ id }) => `QoS policy ${id} could not be found.`,
  qos_rule_not_found: ({ id, policy }) =>
    policy === undefined
      ? `QoS rule ${id} could not be found.`
      : `QoS rule ${id} for policy ${policy} could not be found.`,
  qos_policy_in_use: ({ id, object }) => `QoS Policy ${id} is used by ${keepers[object.type]} ${object.id}.`,
  qos_policy_default_already_exists: ({ project }) => `A default QoS policy exists for project ${project}.`,
  qos_rules_conflict: ({ policy, kind, rule }) =>
    `Rule ${kind} conflicts with rule ${rule} which already exists in QoS Policy ${policy}.`,
  policy_remove_authorization_error: ({ id }) =>
    `Failed to remove provided policy ${id} because you are not authorized.`,
  qos_rule_parameter_conflict: ({ policy, value, existing }) =>
    `Unable to add the rule with value ${value} to the policy ${policy} as the existing rule of type ${existing.kind} has value ${existing.value}.`,
  bandwidth_exceeded: ({ consumer }) =>
    `Updating placement allocation for consumer ${consumer} failed. The requested resources would exceed the capacity available.`,
} satisfies Some;

export const meteringLabels = {
  metering_label_not_found: ({ id }) => `Metering label '${id}' does not exist.`,
  metering_label_rule_not_found: ({ id }) => `Metering label rule '${id}' does not exist.`,
  metering_label_rule_overlaps: ({ prefix }) =>
    `Metering label rule with remote_ip_prefix '${prefix}' overlaps another.`,
  metering_label_rule_prefixes_ambiguous:
    "Cannot use 'remote-ip-prefix' in conjunction with 'source-ip-prefix' or 'destination-ip-prefix'.",
  metering_label_rule_without_prefix:
    "You must define at least one of the following parameters 'remote_ip_prefix', or 'source_ip_prefix' or 'destination_ip_prefix'.",
  metering_label_rule_of_two_ip_versions: ({ source, destination }) =>
    `No packet is from '${source}' and to '${destination}': they are of two IP versions.`,
} satisfies Some;
