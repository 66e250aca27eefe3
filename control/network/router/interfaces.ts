/** Interfaces of routers: ports with the router as device. Part of a transaction that holds the router's row. */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { inCidr, parseCidr, parseIp } from '../../kit/address.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { holdQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import { type Granted, grantsOf, mayUse } from '../access.ts';
import { interfaceOwners, type SubnetFacts } from '../address/plan.ts';
import { createPorts, holdNetworks } from '../port/create.ts';
import { deletePortRows } from '../port/server-ports.ts';
import { updateAddresses } from '../port/update-addresses.ts';
import { requireUntrunked } from '../trunk/ports.ts';
import { checkNotByNdpProxies } from './ndp-proxy.ts';
import { checkNoSubnetTwice } from './rules.ts';
import type { Route } from './tables.ts';

const interfaceOwner = 'network:router_interface';

export interface LockedRouter {
  id: string;
  project_id: string;
  gateway_network_id: string | null;
  routes: Route[];
}

export interface InterfaceResult {
  id: string;
  project_id: string;
  port_id: string;
  network_id: string;
  subnet_id: string;
  subnet_ids: string[];
}

interface RouterPort {
  id: string;
  network_id: string;
  mac: string;
  device_owner: string;
  ips: { ip: string; subnet_id: string; cidr: string }[];
}

/** All ports of the router, its gateway among them. */
export async function routerPorts(tx: Tx, routerId: string): Promise<RouterPort[]> {
  const { rows } = await sql<RouterPort>`select p.id, p.network_id, p.mac::text, p.device_owner,
      coalesce((select jsonb_agg(jsonb_build_object('ip', host(i.ip), 'subnet_id', s.id, 'cidr', s.cidr) order by i.position)
        from port_ip i join subnet s on s.id = i.subnet_id where i.port_id = p.id), '[]') as ips
    from port p where p.device_id <> '' and p.device_id = ${routerId} and p.device_owner like 'network:router%'
    order by p.id`.execute(tx);
  return rows;
}

const isInterface = (port: RouterPort): boolean => interfaceOwners.includes(port.device_owner);

type ShownSubnet = SubnetFacts & Granted & { network_project: string };

/** Its network is held: the subnet stays as it is, with its gateway. */
async function findSubnet(tx: Tx, caller: Caller, id: string): Promise<ShownSubnet> {
  const [, { rows }] = await Promise.all([
    sql`select from network where id = (select network_id from subnet where id = ${id}) for key share`.execute(tx),
    sql<ShownSubnet>`select s.*, n.project_id as network_project, ${grantsOf('network', 'n')} as grants
      from subnet s join network n on n.id = s.network_id where s.id = ${id}`.execute(tx),
  ]);
  const subnet = rows[0];
  const sees = subnet && (mayUse(caller, subnet) || subnet.network_project === caller.projectId);
  if (!sees) throw notFound('subnet', id);
  return subnet;
}

/** Subnets that the router reaches: of its interfaces, and all of its gateway's network. */
async function attachedSubnets(tx: Tx, ports: readonly RouterPort[]): Promise<{ id: string; cidr: string }[]> {
  const gateways = ports.filter((port) => !isInterface(port)).map(({ network_id }) => network_id);
  const external = gateways.length === 0 ? [] : [...(await holdNetworks(tx, gateways)).values()];
  return [
    ...ports.filter(isInterface).flatMap(({ ips }) => ips.map(({ subnet_id, cidr }) => ({ id: subnet_id, cidr }))),
    ...external.flatMap(({ subnets }) => subnets.map(({ id, cidr }) => ({ id, cidr }))),
  ];
}

/** A guest on this subnet listens to another router's advertisements. */
function checkAddressMode(subnet: SubnetFacts): void {
  if (subnet.ip_version === 6 && subnet.ipv6_ra_mode === null && subnet.ipv6_address_mode !== null) {
    throw new CloudError('invalid', 'router_subnet_has_external_ra', { subnet: subnet.id });
  }
}

export async function addBySubnet(tx: Tx, caller: Caller, router: LockedRouter, id: string): Promise<InterfaceResult> {
  // The quota before the network, as who makes ports.
  const [, subnet] = await Promise.all([holdQuota(tx, router.project_id, ['ports']), findSubnet(tx, caller, id)]);
  if (subnet.gateway_ip === null) throw new CloudError('invalid', 'router_subnet_without_gateway', {});
  if (!isAdmin(caller) && subnet.project_id !== caller.projectId) {
    throw new CloudError('invalid', 'router_subnet_of_another_project', { subnet: id });
  }
  checkAddressMode(subnet);
  const ports = await routerPorts(tx, router.id);
  checkNoSubnetTwice(await attachedSubnets(tx, ports), [subnet]);
  const fixed = { subnet_id: id, ip: subnet.gateway_ip };
  // One router port per network carries all of its IPv6 prefixes.
  const v6 = ports.find(
    (p) => isInterface(p) && p.network_id === subnet.network_id && p.ips.some(({ ip }) => ip.includes(':')),
  );
  if (subnet.ip_version === 6 && v6) {
    const network = (await holdNetworks(tx, [subnet.network_id])).get(subnet.network_id)!;
    const before = v6.ips.map(({ ip, subnet_id }) => ({ ip, subnet_id }));
    await updateAddresses(tx, v6, network.subnets, [...before, fixed]);
    await sql`update port set generation = generation + 1, updated_at = now() where id = ${v6.id}`.execute(tx);
    return result(router, v6.id, subnet.network_id, id, [id]);
  }
  const [made] = await createPorts(tx, [
    {
      project_id: router.project_id,
      network_id: subnet.network_id,
      device_id: router.id,
      device_owner: interfaceOwner,
      fixed_ips: [fixed],
    },
  ]);
  return result(router, made!.id, subnet.network_id, id, [id]);
}

