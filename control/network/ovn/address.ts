/** Addresses as OVN wants them written. Inputs come from PostgreSQL's inet, cidr and macaddr and are valid. */
import { createHash } from 'node:crypto';
import { formatIp, eui64 as interfaceAddress, parseCidr } from '../../kit/address.ts';

export const prefixLength = (cidr: string): number => Number(cidr.slice(cidr.indexOf('/') + 1));
const networkAddress = (cidr: string): string => cidr.slice(0, cidr.indexOf('/'));
export const versionOf = (address: string): 4 | 6 => (address.includes(':') ? 6 : 4);

/** The address that a guest with this MAC makes itself from a router advertisement. */
export function eui64(cidr: string, mac: string): string {
  return formatIp(6, interfaceAddress(parseCidr(cidr)!, mac).value);
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
