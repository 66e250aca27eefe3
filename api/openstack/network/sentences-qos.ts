/** What Neutron says of QoS policies (see sentences.ts). */
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
} satisfies Some;
