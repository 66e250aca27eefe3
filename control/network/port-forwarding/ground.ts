/** What port forwardings to come are judged by, read and locked in one transaction, and what follows from it. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import type { FloatingIpRow } from '../floating-ip/floating-ip.ts';
import { type BetweenRouters, holdRoutersTo, routersBetween } from '../floating-ip/router-between.ts';
import type { PortForwardingRow } from './port-forwarding.ts';

interface InsidePort {
  id: string;
  project_id: string;
  device_owner: string;
  /** IPv4 alone, in their order. */
  ips: { ip: string; subnet_id: string }[];
  floating_ip: { id: string; ip: string } | null;
}

export interface ForwardingGround {
  floatingIp: FloatingIpRow;
  ports: ReadonlyMap<string, InsidePort>;
  routers: BetweenRouters;
  /** All of the floating IP, and all of the ports. */
  rows: readonly PortForwardingRow[];
}

/** @param floatingIp its row is locked: no two requests give out the same external port */
export async function loadForwardingGround(
  tx: Tx,
  floatingIp: FloatingIpRow,
  portIds: readonly string[],
): Promise<ForwardingGround> {
  const ids = [...new Set(portIds)].sort();
  // Locked against each other, for the ports inside belong to no one floating IP.
  await Promise.all([
    holdRoutersTo(tx, floatingIp.floating_network_id, ids),
    sql`select from port where id = any(${ids}::uuid[]) order by id for no key update`.execute(tx),
  ]);
  const [ports, rows] = await Promise.all([
    sql<InsidePort>`select p.id, p.project_id, p.device_owner,
        coalesce((select jsonb_agg(jsonb_build_object('ip', host(i.ip), 'subnet_id', i.subnet_id) order by i.position)
          from port_ip i where i.port_id = p.id and family(i.ip) = 4), '[]') as ips,
        (select jsonb_build_object('id', f.id, 'ip', host(f.floating_ip)) from floating_ip f where f.port_id = p.id
          order by f.id limit 1) as floating_ip
      from port p where p.id = any(${ids}::uuid[])`.execute(tx),
    sql<PortForwardingRow>`select * from port_forwarding where floating_ip_id = ${floatingIp.id}
      union select * from port_forwarding where port_id = any(${ids}::uuid[])`.execute(tx),
  ]);
  const subnets = ports.rows.flatMap(({ ips }) => ips.map(({ subnet_id }) => subnet_id));
  return {
    floatingIp,
    ports: new Map(ports.rows.map((port) => [port.id, port])),
    routers: await routersBetween(tx, floatingIp.floating_network_id, subnets),
    rows: rows.rows,
  };
}

/**
 * The address that is meant, and the router that leads there: the one that the floating IP is on already, where it has forwardings.
 * @param ip the port's first IPv4 address by default
 * @throws CloudError
 */
export function insideOf(
  caller: Caller,
  { floatingIp, ports, routers, rows }: ForwardingGround,
  portId: string,
  ip: string | undefined,
): { port_id: string; fixed_ip: string; router_id: string } {
  const port = ports.get(portId);
  if (!port || (!isAdmin(caller) && port.project_id !== caller.projectId)) throw notFound('port', portId);
  if (port.device_owner.startsWith('network:')) {
    throw new CloudError('invalid', 'floating_ip_port_unfit', { port: portId });
  }
  if (port.floating_ip) {
    const { id, ip: address } = port.floating_ip;
    throw new CloudError('conflict', 'port_has_binding_floating_ip', {
      id,
      ip: address,
      port: portId,
      fixed_ip: ip ?? null,
    });
  }
  if (port.ips.length === 0) throw new CloudError('invalid', 'port_forwarding_port_without_ipv4', { port: portId });
  const fixed = ip === undefined ? port.ips[0] : port.ips.find((one) => one.ip === ip);
  if (!fixed) {
    throw new CloudError('invalid', 'port_forwarding_address_of_another_port', {
      ip: String(ip),
      port: portId,
      fixed_ips: port.ips.map((one) => one.ip),
    });
  }
  const router = routers.get(fixed.subnet_id);
  if (router === undefined) {
    throw new CloudError('invalid', 'port_forwarding_unreachable', {
      id: floatingIp.id,
      network: floatingIp.floating_network_id,
      subnet: fixed.subnet_id,
      port: portId,
    });
  }
  const present = rows.find((row) => row.floating_ip_id === floatingIp.id)?.router_id;
  if (present !== undefined && present !== router) {
    throw new CloudError('invalid', 'port_forwarding_of_another_router', {
      id: floatingIp.id,
      router: present,
      port: portId,
    });
  }
  return { port_id: portId, fixed_ip: fixed.ip, router_id: router };
}
