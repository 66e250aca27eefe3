/**
 * Which addresses a port gets, from which subnets: Neutron's rules, as a pure function. Which number is then free is
 * the business of allocate.ts.
 */
import { CloudError } from '../../../contract/errors.ts';
import { eui64, formatIp, type Ip, inCidr, isHostAddress, parseCidr, parseIp } from '../../kit/address.ts';
import { notFound } from '../../kit/refusal.ts';
import { isRouted } from '../segment/home.ts';

export type Ipv6Mode = 'slaac' | 'dhcpv6-stateful' | 'dhcpv6-stateless';

/** A subnet as far as addresses are concerned (as `to_jsonb` gives it). */
export interface SubnetFacts {
  id: string;
  network_id: string;
  ip_version: 4 | 6;
  cidr: string;
  gateway_ip: string | null;
  enable_dhcp: boolean;
  ipv6_address_mode: Ipv6Mode | null;
  ipv6_ra_mode: Ipv6Mode | null;
  allocation_pools: { start: string; end: string }[];
  service_types: string[];
  segment_id?: string | null;
}

/** What a caller may ask for: a subnet, an address, or both. */
export interface FixedIpWish {
  subnet_id?: string;
  ip?: string;
}

export interface PlannedIp {
  /** Set: this very address (asked for, or computed from the MAC); null: any free one of the subnets. */
  ip: string | null;
  /** Where it may come from; the first that has one free. One entry when `ip` is set. */
  subnets: SubnetFacts[];
  position: number;
}

export const interfaceOwners = ['network:router_interface', 'network:router_interface_distributed'];
const isRouterInterface = (owner: string): boolean => interfaceOwners.includes(owner);

/** Guests on such a subnet choose their address themselves, from their MAC. */
export const choosesOwnAddress = (subnet: Pick<SubnetFacts, 'ipv6_address_mode' | 'ipv6_ra_mode'>): boolean =>
  [subnet.ipv6_address_mode, subnet.ipv6_ra_mode].some((mode) => mode === 'slaac' || mode === 'dhcpv6-stateless');

export interface PortForPlan {
  network_id: string;
  mac: string;
  device_owner: string;
  /** Undefined: an address of each IP version that the network has. */
  fixed_ips?: readonly FixedIpWish[];
  /** For automatic addresses: only of this version. */
  only_version?: 4 | 6;
  /** On a routed network: the segment that its host reaches. Absent: that of what it asks for. */
  segment_id?: string;
}

export function planAddresses(port: PortForPlan, allSubnets: readonly SubnetFacts[]): PlannedIp[] {
  const subnets = eligible(port, atHome(port, allSubnets));
  if (port.fixed_ips) return planWishes(port, port.fixed_ips, subnets, allSubnets);
  const stateful = subnets.filter((subnet) => !choosesOwnAddress(subnet));
  const versions = port.only_version ? [port.only_version] : [4, 6];
  const plans = versions
    .map((version) => stateful.filter((subnet) => subnet.ip_version === version))
    .filter((candidates) => candidates.length > 0)
    .map((candidates, position) => ({ ip: null, subnets: candidates, position }));
  return port.only_version === 4 ? plans : [...plans, ...ownAddresses(port, subnets, plans)];
}

/** Those whose addresses work where the port is. @throws CloudError */
function atHome(port: PortForPlan, subnets: readonly SubnetFacts[]): readonly SubnetFacts[] {
  if (!isRouted(subnets)) return subnets;
  const asked = (port.fixed_ips ?? []).flatMap(({ subnet_id, ip }) => {
    const address = ip === undefined ? undefined : parseIp(ip);
    const named = subnets.filter((one) => one.id === subnet_id || (address && inCidr(parseCidr(one.cidr)!, address)));
    return named.map(({ segment_id }) => segment_id);
  });
  const home = port.segment_id ?? asked[0];
  if (asked.some((segment) => segment !== home)) {
    throw new CloudError('conflict', 'fixed_ips_elsewhere', { network: port.network_id });
  }
  // What is asked for and is nowhere is said by who looks for it.
  return asked.length === 0 && (port.fixed_ips?.length ?? 0) > 0
    ? subnets
    : subnets.filter(({ segment_id }) => segment_id === home);
}

