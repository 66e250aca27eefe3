/** Rules for routers' interfaces and routes. Pure. */
import { CloudError } from '../../../contract/errors.ts';
import { type Cidr, cidrsOverlap, formatCidr, formatIp, inCidr, parseCidr, parseIp } from '../../kit/address.ts';
import type { NetworkReasons } from '../reasons.ts';
import type { Route } from './tables.ts';

const maxRoutes = 30;

export interface AttachedSubnet {
  id: string;
  cidr: string;
}

export function checkNoSubnetTwice(attached: readonly AttachedSubnet[], added: readonly AttachedSubnet[]): void {
  for (const subnet of added) {
    for (const other of attached) {
      if (other.id === subnet.id) throw new CloudError('invalid', 'router_has_subnet', { subnet: subnet.id });
      if (cidrsOverlap(parseCidr(other.cidr)!, parseCidr(subnet.cidr)!)) {
        throw new CloudError('invalid', 'router_subnets_overlap', {
          subnet: subnet.id,
          cidr: subnet.cidr,
          other: other.id,
          other_cidr: other.cidr,
        });
      }
    }
  }
}

const invalidRoutes = (routes: readonly Route[], why: NetworkReasons['invalid_routes']['why']) =>
  new CloudError('invalid', 'invalid_routes', { routes, why });

/** Canonical routes. Each next hop must be a neighbour, and not the router itself. */
export function checkRoutes(
  routerId: string,
  routes: readonly Route[],
  connected: readonly string[],
  ownIps: readonly string[],
): Route[] {
  if (routes.length > maxRoutes) {
    throw new CloudError('invalid', 'routes_exhausted', { id: routerId, maximum: maxRoutes });
  }
  const cidrs: Cidr[] = connected.map((cidr) => parseCidr(cidr)!);
  const seen = new Set<string>();
  return routes.map(({ destination, nexthop }) => {
    const [to, by] = [parseCidr(destination), parseIp(nexthop)];
    if (!to || !by || to.version !== by.version) throw invalidRoutes(routes, 'versions_differ');
    if (!cidrs.some((cidr) => inCidr(cidr, by))) {
      throw invalidRoutes(routes, 'nexthop_not_connected');
    }
    const route = { destination: formatCidr(to), nexthop: formatIp(by.version, by.value) };
    if (ownIps.includes(route.nexthop)) throw invalidRoutes(routes, 'nexthop_is_router');
    const key = `${route.destination} ${route.nexthop}`;
    if (seen.has(key)) throw invalidRoutes(routes, 'duplicate');
    seen.add(key);
    return route;
  });
}
