/**
 * Subnets: the operations that the dialects may call. Each is one transaction that holds the network's row, so subnets
 * of one network are made and changed one after another, and what was checked for overlap stays true.
 */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { type Cidr, eui64, formatCidr, formatIp, parseCidr } from '../../kit/address.ts';
import { actorOf, type Caller, isAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint, withCommit } from '../../kit/database/database.ts';
import { defined, json } from '../../kit/database/schema.ts';
import { type ListQuery, listMade, listRows, readRow } from '../../kit/listing.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden, lockOwn, projectFor, touched } from '../../kit/rows.ts';
import { type Granted, grantsOf, maySee, sees } from '../access.ts';
import type { Ipv6Mode } from '../address/plan.ts';
import { choosesOwnAddress, interfaceOwners, type SubnetFacts } from '../address/plan.ts';
import type { NetworkTable } from '../network/tables.ts';
import { findMetadataPort, metadataOwner, serveMetadata, serveMetadataOn } from '../port/metadata-port.ts';
import { requireSegment, requireSegmentChange } from '../segment/home.ts';
import { checkAffinity, type Prefix, takePrefixes } from '../subnet-pool/allocate.ts';
import { subnet as descriptor } from './resource.ts';
import {
  checkDhcp,
  checkGateway,
  checkHostRoutes,
  checkIpv6Modes,
  checkNameservers,
  checkNoOverlap,
  checkPools,
  defaultGateway,
  defaultPools,
  type HostRoute,
  type Pool,
  readSubnetCidr,
} from './rules.ts';
import { type SubnetRow, subnetListing } from './subnet.ts';

export interface SubnetWish {
  project_id?: string;
  network_id: string;
  name?: string;
  description?: string;
  ip_version: 4 | 6;
  /** Without one a pool gives it. */
  cidr?: string;
  /** How long the pool's prefix shall be. */
  prefix_length?: number;
  subnet_pool_id?: string;
  segment_id?: string | null;
  use_default_subnet_pool?: boolean;
  /** Undefined: the first address; null: none. */
  gateway_ip?: string | null;
  enable_dhcp?: boolean;
  ipv6_ra_mode?: Ipv6Mode | null;
  ipv6_address_mode?: Ipv6Mode | null;
  allocation_pools?: Pool[];
  dns_nameservers?: string[];
  host_routes?: HostRoute[];
  service_types?: string[];
}

export type SubnetPatch = Omit<
  Partial<SubnetWish>,
  | 'project_id'
  | 'network_id'
  | 'ip_version'
  | 'cidr'
  | 'prefix_length'
  | 'subnet_pool_id'
  | 'use_default_subnet_pool'
  | 'ipv6_ra_mode'
  | 'ipv6_address_mode'
>;

interface LockedNetwork extends NetworkTable {
  subnet_cidrs: string[];
  /** Some of its subnets are a pool's. */
  pooled: boolean;
  /** Some of its subnets are of segments, some of none. */
  of_segments: boolean;
  of_none: boolean;
}

export class SubnetService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery): Promise<SubnetRow[]> {
    return listRows(this.#database.query, caller, subnetListing, query);
  }

  read(caller: Caller, id: string): Promise<SubnetRow> {
    return readRow(this.#database.query, caller, subnetListing, id);
  }

  /** All or none. */
  create(caller: Caller, wishes: readonly SubnetWish[]): Promise<SubnetRow[]> {
    return this.#database.transaction(actorOf(caller), async (tx) =>
      withCommit(listMade(tx, caller, subnetListing, await createSubnets(tx, caller, wishes))),
    );
  }

  async update(caller: Caller, id: string, patch: SubnetPatch): Promise<SubnetRow> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const now = await lockSubnet(tx, caller, id, 'update_subnet');
      refuseSegment(caller, patch, 'update_subnet');
      if (patch.segment_id !== undefined) await requireSegmentChange(tx, now, patch.segment_id);
      const cidr = parseCidr(now.cidr)!;
      const gateway = changedGateway(cidr, now, patch);
      if (gateway !== now.gateway_ip) await checkGatewayFree(tx, now);
      const pools = patch.allocation_pools ?? now.allocation_pools;
      const poolsOrGateway = patch.allocation_pools !== undefined || gateway !== now.gateway_ip;
      const checkedPools = poolsOrGateway ? checkPools(cidr, pools, gateway) : pools;
      const dhcp = patch.enable_dhcp ?? now.enable_dhcp;
      if (dhcp && !now.enable_dhcp) checkDhcp(cidr);
      checkIpv6Modes(cidr, now, dhcp);
      const { allocation_pools: _, host_routes: routes, dns_nameservers: servers, gateway_ip: __, ...plain } = patch;
      await tx
        .updateTable('subnet')
        .set({
          ...defined(plain),
          ...(servers ? { dns_nameservers: checkNameservers(now.ip_version, servers, id) } : {}),
          ...(routes ? { host_routes: json(checkHostRoutes(now.ip_version, routes, id)) } : {}),
          gateway_ip: gateway,
          allocation_pools: json(checkedPools),
          ...touched,
        })
        .where('id', '=', id)
        .execute();
      if (dhcp !== now.enable_dhcp) {
        await serveMetadata(tx, { ...now, enable_dhcp: dhcp, gateway_ip: gateway, allocation_pools: checkedPools });
      }
      return readRow(tx, caller, subnetListing, id);
    });
  }

  /** Refused while ports have addresses of it, but for those that guests choose themselves and the cloud's own. */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const subnet = await lockSubnet(tx, caller, id, 'delete_subnet');
      const own = choosesOwnAddress(subnet);
      const goes = sql`(p.device_owner = ${metadataOwner} or (${own} and not p.device_owner = any(${interfaceOwners}::text[])))`;
      // Ports before their addresses, as who deletes a port.
      await Promise.all([
        sql`select from port p where ${goes} and p.id in (select port_id from port_ip where subnet_id = ${id})
          order by p.id for no key update`.execute(tx),
        sql`with gone as (
            delete from port_ip i using port p where p.id = i.port_id and i.subnet_id = ${id} and ${goes}
            returning i.port_id)
          update port set generation = generation + 1, updated_at = now() from gone where port.id = gone.port_id`.execute(
          tx,
        ),
      ]);
      await sql`delete from subnet where id = ${id}`.execute(tx).catch((error: unknown) => {
        if (violatedConstraint(error) === undefined) throw error;
        throw new CloudError('conflict', 'subnet_in_use', { id });
      });
    });
  }
}

