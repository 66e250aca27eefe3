/**
 * Routed networks: all of whose subnets are of segments. An address works only on hosts that reach the segment of its subnet, so a port
 * has addresses of one segment, that of its host: its home. Reads only.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';

interface OfSegment {
  segment_id?: string | null;
}

/** Of a network with these subnets. They are all of segments, or none is. */
export const isRouted = (subnets: readonly OfSegment[]): boolean => Boolean(subnets[0]?.segment_id);

/** The segment of a network that a host reaches, by the host's name. @throws CloudError `conflict` where it is not one */
export async function homeOn(tx: Tx, networkId: string, host: string): Promise<string> {
  const { rows } = await sql<{
    id: string;
  }>`select s.id from segment s join host h on s.physical_network = any(h.physical_networks)
    where s.network_id = ${networkId} and h.name = ${host} limit 2`.execute(tx);
  const [home, other] = rows;
  if (!home) throw new CloudError('conflict', 'host_not_connected_to_any_segment', { host, network: networkId });
  if (other) throw new CloudError('conflict', 'host_connected_to_multiple_segments', { host, network: networkId });
  return home.id;
}

/** A subnet as far as its segment is concerned. */
interface Placed {
  network_id: string;
  segment_id: string | null;
}

/**
 * The network's row is held.
 * @param others whether subnets that the network has besides are of segments, and whether some are not
 * @throws CloudError
 */
export async function requireSegment(
  tx: Tx,
  { network_id, segment_id }: Placed,
  others: { of_segments: boolean; of_none: boolean },
): Promise<void> {
  if (segment_id === null ? others.of_segments : others.of_none) {
    throw new CloudError('invalid', 'subnets_not_all_associated_with_segments', { network: network_id });
  }
  if (segment_id === null) return;
  const { rows } = await sql<{ network_id: string; physical_network: string | null }>`
    select network_id, physical_network from segment where id = ${segment_id} for key share`.execute(tx);
  const [segment] = rows;
  if (!segment) throw notFound('segment', segment_id);
  if (segment.network_id !== network_id) {
    throw new CloudError('invalid', 'network_ids_dont_match', { network: network_id, segment: segment_id });
  }
  if (segment.physical_network === null) throw new CloudError('invalid', 'subnet_of_tunnels', { id: segment_id });
}

/** Another segment for a subnet that is there: only the first one, and where it is no question which. @throws CloudError `invalid` */
export async function requireSegmentChange(
  tx: Tx,
  now: Placed & { id: string },
  segmentId: string | null,
): Promise<void> {
  if (segmentId === now.segment_id) return;
  if (now.segment_id !== null || segmentId === null) {
    throw new CloudError('invalid', 'subnet_segment_association_change_not_allowed', {});
  }
  const { rows } = await sql<{ others: boolean; several: boolean }>`select
    exists (select from subnet where network_id = ${now.network_id} and id <> ${now.id}) as others,
    (select count(*) > 1 from segment where network_id = ${now.network_id}) as several`.execute(tx);
  if (rows[0]!.several) {
    throw new CloudError('invalid', 'no_update_subnet_when_multiple_segments_on_network', { network: now.network_id });
  }
  const others = { of_segments: false, of_none: rows[0]!.others };
  await requireSegment(tx, { network_id: now.network_id, segment_id: segmentId }, others);
}
