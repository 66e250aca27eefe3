/**
 * The gateway of a router: a port on an external network. The functions are part of a transaction that holds the
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
import { cloudGround, createPorts, loadNetworks, type NetworkFacts } from '../port/create.ts';
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

interface RouterGateway {
  id: string;
  gateway_network_id: string | null;
  enable_snat: boolean;
  gateway_qos_policy_id: string | null;
}

/** What only administrators may choose; Neutron's rules are create_router:external_gateway_info:… */
export function checkGatewayRights(caller: Caller, wish: GatewayWish | null, operation: string): void {
  if (wish === null || isAdmin(caller)) return;
  for (const name of ['enable_snat', 'external_fixed_ips'] as const) {
    if (wish[name] !== undefined) throw forbidden(operation, `external_gateway_info:${name}`);
  }
}

/** Brings the gateway to what is wished and answers the columns of the router that say so. */
export async function setGateway(
  tx: Tx,
  caller: Caller,
  router: RouterGateway,
  wish: GatewayWish | null,
): Promise<{ gateway_network_id: string | null; enable_snat: boolean; gateway_qos_policy_id: string | null }> {
  if (wish === null) {
    await removeGateway(tx, router);
    return { gateway_network_id: null, enable_snat: true, gateway_qos_policy_id: null };
  }
  const network = await externalNetwork(tx, caller, wish);
  const enable_snat = wish.enable_snat ?? true;
  await checkQosChange(tx, caller, router.gateway_qos_policy_id, wish.qos_policy_id);
  // A gateway on another network is another gateway: a policy of the one before is not its own.
  const kept = router.gateway_network_id === network.id ? router.gateway_qos_policy_id : null;
  const gateway_qos_policy_id = wish.qos_policy_id === undefined ? kept : wish.qos_policy_id;
  if (router.gateway_network_id === network.id) {
    if (wish.external_fixed_ips && wish.external_fixed_ips.length > 0) {
      await moveGateway(tx, router, network, wish.external_fixed_ips);
    }
    return { gateway_network_id: network.id, enable_snat, gateway_qos_policy_id };
  }
  await removeGateway(tx, router);
  await checkNoOverlapWithInterfaces(tx, router.id, network);
  await createPorts(
    tx,
    [
      {
        project_id: network.project_id,
        network_id: network.id,
        device_id: router.id,
        device_owner: gatewayOwner,
        ...(wish.external_fixed_ips && wish.external_fixed_ips.length > 0
          ? { fixed_ips: wish.external_fixed_ips }
          : {}),
      },
    ],
    cloudGround([network]),
  );
  return { gateway_network_id: network.id, enable_snat, gateway_qos_policy_id };
}

async function externalNetwork(tx: Tx, caller: Caller, wish: GatewayWish): Promise<NetworkFacts> {
  const network = (await loadNetworks(tx, [wish.network_id])).get(wish.network_id);
  if (!network || !maySee(caller, network)) throw notFound('network', wish.network_id);
  if (!network.external) throw new CloudError('invalid', 'gateway_network_not_external', { network: wish.network_id });
  for (const { ip } of wish.external_fixed_ips ?? []) {
    if (ip !== undefined && network.subnets.some((subnet) => subnet.gateway_ip === ip)) {
      throw new CloudError('invalid', 'gateway_ip_is_subnets_gateway', { ip });
    }
  }
  return network;
}

async function moveGateway(tx: Tx, router: RouterGateway, network: NetworkFacts, ips: FixedIpWish[]): Promise<void> {
  const { rows } = await sql<{ id: string; mac: string }>`select id, mac::text from port where device_id <> ''
    and device_id = ${router.id} and device_owner = ${gatewayOwner} for update`.execute(tx);
  const port = rows[0]!;
  await updateAddresses(tx, { ...port, network_id: network.id, device_owner: gatewayOwner }, network.subnets, ips);
  await sql`update port set generation = generation + 1, updated_at = now() where id = ${port.id}`.execute(tx);
}

export async function removeGateway(tx: Tx, router: RouterGateway): Promise<void> {
  if (router.gateway_network_id === null) return;
  const { rows } = await sql`select from floating_ip where router_id = ${router.id}
    union all select from port_forwarding where router_id = ${router.id} limit 1`.execute(tx);
  if (rows.length > 0) {
    throw new CloudError('conflict', 'router_external_gateway_in_use_by_floating_ip', {
      id: router.id,
      network: String(router.gateway_network_id),
    });
  }
  const ports = await sql<{ id: string }>`select id from port where device_id <> '' and device_id = ${router.id}
    and device_owner = ${gatewayOwner}`.execute(tx);
  await deletePortRows(
    tx,
    ports.rows.map(({ id }) => id),
  );
}

async function checkNoOverlapWithInterfaces(tx: Tx, routerId: string, network: NetworkFacts): Promise<void> {
  const { rows } = await sql<{ cidr: string; id: string }>`select distinct s.id, s.cidr::text from port p
    join port_ip i on i.port_id = p.id join subnet s on s.id = i.subnet_id
    where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner like 'network:router_interface%'
      and s.cidr && any(${network.subnets.map(({ cidr }) => cidr)}::cidr[])`.execute(tx);
  if (rows[0]) {
    throw new CloudError('invalid', 'router_subnet_overlaps_external_network', {
      subnet: rows[0].id,
      cidr: rows[0].cidr,
      network: network.id,
    });
  }
}
