/**
 * Ports of servers that are taken up from what a host has: the same ids, MACs and addresses, on networks and subnets that are made
 * again where the database does not know them. What no host knows is lost: names, routers, floating IPs, rules of security
 * groups. A port that is made again has its project's default group, so nobody reaches it who was not allowed to.
 * In the caller's transaction; safe to repeat.
 */

import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { DesiredFixedIp, DesiredPort } from '../../contract/host/index.ts';
import type { HostId, ServerId } from '../../contract/ids.ts';
import { formatCidr, parseCidr } from '../kit/address.ts';
import type { Tx } from '../kit/database/database.ts';
import type { SubnetFacts } from './address/plan.ts';
import { refuseOverPromise } from './bandwidth/bandwidth.ts';
import { holdNetworks } from './port/create.ts';
import { createMetadataPorts, serveMetadata } from './port/metadata-port.ts';
import { serverPortOwner } from './port/server-ports.ts';
import { ensureDefaultGroup } from './security-group/default-group.ts';
import { defaultPools } from './subnet/rules.ts';

export interface RecoveredPorts {
  projectId: string;
  serverId: ServerId;
  hostId: HostId;
  ports: readonly DesiredPort[];
}

/** @throws CloudError `conflict` where a MAC or an address has been given to another port since */
export async function recoverPorts(tx: Tx, server: RecoveredPorts): Promise<void> {
  for (const [position, port] of server.ports.entries()) {
    await recoverNetwork(tx, server.projectId, port);
    for (const ip of port.fixedIps) await recoverSubnet(tx, server.projectId, port, ip);
    await recoverPort(tx, server, port);
    for (const [index, { ip, subnetId }] of port.fixedIps.entries()) {
      await recoverAddress(tx, port, { ip, subnetId, position: index });
    }
    await sql`insert into server_port (server_id, port_id, position) values (${server.serverId}, ${port.id}, ${port.slot ?? position})
      on conflict do nothing`.execute(tx);
  }
}

async function recoverNetwork(tx: Tx, projectId: string, { networkId, mtu }: DesiredPort): Promise<void> {
  await sql`insert into network (id, project_id, name, mtu, provider_network_type, provider_segmentation_id)
    select ${networkId}::uuid, ${projectId}, 'recovered-' || ${networkId}, least(${mtu}, 1442), 'geneve', nextval('network_segment')
    where not exists (select from network where id = ${networkId}) on conflict (id) do nothing`.execute(tx);
}

async function recoverSubnet(tx: Tx, projectId: string, port: DesiredPort, ip: DesiredFixedIp): Promise<void> {
  const cidr = parseCidr(`${ip.ip}/${ip.prefixLength}`);
  if (!cidr)
    throw new CloudError('invalid', 'recovered_address_malformed', {
      port: port.id,
      address: `${ip.ip}/${ip.prefixLength}`,
    });
  await sql`insert into subnet (id, project_id, network_id, name, ip_version, cidr, gateway_ip, enable_dhcp,
      ipv6_address_mode, ipv6_ra_mode, allocation_pools, dns_nameservers)
    values (${ip.subnetId}, ${projectId}, ${port.networkId}, ${`recovered-${ip.subnetId}`}, ${ip.ipVersion},
      network(${`${ip.ip}/${ip.prefixLength}`}::inet), ${ip.gateway}, ${ip.dhcp ?? true}, ${ip.ipv6AddressMode},
      ${ip.ipv6AddressMode}, ${JSON.stringify(defaultPools(parseCidr(formatCidr(cidr))!, ip.gateway))}::jsonb,
      ${[...ip.dnsNameservers]}::text[])
    on conflict (id) do nothing`.execute(tx);
}

async function recoverPort(tx: Tx, server: RecoveredPorts, { id, networkId, mac }: DesiredPort): Promise<void> {
  const { rows: made } = await sql`
    insert into port (id, project_id, network_id, mac, device_id, device_owner, host_id, delete_with_device,
      port_security_enabled)
    select ${id}::uuid, ${server.projectId}, n.id, ${mac}::macaddr, ${server.serverId}, ${serverPortOwner}, ${server.hostId}, true,
      n.port_security_enabled
    from network n where n.id = ${networkId} on conflict do nothing returning id`.execute(tx);
  if (made.length === 1) {
    const group = await ensureDefaultGroup(tx, server.projectId);
    await sql`insert into port_security_group (port_id, security_group_id)
      select id, ${group}::uuid from port where id = ${id} and port_security_enabled`.execute(tx);
    return;
  }
  const { rows } = await sql<{ id: string; device_id: string }>`select id, device_id from port
    where id = ${id} or (network_id = ${networkId} and mac = ${mac}::macaddr) order by id = ${id} desc for update`.execute(
    tx,
  );
  const [known] = rows;
  if (known?.id !== id) throw taken({ mac, network: networkId }, known?.id);
  if (known.device_id !== '' && known.device_id !== server.serverId) throw taken({ port: id }, known.device_id);
  await sql`update port set device_id = ${server.serverId}, device_owner = ${serverPortOwner}, host_id = ${server.hostId},
      generation = generation + 1, updated_at = now()
    where id = ${id} and (device_id, host_id) is distinct from (${server.serverId}, ${server.hostId}::uuid)`
    .execute(tx)
    .catch(refuseOverPromise(id));
}

async function recoverAddress(
  tx: Tx,
  port: DesiredPort,
  { ip, subnetId, position }: { ip: string; subnetId: string; position: number },
): Promise<void> {
  await sql`insert into port_ip (port_id, subnet_id, network_id, ip, position)
    values (${port.id}, ${subnetId}, ${port.networkId}, ${ip}, ${position}) on conflict (subnet_id, ip) do nothing`.execute(
    tx,
  );
  const { rows } = await sql<{
    port_id: string;
  }>`select port_id from port_ip where subnet_id = ${subnetId} and ip = ${ip}::inet`.execute(tx);
  if (rows[0]?.port_id !== port.id) throw taken({ ip, subnet: subnetId }, rows[0]?.port_id);
}

const taken = (thing: Record<string, string>, by: string | undefined) =>
  new CloudError('conflict', 'recovered_thing_taken', { ...thing, by: by ?? null });

/**
 * Metadata for networks that were made again: their ports, and an address of each subnet. After all servers are taken up, so that it
 * takes none of theirs.
 */
export async function serveRecoveredNetworks(tx: Tx): Promise<void> {
  const { rows } = await sql<{ id: string }>`select n.id from network n where not exists (
    select from port p where p.network_id = n.id and p.device_owner = 'network:distributed')`.execute(tx);
  const networks = [
    ...(
      await holdNetworks(
        tx,
        rows.map(({ id }) => id),
      )
    ).values(),
  ];
  if (networks.length === 0) return;
  await createMetadataPorts(tx, networks);
  for (const subnet of networks.flatMap(({ subnets }): SubnetFacts[] => subnets)) await serveMetadata(tx, subnet);
}
