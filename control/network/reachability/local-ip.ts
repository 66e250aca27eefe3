/** What a network makes of a guest's packet for a local IP (../ovn/intent/local-ip.ts), after the guest's own rules. Pure. */
import { parseCidr, within } from '../../kit/address.ts';
import type { PortRow } from '../ovn/model.ts';
import { type Ground, isFiltered } from './ground.ts';
import { type Opening, type Packet, update } from './question.ts';

export interface Nearest {
  /** Of the sender's host. */
  port: PortRow;
  packet: Packet;
  /** It is given to the port as it is, whoever else has the address. */
  passed: boolean;
  /** The port may not have the address; what would let it. */
  opens?: Opening[];
}

/** @returns undefined where the address is no local IP, or leads to no port of the sender's host */
export function nearestOf(ground: Ground, from: PortRow, packet: Packet): Nearest | undefined {
  const { source, destination } = packet;
  const localIp = ground.localIpAt(from.network_id, destination);
  const to = from.host_id === null ? undefined : localIp?.leads_to.find(({ host_id }) => host_id === from.host_id);
  const port = to && ground.ports.get(to.port_id);
  if (!localIp || !port) return undefined;
  if (localIp.ip_mode === 'translate') {
    // Who calls itself is called from the local IP: it would answer itself past its network.
    const turned = { ...packet, source: source === to.ip ? destination : source, destination: to.ip };
    return { port, packet: turned, passed: false };
  }
  const pairs = port.allowed_address_pairs;
  const allowed = pairs.some(({ ip_address }) => within(parseCidr(ip_address)!, destination));
  if (!isFiltered(port) || allowed) return { port, packet, passed: true };
  const opens = [update('port', port.id, { allowed_address_pairs: [...pairs, { ip_address: destination }] })];
  return { port, packet, passed: true, opens };
}
