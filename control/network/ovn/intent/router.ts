/** A router: its ports, gateway, routes and NAT. The switch side of each port is the port's own unit. */
import { nat64 } from '../../../../contract/host/index.ts';
import { prefixLength, versionOf } from '../address.ts';
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { IndexedModel, NetworkRow, PortRow, RouterRow, SubnetRow } from '../model.ts';
import { unit } from '../units.ts';
import { resolverAddress6 } from './dhcp.ts';
import { gatewayChassis } from './gateway-chassis.ts';
import { meteringRows } from './metering.ts';
import { natRows, translated } from './nat.ts';
import { nat64Rows } from './nat64.ts';
import { portForwardingRows } from './port-forwarding.ts';
import { gatewayQosRows } from './qos.ts';

export function routerRows(model: IndexedModel, id: string): DesiredRow[] {
  const router = model.routers.get(id);
  if (!router) return [];
  const ports = model.portsOfDevice(id).filter((port) => port.device_owner.startsWith('network:router'));
  const gateways = gatewaysOf(router, ports);
  const [gateway] = gateways;
  const inside = ports.filter((port) => !gateways.includes(port));
  const self: RowName = { table: 'Logical_Router', owner: unit('router', id), key: 'router' };
  return [
    {
      table: 'Logical_Router',
      key: 'router',
      columns: {
        name: names.router(id),
        enabled: router.admin_state_up,
        // Hosts on an external network talk to each other all the time: learn only from what is said to us.
        options: { always_learn_from_arp_request: 'false', dynamic_neigh_routers: 'true' },
      },
      labels: { 'bothy:name': router.name },
    },
    ...ports.flatMap((port) => routerPort(model, self, port, { ports, isGateway: gateways.includes(port) })),
    ...gateways.flatMap((port) => gatewayChassis(model, router, port, keyOf(port, gateway))),
    ...routes(model, self, router, ports, gateways),
    ...natRows(model, self, router, inside, gateways),
    ...nat64Rows(model, self, router, inside, gateways),
    ...portForwardingRows(model, self, inside, gateway),
    ...meteringRows(self, router, gateways),
    ...gateways.flatMap((port) => isolation(model, router, inside, port, keyOf(port, gateway))),
    ...gatewayQosRows(router, gateway, [...model.floatingIpsOf(id), ...forwardingIps(model, id)]),
  ];
}

/** The first one first. */
export function gatewaysOf(router: RouterRow, ports: readonly PortRow[]): PortRow[] {
  const gateways = ports.filter((port) => port.device_owner === 'network:router_gateway');
  const isFirst = ({ network_id }: PortRow) => Number(network_id === router.gateway_network_id);
  return gateways.sort((a, b) => isFirst(b) - isFirst(a));
}

/** Names rows of a gateway: those of the first have the plain key, as before there could be several. */
const keyOf = (port: PortRow, first: PortRow | undefined) => (key: string) =>
  port === first ? key : `${key}/${port.id}`;

/** Floating IPs that are given to ports in parts, each once. */
const forwardingIps = (model: IndexedModel, routerId: string) => {
  const parts = model
    .portForwardingsOf(routerId)
    .map((one) => [one.floating_ip_id, { ...one, id: one.floating_ip_id }] as const);
  return [...new Map(parts).values()];
};

const subnetsOf = (model: IndexedModel, port: PortRow): { ip: string; subnet: SubnetRow }[] =>
  port.ips.flatMap(({ ip, subnet_id }) => {
    const subnet = model.subnets.get(subnet_id);
    return subnet ? [{ ip, subnet }] : [];
  });

function routerPort(
  model: IndexedModel,
  parent: RowName,
  port: PortRow,
  { ports, isGateway }: { ports: readonly PortRow[]; isGateway: boolean },
): DesiredRow[] {
  const addresses = subnetsOf(model, port);
  // OVN refuses a router port without a network.
  if (addresses.length === 0) return [];
  const network = model.networks.get(port.network_id);
  return [
    {
      table: 'Logical_Router_Port',
      key: port.id,
      columns: {
        name: names.routerPort(port.id),
        mac: port.mac,
        networks: addresses.map(({ ip, subnet }) => `${ip}/${prefixLength(subnet.cidr)}`),
        enabled: port.admin_state_up,
        ipv6_ra_configs: isGateway ? {} : advertisement(addresses, network),
        options: narrowMtu(model, port, ports),
      },
      labels: { 'bothy:name': port.name },
      parent: { ...parent, column: 'ports' },
    },
  ];
}

const mtuOf = (model: IndexedModel, port: PortRow): number | undefined => model.networks.get(port.network_id)?.mtu;

