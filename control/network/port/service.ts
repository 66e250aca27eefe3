/**
 * Ports: the operations that other parts and the dialects may call. Each of its own is one transaction; those for
 * servers are part of the transaction that decides about the server.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { DesiredNetwork } from '../../../contract/host/index.ts';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { parseMac, randomMac } from '../../kit/address.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { defined, json } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { checkRevision, forbidden, lockOwn, projectFor, requireWriter, touched } from '../../kit/rows.ts';
import { maySee, mayUse } from '../access.ts';
import { refuseOverPromise } from '../bandwidth/bandwidth.ts';
import { checkQosChange, requireQosPolicies } from '../qos-policy/use.ts';
import { holdGroups } from '../security-group/default-group.ts';
import { requireUntrunked } from '../trunk/ports.ts';
import {
  cloudOwners,
  createPorts,
  holdNetworks,
  loadGround,
  macInUse,
  type NetworkFacts,
  type NewPort,
  refuseVanished,
} from './create.ts';
import { changedOptions } from './dhcp-options.ts';
import { moveHome } from './home.ts';
import { requireNoLocalIp } from './local-ip-port.ts';
import { createMetadataPorts, metadataOwner, serveMetadata } from './metadata-port.ts';
import { type PortRow, portListing } from './port.ts';
import { checkPairs, checkPortRights, type PortWish } from './rules.ts';
import { addServerAddress, removeServerAddress } from './server-addresses.ts';
import {
  bindServerPorts,
  createServerPorts,
  deletePortRows,
  holdFloatingIps,
  holdNetworksOf,
  planServerPorts,
  releaseServerPorts,
  type ServerPort,
  type ServerPortBinding,
  type ServerPortsPlan,
  type ServerPortsWish,
  unbindServerPorts,
} from './server-ports.ts';
import {
  type DesiredPorts,
  desiredPorts,
  networksOfHosts,
  type PortStamp,
  portStamps,
  type ServerInterface,
  serverAddresses,
} from './server-views.ts';
import { updateAddresses } from './update-addresses.ts';

export interface NewPortWish extends PortWish {
  project_id?: string;
  network_id: string;
}

/** Makes a network for a project that has none, in the transaction, and answers its id. */
export type AutoNetwork = (tx: Tx, caller: Caller, projectId: string) => Promise<string>;

export class PortService {
  readonly #database: Database;
  readonly #autoNetwork: AutoNetwork;

  constructor(options: { database: Database; autoNetwork: AutoNetwork }) {
    this.#database = options.database;
    this.#autoNetwork = options.autoNetwork;
  }

  list(caller: Caller, query: ListQuery): Promise<PortRow[]> {
    return listRows(this.#database.query, caller, portListing, query);
  }

  read(caller: Caller, id: string): Promise<PortRow> {
    return readRow(this.#database.query, caller, portListing, id);
  }

  /** All or none. */
  async create(caller: Caller, wishes: readonly NewPortWish[]): Promise<PortRow[]> {
    const drafts = wishes.map((wish) => ({ wish, project: projectFor(caller, wish.project_id, 'create_port') }));
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const groups = drafts.flatMap(({ wish }) => wish.security_groups ?? []);
      const [ground] = await Promise.all([
        loadGround(
          tx,
          drafts.map(({ wish, project }) => ({ ...wish, project_id: project })),
        ),
        holdGroups(tx, caller, groups),
        requireQosPolicies(
          tx,
          caller,
          wishes.map((wish) => wish.qos_policy_id),
        ),
      ]);
      const ports = drafts.map(({ wish, project }) =>
        newPort(caller, wish, project, ground.networks.get(wish.network_id)),
      );
      const made = await createPorts(tx, ports, ground);
      return withCommit(
        listMade(
          tx,
          caller,
          portListing,
          made.map(({ id }) => id),
        ),
      );
    });
  }

