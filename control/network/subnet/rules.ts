/** What a subnet may be: pure rules over its numbers. Refusals speak as Neutron does. */
import { CloudError } from '../../../contract/errors.ts';
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
    throw new CloudError('invalid', 'cidr_of_another_ip_version', { cidr: text, ip_version: ipVersion });
  }
  if (cidr.prefixLength === 0) throw new CloudError('invalid', 'cidr_of_every_address', {});
  if (cidr.version === 6 && cidr.base === 0n) throw new CloudError('invalid', 'cidr_unspecified_ipv6', {});
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
      throw new CloudError('invalid', 'invalid_allocation_pool', { pool: name });
    }
    if (start.value < bounds.first || end.value > bounds.last) {
      throw new CloudError('invalid', 'out_of_bounds_allocation_pool', { pool: name, cidr: formatCidr(cidr) });
    }
    return { first: start.value, last: end.value, name };
  });
  const sorted = ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1));
  sorted.forEach((range, index) => {
    const next = sorted[index + 1];
    if (next && overlap(range, next)) {
      throw new CloudError('conflict', 'overlapping_allocation_pools', {
        pools: [range.name, next.name],
        cidr: formatCidr(cidr),
      });
    }
  });
  checkGatewayOutsidePools(gateway, ranges);
  return sorted.map(({ first, last }) => ({ start: formatIp(cidr.version, first), end: formatIp(cidr.version, last) }));
}

function checkGatewayOutsidePools(gateway: string | null, ranges: readonly (Range & { name: string })[]): void {
  const at = gateway === null ? undefined : parseIp(gateway)?.value;
  const around = at === undefined ? undefined : ranges.find((range) => contains(range, at));
  if (around) {
    throw new CloudError('conflict', 'gateway_conflict_with_allocation_pools', {
      gateway: String(gateway),
      pool: around.name,
    });
  }
}

/** A gateway may lie outside of the subnet (on-link), but not on its network or broadcast address. */
export function checkGateway(cidr: Cidr, gateway: string): string {
  const ip = parseIp(gateway);
  if (!ip || ip.version !== cidr.version) {
    throw new CloudError('invalid', 'gateway_of_another_ip_version', { gateway, ip_version: cidr.version });
  }
  if (cidr.version === 4 && inCidr(cidr, ip) && !isHostAddress(cidr, ip)) {
    throw new CloudError('invalid', 'gateway_not_valid_on_subnet', {});
  }
  return formatIp(ip.version, ip.value);
}

const multicast = [parseCidr('224.0.0.0/4')!, parseCidr('ff00::/8')!];
const loopback = [parseCidr('127.0.0.0/8')!, parseCidr('::1/128')!];

export function checkDhcp(cidr: Cidr): void {
  if (cidr.prefixLength > (cidr.version === 4 ? 30 : 126)) {
    throw new CloudError('invalid', 'prefix_too_long_for_dhcp', {});
  }
  if (multicast.some((range) => cidrsOverlap(range, cidr))) {
    throw new CloudError('invalid', 'cidr_kind_without_dhcp', { kind: 'multicast' });
  }
  if (loopback.some((range) => cidrsOverlap(range, cidr))) {
    throw new CloudError('invalid', 'cidr_kind_without_dhcp', { kind: 'loopback' });
  }
  if (cidr.version === 4 && cidr.base === 0n) {
    throw new CloudError('invalid', 'cidr_kind_without_dhcp', { kind: 'unspecified' });
  }
}

export interface Ipv6Modes {
  ipv6_ra_mode: Ipv6Mode | null;
  ipv6_address_mode: Ipv6Mode | null;
}

export function checkIpv6Modes(cidr: Cidr, modes: Ipv6Modes, enableDhcp: boolean): void {
  const { ipv6_ra_mode: ra, ipv6_address_mode: address } = modes;
  if (cidr.version === 4) {
    if (ra !== null) throw new CloudError('invalid', 'ipv6_mode_of_ipv4_subnet', { attribute: 'ipv6_ra_mode' });
    if (address !== null)
      throw new CloudError('invalid', 'ipv6_mode_of_ipv4_subnet', { attribute: 'ipv6_address_mode' });
    return;
  }
  if (ra === null && address === null) return;
  if (!enableDhcp) {
    throw new CloudError('invalid', 'ipv6_modes_need_dhcp', {});
  }
  if (ra !== null && address !== null && ra !== address) {
    throw new CloudError('invalid', 'ipv6_modes_differ', { ipv6_ra_mode: ra, ipv6_address_mode: address });
  }
  const stateless = [ra, address].some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless');
  if (stateless && cidr.prefixLength !== 64) {
    throw new CloudError('invalid', 'prefix_length_not_64', { cidr: formatCidr(cidr) });
  }
}

export function checkNameservers(version: 4 | 6, servers: readonly string[], id: string): string[] {
  if (servers.length > maxNameservers) {
    throw new CloudError('invalid', 'dns_name_servers_exhausted', { id, maximum: maxNameservers });
  }
  return servers.map((server) => {
    const ip = parseIp(server);
    if (!ip) throw new CloudError('invalid', 'dns_name_server_malformed', { server });
    if (ip.version !== version)
      throw new CloudError('invalid', 'dns_name_server_of_another_ip_version', { server, ip_version: version });
    return formatIp(ip.version, ip.value);
  });
}

export function checkHostRoutes(version: 4 | 6, routes: readonly HostRoute[], id: string): HostRoute[] {
  if (routes.length > maxHostRoutes) {
    throw new CloudError('invalid', 'host_routes_exhausted', { id, maximum: maxHostRoutes });
  }
  return routes.map(({ destination, nexthop }) => {
    const [to, by] = [parseCidr(destination), parseIp(nexthop)];
    if (!to || !by) throw new CloudError('invalid', 'host_route_malformed', { destination, nexthop });
    if (to.version !== version || by.version !== version) {
      throw new CloudError('invalid', 'host_route_of_another_ip_version', {
        destination,
        nexthop,
        ip_version: version,
      });
    }
    return { destination: formatCidr(to), nexthop: formatIp(by.version, by.value) };
  });
}

export function checkNoOverlap(cidr: Cidr, others: readonly string[], networkId: string): void {
  if (others.some((other) => cidrsOverlap(parseCidr(other)!, cidr))) {
    // Nothing of the other subnet: the caller may not be allowed to see it.
    throw new CloudError('invalid', 'cidr_overlaps', { cidr: formatCidr(cidr), network: networkId });
  }
}
