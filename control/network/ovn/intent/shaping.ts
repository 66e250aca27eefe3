/** What the rules of a QoS policy mean together, and with the limits of a server's flavor. Pure. */
import type { CardLimit, CardLimits } from '../../port/tables.ts';
import type { QosDirection, QosRule } from '../../qos-policy/rule.ts';

/** What is done to packets each way. */
export interface Shaping extends CardLimits {
  /** Written into what the port sends. */
  dscp?: number;
}

/** As Neutron reckons where a rule names no burst: TCP falls short of the rate with less. */
const burstOfRate = 0.8;

const limitOf = (rule: QosRule): CardLimit => ({
  rate_kbit: rule.max_kbps!,
  burst_kbit: rule.max_burst_kbps || Math.max(1, Math.round(rule.max_kbps! * burstOfRate)),
});

const tighter = (a: CardLimit | undefined, b: CardLimit | undefined): CardLimit | undefined =>
  a && b ? (a.rate_kbit <= b.rate_kbit ? a : b) : (a ?? b);

/** @param limits of a server's flavor, which hold too: of two the tighter one does */
export function shapingOf(rules: readonly QosRule[], limits: CardLimits = {}): Shaping {
  const limit = (direction: QosDirection) => {
    const rule = rules.find((one) => one.kind === 'bandwidth_limit' && one.direction === direction);
    return rule && limitOf(rule);
  };
  const inbound = tighter(limits.inbound, limit('ingress'));
  const outbound = tighter(limits.outbound, limit('egress'));
  const dscp = rules.find(({ kind }) => kind === 'dscp_marking')?.dscp_mark;
  return { ...(inbound && { inbound }), ...(outbound && { outbound }), ...(dscp != null && { dscp }) };
}
