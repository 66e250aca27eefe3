/**
 * NAT64 of a router as a packet meets it: what is sent to the prefix goes on as IPv4 from an address of the pool (../ovn/intent/nat64.ts), and
 * the answer comes back as IPv6. Which address of the pool a guest has only the engine knows (host/network/nat64.ts); one stands for all. Pure.
 */
import { nat64 } from '../../../contract/host/index.ts';
import { type Cidr, formatIp, parseCidr, parseIp, within } from '../../kit/address.ts';
import type { Packet } from './question.ts';

const range = (cidr: string): Cidr => parseCidr(cidr)!;
const [prefix, pool, link] = [range(nat64.prefix), range(nat64.pool), range(nat64.link)];
const guest = formatIp(4, pool.base + 2n);
/** Where tayga 0.9.2 sends nothing: this host, loopback, link-local, multicast and what is reserved beyond it. */
const unsent = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/3'].map(range);

const [icmp, icmpv6] = [1, 58];
const echoes: Readonly<Record<number, number>> = { 128: 8, 129: 0, 8: 128, 0: 129 };

export const isBelowPrefix = (address: string): boolean => within(prefix, address);
/** A guest's, to whom it is sent as IPv4. */
export const isPooled = (address: string): boolean => within(pool, address);
/** Nobody's whom the cloud knows: guests' for as long as they speak, or of the link between router and engine. */
export const isKept = (address: string): boolean => isPooled(address) || within(link, address);

/** The IPv4 address that one below the prefix stands for. Undefined: it is not below it. */
export function embedded(address: string): string | undefined {
  return isBelowPrefix(address) ? formatIp(4, parseIp(address)!.value & 0xffff_ffffn) : undefined;
}

/** As it goes on; undefined where it does not. */
export function toIPv4(packet: Packet): Packet | undefined {
  const destination = embedded(packet.destination);
  if (destination === undefined || [...unsent, pool, link].some((each) => within(each, destination))) return undefined;
  return inOtherWords({ ...packet, version: 4, source: guest, destination });
}

/** ICMP has other numbers in the other version. @param packet with version and addresses of that one */
export function inOtherWords(packet: Packet): Packet {
  const { version, protocol, icmpType } = packet;
  if (protocol !== icmp && protocol !== icmpv6) return packet;
  const type = icmpType === null ? null : (echoes[icmpType] ?? icmpType);
  return { ...packet, protocol: version === 4 ? icmp : icmpv6, icmpType: type };
}