/** In the caller's transaction. Answers their ids, in the order of the wishes. @throws CloudError */
export async function createSubnets(tx: Tx, caller: Caller, wishes: readonly SubnetWish[]): Promise<string[]> {
  const asked = wishes.map((wish) => {
    checkSource(wish);
    refuseSegment(caller, wish, 'create_subnet');
    return { ...wish, project_id: projectFor(caller, wish.project_id, 'create_subnet') };
  });
  const prefixes = await takePrefixes(tx, caller, asked);
  const rows = asked.map((wish, at) => newRow(wish, prefixes[at]!));
  const byProject = Map.groupBy(rows, (row) => row.project_id);
  const withinQuotas = Promise.all(
    [...byProject.keys()]
      .sort()
      .map((project) => checkQuota(tx, project, descriptor.usage, { subnets: byProject.get(project)!.length })),
  );
  for (const row of rows.toSorted((a, b) => (a.network_id < b.network_id ? -1 : 1))) {
    // The first finds the quotas under way.
    const [network, metadataPort] = await Promise.all([
      lockNetwork(tx, caller, row.network_id),
      findMetadataPort(tx, row),
      withinQuotas,
    ]);
    checkNoOverlap(parseCidr(row.cidr)!, network.subnet_cidrs, row.network_id);
    if (row.subnet_pool_id !== null || network.pooled) await checkAffinity(tx, row);
    await requireSegment(tx, row, network);
    if (row.ip_version === 6 && (network.mtu as unknown as number) < 1280) {
      throw new CloudError('conflict', 'network_mtu_subnet_conflict', { id: row.network_id, minimum: 1280 });
    }
    await Promise.all([
      tx
        .insertInto('subnet')
        .values({ ...row, allocation_pools: json(row.allocation_pools), host_routes: json(row.host_routes) })
        .execute(),
      serveMetadataOn(tx, row, metadataPort),
    ]);
    if (choosesOwnAddress(row)) await addOwnAddresses(tx, row);
  }
  return rows.map(({ id }) => id);
}

function refuseSegment(caller: Caller, wish: Pick<SubnetWish, 'segment_id'>, operation: string): void {
  if (wish.segment_id !== undefined && !isAdmin(caller)) throw forbidden(operation, 'segment_id');
}

/** A prefix comes from one place. @throws CloudError `invalid` */
function checkSource(wish: SubnetWish): void {
  const { cidr, subnet_pool_id: pool, use_default_subnet_pool: byDefault = false } = wish;
  if (cidr !== undefined) readSubnetCidr(cidr, wish.ip_version);
  if (byDefault && pool !== undefined) throw new CloudError('invalid', 'subnet_with_pool_and_default_pool', {});
  if (cidr !== undefined && wish.prefix_length !== undefined) {
    throw new CloudError('invalid', 'subnet_with_cidr_and_prefix_length', {});
  }
  if (cidr !== undefined) return;
  if (pool === undefined && !byDefault) throw new CloudError('invalid', 'subnet_without_cidr_or_pool', {});
  if (wish.allocation_pools !== undefined) throw new CloudError('invalid', 'allocation_pools_without_cidr', {});
}

