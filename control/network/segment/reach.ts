/** Which physical networks a server's host must reach, so that the server's ports are where their networks are. Reads only. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';

/** For each network of which it matters: its physical networks, one of which the host must reach. */
export type Reach = readonly (readonly string[])[];

const asked = (ports: RawBuilder<unknown>): RawBuilder<Reach | null> => sql<Reach | null>`(
  select json_agg(each.physical_networks) from (
    select distinct array[n.provider_physical_network] as physical_networks from port p join network n on n.id = p.network_id
    where p.id in (${ports}) and n.provider_physical_network is not null order by 1) each)`;

/** What a server's ports ask for, with those that its trunks carry; null: any host will do. An expression. */
export const reachOfServer = (serverId: RawBuilder<unknown>): RawBuilder<Reach | null> =>
  asked(sql`select v.port_id from server_port v where v.server_id = ${serverId}
    union all select c.port_id from server_port v join trunk t on t.port_id = v.port_id join subport c on c.trunk_id = t.id
    where v.server_id = ${serverId}`);

/** What these ports ask for, with those that they carry. */
export async function reachOfPorts(tx: Tx, ids: readonly string[]): Promise<Reach | null> {
  const ports = sql`select unnest(${[...ids]}::uuid[]) union all select s.port_id
    from trunk t join subport s on s.trunk_id = t.id where t.port_id = any(${[...ids]}::uuid[])`;
  const { rows } = await sql<{ asked: Reach | null }>`select ${asked(ports)} as asked`.execute(tx);
  return rows[0]!.asked;
}

/** Does a host that reaches these serve all of what is asked for? */
export const isReached = (physicalNetworks: readonly string[], wanted: Reach): boolean =>
  wanted.every((some) => some.some((one) => physicalNetworks.includes(one)));