/** Subnets with service types serve only devices of these types, and these devices first. */
function eligible(port: PortForPlan, subnets: readonly SubnetFacts[]): SubnetFacts[] {
  const serving = subnets.filter((s) => s.service_types.length === 0 || s.service_types.includes(port.device_owner));
  if (serving.length === 0 && subnets.length > 0 && port.fixed_ips === undefined) {
    throw new CloudError('conflict', 'ip_address_generation_failure_no_matching_subnet', {
      network: port.network_id,
      device_owner: port.device_owner,
    });
  }
  return serving.sort((a, b) => Number(a.service_types.length === 0) - Number(b.service_types.length === 0));
}

/** What a guest with this MAC address makes for itself there. */
export const ownAddress = (subnet: Pick<SubnetFacts, 'cidr'>, mac: string): string =>
  formatIp(6, eui64(parseCidr(subnet.cidr)!, mac).value);

/** SLAAC addresses come by themselves, wanted or not: the guest will use them. */
function ownAddresses(port: PortForPlan, subnets: readonly SubnetFacts[], planned: readonly PlannedIp[]): PlannedIp[] {
  if (isRouterInterface(port.device_owner)) return [];
  return subnets
    .filter((s) => choosesOwnAddress(s) && !planned.some((plan) => plan.ip !== null && plan.subnets[0]!.id === s.id))
    .map((subnet, index) => ({
      ip: ownAddress(subnet, port.mac),
      subnets: [subnet],
      position: planned.length + index,
    }));
}

function planWishes(
  port: PortForPlan,
  wishes: readonly FixedIpWish[],
  subnets: readonly SubnetFacts[],
  allSubnets: readonly SubnetFacts[],
): PlannedIp[] {
  const plans: PlannedIp[] = [];
  for (const wish of wishes) {
    const subnet = subnetOf(port, wish, subnets, allSubnets);
    const own = choosesOwnAddress(subnet) && !isRouterInterface(port.device_owner);
    if (wish.ip === undefined) {
      if (!own) plans.push({ ip: null, subnets: [subnet], position: plans.length });
      continue;
    }
    const ip = parseIp(wish.ip)!;
    if (own && ip.value !== eui64(parseCidr(subnet.cidr)!, port.mac).value) {
      throw new CloudError('invalid', 'allocation_on_auto_address_subnet', { ip: wish.ip, subnet: subnet.id });
    }
    plans.push({ ip: formatIp(ip.version, ip.value), subnets: [subnet], position: plans.length });
  }
  return [...plans, ...ownAddresses(port, subnets, plans)];
}

function subnetOf(
  port: PortForPlan,
  wish: FixedIpWish,
  subnets: readonly SubnetFacts[],
  allSubnets: readonly SubnetFacts[],
): SubnetFacts {
  if (subnets.length === 0) throw new CloudError('invalid', 'network_without_subnets', {});
  const ip = wish.ip === undefined ? undefined : parseIp(wish.ip);
  if (wish.ip !== undefined && !ip) throw new CloudError('invalid', 'ip_address_malformed', { ip: wish.ip });
  const fits = (subnet: SubnetFacts, address: Ip): boolean => {
    const cidr = parseCidr(subnet.cidr)!;
    return isRouterInterface(port.device_owner) && cidr.version === 6
      ? inCidr(cidr, address)
      : isHostAddress(cidr, address);
  };
  if (wish.subnet_id !== undefined) {
    const subnet = subnets.find((candidate) => candidate.id === wish.subnet_id);
    if (!subnet) {
      if (!allSubnets.some((candidate) => candidate.id === wish.subnet_id)) throw notFound('subnet', wish.subnet_id);
      throw new CloudError('invalid', 'fixed_ip_subnet_of_another_network', {
        network: port.network_id,
        subnet: wish.subnet_id,
      });
    }
    if (ip && !fits(subnet, ip)) {
      throw new CloudError('invalid', 'invalid_ip_for_subnet', { ip: String(wish.ip) });
    }
    return subnet;
  }
  if (!ip) throw new CloudError('invalid', 'fixed_ip_without_subnet_or_address', {});
  const subnet = subnets.find((candidate) => fits(candidate, ip));
  if (!subnet) {
    throw new CloudError('invalid', 'invalid_ip_for_network', { ip: String(wish.ip) });
  }
  return subnet;
}
