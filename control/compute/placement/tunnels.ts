/**
 * Tunnels between hosts that do not carry what guests send, as hosts have found (control/host/tunnels.ts), and whom a server would miss by them. Mostly there
 * are none, which one look at an index says; then nothing more is read. SQL, nothing else.
 */
import { sql } from 'kysely';
import type { TunnelFault } from '../../../contract/host/index.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { HostCapacity, PlacementRequest, TunnelTo } from './request.ts';

/** A host whose process has just connected may still be setting up its end, and what others said while it was away is over. A host says again what is broken twice a minute. */
const settled = sql`interval '15 seconds'`;

/** By host those that it does not reach, whichever of both has said so since both are here. Of a host that is away nobody knows more than that. */
async function brokenTunnels(tx: Tx): Promise<Map<string, TunnelTo[]>> {
  const { rows } = await sql<{ of: string; host_id: string; name: string; fault: TunnelFault }>`
    with said as materialized (
      select t.host_id, b.host_id as other, b.fault, t.said_at from host_tunnels t
        cross join jsonb_to_recordset(t.broken) as b (host_id uuid, fault text) where t.faults > 0)
    select pair.of, pair.host_id, o.name, min(pair.fault) as fault from (
        select host_id as of, other as host_id, fault, said_at from said union all select other, host_id, fault, said_at from said) pair
      join host h on h.id = pair.of and h.connected join host o on o.id = pair.host_id and o.connected
    where pair.said_at > coalesce(greatest(h.connected_at, o.connected_at) + ${settled}, '-infinity')
    group by 1, 2, 3 order by 1, 3`.execute(tx);
  const found = new Map<string, TunnelTo[]>();
  for (const { of, ...to } of rows) found.set(of, [...(found.get(of) ?? []), to]);
  return found;
}

/**
 * By server the hosts that it has something in common with over tunnels: ports on its networks, or on others of their routers, and the hosts that may carry those routers' gateways.
 */
async function tunnelPeers(tx: Tx, serverIds: readonly string[]): Promise<Map<string, string[]>> {
  const { rows } = await sql<{ server_id: string; peers: string[] }>`
    with own as (
      select distinct v.server_id, p.network_id from server_port v join port p on p.id = v.port_id
        join network n on n.id = p.network_id and n.provider_physical_network is null
      where v.server_id = any(${[...serverIds]}::uuid[])),
    routed as (
      select distinct o.server_id, r.device_id::uuid as router_id from own o
        join port r on r.network_id = o.network_id and r.device_owner = 'network:router_interface'),
    shared as (
      select server_id, network_id from own
      union select r.server_id, p.network_id from routed r
        join port p on p.device_owner = 'network:router_interface' and p.device_id = r.router_id::text)
    select server_id, array_agg(distinct host_id) as peers from (
      select s.server_id, p.host_id from shared s join port p on p.network_id = s.network_id and p.host_id is not null
        where not exists (select from server_port v where v.server_id = s.server_id and v.port_id = p.id)
      union select r.server_id, h.id from routed r join router w on w.id = r.router_id
        join network n on n.id = w.gateway_network_id join host h on n.provider_physical_network = any(h.physical_networks)) each
    group by server_id`.execute(tx);
  return new Map(rows.map(({ server_id, peers }) => [server_id, peers]));
}

/** Hosts with what tunnels of theirs are broken, and servers with whom they must reach; both as they were where no tunnel is. */
export async function withTunnels<Server extends PlacementRequest & { id: string }>(
  tx: Tx,
  hosts: HostCapacity[],
  servers: readonly Server[],
): Promise<{ hosts: HostCapacity[]; servers: Server[] }> {
  const broken = servers.length === 0 ? new Map() : await brokenTunnels(tx);
  if (broken.size === 0) return { hosts, servers: [...servers] };
  const peers = await tunnelPeers(
    tx,
    servers.map(({ id }) => id),
  );
  return {
    hosts: hosts.map((host) => ({ ...host, broken_tunnels: broken.get(host.id) ?? [] })),
    servers: servers.map((server) => ({ ...server, peers: peers.get(server.id) ?? null })),
  };
}
