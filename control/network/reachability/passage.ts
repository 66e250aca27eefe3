/** What a port's security groups make of a packet. Pure; as ../ovn/intent/security.ts tells OVN. */
import { parseCidr, within } from '../../kit/address.ts';
import type { PortRow, SecurityGroupRuleRow } from '../ovn/model.ts';
import { protocolNumber } from '../security-group/rules.ts';
import { type Ground, isFiltered, type PortRule } from './ground.ts';
import type { Packet } from './question.ts';

export type Direction = 'ingress' | 'egress';

export interface Passage {
  /** That let it through; null where nothing filters. */
  rule: SecurityGroupRuleRow | null;
  /** False: connection tracking does not see it. */
  tracked: boolean;
}

export interface Filtered {
  /** Undefined where no rule lets it through. */
  passed: Passage | undefined;
  /** The last port to which, from the packet's own, it passes as it does here: or not, tracked or not. */
  until: number;
}

export function passage(ground: Ground, port: PortRow, direction: Direction, packet: Packet): Filtered {
  if (!isFiltered(port)) return { passed: { rule: null, tracked: true }, until: lastPort };
  const rules = portRules(ground, port, direction, packet);
  const wanted = packet.destinationPort;
  if (typeof wanted === 'number') return { passed: find(rules, wanted, wanted), until: unchanged(rules, wanted) };
  const { first, last } = wanted === 'ephemeral' ? ephemeral : anyPort;
  return { passed: find(rules, first, last), until: lastPort };
}

/** What a stateless rule lets through goes past connection tracking, whatever else lets it through too. */
function find(rules: readonly PortRule[], from: number, to: number): Passage | undefined {
  let found: PortRule | undefined;
  for (const one of rules) {
    if (from < one.first || one.last < to) continue;
    if (!one.tracked) return one;
    found ??= one;
  }
  return found;
}

function unchanged(rules: readonly PortRule[], port: number): number {
  const now = find(rules, port, port)?.tracked;
  for (let at = port; ; ) {
    let next = lastPort + 1;
    for (const { first, last } of rules) {
      if (first > at) next = Math.min(next, first);
      else if (last >= at) next = Math.min(next, last + 1);
    }
    if (next > lastPort) return lastPort;
    if (find(rules, next, next)?.tracked !== now) return next - 1;
    at = next;
  }
}

/** The port's rules that match all of the packet but its port; read once for all ports, see open-ports.ts. */
function portRules(ground: Ground, port: PortRow, direction: Direction, packet: Packet): readonly PortRule[] {
  const other = direction === 'ingress' ? packet.source : packet.destination;
  const key = [port.id, direction, other, packet.version, packet.protocol, packet.icmpType].join(' ');
  let rules = ground.portRules.get(key);
  if (!rules) {
    const groups = port.security_group_ids.flatMap((id) => ground.securityGroups.get(id) ?? []);
    rules = groups.flatMap(({ stateful: tracked, rules }) =>
      rules.flatMap((rule) => {
        const ports = portsOf(ground, rule, direction, packet);
        return ports ? { rule, tracked, ...ports } : [];
      }),
    );
    ground.portRules.set(key, rules);
  }
  return rules;
}

/** A rule that would let the packet through, of the group that comes first; undefined where the port has none. */
export function missingRule(port: PortRow, direction: Direction, packet: Packet): Record<string, unknown> | undefined {
  const [group] = port.security_group_ids;
  if (group === undefined) return undefined;
  const { destinationPort, icmpType, version } = packet;
  const range =
    icmpType !== null
      ? { port_range_min: icmpType }
      : destinationPort === null
        ? {}
        : destinationPort === 'ephemeral'
          ? { port_range_min: ephemeral.first, port_range_max: ephemeral.last }
          : { port_range_min: destinationPort, port_range_max: destinationPort };
  return {
    security_group_id: group,
    direction,
    ethertype: version === 4 ? 'IPv4' : 'IPv6',
    protocol: String(packet.protocol),
    ...range,
    remote_ip_prefix: `${direction === 'ingress' ? packet.source : packet.destination}/${version === 4 ? 32 : 128}`,
  };
}

const lastPort = 65_535;
const ephemeral = { first: 32_768, last: 60_999 };
/** Of a rule that names no ports: what has none, or is asked for with any, passes by such a one alone. */
const anyPort = { first: 0, last: Number.POSITIVE_INFINITY };
const [icmp, icmpv6] = [1, 58];

/** @returns undefined where the rule lets none of these packets through, whichever port they are for */
function portsOf(ground: Ground, rule: SecurityGroupRuleRow, direction: Direction, packet: Packet) {
  if (rule.direction !== direction || rule.ethertype !== (packet.version === 4 ? 'IPv4' : 'IPv6')) return undefined;
  const number = rule.protocol ? protocolNumber(rule.protocol.toLowerCase()) : null;
  const { port_range_min: min, port_range_max: max } = rule;
  if (number === icmp || number === icmpv6) {
    if (packet.icmpType === null) return undefined;
    if ((min !== null && min !== packet.icmpType) || (max !== null && max !== 0)) return undefined;
  } else if (number !== null && number !== packet.protocol) {
    return undefined;
  }
  const other = direction === 'ingress' ? packet.source : packet.destination;
  if (rule.remote_group_id && !ground.isMember(rule.remote_group_id, other)) return undefined;
  if (rule.remote_address_group_id && !ground.inAddressGroup(rule.remote_address_group_id, other)) return undefined;
  if (rule.remote_ip_prefix && !within(parseCidr(rule.remote_ip_prefix)!, other)) return undefined;
  const named = packet.icmpType === null && number !== null && (min !== null || max !== null);
  return named ? { first: min ?? 0, last: max ?? lastPort } : anyPort;
}
