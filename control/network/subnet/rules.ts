/** What a subnet may be: pure rules over its numbers. Refusals speak as Neutron does. */
import { portLimits } from '../../../contract/host/limits.ts';
import {
  type Cidr,
  cidrsOverlap,
  contains,
  formatCidr,
  formatIp,
  inCidr,
  isHostAddress,
  overlap,
  parseCidr,
  parseIp,
  type Range,
  rangeOf,
} from '../../kit/address.ts';
import { invalidInput, refusal } from '../../kit/refusal.ts';
import type { Ipv6Mode } from '../address/plan.ts';

export interface Pool {
  start: string;
  end: string;
}

export interface HostRoute {
  destination: string;
  nexthop: string;
}

const { dnsNameservers: maxNameservers, hostRoutes: maxHostRoutes } = portLimits;

/** @throws CloudError `invalid` */
export function readSubnetCidr(text: string, ipVersion: 4 | 6): Cidr {
  const cidr = parseCidr(text)!;
  if (cidr.version !== ipVersion) {
    throw invalidInput(`cidr '${text}' does not match the ip_version '${ipVersion}'`);
  }
  if (cidr.prefixLength === 0) throw invalidInput('0 is not allowed as CIDR prefix length');
  if (cidr.version === 6 && cidr.base === 0n) throw invalidInput("IPv6 subnet '::' is not supported");
  return cidr;
}

const usable = (cidr: Cidr): Range => {
  const range = rangeOf(cidr);
  if (range.first === range.last) return range;
  if (cidr.version === 6) return { first: range.first + 1n, last: range.last };
  return cidr.prefixLength <= 30 ? { first: range.first + 1n, last: range.last - 1n } : range;
};

/** The first address; undefined where the network has only one. */
export function defaultGateway(cidr: Cidr): string | null {
  const { first, last } = usable(cidr);
  return first === last && rangeOf(cidr).first === first ? null : formatIp(cidr.version, first);
}

/** All addresses but the gateway's. */
export function defaultPools(cidr: Cidr, gateway: string | null): Pool[] {
  const { first, last } = usable(cidr);
  const at = gateway === null ? undefined : parseIp(gateway)!.value;
  const ranges =
    at === undefined || !contains({ first, last }, at)
      ? [{ first, last }]
      : [
          { first, last: at - 1n },
          { first: at + 1n, last },
        ];
  return ranges
    .filter((range) => range.first <= range.last)
    .map((range) => ({ start: formatIp(cidr.version, range.first), end: formatIp(cidr.version, range.last) }));
}

/** @throws CloudError `invalid` or `conflict` */
export function checkPools(cidr: Cidr, pools: readonly Pool[], gateway: string | null): Pool[] {
  const bounds = usable(cidr);
  const ranges = pools.map((pool) => {
    const [start, end] = [parseIp(pool.start), parseIp(pool.end)];
    const name = `${pool.start}-${pool.end}`;
    if (!start || !end || start.version !== cidr.version || end.version !== cidr.version || start.value > end.value) {
      throw refusal('invalid', 'invalid_allocation_pool', `The allocation pool ${name} is not valid.`);
    }
    if (start.value < bounds.first || end.value > bounds.last) {
      throw refusal(
        'invalid',
        'out_of_bounds_allocation_pool',
        `The allocation pool ${name} spans beyond the subnet cidr ${formatCidr(cidr)}.`,
      );
    }
    return { first: start.value, last: end.value, name };
  });
  const sorted = ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1));
  sorted.forEach((range, index) => {
    const next = sorted[index + 1];
    if (next && overlap(range, next)) {
      throw refusal(
        'conflict',
        'overlapping_allocation_pools',
        `Found overlapping allocation pools: ${range.name}, ${next.name} for subnet ${formatCidr(cidr)}.`,
      );
    }
  });
  checkGatewayOutsidePools(gateway, ranges);
  return sorted.map(({ first, last }) => ({ start: formatIp(cidr.version, first), end: formatIp(cidr.version, last) }));
}

function checkGatewayOutsidePools(gateway: string | null, ranges: readonly (Range & { name: string })[]): void {
  const at = gateway === null ? undefined : parseIp(gateway)?.value;
  const around = at === undefined ? undefined : ranges.find((range) => contains(range, at));
  if (around) {
    throw refusal(
      'conflict',
      'gateway_conflict_with_allocation_pools',
      `Gateway ip ${gateway} conflicts with allocation pool ${around.name}.`,
    );
  }
}

