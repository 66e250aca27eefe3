/**
 * NAT64 of a router: an option of its own, which needs nothing but the prefix, pool and link that every router with it keeps for itself
 * (contract/host/nat64.ts). Part of a transaction that holds the router's row.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { nat64 } from '../../../contract/host/index.ts';
import type { Tx } from '../../kit/database/database.ts';

const kept = [nat64.prefix, nat64.pool, nat64.link];

/**
 * To be asked when everything is as it shall be: what is refused goes back with the transaction.
 * @throws CloudError `invalid` where a subnet that the router reaches overlaps with what it keeps, or a route of its own leads into it. A
 * wider route is none: the longest prefix decides.
 */
export async function checkNat64(tx: Tx, routerId: string): Promise<void> {
  const { rows } = await sql<{ subnet: string | null; cidr: string; kept: string }>`
    select s.id as subnet, s.cidr::text, kept.cidr::text as kept
    from subnet s join (select unnest(${kept}::cidr[]) as cidr) kept on s.cidr && kept.cidr
    where s.id = any(array(select i.subnet_id from port p join port_ip i on i.port_id = p.id
        where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner like 'network:router_interface%'))
      or s.network_id = any(array(select p.network_id from port p
        where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner = 'network:router_gateway'))
    union all select null, route ->> 'destination', kept.cidr::text
    from router, jsonb_array_elements(routes) route join (select unnest(${kept}::cidr[]) as cidr) kept
      on (route ->> 'destination')::cidr <<= kept.cidr
    where router.id = ${routerId}
    order by 1, 2 limit 1`.execute(tx);
  const [found] = rows;
  if (!found) return;
  const { subnet, cidr } = found;
  if (subnet === null) throw new CloudError('invalid', 'router_route_overlaps_nat64', { cidr, kept: found.kept });
  throw new CloudError('invalid', 'router_subnet_overlaps_nat64', { subnet, cidr, kept: found.kept });
}

/** What the resolvers of the router's networks answer changes with it: whoever has guests there learns of it by the interfaces. */
export async function touchInterfaces(tx: Tx, routerId: string): Promise<void> {
  await sql`update port set generation = generation + 1, updated_at = now()
    where device_id <> '' and device_id = ${routerId} and device_owner like 'network:router_interface%'`.execute(tx);
}
