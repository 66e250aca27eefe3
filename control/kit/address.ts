/**
 * IP and MAC addresses: parse, format, ranges. Pure. Values are BigInt, so both versions take one way through the code.
 * Parsing is strict: what inet_pton refuses (leading zeros, short forms, zones) is refused here, because a lenient
 * reading here and another in PostgreSQL, OVN or the guest would be two addresses.
 */
import { isIPv4, isIPv6 } from 'node:net';

export type IpVersion = 4 | 6;

export interface Ip {
  version: IpVersion;
  value: bigint;
}

/** A network: `base` has no bits set beyond the prefix. */
export interface Cidr {
  version: IpVersion;
  base: bigint;
  prefixLength: number;
}

/** Both ends belong to it. */
export interface Range {
  first: bigint;
  last: bigint;
}

export const bitsOf = (version: IpVersion): number => (version === 4 ? 32 : 128);

export function parseIp(text: string): Ip | undefined {
  if (isIPv4(text)) {
    const octets = text.split('.');
    // isIPv4 already refuses leading zeros; keep the proof next to the use.
    if (octets.some((octet) => octet.length > 1 && octet.startsWith('0'))) return undefined;
    return { version: 4, value: BigInt(octets.reduce((sum, octet) => sum * 256 + Number(octet), 0)) };
  }
  if (!isIPv6(text) || text.includes('%')) return undefined;
  let hex = text;
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (tail) {
    const v4 = parseIp(tail[2]!);
    if (!v4) return undefined;
    hex = `${tail[1]}${(v4.value >> 16n).toString(16)}:${(v4.value & 0xffffn).toString(16)}`;
  }
  const [left, right] = hex.split('::') as [string, string | undefined];
  const head = left === '' ? [] : left.split(':');
  const end = right === undefined || right === '' ? [] : right.split(':');
  const groups =
    right === undefined ? head : [...head, ...Array<string>(8 - head.length - end.length).fill('0'), ...end];
  return { version: 6, value: groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n) };
}

/** Canonical text: dotted quad, or RFC 5952. */
export function formatIp(version: IpVersion, value: bigint): string {
  if (version === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => ((value >> shift) & 0xffn).toString()).join('.');
  }
  const groups = Array.from({ length: 8 }, (_, i) => Number((value >> BigInt(112 - 16 * i)) & 0xffffn));
  // PostgreSQL prints IPv4-mapped addresses with a dotted tail; the same address must have the same text everywhere.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${formatIp(4, value & 0xffff_ffffn)}`;
  }
  let best = { at: -1, length: 1 };
  for (let i = 0; i < 8; i++) {
    let length = 0;
    while (i + length < 8 && groups[i + length] === 0) length++;
    if (length > best.length) best = { at: i, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.at < 0) return hex.join(':');
  return `${hex.slice(0, best.at).join(':')}::${hex.slice(best.at + best.length).join(':')}`;
}

/** The same address in canonical text; undefined for what is none. */
export function canonicalIp(text: string): string | undefined {
  const ip = parseIp(text);
  return ip && formatIp(ip.version, ip.value);
}

const maskOf = (version: IpVersion, prefixLength: number): bigint => {
  const bits = BigInt(bitsOf(version));
  return ((1n << bits) - 1n) ^ ((1n << (bits - BigInt(prefixLength))) - 1n);
};

/** Reads "address/prefix", host bits allowed and dropped; without a prefix it is the one address. */
export function parseCidr(text: string): Cidr | undefined {
  const cut = text.indexOf('/');
  const ip = parseIp(cut < 0 ? text : text.slice(0, cut));
  if (!ip) return undefined;
  const bits = bitsOf(ip.version);
  let prefixLength = bits;
  if (cut >= 0) {
    const prefix = text.slice(cut + 1);
    if (!/^(0|[1-9]\d{0,2})$/.test(prefix) || Number(prefix) > bits) return undefined;
    prefixLength = Number(prefix);
  }
  return { version: ip.version, base: ip.value & maskOf(ip.version, prefixLength), prefixLength };
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.version, cidr.base)}/${cidr.prefixLength}`;

export const rangeOf = (cidr: Cidr): Range => ({
  first: cidr.base,
  last: cidr.base | ((1n << BigInt(bitsOf(cidr.version) - cidr.prefixLength)) - 1n),
});

export const contains = (range: Range, value: bigint): boolean => value >= range.first && value <= range.last;

export const overlap = (a: Range, b: Range): boolean => a.first <= b.last && b.first <= a.last;

export const inCidr = (cidr: Cidr, ip: Ip): boolean => ip.version === cidr.version && contains(rangeOf(cidr), ip.value);

export const cidrsOverlap = (a: Cidr, b: Cidr): boolean => a.version === b.version && overlap(rangeOf(a), rangeOf(b));

/**
 * May a guest have this address in this network? Not the network's own nor, in IPv4, its broadcast address; networks
 * of one or two addresses (RFC 3021) have neither. In IPv6 the first is the routers' anycast address (RFC 4291, 2.6.1).
 */
export function isHostAddress(cidr: Cidr, ip: Ip): boolean {
  if (!inCidr(cidr, ip)) return false;
  if (bitsOf(cidr.version) - cidr.prefixLength <= 1) return true;
  const { first, last } = rangeOf(cidr);
  return ip.value !== first && (cidr.version === 6 || ip.value !== last);
}

const macForm = /^[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$/i;

/** A unicast MAC address in PostgreSQL's form (lower case, colons); undefined for what is none. */
export function parseMac(text: string): string | undefined {
  if (!macForm.test(text)) return undefined;
  const mac = text.toLowerCase().replaceAll('-', ':');
  if (mac === '00:00:00:00:00:00' || (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1) return undefined;
  return mac;
}

/** A random MAC address with OpenStack's prefix. The caller's unique (network, mac) is the judge of collisions. */
export function randomMac(): string {
  const tail = crypto.getRandomValues(new Uint8Array(3));
  return `fa:16:3e:${Array.from(tail, (byte) => byte.toString(16).padStart(2, '0')).join(':')}`;
}

/** The address that a guest gives itself by SLAAC (RFC 4291, appendix A). */
export function eui64(cidr: Cidr, mac: string): Ip {
  const bytes = mac.split(':').map((octet) => BigInt(`0x${octet}`));
  const id = [bytes[0]! ^ 2n, bytes[1]!, bytes[2]!, 0xffn, 0xfen, bytes[3]!, bytes[4]!, bytes[5]!];
  return { version: 6, value: cidr.base | id.reduce((sum, byte) => (sum << 8n) | byte, 0n) };
}

/** @param address known to be one, as rows have it */
export const within = (cidr: Cidr, address: string): boolean => inCidr(cidr, parseIp(address) as Ip);
