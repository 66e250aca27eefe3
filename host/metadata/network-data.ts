/**
 * network_data.json as Nova writes it (links, networks, services; nova/virt/netutils.py). Pure.
 *
 * A port without an address has no link, as in Nova: its card is left to its guest. Unlike Nova's: every subnet of a port is there, not the
 * first of each family only; and IPv6 without an address mode is static, not `ipv6_dhcp`: nobody would answer.
 *
 * Automatic kinds (`ipv4_dhcp`, `ipv6_slaac`, …) appear once per link however many subnets use them: cloud-init writes
 * one stanza per entry, and a second DHCP client on the same link would fight the first. Static ones appear each.
 */
import type { DesiredFixedIp, DesiredPort } from '../../contract/host/index.ts';

interface Route {
  network: string;
  netmask: string;
  gateway: string;
}

export interface NetworkData {
  links: { id: string; vif_id: string; type: string; mtu: number; ethernet_mac_address: string }[];
  networks: {
    id: string;
    type: string;
    link: string;
    network_id: string;
    ip_address?: string;
    netmask?: string;
    routes?: Route[];
    services?: { type: 'dns'; address: string }[];
  }[];
  services: { type: 'dns'; address: string }[];
}

export function networkData(ports: DesiredPort[]): NetworkData {
  const data: NetworkData = { links: [], networks: [], services: [] };
  for (const port of ports) {
    if (port.fixedIps.length === 0) continue;
    const link = linkName(port, ports);
    data.links.push({ id: link, vif_id: port.id, type: 'ovs', mtu: port.mtu, ethernet_mac_address: port.mac });
    const automatic = new Set<string>();
    for (const fixedIp of port.fixedIps) {
      const type = networkType(fixedIp);
      const isStatic = type === 'ipv4' || type === 'ipv6';
      for (const address of fixedIp.dnsNameservers) {
        if (!data.services.some((service) => service.address === address)) data.services.push({ type: 'dns', address });
      }
      if (!isStatic && automatic.has(type)) continue;
      automatic.add(type);
      const entry = { id: `network${data.networks.length}`, type, link, network_id: port.networkId };
      data.networks.push(type === 'ipv4_dhcp' ? entry : { ...entry, ...addressing(fixedIp) });
    }
  }
  return data;
}

/**
 * Nova's name of a link has the port's id in as far as a tap's name had room. Older ports have time-ordered ids, which begin alike: to
 * cloud-init 22.4.2 two links of one name are one, and each card gets the addresses of both.
 */
function linkName(port: DesiredPort, all: DesiredPort[]): string {
  const short = port.id.slice(0, 11);
  return all.some(({ id }) => id !== port.id && id.startsWith(short)) ? `tap${port.id}` : `tap${short}`;
}

function networkType(fixedIp: DesiredFixedIp): string {
  if (fixedIp.ipVersion === 4) return fixedIp.dhcp === false ? 'ipv4' : 'ipv4_dhcp';
  return fixedIp.ipv6AddressMode === null ? 'ipv6' : `ipv6_${fixedIp.ipv6AddressMode}`;
}

function addressing(fixedIp: DesiredFixedIp) {
  const any = fixedIp.ipVersion === 4 ? '0.0.0.0' : '::';
  return {
    ip_address: fixedIp.ip,
    netmask: netmask(fixedIp.ipVersion, fixedIp.prefixLength),
    routes: [
      ...(fixedIp.gateway === null ? [] : [{ network: any, netmask: any, gateway: fixedIp.gateway }]),
      ...(fixedIp.hostRoutes ?? []).map(({ destination, nexthop }) => {
        const [network, length] = destination.split('/');
        return { network: network!, netmask: netmask(fixedIp.ipVersion, Number(length)), gateway: nexthop };
      }),
    ],
    services: fixedIp.dnsNameservers.map((address) => ({ type: 'dns' as const, address })),
  };
}

/** 4, 26 → 255.255.255.192; 6, 64 → ffff:ffff:ffff:ffff:: */
export function netmask(ipVersion: 4 | 6, prefixLength: number): string {
  const [groups, width] = ipVersion === 4 ? [4, 8] : [8, 16];
  const values = Array.from({ length: groups }, (_, i) => {
    const ones = Math.min(width, Math.max(0, prefixLength - i * width));
    return (2 ** width - 1) & ~(2 ** (width - ones) - 1);
  });
  if (ipVersion === 4) return values.join('.');
  const used = Math.ceil(prefixLength / 16);
  const head = values.slice(0, used).map((value) => value.toString(16));
  if (used >= 7) return [...head, ...values.slice(used).map(String)].join(':');
  return `${head.join(':')}::`;
}
