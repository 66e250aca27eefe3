/** Makes and removes a project's auto-allocated topology. Parts of the caller's transaction; a crash leaves nothing. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { holdQuota } from '../../kit/quota/quota.ts';
import { createNetworks, deleteNetwork } from '../network/service.ts';
import { addBySubnet, removeBySubnet } from '../router/interfaces.ts';
import type { RouterRow } from '../router/router.ts';
import { createRouters, deleteRouter } from '../router/service.ts';
import { createSubnets, type SubnetWish } from '../subnet/service.ts';

interface Pool {
  id: string;
  ip_version: 4 | 6;
  min_prefix_length: number;
  max_prefix_length: number;
}

/** What it is made from. */
interface Ground {
  externalNetwork: string;
  pools: Pool[];
}

/** @throws CloudError `conflict`: auto_topology_without_external_network, auto_topology_without_subnet_pools */
export async function findGround(db: Queryable): Promise<Ground> {
  const [networks, pools] = await Promise.all([
    sql<{ id: string }>`select id from network where is_default and external`.execute(db),
    sql<Pool>`select id, ip_version, min_prefix_length, max_prefix_length from subnet_pool
      where is_default order by ip_version`.execute(db),
  ]);
  if (!networks.rows[0]) throw new CloudError('conflict', 'auto_topology_without_external_network', {});
  if (pools.rows.length === 0) throw new CloudError('conflict', 'auto_topology_without_subnet_pools', {});
  return { externalNetwork: networks.rows[0].id, pools: pools.rows };
}

/** The network of the project's topology, which is made if it is not there. @throws CloudError */
export async function ensureTopology(tx: Tx, caller: Caller, projectId: string): Promise<string> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`auto topology ${projectId}`}, 0))`.execute(tx);
  const known = await findTopology(tx, projectId);
  if (known) return known.network_id;
  // Pools before quotas, as who makes a subnet locks them.
  await sql`select from subnet_pool where is_default order by id for no key update`.execute(tx);
  const { externalNetwork, pools } = await findGround(tx);
  const project_id = projectId;
  const [network_id] = await createNetworks(tx, caller, [{ project_id, name: 'auto_allocated_network' }]);
  const subnets = pools.map((pool) => ({ ...subnetOf(pool), project_id, network_id: network_id! }));
  const subnetIds = await createSubnets(tx, caller, subnets);
  // For its interfaces, before the network outside is held: as who makes ports.
  await holdQuota(tx, projectId, ['ports']);
  const gateway = { network_id: externalNetwork };
  const [router_id] = await createRouters(tx, caller, [{ project_id, name: 'auto_allocated_router', gateway }]);
  const router = { id: router_id!, project_id, gateway_network_id: externalNetwork, routes: [] };
  for (const id of subnetIds) await addBySubnet(tx, caller, router, id);
  await tx
    .insertInto('auto_allocated_topology')
    .values({ project_id, network_id: network_id!, router_id: router_id! })
    .execute();
  return network_id!;
}

/** Guests find their IPv6 addresses by themselves, where the pool gives what they need for it. */
function subnetOf({ id, ip_version, ...pool }: Pool): Omit<SubnetWish, 'network_id'> {
  const common = { name: `auto_allocated_subnet_v${ip_version}`, ip_version, subnet_pool_id: id };
  if (ip_version === 4 || pool.min_prefix_length > 64 || pool.max_prefix_length < 64) return common;
  return { ...common, prefix_length: 64, ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
}

/** The router first, and with it the way out. Nothing to remove is no fault. @throws CloudError `conflict` while ports are on the network */
export async function removeTopology(tx: Tx, caller: Caller, projectId: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended(${`auto topology ${projectId}`}, 0))`.execute(tx);
  const topology = await findTopology(tx, projectId);
  if (!topology) return;
  const { network_id, router_id } = topology;
  if (router_id !== null) {
    const { rows } = await sql<RouterRow>`select * from router where id = ${router_id} for update`.execute(tx);
    const subnets = await sql<{ id: string }>`select distinct i.subnet_id as id from port p
      join port_ip i on i.port_id = p.id where p.device_id <> '' and p.device_id = ${router_id}
        and p.network_id = ${network_id} and p.device_owner like 'network:router_interface%' order by 1`.execute(tx);
    for (const { id } of subnets.rows) await removeBySubnet(tx, caller, rows[0]!, id);
    await deleteRouter(tx, caller, router_id);
  }
  await deleteNetwork(tx, caller, network_id);
}

async function findTopology(
  db: Queryable,
  projectId: string,
): Promise<{ network_id: string; router_id: string | null } | undefined> {
  const { rows } = await sql<{ network_id: string; router_id: string | null }>`select network_id, router_id
    from auto_allocated_topology where project_id = ${projectId}`.execute(db);
  return rows[0];
}

/** Without making it. */
export const topologyNetwork = async (db: Queryable, projectId: string): Promise<string | undefined> =>
  (await findTopology(db, projectId))?.network_id;
