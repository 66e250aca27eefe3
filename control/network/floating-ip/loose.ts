/** Floating IPs that lead nowhere, and the network that their addresses are of. */
import { sql } from 'kysely';
import type { Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { ownCondition } from '../access.ts';
import { deletePortRows } from '../port/server-ports.ts';

/**
 * In the transaction that holds the network's row and is about to delete it: those that have neither port nor forwardings go first, as
 * with Neutron, as far as the caller could delete them. Others' stay, and keep the network.
 */
export async function deleteLooseFloatingIps(tx: Tx, caller: Caller, networkId: string): Promise<void> {
  const { rows } = await sql<{ floating_port_id: string }>`delete from floating_ip t
    where t.floating_network_id = ${networkId} and t.port_id is null and ${ownCondition(caller, 't')}
      and not exists (select from port_forwarding f where f.floating_ip_id = t.id)
    returning t.floating_port_id`.execute(tx);
  await deletePortRows(
    tx,
    rows.map((row) => row.floating_port_id),
  );
}
