/** Floating IPs: the operations that the dialects may call. Each is one transaction. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { maySee } from '../access.ts';
import { interfaceOwners } from '../address/plan.ts';
import { cloudGround, createPorts, holdAddresses, holdNetworks } from '../port/create.ts';
import { deletePortRows } from '../port/server-ports.ts';
import { checkQosChange, requireQosPolicies } from '../qos-policy/use.ts';
import { type FloatingIpRow, floatingIpListing } from './floating-ip.ts';
import { floatingIp as descriptor } from './resource.ts';
import { holdRoutersTo, routersBetween } from './router-between.ts';

export interface FloatingIpWish {
  project_id?: string;
  floating_network_id: string;
  subnet_id?: string | null;
  floating_ip?: string | null;
  port_id?: string | null;
  fixed_ip?: string | null;
  description?: string;
  /** With the domain, or whole with its dot at the end: the resolvers of its project's networks answer for it. */
  dns_name?: string;
  dns_domain?: string;
  qos_policy_id?: string | null;
}

export type FloatingIpPatch = Pick<FloatingIpWish, 'port_id' | 'fixed_ip' | 'description' | 'qos_policy_id'>;

export class FloatingIpService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<FloatingIpRow[]> {
    return listRows(this.#database.query, caller, floatingIpListing, query);
  }

  read(caller: Caller, id: string): Promise<FloatingIpRow> {
    return readRow(this.#database.query, caller, floatingIpListing, id);
  }

  async create(caller: Caller, wish: FloatingIpWish): Promise<FloatingIpRow> {
    return (await this.createAll(caller, [wish]))[0]!;
  }

  /** All or none. */
  async createAll(caller: Caller, wishes: readonly FloatingIpWish[]): Promise<FloatingIpRow[]> {
    const plans = wishes.map((wish) => {
      const project = projectFor(caller, wish.project_id, 'create_floatingip');
      if (wish.floating_ip && !isAdmin(caller)) throw forbidden('create_floatingip', 'floating_ip_address');
      return { wish, id: newId(), project };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const byProject = Map.groupBy(plans, ({ project }) => project);
      for (const project of [...byProject.keys()].sort()) {
        await checkQuota(tx, project, descriptor.usage, { floating_ips: byProject.get(project)!.length });
      }
      await requireQosPolicies(
        tx,
        caller,
        wishes.map((wish) => wish.qos_policy_id),
      );
      // Routers before networks, as who changes a router.
      const ports = wishes.flatMap(({ port_id }) => port_id ?? []);
      const outside = new Set(ports.length > 0 ? wishes.map((wish) => wish.floating_network_id) : []);
      for (const network of [...outside].sort()) await holdRoutersTo(tx, network, ports);
      await holdAddresses(
        tx,
        wishes.map((wish) => wish.floating_network_id),
      );
      // In the order in which others hold several; one by one they are in that of the wishes.
      if (ports.length > 1)
        await sql`select from port where ${isOneOf(sql`id`, ports)} order by id for share`.execute(tx);
      for (const { wish, id, project } of plans)
        await insertFloatingIp(tx, caller, { ...wish, id, project_id: project });
      return listMade(
        tx,
        caller,
        floatingIpListing,
        plans.map(({ id }) => id),
      );
    });
  }

  /** Associates, associates anew or (port null) loosens. */
  async update(caller: Caller, id: string, patch: FloatingIpPatch): Promise<FloatingIpRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<FloatingIpRow>(tx, caller, 'floating_ip', id, 'update_floatingip');
      const changes = patch.port_id !== undefined || patch.fixed_ip !== undefined;
      const wish = { ...now, ...defined(patch) };
      if (patch.port_id !== undefined && patch.fixed_ip === undefined) wish.fixed_ip = null;
      // None of the questions waits for another's answer.
      const [inside] = await Promise.all([
        changes ? findInside(tx, caller, wish) : {},
        patch.port_id ? requireWhole(tx, id) : undefined,
        checkQosChange(tx, caller, now.qos_policy_id, patch.qos_policy_id),
      ]);
      await tx
        .updateTable('floating_ip')
        .set({
          ...defined({ description: patch.description, qos_policy_id: patch.qos_policy_id }),
          ...inside,
          ...touched,
        })
        .where('id', '=', id)
        .execute()
        .catch((error: unknown) => refuseSecond(error, { ...wish, ip: now.floating_ip }));
      return withCommit(readRow(tx, caller, floatingIpListing, id));
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<FloatingIpRow>(tx, caller, 'floating_ip', id, 'delete_floatingip');
      await requireWhole(tx, id);
      await sql`delete from floating_ip where id = ${id}`.execute(tx);
      await deletePortRows(tx, [now.floating_port_id]);
    });
  }
}

