/** NDP proxies: the operations that the dialects may call. Each is one transaction. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { lockOwn, projectFor, requireWriter, touched } from '../../kit/rows.ts';
import { type NdpProxyRow, ndpProxyListing } from './ndp-proxy.ts';

export interface NdpProxyWish {
  project_id?: string;
  name?: string;
  description?: string;
  router_id: string;
  port_id: string;
  /** Default: the port's first one of IPv6 behind the router. */
  ip_address?: string | null;
}

interface LockedRouter {
  id: string;
  project_id: string;
  ndp_proxy: boolean;
  gateway_network_id: string | null;
}

/** What a wish is judged by. */
interface Ground {
  project_id: string;
  device_owner: string;
  /** Of IPv6, in their order; `near`: the router has an interface on the subnet. */
  ips: { ip: string; near: boolean }[];
  /** The router has an interface on its network. */
  connected: boolean;
  scope: string | null;
  external_scope: string | null;
}

export class NdpProxyService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<NdpProxyRow[]> {
    return listRows(this.#database.query, caller, ndpProxyListing, query);
  }

  read(caller: Caller, id: string): Promise<NdpProxyRow> {
    return readRow(this.#database.query, caller, ndpProxyListing, id);
  }

  /** All or none. The router must have it enabled, and be the port's way to a gateway of the same address scope. */
  async create(caller: Caller, wishes: readonly NdpProxyWish[]): Promise<NdpProxyRow[]> {
    const plans = wishes.map((wish) => {
      return { ...wish, id: newId(), project_id: projectFor(caller, wish.project_id, 'create_ndp_proxy') };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      for (const plan of plans) {
        const router = await lockOwn<LockedRouter>(tx, caller, 'router', plan.router_id, 'create_ndp_proxy');
        const ip_address = await chooseAddress(tx, caller, router, plan);
        await tx
          .insertInto('ndp_proxy')
          .values({ ...defined(plan), id: plan.id, project_id: plan.project_id, ip_address } as typeof plan & {
            ip_address: string;
          })
          .execute()
          .catch((error: unknown) => {
            if (violatedConstraint(error) !== 'ndp_proxy_router_id_ip_address_key') throw error;
            throw new CloudError('conflict', 'ndp_proxy_exists', { router: router.id, ip: ip_address });
          });
      }
      return listMade(
        tx,
        caller,
        ndpProxyListing,
        plans.map(({ id }) => id),
      );
    });
  }

  async update(caller: Caller, id: string, patch: Pick<NdpProxyWish, 'name' | 'description'>): Promise<NdpProxyRow> {
    requireWriter(caller, 'update_ndp_proxy');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'ndp_proxy', id, 'update_ndp_proxy');
      await tx
        .updateTable('ndp_proxy')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, ndpProxyListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    requireWriter(caller, 'delete_ndp_proxy');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'ndp_proxy', id, 'delete_ndp_proxy');
      await sql`delete from ndp_proxy where id = ${id}`.execute(tx);
    });
  }
}

/** @throws CloudError in Neutron's order */
async function chooseAddress(tx: Tx, caller: Caller, router: LockedRouter, wish: NdpProxyWish): Promise<string> {
  const { port_id: port, ip_address: given } = wish;
  const ground = await loadGround(tx, router, port);
  if (!ground || (!isAdmin(caller) && ground.project_id !== caller.projectId)) throw notFound('port', port);
  const unreachable = () => new CloudError('conflict', 'port_unreachable_router', { port, router: router.id });
  if (!ground.connected || ground.device_owner.startsWith('network:')) throw unreachable();
  if (!router.ndp_proxy) throw new CloudError('conflict', 'router_ndp_proxy_not_enable', { router: router.id });
  if (ground.ips.length === 0) throw new CloudError('invalid', 'ndp_proxy_port_without_ipv6', { port });
  const wanted = given ? (canonicalIp(given) ?? given) : undefined;
  const found = wanted === undefined ? ground.ips.find(({ near }) => near) : ground.ips.find(({ ip }) => ip === wanted);
  if (wanted === undefined && !found) throw unreachable();
  if (!found?.near) {
    const why = found ? 'cannot_reach_router' : 'of_another_port';
    throw new CloudError('invalid', 'ndp_proxy_invalid_address', { ip: String(wanted), port, router: router.id, why });
  }
  const { scope, external_scope } = ground;
  if (scope !== external_scope) throw new CloudError('conflict', 'address_scope_conflict', { scope, external_scope });
  return found.ip;
}

async function loadGround(tx: Tx, router: LockedRouter, port: string): Promise<Ground | undefined> {
  const scopeOf = (
    network: unknown,
  ) => sql`(select l.address_scope_id from subnet s join subnet_pool l on l.id = s.subnet_pool_id
    where s.network_id = ${network} and s.ip_version = 6 and l.address_scope_id is not null limit 1)`;
  const near = sql`select i.subnet_id from port r join port_ip i on i.port_id = r.id
    where r.device_id <> '' and r.device_id = ${router.id} and r.device_owner like 'network:router_interface%'`;
  // Its addresses must be as they are once it is held.
  const [, { rows }] = await Promise.all([
    sql`select from port where id = ${port} for no key update`.execute(tx),
    sql<Ground>`select p.project_id, p.device_owner, ${scopeOf(sql`p.network_id`)} as scope,
        ${scopeOf(sql`${router.gateway_network_id}::uuid`)} as external_scope,
        exists (select from subnet s where s.network_id = p.network_id and s.id in (${near})) as connected,
        coalesce((select jsonb_agg(jsonb_build_object('ip', host(i.ip), 'near', i.subnet_id in (${near})) order by i.position)
          from port_ip i where i.port_id = p.id and family(i.ip) = 6), '[]') as ips
      from port p where p.id = ${port}`.execute(tx),
  ]);
  return rows[0];
}
