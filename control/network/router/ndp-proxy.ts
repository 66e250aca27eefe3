/** What NDP proxies (../ndp-proxy) ask of their router. Part of the transaction that holds its row. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';

interface State {
  ndp_proxy: boolean;
  gateway_network_id: string | null;
  /** The gateway has an address of IPv6, and its network an address scope. */
  fit: boolean;
  used: boolean;
}

/**
 * After a change of the router's gateways, or of whether it has NDP proxies: without a gateway it has none.
 * @param asked the change says that it shall
 * @throws CloudError `conflict`
 */
export async function settleNdpProxy(tx: Tx, router: string, { asked }: { asked: boolean }): Promise<void> {
  const { rows } = await sql<State>`select r.ndp_proxy, r.gateway_network_id,
      exists (select from ndp_proxy x where x.router_id = r.id) as used,
      exists (select from port p join port_ip i on i.port_id = p.id where p.device_id <> '' and p.device_id = r.id::text
        and p.device_owner = 'network:router_gateway' and p.network_id = r.gateway_network_id and family(i.ip) = 6)
      and exists (select from subnet s join subnet_pool l on l.id = s.subnet_pool_id
        where s.network_id = r.gateway_network_id and s.ip_version = 6 and l.address_scope_id is not null) as fit
    from router r where r.id = ${router}`.execute(tx);
  const state = rows[0]!;
  if (!state.ndp_proxy) return;
  if (asked && !state.fit) throw new CloudError('conflict', 'router_gateway_not_valid', { router });
  if (state.gateway_network_id !== null) {
    if (!state.fit) throw new CloudError('conflict', 'router_ipv6_gateway_in_use', { router });
    return;
  }
  if (state.used) throw new CloudError('conflict', 'router_gateway_in_use_by_ndp_proxy', { router });
  await sql`update router set ndp_proxy = false where id = ${router}`.execute(tx);
}

/** @throws CloudError `conflict` while a proxy's address is on the subnet */
export async function checkNotByNdpProxies(tx: Tx, router: string, subnet: string): Promise<void> {
  const { rows } = await sql`select from ndp_proxy x join port_ip i on i.port_id = x.port_id and i.ip = x.ip_address
    where x.router_id = ${router} and i.subnet_id = ${subnet} limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'router_interface_in_use_by_ndp_proxy', { router, subnet });
}
