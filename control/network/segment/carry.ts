/** Which segments one network can have, and which of them are free. Part of the transaction of whoever makes one. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import type { Provider } from './provider.ts';

/**
 * Several segments of a network are all carried by tunnels, or each by another physical network: OVN takes a frame to the one segment
 * that a host has, and from a host with one to a host without there would be a way only in one direction.
 * @throws CloudError `invalid`
 */
export function requireCarriedTogether(segments: readonly Pick<Provider, 'type' | 'physicalNetwork'>[]): void {
  if (segments.length < 2 || segments.every(({ type }) => type === 'geneve')) return;
  const physical = new Set(segments.map(({ physicalNetwork }) => physicalNetwork));
  if (physical.has(null) || physical.size < segments.length)
    throw new CloudError('invalid', 'segments_not_carried', {});
}

const inUse = { flat: 'flat_network_in_use', vlan: 'vlan_id_in_use', geneve: 'tunnel_id_in_use' } as const;

/** @throws CloudError `conflict` where another segment is that one, `invalid` where no host has its physical network */
export async function requireFree(tx: Tx, { type, physicalNetwork, segmentationId }: Provider): Promise<void> {
  if (physicalNetwork === null && segmentationId === null) return;
  // Two requests for one segment: the second waits and then sees the first.
  await sql`select pg_advisory_xact_lock(hashtextextended('network segments', 0))`.execute(tx);
  const { rows } = await sql<{ used: boolean; known: boolean }>`select
    exists (select from segment where network_type = ${type}
      and physical_network is not distinct from ${physicalNetwork}
      and segmentation_id is not distinct from ${segmentationId}) as used,
    ${physicalNetwork}::text is null or not exists (select from host)
      or exists (select from host where ${physicalNetwork} = any(physical_networks)) as known`.execute(tx);
  if (!rows[0]!.known) {
    throw new CloudError('invalid', 'physical_network_unknown', { physical_network: physicalNetwork!, type });
  }
  if (!rows[0]!.used || type === 'local') return;
  const fields = { physical_network: physicalNetwork, segmentation_id: segmentationId };
  throw new CloudError('conflict', inUse[type], fields);
}

/** A router has one place on a network, and segments on different physical networks are different places. @throws CloudError `conflict` */
export async function requireOnePlace(tx: Tx, networkIds: readonly string[]): Promise<void> {
  if (networkIds.length === 0) return;
  const { rows } = await sql<{ id: string }>`select network_id as id from segment
    where network_id = any(${[...networkIds]}::uuid[]) group by 1 having count(distinct physical_network) > 1`.execute(
    tx,
  );
  if (rows[0]) throw new CloudError('conflict', 'router_on_segments', { network: rows[0].id });
}

/** What a new segment is numbered; of tunnels the next number where none is asked for. */
export const numberOf = ({ type, segmentationId }: Provider) =>
  type === 'geneve' && segmentationId === null ? sql<number>`nextval('network_segment')` : segmentationId;
