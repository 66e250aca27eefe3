/**
 * What wakes the projection: each resource of the network says in its `resource.ts` what of the northbound database it is in
 * (`wakes.northbound`). Hosts wake it too, in their own way: see hosts.ts. So does an administrator's decision on a lost database: it
 * lets go of what was kept. Pure; the body of a change says where to look and is
 * never projected itself.
 */
import type { Change } from '../../kit/change-log/changes.ts';
import { networkResources } from '../resources.ts';
import { type Unit, type UnitKind, unit } from './units.ts';

type Touch = (touched: Touched, change: TouchingChange) => void;
type TouchingChange = Pick<Change, 'resource_type' | 'resource_id' | 'action' | 'body'> &
  Partial<Pick<Change, 'observed_only'>>;

declare module '../../kit/resource.ts' {
  interface Wakes {
    /** Adds the units that the change may be in. */
    northbound?(touched: Touched, change: TouchingChange): void;
  }
}

/** What changes touch: units by name, and sets of units that only the database can name (see load.ts `expand`). */
export class Touched {
  readonly units = new Set<Unit>();
  /** All ports of these networks. */
  readonly portsOfNetworks = new Set<string>();
  /** Those ports of these networks whose DHCP answers are their own. */
  readonly dhcpPortsOfNetworks = new Set<string>();
  /** All routers with an interface or a gateway on these networks. */
  readonly routersOfNetworks = new Set<string>();
  /** All routers on networks with subnets of these pools. */
  readonly routersOfSubnetPools = new Set<string>();
  /** All routers of these projects. */
  readonly routersOfProjects = new Set<string>();
  routersOfAllProjects = false;
  /** What leads to these ports: routers that have a floating IP for them, the hosts on which a local IP is one of them. */
  readonly leadingToPorts = new Set<string>();
  /** All routers by which ports of these floating IPs are forwarded. */
  readonly routersOfForwardingIps = new Set<string>();
  /** Ports, and routers with their gateways and floating IPs, that keep to these QoS policies. */
  readonly keepersOfQosPolicies = new Set<string>();
  /** Ports of which only the database knows whether they are a router's or the metadata service's. */
  readonly servicePorts = new Set<string>();

  /** Ids come out of a row's body: what is none names nothing. */
  unit(kind: UnitKind, id: unknown): void {
    if (typeof id === 'string') this.units.add(unit(kind, id));
  }
}

const touches: ReadonlyMap<string, Touch> = new Map(
  networkResources.flatMap(({ noun, wakes }) => (wakes?.northbound ? [[noun, wakes.northbound.bind(wakes)]] : [])),
);

export const concerns = ({ resource_type: type }: Pick<Change, 'resource_type'>): boolean =>
  touches.has(type) || type === 'host' || type === 'accounted_incarnation';

export function touch(touched: Touched, change: TouchingChange): void {
  touches.get(change.resource_type)?.(touched, change);
}
