/** Routers: the operations that the dialects may call. Each is one transaction that holds the router's row. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { defined, json } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { interfaceOwners } from '../address/plan.ts';
import { checkRouterFlavor } from '../flavor/service.ts';
import { holdAddresses } from '../port/create.ts';
import { addGateways, removeGateways, replaceGateways } from './further-gateways.ts';
import { checkGatewayRights, type GatewayColumns, type GatewayWish, removeAllGateways, setGateway } from './gateway.ts';
import {
  addByPort,
  addBySubnet,
  type InterfaceResult,
  type LockedRouter,
  removeByPort,
  removeBySubnet,
  routerPorts,
} from './interfaces.ts';
import { checkNat64, touchInterfaces } from './nat64.ts';
import { settleNdpProxy } from './ndp-proxy.ts';
import { router as descriptor } from './resource.ts';
import { type RouterRow, routerListing } from './router.ts';
import { checkRoutes } from './rules.ts';
import type { Route } from './tables.ts';

export interface RouterWish {
  project_id?: string;
  name?: string;
  description?: string;
  admin_state_up?: boolean;
  distributed?: boolean;
  ha?: boolean;
  default_route_ecmp?: boolean;
  nat64?: boolean;
  ndp_proxy?: boolean;
  flavor_id?: string | null;
  availability_zone_hints?: string[];
  /** Null: no gateway. */
  gateway?: GatewayWish | null;
  routes?: Route[];
}

export interface InterfaceWish {
  subnet_id?: string;
  port_id?: string;
}

export type GatewayVerb = 'add' | 'update' | 'remove';

type ChangeGateways = (
  tx: Tx,
  caller: Caller,
  router: RouterRow,
  wishes: readonly GatewayWish[],
) => Promise<Partial<GatewayColumns>>;

const changeGateways: Readonly<Record<GatewayVerb, ChangeGateways>> = {
  add: addGateways,
  update: replaceGateways,
  remove: (tx, _caller, router, wishes) => removeGateways(tx, router, wishes),
};

export class RouterService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<RouterRow[]> {
    return listRows(this.#database.query, caller, routerListing, query);
  }

  read(caller: Caller, id: string): Promise<RouterRow> {
    return readRow(this.#database.query, caller, routerListing, id);
  }

  async create(caller: Caller, wish: RouterWish): Promise<RouterRow> {
    return (await this.createAll(caller, [wish]))[0]!;
  }

  /** All or none. */
  createAll(caller: Caller, wishes: readonly RouterWish[]): Promise<RouterRow[]> {
    return this.#database.transaction(actorOf(caller), async (tx) =>
      listMade(tx, caller, routerListing, await createRouters(tx, caller, wishes)),
    );
  }

