import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QosRule } from '../../qos-policy/rule.ts';
import { shapingOf } from './shaping.ts';

const limit = (direction: QosRule['direction'], max_kbps: number, max_burst_kbps = 0): QosRule => ({
  ...{ kind: 'bandwidth_limit', direction, max_kbps, max_burst_kbps, dscp_mark: null, min_kbps: null },
});
const mark = (dscp_mark: number): QosRule => ({
  ...{ kind: 'dscp_marking', direction: 'egress', max_kbps: null, max_burst_kbps: null, dscp_mark, min_kbps: null },
});

test('a policy without rules does nothing', () => assert.deepEqual(shapingOf([]), {}));

test('a limit without a burst has one of four fifths of its rate, and never none', () => {
  assert.deepEqual(shapingOf([limit('ingress', 1000), limit('egress', 1)]), {
    inbound: { rate_kbit: 1000, burst_kbit: 800 },
    outbound: { rate_kbit: 1, burst_kbit: 1 },
  });
  assert.deepEqual(shapingOf([limit('egress', 1000, 5)]), { outbound: { rate_kbit: 1000, burst_kbit: 5 } });
});

test('of a policy and a flavor that limit the same way the tighter one acts', () => {
  const flavor = { inbound: { rate_kbit: 500, burst_kbit: 7 }, outbound: { rate_kbit: 5000, burst_kbit: 7 } };
  assert.deepEqual(shapingOf([limit('ingress', 1000, 9), limit('egress', 1000, 9)], flavor), {
    inbound: { rate_kbit: 500, burst_kbit: 7 },
    outbound: { rate_kbit: 1000, burst_kbit: 9 },
  });
  assert.deepEqual(shapingOf([mark(0)], flavor), { ...flavor, dscp: 0 });
});
