/** What a reading adds to its meter. Pure. */
import type { Passed } from './meter.ts';

/**
 * A counter only grows as long as its source stands: what is said less comes late, or again, and adds nothing. A source of which nothing is known
 * has counted from zero.
 */
export function advance(before: Passed | undefined, now: Passed): { last: Passed; more: Passed } {
  const last = before ? each((key) => Math.max(before[key], now[key])) : now;
  return { last, more: each((key) => last[key] - (before?.[key] ?? 0)) };
}

export const plus = (a: Passed, b: Passed): Passed => each((key) => Math.min(Number.MAX_SAFE_INTEGER, a[key] + b[key]));

function each(of: (key: keyof Passed) => number): Passed {
  return {
    rx_bytes: of('rx_bytes'),
    rx_packets: of('rx_packets'),
    tx_bytes: of('tx_bytes'),
    tx_packets: of('tx_packets'),
  };
}
