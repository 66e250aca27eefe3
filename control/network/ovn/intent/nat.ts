/**
 * NAT of a router: IPv4 only. Each IPv4 subnet leaves behind the address of the gateway that it leaves by (OVN tells by the address's network
 * at which of several a rule holds); a floating IP is one address to one.
 * IPv6 passes through as it is, of an NDP proxy too, and so does IPv4 of a subnet that is of one address scope with the external network.
 *
 * A floating IP is handled on the guest's own host (logical_port and external_mac) when that host has the physical
 * network and the router is distributed: no detour through the gateway's host, and it goes on when that one dies. Else it is handled by the gateway.
 * A distributed router's has the MAC address of its own port in either case: wherever its guest goes, neighbours need to learn nothing new. OVN 23.03
 * does not announce an address that gets another MAC on the same chassis (findings), so where a guest left the gateway's host they would
 * send to a dead one for up to a minute.
 * Both ways work on the userspace datapath, which has NAT in its own connection tracker.
 */
import { nat64 } from '../../../../contract/host/index.ts';
import { versionOf } from '../address.ts';
import { type DesiredRow, names, type RowName } from '../desired.ts';
import type { FloatingIpRow, IndexedModel, PortRow, RouterRow, SubnetRow } from '../model.ts';

export function natRows(
  model: IndexedModel,
  parent: RowName,
  router: RouterRow,
  inside: readonly PortRow[],
  gateways: readonly PortRow[],
): DesiredRow[] {
  if (gateways.length === 0) return [];
  const hang = { ...parent, column: 'nat' };
  return [
    ...gateways.flatMap((gateway, at) => snat(hang, hidden(model, router, inside, gateway), gateway, at === 0)),
    ...model.floatingIpsOf(router.id).flatMap((floating) => floatingIp(model, hang, router, gateways[0]!, floating)),
    ...router.ndp_proxies.map((proxy) => ndpProxy(hang, proxy, gateways[0]!)),
  ];
}

function snat(
  parent: NonNullable<DesiredRow['parent']>,
  hidden: readonly Pick<SubnetRow, 'id' | 'cidr'>[],
  gateway: PortRow,
  isFirst: boolean,
): DesiredRow[] {
  const external_ip = gateway.ips.find(({ ip }) => versionOf(ip) === 4)?.ip;
  if (external_ip === undefined) return [];
  return hidden.map((subnet) => ({
    table: 'NAT',
    key: isFirst ? `snat/${subnet.id}` : `snat/${subnet.id}/${gateway.id}`,
    columns: { type: 'snat', external_ip, logical_ip: subnet.cidr, logical_port: null, external_mac: null },
    parent,
  }));
}

/** What leaves behind the gateway's address. Those whom NAT64 gave an address of the pool have no other. */
function hidden(model: IndexedModel, router: RouterRow, inside: readonly PortRow[], gateway: PortRow) {
  const subnets = router.enable_snat ? translated(model, inside, gateway) : [];
  return router.nat64 ? [...subnets, { id: 'nat64', cidr: nat64.pool }] : subnets;
}

/** The subnets inside that the outside does not see as they are: IPv4, of another address scope than the external network. */
export function translated(model: IndexedModel, inside: readonly PortRow[], gateway: PortRow): SubnetRow[] {
  const subnets = new Set(inside.flatMap((port) => port.ips).map(({ subnet_id }) => model.subnets.get(subnet_id)));
  const scopes = new Set(model.subnetsOf(gateway.network_id).map((subnet) => subnet.address_scope_id ?? undefined));
  return [...subnets]
    .filter((subnet) => subnet !== undefined)
    .filter(({ ip_version, address_scope_id: scope }) => ip_version === 4 && (scope === null || !scopes.has(scope)));
}

function floatingIp(
  model: IndexedModel,
  parent: NonNullable<DesiredRow['parent']>,
  router: RouterRow,
  gateway: PortRow,
  floating: FloatingIpRow,
): DesiredRow[] {
  if (!floating.port_id || !floating.fixed_ip) return [];
  // OVN asks on each chassis whether this port is there, which for that of the gateway says the one on which it is active.
  const at = isOnItsHost(model, floating) ? floating.port_id : names.chassisRedirect(gateway.id);
  return [
    {
      table: 'NAT',
      key: `floating_ip/${floating.id}`,
      columns: {
        type: 'dnat_and_snat',
        external_ip: floating.floating_ip,
        logical_ip: floating.fixed_ip,
        logical_port: router.distributed ? at : null,
        external_mac: router.distributed ? floating.floating_port_mac : null,
      },
      parent,
    },
  ];
}

/**
 * The address stands for itself, and nothing is tracked: so OVN's gateway answers neighbour solicitations for it, and packets pass both ways as
 * they are. At the first gateway, for no network of a gateway tells where it belongs.
 */
function ndpProxy(
  parent: NonNullable<DesiredRow['parent']>,
  { id, ip }: RouterRow['ndp_proxies'][number],
  gateway: PortRow,
): DesiredRow {
  return {
    table: 'NAT',
    key: `ndp_proxy/${id}`,
    columns: {
      ...{ type: 'dnat_and_snat', external_ip: ip, logical_ip: ip, logical_port: null, external_mac: null },
      options: { stateless: 'true' },
    },
    references: { gateway_port: { table: 'Logical_Router_Port', owner: parent.owner, key: gateway.id } },
    parent,
  };
}

function isOnItsHost(model: IndexedModel, floating: FloatingIpRow): boolean {
  const physical = model.networks.get(floating.floating_network_id)?.provider_physical_network;
  const host = model.ports.get(floating.port_id!)?.host_id;
  if (!physical || !host) return false;
  return model.hosts.get(host)?.physical_networks.includes(physical) === true;
}
