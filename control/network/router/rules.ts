/** Rules for routers' interfaces and routes. Pure. */
import { type Cidr, cidrsOverlap, formatCidr, formatIp, inCidr, parseCidr, parseIp } from '../../kit/address.ts';
import { refusal } from '../../kit/refusal.ts';
import type { Route } from './tables.ts';

const maxRoutes = 30;

export const badRouterRequest = (message: string) =>
  refusal('invalid', 'bad_request', `Bad router request: ${message}.`);

export interface AttachedSubnet {
  id: string;
  cidr: string;
}

export function checkNoSubnetTwice(attached: readonly AttachedSubnet[], added: readonly AttachedSubnet[]): void {
  for (const subnet of added) {
    for (const other of attached) {
      if (other.id === subnet.id) throw badRouterRequest(`Router already has a port on subnet ${subnet.id}`);
      if (cidrsOverlap(parseCidr(other.cidr)!, parseCidr(subnet.cidr)!)) {
        throw badRouterRequest(
          `Cidr ${subnet.cidr} of subnet ${subnet.id} overlaps with cidr ${other.cidr} of subnet ${other.id}`,
        );
      }
    }
  }
}

const invalidRoutes = (routes: readonly Route[], reason: string) =>
  refusal('invalid', 'invalid_routes', `Invalid format for routes: ${JSON.stringify(routes)}, ${reason}`);

/** Canonical routes. Each next hop must be a neighbour, and not the router itself. */
export function checkRoutes(
  routerId: string,
  routes: readonly Route[],
  connected: readonly string[],
  ownIps: readonly string[],
): Route[] {
  if (routes.length > maxRoutes) {
    throw refusal(
      'invalid',
      'routes_exhausted',
      `Unable to complete operation for ${routerId}. The number of routes exceeds the maximum ${maxRoutes}.`,
    );
  }
  const cidrs: Cidr[] = connected.map((cidr) => parseCidr(cidr)!);
  const seen = new Set<string>();
  return routes.map(({ destination, nexthop }) => {
    const [to, by] = [parseCidr(destination), parseIp(nexthop)];
    if (!to || !by || to.version !== by.version) throw invalidRoutes(routes, 'destination and nexthop do not fit');
    if (!cidrs.some((cidr) => inCidr(cidr, by))) {
      throw invalidRoutes(routes, 'the nexthop is not connected with router');
    }
    const route = { destination: formatCidr(to), nexthop: formatIp(by.version, by.value) };
    if (ownIps.includes(route.nexthop)) throw invalidRoutes(routes, 'the nexthop is used by router');
    const key = `${route.destination} ${route.nexthop}`;
    if (seen.has(key)) throw invalidRoutes(routes, 'duplicate route');
    seen.add(key);
    return route;
  });
}