/**
 * What is too long for the network behind this port is answered with "fragmentation needed" or "packet too big", where it can come from
 * a network of the router that carries more (path MTU discovery). Elsewhere OVN is spared the look at each packet's length.
 */
function narrowMtu(model: IndexedModel, port: PortRow, ports: readonly PortRow[]): Record<string, string> {
  const mtu = mtuOf(model, port);
  if (mtu === undefined || ports.every((other) => (mtuOf(model, other) ?? 0) <= mtu)) return {};
  return { gateway_mtu: String(mtu) };
}

/** Router advertisements carry one mode for a port. Stateful wins: its guests get addresses from nowhere else. */
function advertisement(addresses: { subnet: SubnetRow }[], network: NetworkRow | undefined): Record<string, string> {
  const subnets = addresses.map(({ subnet }) => subnet).filter((subnet) => subnet.ip_version === 6);
  const modes = subnets.map((subnet) => subnet.ipv6_ra_mode).filter((mode) => mode !== null);
  const mode = (['dhcpv6-stateful', 'dhcpv6-stateless', 'slaac'] as const).find((each) => modes.includes(each));
  if (!mode) return {};
  const named = subnets.flatMap((subnet) => subnet.dns_nameservers);
  const dns = named.length > 0 ? named.find((address) => versionOf(address) === 6) : resolverAddress6;
  return {
    address_mode: mode.replace('-', '_'),
    send_periodic: 'true',
    // A port without port security may advertise; software left at its defaults loses to this.
    router_preference: 'HIGH',
    ...(network && { mtu: String(network.mtu), dnssl: network.domain }),
    ...(dns === undefined ? {} : { rdnss: dns }),
  };
}

function routes(
  model: IndexedModel,
  parent: RowName,
  router: RouterRow,
  ports: readonly PortRow[],
  gateways: readonly PortRow[],
): DesiredRow[] {
  const route = (key: string, ip_prefix: string, nexthop: string, output: string | null): DesiredRow => ({
    table: 'Logical_Router_Static_Route',
    key,
    columns: { ip_prefix, nexthop, output_port: output },
    parent: { ...parent, column: 'static_routes' },
  });
  const defaults = new Map<string, DesiredRow>();
  // Of routes with one prefix OVN takes any for a connection, by a hash of its addresses and ports.
  for (const gateway of router.default_route_ecmp ? gateways : gateways.slice(0, 1)) {
    const named = keyOf(gateway, gateways[0]);
    for (const { subnet } of subnetsOf(model, gateway)) {
      const prefix = subnet.ip_version === 4 ? '0.0.0.0/0' : '::/0';
      const key = named(`default/${prefix}`);
      if (!subnet.gateway_ip || defaults.has(key)) continue;
      defaults.set(key, route(key, prefix, subnet.gateway_ip, names.routerPort(gateway.id)));
    }
  }
  // A route whose next hop is on none of the router's subnets would be dead; northd logs it on each run.
  const reachable = new Set(ports.flatMap((port) => subnetsOf(model, port).map(({ subnet }) => subnet.ip_version)));
  const own = router.routes
    .filter(({ nexthop }) => reachable.has(versionOf(nexthop)))
    .map(({ destination, nexthop }) => route(`route/${destination}/${nexthop}`, destination, nexthop, null));
  return [...defaults.values(), ...own];
}

/**
 * Behind NAT nothing inside is addressed from outside by its own IPv4 address, and nobody at all in the pool of NAT64. Without this a neighbour on the external
 * network, or another project's router with a route through this one's gateway, could send into the subnets, though
 * answers would not come back. It stands on the external switch because only there the packet is as it came.
 */
function isolation(
  model: IndexedModel,
  router: RouterRow,
  inside: readonly PortRow[],
  gateway: PortRow,
  named: (key: string) => string,
): DesiredRow[] {
  const subnets = router.enable_snat ? translated(model, inside, gateway).map(({ cidr }) => cidr) : [];
  const cidrs = [...new Set([...subnets, ...(router.nat64 ? [nat64.pool] : [])])].sort();
  if (cidrs.length === 0) return [];
  return [
    {
      table: 'ACL',
      key: named('isolation'),
      columns: {
        direction: 'to-lport',
        priority: 1003,
        match: `outport == "${gateway.id}" && ip4.dst == {${cidrs.join(', ')}}`,
        action: 'drop',
        log: false,
      },
      parent: { table: 'Logical_Switch', owner: unit('network', gateway.network_id), key: 'switch', column: 'acls' },
    },
  ];
}
