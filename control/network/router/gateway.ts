/**
 * The first gateway of a router: a port on an external network, `router.gateway_network_id`. Others: further-gateways.ts. The functions are part of a transaction that holds the
 * router's row, so what they check stays true until it ends.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden } from '../../kit/rows.ts';
import { maySee } from '../access.ts';
import type { FixedIpWish } from '../address/plan.ts';
import { cloudGround, createPorts, holdNetworks, type NetworkFacts } from '../port/create.ts';
import { deletePortRows } from '../port/server-ports.ts';
import { updateAddresses } from '../port/update-addresses.ts';
import { checkQosChange } from '../qos-policy/use.ts';

const gatewayOwner = 'network:router_gateway';

export interface GatewayWish {
  network_id: string;
  enable_snat?: boolean;
  external_fixed_ips?: FixedIpWish[];
  qos_policy_id?: string | null;
}

export interface RouterGateway {
  id: string;
  gateway_network_id: string | null;
  enable_snat: boolean;
  gateway_qos_policy_id: string | null;
}

/** The columns of the router that say which gateway is its first, and what goes with it. */
export type GatewayColumns = Omit<RouterGateway, 'id'>;

/** What only administrators may choose; Neutron's rules are create_router:external_gateway_info:… */
export function checkGatewayRights(caller: Caller, wish: GatewayWish | null, operation: string): void {
  if (wish === null || isAdmin(caller)) return;
  for (const name of ['enable_snat', 'external_fixed_ips'] as const) {
    if (wish[name] !== undefined) throw forbidden(operation, `external_gateway_info:${name}`);
  }
}

/** Brings the first gateway to what is wished and answers the columns of the router that say so. */
export async function setGateway(
  tx: Tx,
  caller: Caller,
  router: RouterGateway,
  wish: GatewayWish | null,
): Promise<GatewayColumns> {
  if (wish === null) return removeGateway(tx, router);
  const network = await externalNetwork(tx, caller, wish);
  const enable_snat = wish.enable_snat ?? true;
  await checkQosChange(tx, caller, router.gateway_qos_policy_id, wish.qos_policy_id);
  // A gateway on another network is another gateway: a policy of the one before is not its own.
  const kept = router.gateway_network_id === network.id ? router.gateway_qos_policy_id : null;
  const gateway_qos_policy_id = wish.qos_policy_id === undefined ? kept : wish.qos_policy_id;
  if (router.gateway_network_id !== network.id) await removeGateway(tx, router);
  const there = (await gatewayPorts(tx, router.id)).some(({ network_id }) => network_id === network.id);
  if (!there) await createGateway(tx, router, network, wish.external_fixed_ips);
  else if (wish.external_fixed_ips?.length) await moveGateway(tx, router, network, wish.external_fixed_ips);
  return { gateway_network_id: network.id, enable_snat, gateway_qos_policy_id };
}

/** Oldest first. */
export async function gatewayPorts(tx: Tx, routerId: string) {
  const { rows } = await sql<{
    id: string;
    network_id: string;
    mac: string;
    ips: string[];
  }>`select id, network_id, mac::text,
      array(select host(ip) from port_ip where port_id = port.id order by position) as ips
    from port where device_id <> '' and device_id = ${routerId} and device_owner = ${gatewayOwner}
    order by created_at, id`.execute(tx);
  return rows;
}

/** @param ips none: an address of each version that the network has */
export async function createGateway(
  tx: Tx,
  router: Pick<RouterGateway, 'id'>,
  network: NetworkFacts,
  ips: FixedIpWish[] = [],
): Promise<void> {
  await checkNoOverlap(tx, router.id, network);
  const port = { network_id: network.id, device_id: router.id, device_owner: gatewayOwner };
  const made = { ...port, project_id: network.project_id, ...(ips.length > 0 && { fixed_ips: ips }) };
  await createPorts(tx, [made], cloudGround([network]));
}

