/** What a rule of a policy may say. */

export const qosRuleKinds = ['bandwidth_limit', 'dscp_marking', 'minimum_bandwidth'] as const;
export type QosRuleKind = (typeof qosRuleKinds)[number];

/** As the port's guest sees it: ingress is what it receives. */
export type QosDirection = 'ingress' | 'egress';

export interface QosRule {
  kind: QosRuleKind;
  direction: QosDirection;
  /** Thousands of bits a second; of a bandwidth limit. */
  max_kbps: number | null;
  /** Thousands of bits; 0: as much as suits the rate. */
  max_burst_kbps: number | null;
  /** The six bits of a packet's service class, 0 to 56. */
  dscp_mark: number | null;
  /** Thousands of bits a second; of a minimum bandwidth. */
  min_kbps: number | null;
}
