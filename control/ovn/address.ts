/** Addresses as OVN wants them written. Inputs come from PostgreSQL's inet, cidr and macaddr and are valid. */
import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';

export const prefixLength = (cidr: string): number => Number(cidr.slice(cidr.indexOf('/') + 1));
export const networkAddress = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'));
export const versionOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** The eight groups of an IPv6 address. */
export function groups(address: string): number[] {
  if (!isIPv6(address)) throw new Error(`not an IPv6 address: ${address}`);
  // An embedded IPv4 tail is two groups.
  const text = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_all, a, b, c, d) => {
    const hex = (high: string, low: string) => (Number(high) * 256 + Number(low)).toString(16);
    return `${hex(a, b)}:${hex(c, d)}`;
  });
  const [head = '', tail] = text.split('::');
  const parse = (part: string) => (part ? part.split(':').map((group) => Number.parseInt(group, 16)) : []);
  const [left, right] = [parse(head), parse(tail ?? '')];
  return [...left, ...new Array(8 - left.length - right.length).fill(0), ...right];
}

/** RFC 5952: the canonical text, as PostgreSQL and OVN print it. */
export function formatIpv6(parts: readonly number[]): string {
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && parts[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = parts.map((group) => group.toString(16));
  if (best.start < 0) return hex.join(':');
  return `${hex.slice(0, best.start).join(':')}::${hex.slice(best.start + best.length).join(':')}`;
}

/** The address that a guest with this MAC makes itself from a router advertisement (RFC 4291, appendix A). */
export function eui64(cidr: string, mac: string): string {
  const bytes = mac.split(':').map((byte) => Number.parseInt(byte, 16));
  const id = [bytes[0]! ^ 2, bytes[1]!, bytes[2]!, 0xff, 0xfe, bytes[3]!, bytes[4]!, bytes[5]!];
  const low = [0, 2, 4, 6].map((at) => id[at]! * 256 + id[at + 1]!);
  return formatIpv6([...groups(networkAddress(cidr)).slice(0, 4), ...low]);
}

/** A locally administered MAC that is always the same for the same name. */
export function macFor(name: string): string {
  const bytes = createHash('sha256').update(name).digest().subarray(0, 5);
  return ['02', ...[...bytes].map((byte) => byte.toString(16).padStart(2, '0'))].join(':');
}

/** The first address of an IPv4 network after the network's own. */
export function firstHost(cidr: string): string {
  const bytes = networkAddress(cidr).split('.').map(Number);
  return [...bytes.slice(0, 3), bytes[3]! + 1].join('.');
}
