/**
 * What may pass a port: a row for each way, on its network's switch. OVN makes a meter of it on the host of the port, which drops what
 * is too much; the limits of a server's flavor are the first to be here, a network's own policies can take the same rows.
 */
import type { CardLimit } from '../../port/tables.ts';
import type { DesiredRow } from '../desired.ts';
import type { PortRow } from '../model.ts';
import { unit } from '../units.ts';

/** Of two rows that match OVN takes the higher; there is only one of ours for a port and a way. */
const priority = 2000;

export function qosRows(port: PortRow): DesiredRow[] {
  const { inbound, outbound } = port.card_limits;
  return [
    ...(inbound ? [row(port, 'to-lport', 'outport', inbound)] : []),
    ...(outbound ? [row(port, 'from-lport', 'inport', outbound)] : []),
  ];
}

function row(
  port: PortRow,
  direction: 'to-lport' | 'from-lport',
  side: 'outport' | 'inport',
  { rate_kbit: rate, burst_kbit: burst }: CardLimit,
): DesiredRow {
  return {
    table: 'QoS',
    key: direction,
    columns: { priority, direction, match: `${side} == "${port.id}"`, bandwidth: { rate, burst } },
    parent: { table: 'Logical_Switch', owner: unit('network', port.network_id), key: 'switch', column: 'qos_rules' },
  };
}
