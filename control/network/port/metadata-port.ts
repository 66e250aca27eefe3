/**
 * The metadata port of a network: one logical port that every host answers on, with an address in each IPv4 subnet
 * that has DHCP. It lives and dies with the network and never counts as a use of it.
 */
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { type IpWant, takeRest } from '../address/allocate.ts';
import type { SubnetFacts } from '../address/plan.ts';
import { createPorts, type NetworkFacts } from './create.ts';

export const metadataOwner = 'network:distributed';
export const metadataDevice = (networkId: string): string => `ovnmeta-${networkId}`;

/** In the transaction that makes the networks; they have no subnets yet. */
export async function createMetadataPorts(tx: Tx, networks: readonly NetworkFacts[]): Promise<void> {
  await createPorts(
    tx,
    networks.map((network) => ({
      project_id: network.project_id,
      network_id: network.id,
      device_id: metadataDevice(network.id),
      device_owner: metadataOwner,
      fixed_ips: [],
    })),
    new Map(networks.map((network) => [network.id, network])),
  );
}

/** Gives or takes the metadata port's address in a subnet that was made or changed. Safe to repeat. */
export async function serveMetadata(tx: Tx, subnet: SubnetFacts): Promise<void> {
  const wanted = subnet.ip_version === 4 && subnet.enable_dhcp;
  const { rows } = await sql<{ id: string; has: boolean; next: number }>`
    select p.id, exists (select from port_ip i where i.port_id = p.id and i.subnet_id = ${subnet.id}) as has,
      coalesce((select max(position) + 1 from port_ip i where i.port_id = p.id), 0) as next
    from port p where p.device_id <> '' and p.device_id = ${metadataDevice(subnet.network_id)} and p.device_owner = ${metadataOwner}`.execute(
    tx,
  );
  const port = rows[0];
  if (!port || port.has === wanted) return;
  if (!wanted) {
    await sql`delete from port_ip where port_id = ${port.id} and subnet_id = ${subnet.id}`.execute(tx);
    return;
  }
  // A subnet without a free address still works, without metadata over it.
  const want: IpWant = {
    portId: port.id,
    networkId: subnet.network_id,
    ip: null,
    subnets: [subnet],
    position: port.next,
  };
  await takeRest(tx, [want], [], { from: 'first' }).catch((error: unknown) => {
    if (!hasReason(error, 'ip_address_generation_failure')) throw error;
  });
}