export async function addByPort(tx: Tx, caller: Caller, router: LockedRouter, id: string): Promise<InterfaceResult> {
  const { rows } = await sql<{ id: string; project_id: string; network_id: string; device_id: string }>`
    select id, project_id, network_id, device_id from port where id = ${id} for update`.execute(tx);
  const port = rows[0];
  if (!port || (!isAdmin(caller) && port.project_id !== caller.projectId)) throw notFound('port', id);
  if (port.device_id !== '') {
    throw new CloudError('conflict', 'port_has_another_device', {
      id,
      network: port.network_id,
      device: port.device_id,
    });
  }
  await requireUntrunked(tx, id);
  const subnets = await sql<SubnetFacts>`select s.* from port_ip i join subnet s on s.id = i.subnet_id
    where i.port_id = ${id} order by i.position`.execute(tx);
  if (subnets.rows.length === 0) throw new CloudError('invalid', 'router_port_without_ip', {});
  if (subnets.rows.filter((subnet) => subnet.ip_version === 4).length > 1) {
    throw new CloudError('invalid', 'router_port_with_several_ipv4', {});
  }
  for (const subnet of subnets.rows) checkAddressMode(subnet);
  checkNoSubnetTwice(await attachedSubnets(tx, await routerPorts(tx, router.id)), subnets.rows);
  await sql`with free as (delete from port_security_group where port_id = ${id})
    update port set device_id = ${router.id}, device_owner = ${interfaceOwner}, port_security_enabled = false,
      allowed_address_pairs = '[]', generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
  const ids = subnets.rows.map((subnet) => subnet.id);
  return result(router, id, port.network_id, ids[0]!, ids);
}

const result = (
  router: LockedRouter,
  port_id: string,
  network_id: string,
  subnet_id: string,
  subnet_ids: string[],
) => ({
  id: router.id,
  project_id: router.project_id,
  port_id,
  network_id,
  subnet_id,
  subnet_ids,
});

export async function removeByPort(
  tx: Tx,
  router: LockedRouter,
  portId: string,
  subnetId: string | undefined,
): Promise<InterfaceResult> {
  const port = (await routerPorts(tx, router.id)).find(
    (candidate) => isInterface(candidate) && candidate.id === portId,
  );
  if (!port) {
    throw new CloudError('not_found', 'router_interface_not_found', { router: router.id, port: portId });
  }
  const ids = port.ips.map(({ subnet_id }) => subnet_id);
  if (subnetId !== undefined && !ids.includes(subnetId)) {
    throw new CloudError('invalid', 'subnet_mismatch_for_port', { port: portId, subnet: String(subnetId) });
  }
  for (const ip of port.ips) await checkNotNeeded(tx, router, ip);
  await deletePortRows(tx, [portId]);
  return result(router, portId, port.network_id, ids[0] ?? '', ids);
}

export async function removeBySubnet(
  tx: Tx,
  caller: Caller,
  router: LockedRouter,
  subnetId: string,
): Promise<InterfaceResult> {
  const ports = await routerPorts(tx, router.id);
  const port = ports.find((p) => isInterface(p) && p.ips.some(({ subnet_id }) => subnet_id === subnetId));
  if (!port) {
    await findSubnet(tx, caller, subnetId);
    throw new CloudError('not_found', 'router_interface_not_found_for_subnet', { router: router.id, subnet: subnetId });
  }
  await checkNotNeeded(tx, router, port.ips.find(({ subnet_id }) => subnet_id === subnetId)!);
  const rest = port.ips.filter(({ subnet_id }) => subnet_id !== subnetId);
  if (rest.length === 0) {
    await deletePortRows(tx, [port.id]);
  } else {
    // A floating IP of a router above this one comes loose, as with the whole port.
    await sql`with gone as (delete from port_ip where port_id = ${port.id} and subnet_id = ${subnetId} returning ip)
      update floating_ip set port_id = null, fixed_ip = null, router_id = null, generation = generation + 1,
        updated_at = now()
      where port_id = ${port.id} and fixed_ip in (select ip from gone)`.execute(tx);
    await sql`update port set generation = generation + 1, updated_at = now() where id = ${port.id}`.execute(tx);
  }
  return result(router, port.id, port.network_id, subnetId, [subnetId]);
}

/** Floating IPs and routes rest on interfaces. */
async function checkNotNeeded(
  tx: Tx,
  router: LockedRouter,
  { subnet_id, cidr }: { subnet_id: string; cidr: string },
): Promise<void> {
  const { rows } = await sql`select from floating_ip f join port_ip i on i.port_id = f.port_id and i.ip = f.fixed_ip
    where f.router_id = ${router.id} and i.subnet_id = ${subnet_id}
    union all select from port_forwarding f join port_ip i on i.port_id = f.port_id and i.ip = f.fixed_ip
    where f.router_id = ${router.id} and i.subnet_id = ${subnet_id} limit 1`.execute(tx);
  if (rows.length > 0) {
    throw new CloudError('conflict', 'router_interface_in_use_by_floating_ip', {
      router: router.id,
      subnet: subnet_id,
    });
  }
  await checkNotByNdpProxies(tx, router.id, subnet_id);
  if (router.routes.some(({ nexthop }) => inCidr(parseCidr(cidr)!, parseIp(nexthop)!))) {
    throw new CloudError('conflict', 'router_interface_in_use_by_route', { router: router.id, subnet: subnet_id });
  }
}
