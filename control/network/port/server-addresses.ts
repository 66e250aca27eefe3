/**
 * Further addresses of a server's ports, on networks on which it is already. Part of the transaction that decides about the server; the
 * ports' rows are locked, and the subnets' keys judge who gets which address (../address/allocate.ts).
 */
import { sql } from 'kysely';
import { parseId, type ServerId } from '../../../contract/ids.ts';
import { canonicalIp } from '../../kit/address.ts';
import type { Tx } from '../../kit/database/database.ts';
import { holdNetworks } from './create.ts';
import type { PortRow } from './port.ts';
import { holdNetworksOf, networksOf } from './server-ports.ts';
import { addAddress, updateAddresses } from './update-addresses.ts';

const touch = (tx: Tx, id: string) =>
  sql`update port set generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);

/**
 * One more address, of any subnet of the network, on the server's first port there.
 * @returns false where it has none
 * @throws CloudError `conflict` where none is free
 */
export async function addServerAddress(tx: Tx, serverId: ServerId, network: string): Promise<boolean> {
  const id = parseId(network);
  if (id === undefined) return false;
  // Before the port, as who gives the network a subnet holds the two.
  const held = await holdNetworks(tx, [id]);
  const { rows } = await sql<PortRow>`select p.* from server_port sp join port p on p.id = sp.port_id
    where sp.server_id = ${serverId} and p.network_id = ${id}::uuid
    order by sp.position limit 1 for update of p`.execute(tx);
  const [port] = rows;
  if (!port) return false;
  await addAddress(tx, port, held.get(id)!.subnets);
  await touch(tx, port.id);
  return true;
}

/**
 * An address that its guest makes of its MAC address stays all the same.
 * @returns false where the server has no such address
 * @throws CloudError `invalid` where a floating IP leads to it
 */
export async function removeServerAddress(tx: Tx, serverId: ServerId, address: string): Promise<boolean> {
  const ip = canonicalIp(address);
  // Its networks before its ports, as above.
  await holdNetworksOf(tx, networksOf([serverId]));
  const { rows } = await sql<PortRow>`select p.* from server_port sp join port p on p.id = sp.port_id
    where sp.server_id = ${serverId} and exists (select from port_ip i where i.port_id = p.id and i.ip = ${ip ?? null}::inet)
    order by sp.position limit 1 for update of p`.execute(tx);
  const [port] = rows;
  if (!port) return false;
  const { rows: others } = await sql<{ subnet_id: string; ip: string }>`select subnet_id, host(ip) as ip from port_ip
    where port_id = ${port.id} and ip <> ${ip}::inet order by position`.execute(tx);
  const { subnets } = (await holdNetworks(tx, [port.network_id])).get(port.network_id)!;
  await updateAddresses(tx, port, subnets, others);
  await touch(tx, port.id);
  return true;
}
