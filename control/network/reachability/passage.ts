/** What a port's security groups make of a packet. Pure; as ../ovn/intent/security.ts tells OVN. */
import { parseCidr } from '../../kit/address.ts';
import type { PortRow, SecurityGroupRuleRow } from '../ovn/model.ts';
import { protocolNumber } from '../security-group/rules.ts';
import { type Ground, isFiltered, within } from './ground.ts';
import type { Packet } from './question.ts';

export type Direction = 'ingress' | 'egress';

export interface Passage {
  /** That let it through; null where nothing filters. */
  rule: SecurityGroupRuleRow | null;
  /** False: connection tracking does not see it. */
  tracked: boolean;
}

/** @returns undefined where no rule lets it through */
export function passage(ground: Ground, port: PortRow, direction: Direction, packet: Packet): Passage | undefined {
  if (!isFiltered(port)) return { rule: null, tracked: true };
  const groups = port.security_group_ids.flatMap((id) => ground.securityGroups.get(id) ?? []);
  const matching = groups.flatMap(({ stateful, rules }) =>
    rules.filter((rule) => matches(ground, rule, direction, packet)).map((rule) => ({ rule, tracked: stateful })),
  );
  // What a stateless rule lets through goes past connection tracking, whatever else lets it through too.
  return matching.find(({ tracked }) => !tracked) ?? matching[0];
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

const ephemeral = { first: 32_768, last: 60_999 };
const [icmp, icmpv6] = [1, 58];

function matches(ground: Ground, rule: SecurityGroupRuleRow, direction: Direction, packet: Packet): boolean {
  if (rule.direction !== direction || rule.ethertype !== (packet.version === 4 ? 'IPv4' : 'IPv6')) return false;
  const other = direction === 'ingress' ? packet.source : packet.destination;
  if (rule.remote_group_id && !ground.isMember(rule.remote_group_id, other)) return false;
  if (rule.remote_address_group_id && !ground.inAddressGroup(rule.remote_address_group_id, other)) return false;
  if (rule.remote_ip_prefix && !within(parseCidr(rule.remote_ip_prefix)!, other)) return false;
  if (!rule.protocol) return true;
  const number = protocolNumber(rule.protocol.toLowerCase());
  const { port_range_min: min, port_range_max: max } = rule;
  if (number === icmp || number === icmpv6) {
    if (packet.icmpType === null) return false;
    return (min === null || min === packet.icmpType) && (max === null || max === 0);
  }
  if (number !== packet.protocol) return false;
  if (min === null && max === null) return true;
  const wanted = packet.destinationPort;
  if (wanted === null) return false;
  const [first, last] = wanted === 'ephemeral' ? [ephemeral.first, ephemeral.last] : [wanted, wanted];
  return (min ?? 0) <= first && last <= (max ?? 65_535);
}
