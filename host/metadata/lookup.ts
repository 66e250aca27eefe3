/**
 * Who asks? A request is known by the network that it came in on and its source address; OVN's port security vouches
 * for the address. Built anew from the desired state whenever that changes; pure.
 */
import { isIPv6 } from 'node:net';
import type { DesiredServer } from '../../contract/host/index.ts';

export class MetadataLookup {
  readonly #servers = new Map<string, DesiredServer>();

  constructor(servers: Iterable<DesiredServer>) {
    for (const server of servers) {
      if (server.presence === 'absent') continue;
      for (const port of server.ports) {
        for (const { ip } of port.fixedIps) this.#servers.set(key(port.networkId, ip), server);
        this.#servers.set(key(port.networkId, linkLocal(port.mac)), server);
      }
    }
  }

  find(networkId: string, address: string): DesiredServer | undefined {
    return this.#servers.get(key(networkId, address));
  }
}

const key = (networkId: string, address: string) => `${networkId} ${canonicalAddress(address)}`;

/** IPv6 addresses have many spellings; IPv4 over an IPv6 socket comes as ::ffff:a.b.c.d. */
export function canonicalAddress(address: string): string {
  const bare = address.split('%')[0]!;
  if (!isIPv6(bare)) return bare;
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare);
  return mapped ? mapped[1]! : new URL(`http://[${bare}]/`).hostname.slice(1, -1);
}

/** The link-local address that a MAC address leads to (EUI-64); port security allows no other. */
export function linkLocal(mac: string): string {
  const bytes = mac.split(':').map((part) => Number.parseInt(part, 16));
  const eui = [bytes[0]! ^ 2, bytes[1]!, bytes[2]!, 0xff, 0xfe, bytes[3]!, bytes[4]!, bytes[5]!];
  const groups = [0, 2, 4, 6].map((i) => ((eui[i]! << 8) | eui[i + 1]!).toString(16));
  return `fe80::${groups.join(':')}`;
}
