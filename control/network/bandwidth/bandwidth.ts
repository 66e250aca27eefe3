/**
 * Minimum bandwidth: what servers ask of a host's cards, and what these have left. Reads only. What is promised is written by triggers in
 * the transaction that changes a port's host, its policy, its network's policy or a rule; the one that promises more than a host gives
 * fails there (migration 0741), which {@link refuseOverPromise} puts into words.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Tx, violatedConstraint } from '../../kit/database/database.ts';

/** Of one network of a host's cards, in thousands of bits a second, as guests see the directions. */
export interface Bandwidth {
  /** '': what tunnels run over. */
  physical_network: string;
  egress_kbps: number;
  ingress_kbps: number;
}

const asked = (ports: RawBuilder<unknown>): RawBuilder<Bandwidth[] | null> => sql<Bandwidth[] | null>`(
  select json_agg(each) from (
    select coalesce(n.provider_physical_network, '') as physical_network,
      coalesce(sum(r.min_kbps) filter (where r.direction = 'egress'), 0) as egress_kbps,
      coalesce(sum(r.min_kbps) filter (where r.direction = 'ingress'), 0) as ingress_kbps
    from port p join network n on n.id = p.network_id
      join qos_rule r on r.qos_policy_id = coalesce(p.qos_policy_id, n.qos_policy_id) and r.kind = 'minimum_bandwidth'
    where p.id in (${ports}) group by 1 order by 1) each)`;

/** What a server's ports ask for, with those that its trunks carry; null: nothing. An expression. */
export const bandwidthOfServer = (serverId: RawBuilder<unknown>): RawBuilder<Bandwidth[] | null> =>
  asked(sql`select v.port_id from server_port v where v.server_id = ${serverId}
    union all select c.port_id from server_port v join trunk t on t.port_id = v.port_id join subport c on c.trunk_id = t.id
    where v.server_id = ${serverId}`);

/** What these ports ask for, with those that they carry. */
export async function bandwidthOfPorts(tx: Tx, ids: readonly string[]): Promise<Bandwidth[] | null> {
  const ports = sql`select unnest(${[...ids]}::uuid[]) union all select s.port_id
    from trunk t join subport s on s.trunk_id = t.id where t.port_id = any(${[...ids]}::uuid[])`;
  const { rows } = await sql<{ asked: Bandwidth[] | null }>`select ${asked(ports)} as asked`.execute(tx);
  return rows[0]!.asked;
}

/** By host what its cards have left to promise; hosts that give nothing are not in it. */
export async function freeBandwidth(tx: Tx): Promise<Map<string, Bandwidth[]>> {
  // One value, since thousands of rows cost the reader more than the database.
  const { rows } = await sql<{ hosts: Record<string, Bandwidth[]> | null }>`
    select json_object_agg(host_id, networks) as hosts from (
      select host_id, json_agg(json_build_object('physical_network', physical_network,
        'egress_kbps', egress_kbps - used_egress_kbps, 'ingress_kbps', ingress_kbps - used_ingress_kbps)) as networks
      from host_bandwidth group by host_id) each`.execute(tx);
  return new Map(Object.entries(rows[0]!.hosts ?? {}));
}

/** Does the one have room for the other? */
export const hasRoom = (free: readonly Bandwidth[], wanted: readonly Bandwidth[]): boolean =>
  wanted.every((want) => {
    const there = free.find(({ physical_network }) => physical_network === want.physical_network);
    const egress = (there?.egress_kbps ?? 0) >= want.egress_kbps || want.egress_kbps === 0;
    return egress && ((there?.ingress_kbps ?? 0) >= want.ingress_kbps || want.ingress_kbps === 0);
  });

/** What is left when it has been given. */
export const lessBandwidth = (free: readonly Bandwidth[], given: readonly Bandwidth[]): Bandwidth[] =>
  free.map((one) => {
    const taken = given.find(({ physical_network }) => physical_network === one.physical_network);
    if (!taken) return one;
    const egress_kbps = one.egress_kbps - taken.egress_kbps;
    return { ...one, egress_kbps, ingress_kbps: one.ingress_kbps - taken.ingress_kbps };
  });

export const isOverPromise = (error: unknown): boolean => violatedConstraint(error) === 'host_bandwidth_room';

/** @param consumer the id of what would have been promised more */
export const refuseOverPromise =
  (consumer: string) =>
  (error: unknown): never => {
    throw isOverPromise(error) ? new CloudError('conflict', 'bandwidth_exceeded', { consumer }) : error;
  };
