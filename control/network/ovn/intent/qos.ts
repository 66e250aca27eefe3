/**
 * What may pass, and how it is marked: a row for each way, on the switch where the packets are seen. OVN makes a meter of a rate on the
 * host where they pass, which drops what is too much. A port keeps to its policy and to the limits of its server's flavor; a floating
 * IP and a gateway to their policies, on the external network: there the packets bear the address that the world sees.
 *
 * A gateway's packets pass on the host that it is on, and those of distributed floating IPs on the hosts of their guests, so a
 * gateway's rate is one for each host.
 */

import { versionOf } from '../address.ts';
import type { DesiredRow } from '../desired.ts';
import type { FloatingIpRow, PortRow, RouterRow } from '../model.ts';
import { unit } from '../units.ts';
import { type Shaping, shapingOf } from './shaping.ts';

/** Of rows that match the same packet OVN takes the highest; a floating IP's own goes before its gateway's. */
const priorities = { port: 2000, gateway: 2000, floatingIp: 2010 } as const;

type Way = 'to-lport' | 'from-lport';

interface Place {
  networkId: string;
  /** Unique within the unit, without the way. */
  key: string;
  priority: number;
  match: (way: Way) => string;
}

export function portQosRows(port: PortRow): DesiredRow[] {
  const shaping = shapingOf(port.qos_rules, port.card_limits);
  const place = { networkId: port.network_id, key: '', priority: priorities.port };
  return rows(shaping, { ...place, match: (way) => atPort(port.id, way) });
}

/** Of a router: its gateway's rows and those of its floating IPs, all at the gateway's side of the external network. */
export function gatewayQosRows(
  router: RouterRow,
  gateway: PortRow | undefined,
  floatingIps: readonly Pick<FloatingIpRow, 'id' | 'floating_ip' | 'qos_rules'>[],
): DesiredRow[] {
  if (!gateway) return [];
  const { network_id: networkId } = gateway;
  const own = rows(shapingOf(router.gateway_qos_rules), {
    ...{ networkId, key: 'gateway/', priority: priorities.gateway },
    match: (way) => atPort(gateway.id, way),
  });
  const floating = floatingIps.flatMap((one) =>
    rows(shapingOf(one.qos_rules), {
      ...{ networkId, key: `floating_ip/${one.id}/`, priority: priorities.floatingIp },
      match: (way) => `${atPort(gateway.id, way)} && ${address(one.floating_ip, way)}`,
    }),
  );
  return [...own, ...floating];
}

const atPort = (id: string, way: Way): string => `${way === 'to-lport' ? 'outport' : 'inport'} == "${id}"`;
const address = (ip: string, way: Way): string => `ip${versionOf(ip)}.${way === 'to-lport' ? 'dst' : 'src'} == ${ip}`;

function rows({ inbound, outbound, dscp }: Shaping, place: Place): DesiredRow[] {
  const row = (
    way: Way,
    columns: { bandwidth: Record<string, number>; action: Record<string, number> },
  ): DesiredRow => ({
    table: 'QoS',
    key: `${place.key}${way}`,
    columns: { priority: place.priority, direction: way, match: place.match(way), ...columns },
    parent: { table: 'Logical_Switch', owner: unit('network', place.networkId), key: 'switch', column: 'qos_rules' },
  });
  const rate = (limit: Shaping['inbound']): Record<string, number> =>
    limit ? { rate: limit.rate_kbit, burst: limit.burst_kbit } : {};
  const mark: Record<string, number> = dscp === undefined ? {} : { dscp };
  return [
    ...(inbound ? [row('to-lport', { bandwidth: rate(inbound), action: {} })] : []),
    ...(outbound || dscp !== undefined ? [row('from-lport', { bandwidth: rate(outbound), action: mark })] : []),
  ];
}
