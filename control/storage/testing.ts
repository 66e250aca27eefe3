/** Hosts with pools, and hosts' words on layers, in a test database. Tests only. */
import { sql } from 'kysely';
import { type HostId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';

/** A host that is here, with one pool. */
export async function testPool(
  database: Database,
  over: { hostId?: HostId; name?: string; tier?: string; totalBytes?: number; freeBytes?: number; zone?: string } = {},
): Promise<{ id: string; host_id: HostId; name: string }> {
  const {
    hostId = newOrderedId<HostId>(),
    name = 'local',
    tier = 'disk',
    totalBytes = 100 * 2 ** 30,
    zone = 'nova',
  } = over;
  const id = newId();
  await sql`insert into host (id, name, availability_zone, connected, facts)
    values (${hostId}, ${`host-${hostId}`}, ${zone}, true, ${JSON.stringify({ url: `https://${hostId}:8444`, layerCopies: true })}::jsonb)
    on conflict do nothing`.execute(database.query);
  await sql`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes)
    values (${id}, ${hostId}, ${name}, ${tier}, 'directory', ${totalBytes}, ${over.freeBytes ?? totalBytes})`.execute(
    database.query,
  );
  return { id, host_id: hostId, name };
}

/** The row of a volume whose top is the layer. */
export async function testVolume(
  database: Database,
  { projectId, layerId, id = newId<VolumeId>() }: { projectId: string; layerId: string; id?: VolumeId },
): Promise<VolumeId> {
  await sql`insert into volume (id, project_id, user_id, size_gib, volume_type_id, layer_id)
    values (${id}, ${projectId}, ${newId()}, 1, (select id from volume_type limit 1), ${layerId})`.execute(
    database.query,
  );
  return id;
}