  async update(caller: Caller, id: string, wish: RouterWish): Promise<RouterRow> {
    checkGatewayRights(caller, wish.gateway ?? null, 'update_router');
    checkFlagRights(caller, wish, 'update_router');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<RouterRow>(tx, caller, 'router', id, 'update_router');
      checkRedistribution(now, wish);
      const { gateway, routes, project_id: _, ...columns } = wish;
      const outside = gateway === undefined ? {} : await setGateway(tx, caller, now, gateway);
      const checked = routes === undefined ? {} : { routes: json(await connectedRoutes(tx, id, routes)) };
      await tx
        .updateTable('router')
        .set({ ...defined(columns), ...outside, ...checked, ...touched })
        .where('id', '=', id)
        .execute();
      if (wish.nat64 ?? now.nat64) await checkNat64(tx, id);
      if (wish.ndp_proxy ?? now.ndp_proxy) await settleNdpProxy(tx, id, { asked: wish.ndp_proxy === true });
      if (wish.nat64 !== undefined && wish.nat64 !== now.nat64) await touchInterfaces(tx, id);
      return readRow(tx, caller, routerListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), (tx) => deleteRouter(tx, caller, id));
  }

  addInterface(caller: Caller, id: string, wish: InterfaceWish): Promise<InterfaceResult> {
    return this.#change(caller, id, 'add_router_interface', async (tx, router) => {
      if (wish.subnet_id !== undefined && wish.port_id !== undefined) {
        throw new CloudError('invalid', 'router_interface_ambiguous', {});
      }
      if (wish.subnet_id !== undefined) return addBySubnet(tx, caller, router, wish.subnet_id);
      if (wish.port_id !== undefined) return addByPort(tx, caller, router, wish.port_id);
      throw new CloudError('invalid', 'router_interface_unnamed', {});
    });
  }

  removeInterface(caller: Caller, id: string, wish: InterfaceWish): Promise<InterfaceResult> {
    return this.#change(caller, id, 'remove_router_interface', async (tx, router) => {
      if (wish.port_id !== undefined) return removeByPort(tx, router, wish.port_id, wish.subnet_id);
      if (wish.subnet_id !== undefined) return removeBySubnet(tx, caller, router, wish.subnet_id);
      throw new CloudError('invalid', 'router_interface_unnamed', {});
    });
  }

  /** Adds or removes single routes, so that two clients don't overwrite each other's list. */
  async changeRoutes(caller: Caller, id: string, change: { add?: Route[]; remove?: Route[] }): Promise<RouterRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<RouterRow>(tx, caller, 'router', id, 'update_router');
      const same = (a: Route, b: Route) => a.destination === b.destination && a.nexthop === b.nexthop;
      const kept = now.routes.filter((route) => !change.remove?.some((gone) => same(route, gone)));
      const added = (change.add ?? []).filter((route) => !kept.some((old) => same(route, old)));
      const routes = await connectedRoutes(tx, id, [...kept, ...added]);
      await tx
        .updateTable('router')
        .set({ routes: json(routes), ...touched })
        .where('id', '=', id)
        .execute();
      if (now.nat64) await checkNat64(tx, id);
      return readRow(tx, caller, routerListing, id);
    });
  }

  /** Adds, removes or replaces gateways, the first one among them. */
  changeGateways(caller: Caller, id: string, verb: GatewayVerb, wishes: readonly GatewayWish[]): Promise<RouterRow> {
    // What is removed is named by its addresses, not given them.
    if (verb !== 'remove') for (const wish of wishes) checkGatewayRights(caller, wish, `${verb}_external_gateways`);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<RouterRow>(tx, caller, 'router', id, `${verb}_external_gateways`);
      const columns = await changeGateways[verb](tx, caller, now, wishes);
      await tx
        .updateTable('router')
        .set({ ...columns, ...touched })
        .where('id', '=', id)
        .execute();
      if (now.nat64) await checkNat64(tx, id);
      if (now.ndp_proxy) await settleNdpProxy(tx, id, { asked: false });
      return readRow(tx, caller, routerListing, id);
    });
  }

  #change(
    caller: Caller,
    id: string,
    operation: string,
    work: (tx: Tx, router: LockedRouter) => Promise<InterfaceResult>,
  ): Promise<InterfaceResult> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const router = await lockOwn<RouterRow>(tx, caller, 'router', id, operation);
      const result = await work(tx, router);
      if (router.nat64) await checkNat64(tx, id);
      await sql`update router set generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
      return result;
    });
  }
}

/** In the caller's transaction. Answers their ids, in the order of the wishes. @throws CloudError */
export async function createRouters(tx: Tx, caller: Caller, wishes: readonly RouterWish[]): Promise<string[]> {
  const plans = wishes.map((wish) => {
    checkGatewayRights(caller, wish.gateway ?? null, 'create_router');
    checkFlagRights(caller, wish, 'create_router');
    return { wish, id: newId(), project: projectFor(caller, wish.project_id, 'create_router') };
  });
  const byProject = Map.groupBy(plans, ({ project }) => project);
  for (const project of [...byProject.keys()].sort()) {
    await checkQuota(tx, project, descriptor.usage, { routers: byProject.get(project)!.length });
  }
  await holdAddresses(
    tx,
    wishes.flatMap(({ gateway }) => gateway?.network_id ?? []),
  );
  for (const { wish, id, project } of plans) {
    const { gateway, routes: _, project_id: __, ...columns } = wish;
    if (wish.flavor_id) await checkRouterFlavor(tx, wish.flavor_id);
    if (wish.availability_zone_hints?.length) await checkZones(tx, wish.availability_zone_hints);
    await tx
      .insertInto('router')
      .values({ ...defined(columns), id, project_id: project })
      .execute();
    if (!gateway) {
      if (wish.ndp_proxy) await settleNdpProxy(tx, id, { asked: true });
      continue;
    }
    const now = { id, gateway_network_id: null, enable_snat: true, gateway_qos_policy_id: null };
    await tx
      .updateTable('router')
      .set(await setGateway(tx, caller, now, gateway))
      .where('id', '=', id)
      .execute();
    if (wish.nat64) await checkNat64(tx, id);
    if (wish.ndp_proxy) await settleNdpProxy(tx, id, { asked: true });
  }
  return plans.map(({ id }) => id);
}

/** In the caller's transaction. @throws CloudError `conflict` while it has interfaces, or floating IPs go through it */
export async function deleteRouter(tx: Tx, caller: Caller, id: string): Promise<void> {
  const now = await lockOwn<RouterRow>(tx, caller, 'router', id, 'delete_router');
  const inside = (await routerPorts(tx, id)).filter((port) => interfaceOwners.includes(port.device_owner));
  if (inside.length > 0) {
    const ports = inside.map((port) => port.id);
    throw new CloudError('conflict', 'router_in_use', { id, ports });
  }
  await removeAllGateways(tx, now);
  await sql`delete from router where id = ${id}`.execute(tx);
}

async function connectedRoutes(tx: Tx, routerId: string, routes: readonly Route[]): Promise<Route[]> {
  const ips = (await routerPorts(tx, routerId)).flatMap((port) => port.ips);
  return checkRoutes(
    routerId,
    routes,
    ips.map(({ cidr }) => cidr),
    ips.map(({ ip }) => ip),
  );
}

/** @throws CloudError `not_found` for a zone without hosts */
async function checkZones(tx: Tx, zones: readonly string[]): Promise<void> {
  const { rows } = await sql<{ zone: string }>`select zone from unnest(${[...zones]}::text[]) as hinted(zone)
    where not exists (select from host where availability_zone = zone) limit 1`.execute(tx);
  if (rows[0]) throw new CloudError('not_found', 'availability_zone_not_found', { zone: rows[0].zone });
}

/** @throws CloudError `forbidden`: how a router is spread over hosts is administrators' business */
function checkFlagRights(caller: Caller, wish: RouterWish, operation: string): void {
  for (const flag of ['distributed', 'ha', 'default_route_ecmp'] as const) {
    if (wish[flag] !== undefined && !isAdmin(caller)) throw forbidden(operation, flag);
  }
}

/**
 * Floating IPs that change where they are handled change their MAC address, which ovn-controller 23.03 announces half a minute late.
 * @throws CloudError `invalid` while the router is up, or shall be
 */
function checkRedistribution(now: RouterRow, wish: RouterWish): void {
  if (wish.distributed === undefined || wish.distributed === now.distributed) return;
  if (wish.admin_state_up ?? now.admin_state_up) throw new CloudError('invalid', 'router_up_changes_distributed', {});
}
