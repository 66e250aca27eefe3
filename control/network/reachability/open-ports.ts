/**
 * Which ports of a protocol get there. Rules and port forwardings name ranges of ports, so an answer changes only where some range begins or has ended: asked
 * at each of these the answers are all that there are. Most say that they hold for the next ones too. Pure.
 */
import { CloudError } from '../../../contract/errors.ts';
import { protocolNumber } from '../security-group/rules.ts';
import type { Ground } from './ground.ts';
import type { Answer, Question } from './question.ts';
import { reachFrom } from './reach.ts';

/** From one to the other, both among them. */
export type PortRange = readonly [first: number, last: number];

const last = 65_535;
/** A project has a hundred rules by default; each is asked of every hop's. */
const mostRanges = 512;

/** @returns the ranges in order, none beside another, and the answer for the first port of them; for port 1 where there is none */
export function openPorts(ground: Ground, question: Question): { open: PortRange[]; answer: Answer } {
  const open: [number, number][] = [];
  const starts = startsOf(ground, question.protocol);
  let answer: Answer | undefined;
  let closed: Answer | undefined;
  for (let n = 0; n < starts.length; ) {
    const first = starts[n++]!;
    const { answer: found, until } = reachFrom(ground, { ...question, port: first });
    while (n < starts.length && starts[n]! <= until) n++;
    if (!found.reachable) {
      closed ??= found;
      continue;
    }
    answer ??= found;
    const end = (starts[n] ?? last + 1) - 1;
    const before = open.at(-1);
    if (before?.[1] === first - 1) before[1] = end;
    else open.push([first, end]);
  }
  return { open, answer: answer ?? closed! };
}

/** @throws CloudError `invalid` */
function startsOf(ground: Ground, protocol: number): number[] {
  const bounds = new Set([1]);
  for (const { rules } of ground.securityGroups.values()) {
    for (const { protocol: of, port_range_min: min, port_range_max: max } of rules) {
      if (!of || protocolNumber(of.toLowerCase()) !== protocol) continue;
      if (min !== null && min > 0) bounds.add(min);
      if (max !== null && max < last) bounds.add(max + 1);
    }
  }
  const starts = new Set(bounds);
  for (const one of ground.floatingIps.flatMap(({ forwardings }) => forwardings ?? [])) {
    if (protocolNumber(one.protocol) !== protocol) continue;
    starts.add(one.external_first);
    if (one.external_last < last) starts.add(one.external_last + 1);
    // What rules say of ports inside begins and ends at others outside.
    for (const bound of bounds) {
      const outside = one.external_first + bound - one.internal_first;
      if (outside > one.external_first && outside <= one.external_last) starts.add(outside);
    }
  }
  if (starts.size > mostRanges) throw new CloudError('invalid', 'reachability_too_many_ranges', { limit: mostRanges });
  return [...starts].sort((a, b) => a - b);
}