/** A gateway may lie outside of the subnet (on-link), but not on its network or broadcast address. */
export function checkGateway(cidr: Cidr, gateway: string): string {
  const ip = parseIp(gateway);
  if (!ip || ip.version !== cidr.version) {
    throw invalidInput(`gateway_ip '${gateway}' does not match the ip_version '${cidr.version}'`);
  }
  if (cidr.version === 4 && inCidr(cidr, ip) && !isHostAddress(cidr, ip)) {
    throw invalidInput('Gateway is not valid on subnet');
  }
  return formatIp(ip.version, ip.value);
}

const multicast = [parseCidr('224.0.0.0/4')!, parseCidr('ff00::/8')!];
const loopback = [parseCidr('127.0.0.0/8')!, parseCidr('::1/128')!];

export function checkDhcp(cidr: Cidr): void {
  if (cidr.prefixLength > (cidr.version === 4 ? 30 : 126)) {
    throw invalidInput('Subnet has a prefix length that is incompatible with DHCP service enabled');
  }
  if (multicast.some((range) => cidrsOverlap(range, cidr))) {
    throw invalidInput('Multicast IP subnet is not supported if enable_dhcp is True');
  }
  if (loopback.some((range) => cidrsOverlap(range, cidr))) {
    throw invalidInput('Loopback IP subnet is not supported if enable_dhcp is True');
  }
  if (cidr.version === 4 && cidr.base === 0n) {
    throw invalidInput("First IP '0.0.0.0' of network is not supported if enable_dhcp is True.");
  }
}

export interface Ipv6Modes {
  ipv6_ra_mode: Ipv6Mode | null;
  ipv6_address_mode: Ipv6Mode | null;
}

export function checkIpv6Modes(cidr: Cidr, modes: Ipv6Modes, enableDhcp: boolean): void {
  const { ipv6_ra_mode: ra, ipv6_address_mode: address } = modes;
  if (cidr.version === 4) {
    if (ra !== null) throw invalidInput('ipv6_ra_mode is not valid when ip_version is 4');
    if (address !== null) throw invalidInput('ipv6_address_mode is not valid when ip_version is 4');
    return;
  }
  if (ra === null && address === null) return;
  if (!enableDhcp) {
    throw invalidInput('ipv6_ra_mode or ipv6_address_mode cannot be set when enable_dhcp is set to False');
  }
  if (ra !== null && address !== null && ra !== address) {
    throw invalidInput(
      `ipv6_ra_mode set to '${ra}' with ipv6_address_mode set to '${address}' is not valid. If both attributes are set, they must be the same value`,
    );
  }
  const stateless = [ra, address].some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless');
  if (stateless && cidr.prefixLength !== 64) {
    throw invalidInput(
      `Invalid CIDR ${formatCidr(cidr)} for IPv6 address mode. OpenStack uses the EUI-64 address format, which requires the prefix to be /64`,
    );
  }
}

export function checkNameservers(version: 4 | 6, servers: readonly string[], id: string): string[] {
  if (servers.length > maxNameservers) {
    throw refusal(
      'invalid',
      'dns_name_servers_exhausted',
      `Unable to complete operation for ${id}. The number of DNS nameservers exceeds the limit ${maxNameservers}.`,
    );
  }
  return servers.map((server) => {
    const ip = parseIp(server);
    if (!ip) throw invalidInput(`Error parsing dns address ${server}`);
    if (ip.version !== version)
      throw invalidInput(`dns_nameserver '${server}' does not match the ip_version '${version}'`);
    return formatIp(ip.version, ip.value);
  });
}

export function checkHostRoutes(version: 4 | 6, routes: readonly HostRoute[], id: string): HostRoute[] {
  if (routes.length > maxHostRoutes) {
    throw refusal(
      'invalid',
      'host_routes_exhausted',
      `Unable to complete operation for ${id}. The number of host routes exceeds the limit ${maxHostRoutes}.`,
    );
  }
  return routes.map(({ destination, nexthop }) => {
    const [to, by] = [parseCidr(destination), parseIp(nexthop)];
    if (!to || !by) throw invalidInput(`Invalid route: destination ${destination}, nexthop ${nexthop}`);
    if (to.version !== version || by.version !== version) {
      throw invalidInput(
        `destination '${destination}' or nexthop '${nexthop}' does not match the ip_version '${version}'`,
      );
    }
    return { destination: formatCidr(to), nexthop: formatIp(by.version, by.value) };
  });
}

export function checkNoOverlap(cidr: Cidr, others: readonly string[], networkId: string): void {
  if (others.some((other) => cidrsOverlap(parseCidr(other)!, cidr))) {
    // Nothing of the other subnet: the caller may not be allowed to see it.
    throw invalidInput(
      `Requested subnet with cidr: ${formatCidr(cidr)} for network: ${networkId} overlaps with another subnet`,
    );
  }
}
