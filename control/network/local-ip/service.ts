/** Local IPs: the operations that the dialects may call. Each is one transaction. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { defined } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { holdQuota } from '../../kit/quota/quota.ts';
import { lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { holdAddresses } from '../port/create.ts';
import { localIpOwner } from '../port/local-ip-port.ts';
import { deletePortRows } from '../port/server-ports.ts';
import { chooseAddress, holdPorts, makeLocalPort } from './ground.ts';
import { type LocalIpAssociationRow, type LocalIpRow, localIpAssociationListing, localIpListing } from './local-ip.ts';
import type { LocalIpMode } from './tables.ts';

export interface LocalIpWish {
  project_id?: string;
  name?: string;
  description?: string;
  /** Whose address it shall be, or on which network it shall have a port of its own. One of the two is needed; the port goes first. */
  local_port_id?: string;
  network_id?: string;
  local_ip_address?: string | null;
  ip_mode?: LocalIpMode;
}

export interface LocalIpAssociationWish {
  fixed_port_id: string;
  /** Needed where the port has several of IPv4. */
  fixed_ip?: string | null;
}

export class LocalIpService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<LocalIpRow[]> {
    return listRows(this.#database.query, caller, localIpListing, query);
  }

  read(caller: Caller, id: string): Promise<LocalIpRow> {
    return readRow(this.#database.query, caller, localIpListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly LocalIpWish[]): Promise<LocalIpRow[]> {
    const plans = wishes.map((wish) => {
      const project_id = projectFor(caller, wish.project_id, 'create_local_ip');
      if (!wish.local_port_id && !wish.network_id) {
        throw new CloudError('invalid', 'local_ip_port_or_network_required', {});
      }
      return { ...wish, id: newId(), project_id };
    });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      // The quota before networks, those before ports, and several of a kind in one order, as who makes ports.
      const own = plans.filter(({ local_port_id }) => !local_port_id);
      for (const project of [...new Set(own.map(({ project_id }) => project_id))].sort())
        await holdQuota(tx, project, ['ports']);
      await holdAddresses(
        tx,
        own.flatMap(({ network_id }) => network_id ?? []),
      );
      await holdPorts(
        tx,
        plans.flatMap(({ local_port_id }) => local_port_id ?? []),
      );
      for (const plan of plans) await insertLocalIp(tx, caller, plan);
      return listMade(
        tx,
        caller,
        localIpListing,
        plans.map(({ id }) => id),
      );
    });
  }

  /** Its words alone: where it leads is said by its associations. */
  async update(caller: Caller, id: string, patch: Pick<LocalIpWish, 'name' | 'description'>): Promise<LocalIpRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      await lockOwn(tx, caller, 'local_ip', id, 'update_local_ip');
      await tx
        .updateTable('local_ip')
        .set({ ...defined(patch), ...touched })
        .where('id', '=', id)
        .execute();
      return readRow(tx, caller, localIpListing, id);
    });
  }

  /** Refused while it leads to ports. Its own port goes along. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockOwn<LocalIpRow>(tx, caller, 'local_ip', id, 'delete_local_ip');
      const { rows } = await sql<{ associated: boolean; device_owner: string }>`select p.device_owner,
          exists (select from local_ip_association where local_ip_id = ${id}) as associated
        from port p where p.id = ${now.local_port_id}`.execute(tx);
      if (rows[0]?.associated) throw new CloudError('conflict', 'local_ip_in_use', { id });
      await sql`delete from local_ip where id = ${id}`.execute(tx);
      if (rows[0]?.device_owner === localIpOwner) await deletePortRows(tx, [now.local_port_id]);
    });
  }

  async listAssociations(caller: Caller, localIpId: string, query: ListQuery): Promise<LocalIpAssociationRow[]> {
    await readRow(this.#database.query, caller, localIpListing, localIpId);
    return associations(this.#database.query, caller, localIpId, query);
  }

  async readAssociation(caller: Caller, localIpId: string, portId: string): Promise<LocalIpAssociationRow> {
    await readRow(this.#database.query, caller, localIpListing, localIpId);
    return associationOf(this.#database.query, caller, localIpId, portId);
  }

  /** All or none. On the host of each of the ports the local IP is the port from then on. */
  async associate(
    caller: Caller,
    localIpId: string,
    wishes: readonly LocalIpAssociationWish[],
  ): Promise<LocalIpAssociationRow[]> {
    return this.#change(caller, localIpId, 'create_local_ip_port_association', async (tx, localIp) => {
      await holdPorts(
        tx,
        wishes.map(({ fixed_port_id }) => fixed_port_id),
      );
      for (const wish of wishes) await insertAssociation(tx, caller, localIp, wish);
      const made = wishes.map(({ fixed_port_id }) => fixed_port_id);
      const rows = await associations(tx, caller, localIpId, { ids: made });
      const byPort = new Map(rows.map((row) => [row.id, row]));
      return made.map((id) => byPort.get(id)!);
    });
  }

  async dissociate(caller: Caller, localIpId: string, portId: string): Promise<void> {
    await this.#change(caller, localIpId, 'delete_local_ip_port_association', async (tx) => {
      await associationOf(tx, caller, localIpId, portId);
      await sql`delete from local_ip_association where local_ip_id = ${localIpId} and fixed_port_id = ${portId}`.execute(
        tx,
      );
    });
  }

  #change<T>(
    caller: Caller,
    id: string,
    operation: string,
    work: (tx: Tx, localIp: LocalIpRow) => Promise<T>,
  ): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) =>
      work(tx, await lockOwn<LocalIpRow>(tx, caller, 'local_ip', id, operation)),
    );
  }
}

