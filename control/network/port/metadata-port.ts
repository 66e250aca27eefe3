/**
 * The metadata port of a network: one logical port that every host answers on, with an address in each IPv4 subnet
 * that has DHCP. It lives and dies with the network and never counts as a use of it.
 */
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { type IpWant, takeRest } from '../address/allocate.ts';
import type { SubnetFacts } from '../address/plan.ts';
import { cloudGround, createPorts, type NetworkFacts, type NewPort } from './create.ts';

export const metadataOwner = 'network:distributed';
const metadataDevice = (networkId: string): string => `ovnmeta-${networkId}`;

/** In the transaction that makes the networks; they have no subnets yet. */
export async function createMetadataPorts(tx: Tx, networks: readonly NetworkFacts[]): Promise<void> {
  const ports = networks.map(
    (network): NewPort => ({
      project_id: network.project_id,
      network_id: network.id,
      device_id: metadataDevice(network.id),
      device_owner: metadataOwner,
      fixed_ips: [],
    }),
  );
  await createPorts(tx, ports, cloudGround(networks));
}

/** A network's metadata port, as one of its subnets has it. */
export interface MetadataPort {
  id: string;
  /** It has an address in the subnet. */
  has: boolean;
  /** The position of its next address. */
  next: number;
}

/** By the ids of network and subnet; the subnet need not be there yet. */
export async function findMetadataPort(
  tx: Tx,
  { id, network_id }: Pick<SubnetFacts, 'id' | 'network_id'>,
): Promise<MetadataPort | undefined> {
  const { rows } = await sql<MetadataPort>`
    select p.id, exists (select from port_ip i where i.port_id = p.id and i.subnet_id = ${id}) as has,
      coalesce((select max(position) + 1 from port_ip i where i.port_id = p.id), 0) as next
    from port p where p.device_id <> '' and p.device_id = ${metadataDevice(network_id)} and p.device_owner = ${metadataOwner}`.execute(
    tx,
  );
  return rows[0];
}

/** Gives or takes the metadata port's address in a subnet that was made or changed. Safe to repeat. */
export async function serveMetadata(tx: Tx, subnet: SubnetFacts): Promise<void> {
  await serveMetadataOn(tx, subnet, await findMetadataPort(tx, subnet));
}

/** The same with the port that was found before. */
export async function serveMetadataOn(tx: Tx, subnet: SubnetFacts, port: MetadataPort | undefined): Promise<void> {
  const wanted = subnet.ip_version === 4 && subnet.enable_dhcp;
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
