/** What administrators see of the network as a whole: hosts as its agents, zones, and addresses used and free. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { parseId } from '../../contract/ids.ts';
import { parseIp } from '../kit/address.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import type { Database } from '../kit/database/database.ts';
import { notFound } from '../kit/refusal.ts';
import { forbidden } from '../kit/rows.ts';
import type { Bandwidth } from './bandwidth/bandwidth.ts';

export interface HostBandwidthUse extends Bandwidth {
  used_egress_kbps: number;
  used_ingress_kbps: number;
}

export interface NetworkHost {
  id: string;
  name: string;
  availability_zone: string;
  agent_description: string;
  connected: boolean;
  physical_networks: string[];
  /** What its cards give, and what of it is promised; null where it gives nothing. */
  bandwidths: HostBandwidthUse[] | null;
  last_seen_at: Date | null;
  created_at: Date;
}

export interface SubnetUse {
  subnet_id: string;
  subnet_name: string;
  cidr: string;
  ip_version: 4 | 6;
  used: number;
  total: bigint;
}

export interface NetworkUse {
  network_id: string;
  network_name: string;
  project_id: string;
  subnets: SubnetUse[];
}

export class NetworkInventory {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Others see none, as Neutron's policy filters them out. */
  async hosts(caller: Caller): Promise<NetworkHost[]> {
    return isAdmin(caller) ? this.#hosts(sql`true`) : [];
  }

  async host(caller: Caller, id: string): Promise<NetworkHost | undefined> {
    const parsed = parseId(id);
    if (parsed === undefined || !isAdmin(caller)) return undefined;
    return (await this.#hosts(sql`id = ${parsed}`))[0];
  }

  async #hosts(where: RawBuilder<unknown>): Promise<NetworkHost[]> {
    const { rows } =
      await sql<NetworkHost>`select id, name, availability_zone, agent_description, connected, physical_networks,
      (select json_agg(b order by b.physical_network) from host_bandwidth b where b.host_id = host.id) as bandwidths,
      last_seen_at, created_at from host where ${where} order by name`.execute(this.#database.query);
    return rows;
  }

  /** What of a host's part in the network is anybody's to change: a note. @throws CloudError */
  async describe(caller: Caller, id: string, note: { agent_description?: string }): Promise<NetworkHost> {
    if (!isAdmin(caller)) throw forbidden('update_agent');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql`select from host where id = ${id} for update`.execute(tx);
      if (rows.length === 0) throw new CloudError('not_found', 'agent_not_found', { id });
      if (note.agent_description === undefined) return;
      await tx
        .updateTable('host')
        .set({ ...note, updated_at: sql`now()` })
        .where('id', '=', id)
        .execute();
    });
    return (await this.host(caller, id))!;
  }

  /** Refused: it is the host's, comes with it and goes with it. @throws CloudError */
  async remove(caller: Caller, id: string): Promise<never> {
    if (!isAdmin(caller)) throw forbidden('delete_agent');
    const host = await this.host(caller, id);
    if (!host) throw new CloudError('not_found', 'agent_not_found', { id });
    throw new CloudError('conflict', 'agent_goes_with_host', { id, host: host.name });
  }

  async zones(): Promise<string[]> {
    const { rows } = await sql<{ zone: string }>`select distinct availability_zone as zone from host
      order by zone`.execute(this.#database.query);
    return rows.length === 0 ? ['nova'] : rows.map(({ zone }) => zone);
  }

  async addresses(
    caller: Caller,
    filter: { networkId?: string; networkName?: string; projectId?: string; ipVersion?: number } = {},
  ): Promise<NetworkUse[]> {
    if (!isAdmin(caller)) throw forbidden('get_network_ip_availabilities');
    const { networkId = null, networkName = null, projectId = null, ipVersion = null } = filter;
    const { rows } = await sql<
      Omit<NetworkUse, 'subnets'> & {
        subnets: (Omit<SubnetUse, 'total'> & { pools: { start: string; end: string }[] })[];
      }
    >`select n.id as network_id, n.name as network_name, n.project_id,
        coalesce((select jsonb_agg(jsonb_build_object('subnet_id', s.id, 'subnet_name', s.name, 'cidr', s.cidr,
            'ip_version', s.ip_version, 'pools', s.allocation_pools,
            'used', (select count(*) from port_ip i where i.subnet_id = s.id)) order by s.created_at, s.id)
          from subnet s where s.network_id = n.id
            and (${ipVersion}::integer is null or s.ip_version = ${ipVersion}::integer)), '[]') as subnets
      from network n
      where (${networkId}::uuid is null or n.id = ${networkId}::uuid)
        and (${networkName}::text is null or n.name = ${networkName}::text)
        and (${projectId}::uuid is null or n.project_id = ${projectId}::uuid)
      order by n.id limit 10000`.execute(this.#database.query);
    return rows.map((row) => ({
      ...row,
      subnets: row.subnets.map(({ pools, ...subnet }) => ({ ...subnet, total: poolSize(pools) })),
    }));
  }

  async addressesOf(caller: Caller, networkId: string): Promise<NetworkUse> {
    const [use] = await this.addresses(caller, { networkId });
    if (!use) throw notFound('network', networkId);
    return use;
  }
}

const poolSize = (pools: readonly { start: string; end: string }[]): bigint =>
  pools.reduce((sum, { start, end }) => sum + parseIp(end)!.value - parseIp(start)!.value + 1n, 0n);
