/** Volumes as rows, as their own area leaves them. Tests only. */
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Database } from '../../kit/database/database.ts';

const gib = 1024 ** 3;

/** The id of a pool of the host, of its name; made where it is not there. */
export async function testPool(database: Database, hostId: string, name = 'local'): Promise<string> {
  const { rows } = await sql<{
    id: string;
  }>`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes)
    values (${newId()}, ${hostId}, ${name}, 'disk', 'directory', ${1000 * gib}, ${1000 * gib})
    on conflict (host_id, name) do update set name = excluded.name returning id`.execute(database.query);
  return rows[0]!.id;
}

/** A volume that is available, on a host. */
export async function testVolume(
  database: Database,
  {
    projectId,
    hostId,
    sizeGib = 1,
    bootable = false,
  }: { projectId: string; hostId: string; sizeGib?: number; bootable?: boolean },
): Promise<{ id: string; layerId: string }> {
  const [id, layerId] = [newId(), newId()];
  const poolId = await testPool(database, hostId);
  await sql`insert into volume_layer (id, volume_id, host_id, pool_id, size_bytes, observed_state, observed_generation, observed_epoch)
    values (${layerId}, ${id}, ${hostId}, ${poolId}, ${sizeGib * gib}, 'ready', 1, 1)`.execute(database.query);
  await sql`insert into volume (id, project_id, user_id, name, size_gib, volume_type_id, host_id, pool_id, layer_id, bootable, launched_at)
    select ${id}, ${projectId}, ${newId()}, '小屋 🏔', ${sizeGib}, t.id, ${hostId}, ${poolId}, ${layerId}, ${bootable}, now()
    from volume_type t where t.name = '__DEFAULT__'`.execute(database.query);
  return { id, layerId };
}

/** As an attach leaves it, before its host has heard of it. */
export async function testAttachment(
  database: Database,
  { serverId, volumeId, slot = 0 }: { serverId: string; volumeId: string; slot?: number },
): Promise<string> {
  const id = newId();
  await sql`with told as (update server set generation = generation + 1 where id = ${serverId} returning generation, project_id)
    insert into volume_attachment (id, project_id, volume_id, server_id, slot, device, server_generation)
    select ${id}, project_id, ${volumeId}, ${serverId}, ${slot}, '/dev/vdb', generation from told`.execute(
    database.query,
  );
  return id;
}