function newRow(wish: SubnetWish & { project_id: string }, prefix: Prefix) {
  const id = newId();
  const cidr = readSubnetCidr(prefix.cidr, wish.ip_version);
  const gateway =
    wish.gateway_ip === undefined ? defaultGateway(cidr) : wish.gateway_ip && checkGateway(cidr, wish.gateway_ip);
  const enableDhcp = wish.enable_dhcp ?? true;
  if (enableDhcp) checkDhcp(cidr);
  const modes = { ipv6_ra_mode: wish.ipv6_ra_mode ?? null, ipv6_address_mode: wish.ipv6_address_mode ?? null };
  checkIpv6Modes(cidr, modes, enableDhcp);
  return {
    id,
    project_id: wish.project_id,
    network_id: wish.network_id,
    subnet_pool_id: prefix.subnet_pool_id,
    segment_id: wish.segment_id ?? null,
    name: wish.name ?? '',
    description: wish.description ?? '',
    ip_version: wish.ip_version,
    cidr: formatCidr(cidr),
    gateway_ip: gateway,
    enable_dhcp: enableDhcp,
    ...modes,
    allocation_pools: wish.allocation_pools
      ? checkPools(cidr, wish.allocation_pools, gateway)
      : defaultPools(cidr, gateway),
    dns_nameservers: checkNameservers(wish.ip_version, wish.dns_nameservers ?? [], 'new subnet'),
    host_routes: checkHostRoutes(wish.ip_version, wish.host_routes ?? [], 'new subnet'),
    service_types: wish.service_types ?? [],
  };
}

function changedGateway(cidr: Cidr, now: SubnetRow, patch: SubnetPatch): string | null {
  if (patch.gateway_ip === undefined) return now.gateway_ip;
  return patch.gateway_ip === null ? null : checkGateway(cidr, patch.gateway_ip);
}

/** The network that the caller wants to put a subnet on: its own. Locked until the transaction ends. */
async function lockNetwork(tx: Tx, caller: Caller, id: string): Promise<LockedNetwork> {
  // One round trip, but two statements: what is read must be as it is once the lock is ours.
  const [, { rows }] = await Promise.all([
    sql`select from network where id = ${id} for update`.execute(tx),
    sql<LockedNetwork & Granted>`select n.*, ${grantsOf('network', 'n')} as grants,
      array(select s.cidr::text from subnet s where s.network_id = n.id) as subnet_cidrs,
      exists (select from subnet s where s.network_id = n.id and s.subnet_pool_id is not null) as pooled,
      exists (select from subnet s where s.network_id = n.id and s.segment_id is not null) as of_segments,
      exists (select from subnet s where s.network_id = n.id and s.segment_id is null) as of_none from network n where n.id = ${id}`.execute(
      tx,
    ),
  ]);
  const network = rows[0];
  if (!network || !maySee(caller, network)) throw notFound('network', id);
  if (!isAdmin(caller) && network.project_id !== caller.projectId) throw forbidden('create_subnet');
  return network;
}

async function lockSubnet(tx: Tx, caller: Caller, id: string, operation: string): Promise<SubnetRow> {
  await sql`select from subnet s join network n on n.id = s.network_id where s.id = ${id} for update of n`.execute(tx);
  return lockOwn<SubnetRow>(tx, caller, 'subnet', id, operation, {
    maySee: () => sees(tx, caller, subnetListing, id),
  });
}

async function checkGatewayFree(tx: Tx, subnet: SubnetRow): Promise<void> {
  if (subnet.gateway_ip === null) return;
  const { rows } = await sql<{ id: string }>`select p.id from port_ip i join port p on p.id = i.port_id
    where i.subnet_id = ${subnet.id} and i.ip = ${subnet.gateway_ip}::inet
      and p.device_owner = any(${interfaceOwners}::text[])`.execute(tx);
  if (rows[0]) {
    throw new CloudError('conflict', 'gateway_ip_in_use', { gateway: String(subnet.gateway_ip), port: rows[0].id });
  }
}

/** Guests that hear of the new subnet will take addresses of it by themselves: their ports get them now, and are held: none is deleted meanwhile. */
async function addOwnAddresses(tx: Tx, subnet: SubnetFacts): Promise<void> {
  const { rows } = await sql<{ id: string; mac: string }>`select id, mac::text from port
    where network_id = ${subnet.network_id} and device_owner <> ${metadataOwner}
      and not device_owner = any(${interfaceOwners}::text[])
      and (${subnet.segment_id ?? null}::uuid is null or exists (select from port_ip i join subnet s on s.id = i.subnet_id
        where i.port_id = port.id and s.segment_id = ${subnet.segment_id ?? null}::uuid))
    order by id for no key update`.execute(tx);
  if (rows.length === 0) return;
  const cidr = parseCidr(subnet.cidr)!;
  const ips = rows.map(({ id, mac }) => ({ port_id: id, ip: formatIp(6, eui64(cidr, mac).value) }));
  await sql`with added as (
      insert into port_ip (port_id, subnet_id, network_id, ip, position)
      select i.port_id, ${subnet.id}::uuid, ${subnet.network_id}::uuid, i.ip,
        coalesce((select max(position) + 1 from port_ip o where o.port_id = i.port_id), 0)
      from jsonb_to_recordset(${json(ips)}::jsonb) as i(port_id uuid, ip inet)
      on conflict (subnet_id, ip) do nothing returning port_id)
    update port set generation = generation + 1, updated_at = now() from added where port.id = added.port_id`.execute(
    tx,
  );
}