async function insertFloatingIp(
  tx: Tx,
  caller: Caller,
  wish: FloatingIpWish & { id: string; project_id: string },
): Promise<void> {
  const { id, project_id } = wish;
  const outside = await takeAddress(tx, caller, id, wish);
  const inside = await findInside(tx, caller, wish);
  await tx
    .insertInto('floating_ip')
    .values({
      id,
      project_id,
      floating_network_id: wish.floating_network_id,
      floating_port_id: outside.portId,
      floating_ip: outside.ip,
      ...defined({ description: wish.description, qos_policy_id: wish.qos_policy_id }),
      ...defined({ dns_name: wish.dns_name, dns_domain: wish.dns_domain }),
      ...inside,
    })
    .execute()
    .catch((error: unknown) => refuseSecond(error, { ...wish, ip: outside.ip, fixed_ip: inside.fixed_ip }));
}

function refuseSecond(
  error: unknown,
  wish: { id: string; ip: string; port_id?: string | null; fixed_ip?: string | null },
): never {
  if (violatedConstraint(error) !== 'floating_ip_port_id_fixed_ip_key') throw error;
  throw new CloudError('conflict', 'floating_ip_port_already_associated', {
    id: wish.id,
    ip: wish.ip,
    port: String(wish.port_id),
    fixed_ip: wish.fixed_ip ?? null,
  });
}

/** A port of the cloud's own on the external network keeps the address. */
async function takeAddress(
  tx: Tx,
  caller: Caller,
  id: string,
  wish: FloatingIpWish,
): Promise<{ portId: string; ip: string }> {
  const network = (await holdNetworks(tx, [wish.floating_network_id])).get(wish.floating_network_id);
  if (!network || !maySee(caller, network)) throw notFound('network', wish.floating_network_id);
  if (!network.external) throw new CloudError('invalid', 'floating_ip_network_not_external', { network: network.id });
  if (!network.subnets.some((subnet) => subnet.ip_version === 4)) {
    throw new CloudError('invalid', 'floating_ip_network_without_ipv4', { network: network.id });
  }
  const fixed = defined({ subnet_id: wish.subnet_id ?? undefined, ip: wish.floating_ip ?? undefined });
  const [port] = await createPorts(
    tx,
    [
      {
        project_id: network.project_id,
        network_id: network.id,
        device_id: id,
        device_owner: 'network:floatingip',
        only_version: 4,
        ...(Object.keys(fixed).length > 0 ? { fixed_ips: [fixed as { subnet_id?: string; ip?: string }] } : {}),
      },
    ],
    cloudGround([network]),
  );
  const ip = port!.fixed_ips.find((one) => !one.ip.includes(':'))?.ip;
  if (ip === undefined) {
    throw new CloudError('invalid', 'external_ip_address_exhausted', { network: network.id });
  }
  return { portId: port!.id, ip };
}

interface InsideWish {
  id: string;
  project_id: string;
  floating_network_id: string;
  port_id?: string | null;
  fixed_ip?: string | null;
}

interface Inside {
  port_id: string | null;
  fixed_ip: string | null;
  router_id: string | null;
}

