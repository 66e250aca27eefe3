/** Which router leads from an external network to subnets. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/** Router ids by subnet; a subnet that none leads to is not in it. */
export type BetweenRouters = ReadonlyMap<string, string>;

/**
 * Holds those that lead to these ports as they are now. Before the ports themselves: who changes a router's interfaces holds the router, and
 * then a port. Without an answer; {@link routersBetween} finds them when the ports are held.
 */
export async function holdRoutersTo(tx: Tx, externalNetworkId: string, portIds: readonly string[]): Promise<void> {
  await sql`select r.id from router r
    join port p on p.device_id <> '' and p.device_id = r.id::text and p.device_owner like 'network:router_interface%'
    join port_ip i on i.port_id = p.id
    join port_ip own on own.subnet_id = i.subnet_id and ${isOneOf(sql`own.port_id`, portIds)}
    where r.gateway_network_id = ${externalNetworkId} order by r.id for share of r`.execute(tx);
}

/**
 * One whose interface is the subnet's own gateway goes before others. Each stays as it is until the transaction ends. None is waited for: the
 * caller holds ports by now, and whoever changes a router goes on to ports.
 */
export async function routersBetween(
  tx: Tx,
  externalNetworkId: string,
  subnetIds: readonly string[],
): Promise<BetweenRouters> {
  if (subnetIds.length === 0) return new Map();
  const leads = sql`from router r
    join port p on p.device_id <> '' and p.device_id = r.id::text and p.device_owner like 'network:router_interface%'
    join port_ip i on i.port_id = p.id and ${isOneOf(sql`i.subnet_id`, [...new Set(subnetIds)])}
    join subnet s on s.id = i.subnet_id
    where r.gateway_network_id = ${externalNetworkId}`;
  // One round trip, but two statements: interfaces must be read as they are once their routers are held.
  const [{ rows: held }, { rows }] = await Promise.all([
    sql<{ id: string }>`select r.id ${leads} order by r.id for share of r skip locked`.execute(tx),
    sql<{ subnet_id: string; id: string }>`select i.subnet_id, r.id ${leads}
      order by (i.ip is distinct from s.gateway_ip), r.id`.execute(tx),
  ]);
  // One that came to lead there between the two is nobody's yet.
  const leading = rows.filter(({ id }) => held.some((router) => router.id === id));
  return new Map(leading.toReversed().map(({ subnet_id, id }) => [subnet_id, id]));
}