type Plan = LocalIpWish & { id: string; project_id: string };

async function insertLocalIp(tx: Tx, caller: Caller, plan: Plan): Promise<void> {
  const { local_ip_address: ip, local_port_id: portId, network_id, ...rest } = plan;
  const wanted = ip ? canonicalIp(ip) : undefined;
  const local = portId
    ? await chooseAddress(tx, caller, portId, wanted)
    : await makeLocalPort(tx, caller, { ...rest, network_id: network_id!, ip: wanted });
  await tx
    .insertInto('local_ip')
    .values({
      ...defined(rest),
      ...{ id: plan.id, project_id: plan.project_id },
      ...{ network_id: local.network_id, local_port_id: local.port_id, local_ip_address: local.ip },
    })
    .execute()
    .catch((error: unknown) => {
      if (violatedConstraint(error) !== 'local_ip_local_port_id_local_ip_address_key') throw error;
      throw new CloudError('conflict', 'local_ip_exists', { port: local.port_id, ip: local.ip });
    });
}

async function insertAssociation(
  tx: Tx,
  caller: Caller,
  localIp: LocalIpRow,
  wish: LocalIpAssociationWish,
): Promise<void> {
  const wanted = wish.fixed_ip ? canonicalIp(wish.fixed_ip) : undefined;
  const to = await chooseAddress(tx, caller, wish.fixed_port_id, wanted);
  // Neutron would put the address on the port's network too: on a shared one, in the way of what others mean by it.
  if (to.network_id !== localIp.network_id) {
    throw new CloudError('invalid', 'local_ip_port_on_another_network', { id: localIp.id, port: to.port_id });
  }
  if (to.port_id === localIp.local_port_id) {
    throw new CloudError('invalid', 'local_ip_leads_to_itself', { id: localIp.id, port: to.port_id });
  }
  await tx
    .insertInto('local_ip_association')
    .values({
      ...{ id: newId(), project_id: localIp.project_id, local_ip_id: localIp.id },
      ...{ network_id: localIp.network_id, fixed_port_id: to.port_id, fixed_ip: to.ip },
    })
    .execute()
    .catch((error: unknown) => {
      if (violatedConstraint(error) !== 'local_ip_association_local_ip_id_fixed_port_id_key') throw error;
      throw new CloudError('conflict', 'local_ip_association_exists', { id: localIp.id, port: to.port_id });
    });
}

/** Of one local IP. */
const associations = (db: Queryable, caller: Caller, localIpId: string, query: ListQuery) =>
  listRows(db, caller, localIpAssociationListing, {
    ...query,
    filters: [...(query.filters ?? []), { column: 'local_ip_id', values: [localIpId] }],
  });

/** @throws CloudError `not_found` */
async function associationOf(db: Queryable, caller: Caller, localIpId: string, portId: string) {
  const [row] = await associations(db, caller, localIpId, { ids: [portId] });
  if (!row) throw new CloudError('not_found', 'local_ip_association_not_found', { id: localIpId, port: portId });
  return row;
}