interface InsidePort {
  project_id: string;
  /** The network's, who sees its ports too. */
  network_project_id: string;
  network_id: string;
  device_owner: string;
  forwarded: boolean;
  ips: { ip: string; subnet_id: string }[];
}

/** The inside port, the one of its addresses that is meant, and the router that leads there. */
async function findInside(tx: Tx, caller: Caller, wish: InsideWish): Promise<Inside> {
  if (!wish.port_id) {
    if (wish.fixed_ip) throw new CloudError('invalid', 'fixed_ip_without_port', {});
    return { port_id: null, fixed_ip: null, router_id: null };
  }
  // One round trip, but three statements: forwardings and addresses must be read as they are once the port is held.
  const [, , { rows }] = await Promise.all([
    holdRoutersTo(tx, wish.floating_network_id, [wish.port_id]),
    sql`select from port where id = ${wish.port_id} for share`.execute(tx),
    sql<InsidePort>`select p.project_id, p.network_id, p.device_owner, n.project_id as network_project_id,
      exists (select from port_forwarding f where f.port_id = p.id) as forwarded,
      coalesce((select jsonb_agg(jsonb_build_object('ip', host(i.ip), 'subnet_id', i.subnet_id) order by i.position)
        from port_ip i where i.port_id = p.id and family(i.ip) = 4), '[]') as ips
    from port p join network n on n.id = p.network_id where p.id = ${wish.port_id}`.execute(tx),
  ]);
  const port = rows[0];
  const seers = [port?.project_id, port?.network_project_id];
  if (!port || (!isAdmin(caller) && !seers.includes(caller.projectId!))) throw notFound('port', wish.port_id);
  if (!isAdmin(caller) && port.project_id !== wish.project_id) {
    throw new CloudError('invalid', 'floating_ip_port_of_another_project', { port: String(wish.port_id) });
  }
  // Its answers would leave by the floating IP that stands for it whole.
  if (port.forwarded) throw new CloudError('invalid', 'port_has_port_forwarding', { port: wish.port_id });
  const ip = chooseIp(wish, port.device_owner, port.ips);
  const router = await findRouter(tx, wish, ip.subnet_id);
  return { port_id: wish.port_id, fixed_ip: ip.ip, router_id: router };
}

function chooseIp(wish: InsideWish, owner: string, ips: { ip: string; subnet_id: string }[]) {
  // An interface of a router may lie behind another router. Nothing else that is the cloud's own is anybody's to reach.
  if (owner.startsWith('network:') && !interfaceOwners.includes(owner))
    throw new CloudError('invalid', 'floating_ip_port_unfit', { port: String(wish.port_id) });
  if (wish.fixed_ip) {
    if (wish.fixed_ip.includes(':')) {
      throw new CloudError('invalid', 'floating_ip_needs_ipv4', { ip: wish.fixed_ip });
    }
    const ip = ips.find((one) => one.ip === wish.fixed_ip);
    if (!ip)
      throw new CloudError('invalid', 'port_without_that_fixed_ip', { port: String(wish.port_id), ip: wish.fixed_ip });
    return ip;
  }
  if (ips.length === 0) {
    throw new CloudError('invalid', 'port_without_ipv4', { port: String(wish.port_id) });
  }
  if (ips.length > 1) {
    throw new CloudError('invalid', 'port_with_several_ipv4', { port: String(wish.port_id) });
  }
  return ips[0]!;
}

async function findRouter(tx: Tx, wish: InsideWish, subnetId: string): Promise<string> {
  const router = (await routersBetween(tx, wish.floating_network_id, [subnetId])).get(subnetId);
  if (router === undefined) {
    throw new CloudError('not_found', 'external_gateway_for_floating_ip_not_found', {
      network: wish.floating_network_id,
      subnet: subnetId,
      port: String(wish.port_id),
    });
  }
  return router;
}

/** A floating IP in parts stands for no port as a whole, and stays as long as it has parts. */
async function requireWhole(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql`select from port_forwarding where floating_ip_id = ${id} limit 1`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'floating_ip_in_use_by_port_forwarding', { id });
}
