/** Which physical networks a server's host must reach, so that the server's ports are where their networks are. Reads only. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';

/** Of one network. */
export interface Reached {
  /** The host must reach one of these … */
  any: readonly string[];
  /** … and none of these, which carry other segments of the network: which of two a guest is on nobody could tell. */
  beside: readonly string[];
  /** A port there has its addresses from the segment that it becomes. */
  deferred: boolean;
}

/** For each network of which it matters. */
export type Reach = readonly Reached[];

/** Subnet `u` gives an address: of IPv4 there is one left in its pools. */
const gives = sql`(u.ip_version = 6 or (
  select coalesce(sum((pool ->> 'end')::inet - (pool ->> 'start')::inet + 1), 0) from jsonb_array_elements(u.allocation_pools) pool) > (
  select count(*) from port_ip i join lateral jsonb_array_elements(u.allocation_pools) pool
    on i.ip between (pool ->> 'start')::inet and (pool ->> 'end')::inet where i.subnet_id = u.id))`;

/** Segment `piece` is one that port `p` can be on: that of its addresses, or one that has addresses for it, or any. */
const serves = sql`case
  when p.ip_deferred then exists (select from subnet u where u.segment_id = piece.id and ${gives})
  else not exists (select from port_ip i join subnet u on u.id = i.subnet_id
    where i.port_id = p.id and u.segment_id is not null and u.segment_id <> piece.id) end`;

const asked = (ports: RawBuilder<unknown>): RawBuilder<Reach | null> => sql<Reach | null>`(
  select json_agg(json_build_object('any', serving, 'beside', beside, 'deferred', deferred)) from (
    select distinct coalesce(array_agg(physical_network order by physical_network) filter (where serves), '{}') as serving,
      coalesce(array_agg(physical_network order by physical_network) filter (where not serves), '{}') as beside,
      bool_or(deferred) as deferred
    from (select p.id, p.ip_deferred as deferred, piece.physical_network, ${serves} as serves
      from port p join segment piece on piece.network_id = p.network_id and piece.physical_network is not null where p.id in (${ports})) each
    group by id order by 1, 2, 3) wanted)`;

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
  wanted.every(({ any, beside }) => {
    const there = [...any, ...beside].filter((one) => physicalNetworks.includes(one));
    return there.length === 1 && any.includes(there[0]!);
  });