/** The network of a wish, which the caller may have a gateway on. @throws CloudError */
export async function externalNetwork(tx: Tx, caller: Caller, wish: GatewayWish): Promise<NetworkFacts> {
  const network = (await holdNetworks(tx, [wish.network_id])).get(wish.network_id);
  if (!network || !maySee(caller, network)) throw notFound('network', wish.network_id);
  if (!network.external) throw new CloudError('invalid', 'gateway_network_not_external', { network: wish.network_id });
  for (const { ip } of wish.external_fixed_ips ?? []) {
    if (ip !== undefined && network.subnets.some((subnet) => subnet.gateway_ip === ip)) {
      throw new CloudError('invalid', 'gateway_ip_is_subnets_gateway', { ip });
    }
  }
  return network;
}

/** Gives the gateway on this network other addresses. */
export async function moveGateway(
  tx: Tx,
  router: Pick<RouterGateway, 'id'>,
  network: NetworkFacts,
  ips: FixedIpWish[],
): Promise<void> {
  const port = (await gatewayPorts(tx, router.id)).find(({ network_id }) => network_id === network.id)!;
  await updateAddresses(tx, { ...port, device_owner: gatewayOwner }, network.subnets, ips);
  await sql`update port set generation = generation + 1, updated_at = now() where id = ${port.id}`.execute(tx);
}

/** Of the first one; of several the next oldest is the first then. */
const removeGateway = (tx: Tx, router: RouterGateway): Promise<GatewayColumns> =>
  removeGatewayOn(tx, router, router.gateway_network_id);

export async function removeGatewayOn(
  tx: Tx,
  router: RouterGateway,
  networkId: string | null,
): Promise<GatewayColumns> {
  const { gateway_network_id: first, enable_snat, gateway_qos_policy_id } = router;
  if (networkId === null) return { gateway_network_id: null, enable_snat: true, gateway_qos_policy_id: null };
  if (networkId === first) await checkNotByFloatingIps(tx, router);
  const ports = await gatewayPorts(tx, router.id);
  await deletePortRows(
    tx,
    ports.filter(({ network_id }) => network_id === networkId).map(({ id }) => id),
  );
  if (networkId !== first) return { gateway_network_id: first, enable_snat, gateway_qos_policy_id };
  const next = ports.find(({ network_id }) => network_id !== networkId);
  return {
    gateway_network_id: next?.network_id ?? null,
    enable_snat: next ? enable_snat : true,
    gateway_qos_policy_id: null,
  };
}

/** All of them. */
export async function removeAllGateways(tx: Tx, router: RouterGateway): Promise<void> {
  await checkNotByFloatingIps(tx, router);
  await deletePortRows(
    tx,
    (await gatewayPorts(tx, router.id)).map(({ id }) => id),
  );
}

/** Floating IPs and port forwardings go by the first gateway. @throws CloudError `conflict` */
export async function checkNotByFloatingIps(tx: Tx, router: RouterGateway): Promise<void> {
  const { rows } = await sql`select from floating_ip where router_id = ${router.id}
    union all select from port_forwarding where router_id = ${router.id} limit 1`.execute(tx);
  if (rows.length > 0) {
    throw new CloudError('conflict', 'router_external_gateway_in_use_by_floating_ip', {
      id: router.id,
      network: String(router.gateway_network_id),
    });
  }
}

/** With what is inside, and with the networks of other gateways: of two ways to one address the router would know only one. */
async function checkNoOverlap(tx: Tx, routerId: string, network: NetworkFacts): Promise<void> {
  const { rows } = await sql<{ cidr: string; id: string }>`select s.id, s.cidr::text from subnet s
    where s.cidr && any(${network.subnets.map(({ cidr }) => cidr)}::cidr[]) and (
      s.id = any(array(select i.subnet_id from port p join port_ip i on i.port_id = p.id
        where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner like 'network:router_interface%'))
      or s.network_id = any(array(select p.network_id from port p
        where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner = ${gatewayOwner})))`.execute(tx);
  if (rows[0]) {
    throw new CloudError('invalid', 'router_subnet_overlaps_external_network', {
      subnet: rows[0].id,
      cidr: rows[0].cidr,
      network: network.id,
    });
  }
}
