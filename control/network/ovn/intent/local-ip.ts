/**
 * Local IPs: an address of a network that on each host leads to a port of that host. OVN's switches answer ARP alike everywhere, so a router
 * beside the network answers for the address, on whichever host it is asked, and what comes to it goes back onto the network.
 *
 * Translated: a load balancer of the switch turns the destination on the asker's host, before the router. It names variables, which each host
 * has of its own (`Chassis_Template_Var`, rows of the host's unit); where they are not, it does nothing. ovn-controller 23.03 warns there, once,
 * of an action that it cannot read.
 * Passed through: the router sends the packet to the port of its own host as it is.
 * Where neither does anything the address is whose port it is, or nobody's, if the port is there for it alone.
 */
import { macFor, prefixLength } from '../address.ts';
import { type DesiredRow, names, type RowName, stamps } from '../desired.ts';
import type { IndexedModel, LocalIpRow, NetworkRow } from '../model.ts';
import { unit } from '../units.ts';

/** Below it a router has no address of its own in the prefix; such subnets have no local IPs (../../local-ip/ground.ts). */
const longestPrefix = 30;

/** The network's part: the router, and what it and the switch do. */
export function localIpRows(model: IndexedModel, network: NetworkRow): DesiredRow[] {
  const localIps = [...model.localIps.values()].filter(({ network_id }) => network_id === network.id);
  if (localIps.length === 0) return [];
  const owner = unit('network', network.id);
  const router: RowName = { table: 'Logical_Router', owner, key: 'local-ips' };
  const onSwitch: RowName = { table: 'Logical_Switch', owner, key: 'switch' };
  const subnets = model.subnetsOf(network.id).flatMap(({ ip_version, cidr }) => (ip_version === 4 ? cidr : []));
  return [
    ...routerRows(network, localIps, { router, onSwitch, subnets }),
    ...balancers(network, localIps, onSwitch),
    ...localIps.flatMap((one) => policies(one, router, subnets)),
  ];
}

function routerRows(
  network: NetworkRow,
  localIps: readonly LocalIpRow[],
  { router, onSwitch, subnets }: { router: RowName; onSwitch: RowName; subnets: readonly string[] },
): DesiredRow[] {
  const { id } = network;
  const called = names.localIps(id);
  const mac = macFor(`local-ips ${id}`);
  return [
    {
      table: 'Logical_Router',
      key: router.key,
      columns: { name: called.router, enabled: true, options: { always_learn_from_arp_request: 'false' } },
    },
    {
      table: 'Logical_Router_Port',
      key: router.key,
      columns: {
        name: called.routerPort,
        mac,
        // The prefix's own address, which nobody else has: the router needs one of each prefix to send into it.
        networks: subnets.filter((cidr) => prefixLength(cidr) <= longestPrefix),
        enabled: true,
        ipv6_ra_configs: {},
        options: {},
      },
      parent: { ...router, column: 'ports' },
    },
    {
      table: 'Logical_Switch_Port',
      key: router.key,
      columns: {
        name: called.switchPort,
        enabled: true,
        type: 'router',
        addresses: [mac],
        options: { 'router-port': called.routerPort, arp_proxy: localIps.map(({ ip }) => ip).join(' ') },
      },
      parent: { ...onSwitch, column: 'ports' },
    },
  ];
}

function balancers(network: NetworkRow, localIps: readonly LocalIpRow[], onSwitch: RowName): DesiredRow[] {
  const translated = localIps.filter(({ ip_mode, leads_to }) => ip_mode === 'translate' && leads_to.length > 0);
  if (translated.length === 0) return [];
  const vips = translated.map(({ id }) => {
    const { address, port } = names.localIpVariables(id);
    return [`^${address}`, `^${port}`] as const;
  });
  return [
    {
      table: 'Load_Balancer',
      key: 'local-ips',
      columns: {
        name: names.localIps(network.id).loadBalancer,
        vips: Object.fromEntries(vips),
        options: { template: 'true', 'address-family': 'ipv4' },
      },
      parent: { ...onSwitch, column: 'load_balancer' },
    },
  ];
}

/** What the router does with a packet for the address itself. */
function policies(localIp: LocalIpRow, router: RowName, subnets: readonly string[]): DesiredRow[] {
  const { id, ip, ip_mode, has_own_port, leads_to } = localIp;
  const policy = (key: string, columns: DesiredRow['columns']): DesiredRow => ({
    table: 'Logical_Router_Policy',
    key: `local-ip/${id}${key}`,
    columns,
    parent: { ...router, column: 'policies' },
  });
  const passed = ip_mode === 'passthrough' ? leads_to : [];
  return [
    ...passed.map((to) =>
      policy(`/${to.port_id}`, {
        priority: 2000,
        // Who comes by another router comes from another network.
        match: `ip4.dst == ${ip} && ip4.src == {${subnets.join(', ')}} && is_chassis_resident("${to.port_id}")`,
        action: 'reroute',
        nexthops: [to.ip],
      }),
    ),
    ...(has_own_port ? [policy('', { priority: 1000, match: `ip4.dst == ${ip}`, action: 'drop' })] : []),
  ];
}

/**
 * A host's part: which port each local IP is there; of several the one whose id is the first. Each host has its row, empty or not: with what
 * stood in a row that is gone ovn-controller 23.03 goes on, and it ends when the row comes back.
 */
export function hostRows(model: IndexedModel, hostId: string): DesiredRow[] {
  if (!model.hosts.get(hostId)) return [];
  const here = [...model.localIps.values()].flatMap(({ id, ip, ip_mode, leads_to }) => {
    const to = ip_mode === 'translate' ? leads_to.find(({ host_id }) => host_id === hostId) : undefined;
    return to ? [{ id, ip, to }] : [];
  });
  const variables = here.flatMap(({ id, ip, to }) => {
    const { address, port } = names.localIpVariables(id);
    return [
      [address, ip],
      [port, to.ip],
    ] as const;
  });
  return [
    {
      table: 'Chassis_Template_Var',
      key: 'local-ips',
      columns: { chassis: hostId, variables: Object.fromEntries(variables) },
      labels:
        here.length > 0 ? { [stamps.ports]: [...new Set(here.map(({ to }) => to.port_id))].sort().join(' ') } : {},
    },
  ];
}
