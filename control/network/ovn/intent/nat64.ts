/**
 * NAT64 of a router: a switch of its own with one port for the router and one for the engine, which runs on the host that is first to carry the
 * gateway (host/network/nat64.ts). IPv6 towards the prefix is routed to the engine; what it makes of it comes back to the router as IPv4 from
 * the pool, and leaves as all IPv4 does. Nothing of it is in the database: it follows from the router.
 */
import { nat64, nat64Port } from '../../../../contract/host/index.ts';
import { prefixLength, versionOf } from '../address.ts';
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { IndexedModel, PortRow, RouterRow } from '../model.ts';
import { unit } from '../units.ts';
import { hostsOf } from './gateway-chassis.ts';

/** @param gateways the first one first; without one nothing runs anywhere */
export function nat64Rows(
  model: IndexedModel,
  parent: RowName,
  router: RouterRow,
  inside: readonly PortRow[],
  gateways: readonly PortRow[],
): DesiredRow[] {
  if (!translates(router, gateways)) return [];
  const [host] = hostsOf(model, router, gateways[0]!);
  const mtu = linkMtu(model, inside);
  const link: RowName = { table: 'Logical_Switch', owner: unit('router', router.id), key: 'nat64' };
  const ends = names.nat64(router.id);
  const port = (key: string, columns: DesiredRow['columns']): DesiredRow => ({
    table: 'Logical_Switch_Port',
    key,
    columns: { enabled: true, ...columns },
    parent: { ...link, column: 'ports' },
  });
  const { engine } = nat64;
  return [
    {
      table: 'Logical_Switch',
      key: 'nat64',
      columns: { name: ends.switch, other_config: { mcast_snoop: 'false', 'vlan-passthru': 'false' } },
    },
    port('nat64/router', {
      ...{ name: ends.switchPort, type: 'router', addresses: ['router'], options: { 'router-port': ends.routerPort } },
    }),
    port('nat64/engine', {
      name: nat64Port(router.id),
      type: '',
      addresses: [`${engine.mac} ${engine.ip4} ${engine.ip6}`],
      // The host reads both of the southbound database.
      options: { 'vif-plug-mtu-request': String(mtu), ...(host && { 'requested-chassis': host }) },
    }),
    ...routersEnd(parent, ends.routerPort, mtu),
  ];
}

/** Its port on the link, and what it sends there. */
function routersEnd(parent: RowName, name: string, mtu: number): DesiredRow[] {
  const { router, engine } = nat64;
  return [
    {
      table: 'Logical_Router_Port',
      key: 'nat64',
      columns: {
        name,
        mac: router.mac,
        networks: [`${router.ip4}/${prefixLength(nat64.link)}`, `${router.ip6}/64`],
        enabled: true,
        ipv6_ra_configs: {},
        options: { gateway_mtu: String(mtu) },
      },
      parent: { ...parent, column: 'ports' },
    },
    ...[
      [nat64.prefix, engine.ip6],
      [nat64.pool, engine.ip4],
    ].map(
      ([ip_prefix, nexthop]): DesiredRow => ({
        table: 'Logical_Router_Static_Route',
        key: `nat64/${ip_prefix}`,
        columns: { ip_prefix: ip_prefix!, nexthop: nexthop!, output_port: name },
        parent: { ...parent, column: 'static_routes' },
      }),
    ),
  ];
}

/** Whether IPv4 of the pool may leave by one of the gateways. */
export const translates = (router: RouterRow, gateways: readonly PortRow[]): boolean =>
  router.nat64 && gateways.some(({ ips }) => ips.some(({ ip }) => versionOf(ip) === 4));

/** Of all networks inside the least: a packet that the engine makes must fit in each of them. */
function linkMtu(model: IndexedModel, inside: readonly PortRow[]): number {
  return Math.min(1500, ...inside.flatMap(({ network_id }) => model.networks.get(network_id)?.mtu ?? []));
}
