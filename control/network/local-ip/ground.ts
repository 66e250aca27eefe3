/** Which port and address a wish for a local IP or an association means, read and locked in the caller's transaction. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { notFound } from '../../kit/refusal.ts';
import { forbidden } from '../../kit/rows.ts';
import { maySee, mayUse } from '../access.ts';
import { createPorts, holdNetworks } from '../port/create.ts';
import { localIpOwner } from '../port/local-ip-port.ts';

/** A router answers for the whole prefix; in one of two addresses or less none is left over for it. */
const longestPrefix = 30;

export interface PortAddress {
  port_id: string;
  network_id: string;
  ip: string;
}

interface PortFacts {
  id: string;
  project_id: string;
  network_id: string;
  device_owner: string;
  /** IPv4 alone, in their order. */
  ips: { ip: string; prefix: number }[];
}

/** Before ports are chosen from: their networks, to which what is made refers, and then they, as who gives a network a subnet holds the two. */
export async function holdPorts(tx: Tx, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  const wanted = isOneOf(sql`id`, ids);
  await Promise.all([
    sql`select from network where id in (select network_id from port where ${wanted}) order by id for key share`.execute(
      tx,
    ),
    sql`select from port where ${wanted} order by id for no key update`.execute(tx),
  ]);
}

/**
 * An address of a port of the caller's, which is held.
 * @param ip which of them; needed where there are several of IPv4
 * @throws CloudError
 */
export async function chooseAddress(tx: Tx, caller: Caller, portId: string, ip?: string | null): Promise<PortAddress> {
  const { rows } = await sql<PortFacts>`select p.id, p.project_id, p.network_id, p.device_owner,
      coalesce((select jsonb_agg(jsonb_build_object('ip', host(i.ip), 'prefix', masklen(s.cidr)) order by i.position)
        from port_ip i join subnet s on s.id = i.subnet_id where i.port_id = p.id and family(i.ip) = 4), '[]') as ips
    from port p where p.id = ${portId}`.execute(tx);
  const port = rows[0];
  if (!port || (!isAdmin(caller) && port.project_id !== caller.projectId)) {
    throw new CloudError('invalid', 'local_ip_port_not_found', { port: portId });
  }
  if (port.device_owner.startsWith('network:')) {
    throw new CloudError('invalid', 'local_ip_port_unfit', { port: portId, device_owner: port.device_owner });
  }
  const found = ip ? port.ips.find((one) => one.ip === ip) : port.ips[0];
  if (!found) {
    if (!ip) throw new CloudError('invalid', 'local_ip_no_ip', { port: portId });
    throw new CloudError('invalid', 'local_ip_requested_ip_not_found', { port: portId, ip });
  }
  if (!ip && port.ips.length > 1) throw new CloudError('invalid', 'local_ip_no_requested_ip', { port: portId });
  requireRoom(found.prefix, found.ip);
  return { port_id: portId, network_id: port.network_id, ip: found.ip };
}

/** A port of the local IP's own. It counts as one of its project's, whose quota is held. @throws CloudError */
export async function makeLocalPort(
  tx: Tx,
  caller: Caller,
  wish: { id: string; project_id: string; network_id: string; ip?: string | null },
): Promise<PortAddress> {
  const network = (await holdNetworks(tx, [wish.network_id])).get(wish.network_id);
  if (!network || !maySee(caller, network)) throw notFound('network', wish.network_id);
  if (!mayUse(caller, network)) throw forbidden('create_local_ip');
  if (!network.subnets.some((subnet) => subnet.ip_version === 4)) {
    throw new CloudError('invalid', 'local_ip_network_without_ipv4', { network: network.id });
  }
  if (wish.ip?.includes(':')) throw new CloudError('invalid', 'local_ip_needs_ipv4', { ip: wish.ip });
  const [made] = await createPorts(tx, [
    {
      ...{ project_id: wish.project_id, network_id: network.id, device_id: wish.id, device_owner: localIpOwner },
      only_version: 4,
      ...(wish.ip ? { fixed_ips: [{ ip: wish.ip }] } : {}),
    },
  ]);
  const taken = made!.fixed_ips.find(({ ip }) => !ip.includes(':'));
  if (!taken) throw new CloudError('conflict', 'ip_address_generation_failure', { network: network.id });
  const subnet = network.subnets.find(({ id }) => id === taken.subnet_id)!;
  requireRoom(Number(subnet.cidr.split('/')[1]), taken.ip);
  return { port_id: made!.id, network_id: network.id, ip: taken.ip };
}

function requireRoom(prefix: number, ip: string): void {
  if (prefix > longestPrefix) throw new CloudError('invalid', 'local_ip_subnet_too_small', { ip, prefix });
}