  async update(caller: Caller, id: string, asked: PortWish): Promise<PortRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      // Its network before itself, as who gives the network a subnet holds the two.
      const [, now] = await Promise.all([
        holdNetworksOf(tx, sql`select network_id from port where id = ${id}`),
        lockPort(tx, caller, id, 'update_port'),
      ]);
      const network = (await holdNetworks(tx, [now.network_id])).get(now.network_id)!;
      const { device_owner: owner, ...others } = asked;
      const wish: PortWish = owner === undefined || owner === now.device_owner ? others : asked;
      checkPortRights(caller, wish, network.project_id, 'update_port');
      if (wish.security_groups) await holdGroups(tx, caller, wish.security_groups);
      await checkQosChange(tx, caller, now.qos_policy_id, wish.qos_policy_id);
      const mac = wish.mac === null ? randomMac() : (wish.mac ?? now.mac);
      const security = await changedSecurity(tx, now, wish);
      if (mac !== now.mac) await checkMacFree(tx, now, mac);
      const { fixed_ips, security_groups: _, allowed_address_pairs: pairs, extra_dhcp_opts: options, ...plain } = wish;
      await tx
        .updateTable('port')
        .set({
          ...defined(plain),
          mac,
          ...(pairs ? { allowed_address_pairs: json(checkPairs(pairs, mac)) } : {}),
          ...(fixed_ips ? { ip_deferred: false } : {}),
          ...(options ? { extra_dhcp_opts: json(changedOptions(now.extra_dhcp_opts, options)) } : {}),
          ...touched,
        })
        .where('id', '=', id)
        .execute()
        .catch((error) => {
          // Another port took it after we looked.
          if (violatedConstraint(error) === 'port_network_id_mac_key') throw macInUse({ ...now, mac });
          return refuseOverPromise(id)(error);
        });
      if (security) await setGroups(tx, id, security).catch(refuseVanished);
      if (wish.binding_host !== undefined && wish.binding_host !== now.binding_host) {
        await moveHome(tx, { ...now, mac }, network.subnets, wish.binding_host);
      }
      if (fixed_ips || mac !== now.mac) {
        await updateAddresses(tx, { ...now, mac }, network.subnets, fixed_ips).catch(refuseVanished);
      }
      return readRow(tx, caller, portListing, id);
    });
  }

  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const [, , port] = await Promise.all([
        holdFloatingIps(tx, sql`select ${id}::uuid`),
        holdNetworksOf(tx, sql`select network_id from port where id = ${id}`),
        lockPort(tx, caller, id, 'delete_port'),
      ]);
      if (port.device_owner === metadataOwner) return remakeMetadataPort(tx, port);
      if (cloudOwners.includes(port.device_owner)) {
        throw new CloudError('conflict', 'service_port_in_use', { id, device_owner: port.device_owner });
      }
      await requireUntrunked(tx, id);
      await requireNoLocalIp(tx, id);
      await deletePortRows(tx, [id]);
    });
  }

  /** In the transaction that decides about the server; see server-ports.ts. */
  planServerPorts(tx: Tx, caller: Caller, wish: ServerPortsWish): Promise<ServerPortsPlan> {
    return planServerPorts(tx, caller, wish, (projectId) => this.#autoNetwork(tx, caller, projectId));
  }

  createServerPorts(
    tx: Tx,
    caller: Caller,
    plan: ServerPortsPlan,
    servers: readonly { id: ServerId; hostname: string }[],
  ): Promise<ServerPort[][]> {
    return createServerPorts(tx, caller, plan, servers);
  }

  bindServerPorts(tx: Tx, placed: readonly ServerPortBinding[]): Promise<void> {
    return bindServerPorts(tx, placed);
  }

  unbindServerPorts(tx: Tx, serverId: ServerId): Promise<void> {
    return unbindServerPorts(tx, serverId);
  }

  releaseServerPorts(tx: Tx, serverId: ServerId, only?: PortId): Promise<void> {
    return releaseServerPorts(tx, serverId, only);
  }

  addServerAddress(tx: Tx, serverId: ServerId, networkId: string): Promise<boolean> {
    return addServerAddress(tx, serverId, networkId);
  }

  removeServerAddress(tx: Tx, serverId: ServerId, ip: string): Promise<boolean> {
    return removeServerAddress(tx, serverId, ip);
  }

  serverAddresses(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, ServerInterface[]>> {
    return serverAddresses(db, serverIds);
  }

  desiredPorts(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, DesiredPorts>> {
    return desiredPorts(db, serverIds);
  }

  portStamps(db: Queryable, serverIds: readonly ServerId[]): Promise<Map<ServerId, PortStamp>> {
    return portStamps(db, serverIds);
  }

  networksOfHosts(db: Queryable, hostIds: readonly HostId[]): Promise<ReadonlyMap<HostId, DesiredNetwork[]>> {
    return networksOfHosts(db, hostIds);
  }
}

function newPort(caller: Caller, wish: NewPortWish, project: string, network: NetworkFacts | undefined): NewPort {
  if (!network || !maySee(caller, network)) throw notFound('network', wish.network_id);
  if (!mayUse(caller, network)) throw forbidden('create_port');
  checkPortRights(caller, wish, network.project_id, 'create_port');
  const { mac: wanted, allowed_address_pairs, ...rest } = wish;
  // A pair may mean "the port's own MAC address": decide that one now.
  const mac = wanted ?? (allowed_address_pairs?.length ? randomMac() : undefined);
  return {
    ...rest,
    project_id: project,
    ...(mac === undefined ? {} : { mac }),
    ...(allowed_address_pairs && { allowed_address_pairs: checkPairs(allowed_address_pairs, mac ?? '') }),
  };
}

/** A port is its project's; the owner of its network may also change and delete it. */
async function lockPort(tx: Tx, caller: Caller, id: string, operation: string): Promise<PortRow> {
  if (!isAdmin(caller)) {
    const { rows } = await sql<{ own: boolean }>`select n.project_id = ${caller.projectId} as own
      from port p join network n on n.id = p.network_id where p.id = ${id}`.execute(tx);
    if (rows[0]?.own) {
      requireWriter(caller, operation);
      const locked = await sql<PortRow>`select * from port where id = ${id} for update`.execute(tx);
      if (locked.rows[0]) return checkRevision(caller, 'port', locked.rows[0]);
    }
  }
  return lockOwn<PortRow>(tx, caller, 'port', id, operation);
}

async function checkMacFree(tx: Tx, port: PortRow, mac: string): Promise<void> {
  if (parseMac(mac) === undefined) throw new CloudError('invalid', 'mac_address_malformed', { mac });
  if (port.host_id !== null) {
    throw new CloudError('conflict', 'port_bound', { id: port.id, old_mac: port.mac, new_mac: mac });
  }
  const { rows } = await sql`select from port where network_id = ${port.network_id} and mac = ${mac}::macaddr`.execute(
    tx,
  );
  if (rows.length > 0) throw macInUse({ network_id: port.network_id, mac });
}

/** The groups that the port shall have; undefined: as now. Filters and port security come and go together. */
async function changedSecurity(tx: Tx, now: PortRow, wish: PortWish): Promise<string[] | undefined> {
  const enabled = wish.port_security_enabled ?? now.port_security_enabled;
  const groups = wish.security_groups;
  if (enabled) return groups;
  if ((groups?.length ?? 0) > 0) {
    throw new CloudError('invalid', 'port_security_and_ip_required_for_security_groups', {});
  }
  const pairs = wish.allowed_address_pairs ?? now.allowed_address_pairs;
  if (pairs.length > 0) {
    throw new CloudError('conflict', 'address_pair_and_port_security_required', {});
  }
  if (groups === undefined && now.port_security_enabled) {
    const { rows } = await sql`select from port_security_group where port_id = ${now.id} limit 1`.execute(tx);
    if (rows.length > 0) {
      throw new CloudError('conflict', 'port_security_port_has_security_group', {});
    }
  }
  return groups;
}

async function setGroups(tx: Tx, portId: string, groups: readonly string[]): Promise<void> {
  const wanted = [...new Set(groups)];
  await sql`with gone as (
      delete from port_security_group where port_id = ${portId} and not security_group_id = any(${wanted}::uuid[]))
    insert into port_security_group (port_id, security_group_id)
    select ${portId}::uuid, id from unnest(${wanted}::uuid[]) as wanted(id)
    on conflict do nothing`.execute(tx);
}

/**
 * As with OVN in Neutron, deleting a network's metadata port is accepted (tools that clear a project delete every port
 * they see). Its network needs one, so it gets another at once.
 */
async function remakeMetadataPort(tx: Tx, port: { id: string; network_id: string }): Promise<void> {
  await deletePortRows(tx, [port.id]);
  const network = (await holdNetworks(tx, [port.network_id])).get(port.network_id)!;
  await createMetadataPorts(tx, [network]);
  for (const subnet of network.subnets) await serveMetadata(tx, subnet);
}
