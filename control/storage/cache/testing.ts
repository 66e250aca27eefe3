/** A cloud whose hosts do what they are told of caches, and whose controllers go on until there is nothing to do. Tests only. */
import { sql } from 'kysely';
import type { ObservedLayer } from '../../../contract/host/index.ts';
import type { LayerId } from '../../../contract/ids.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { hostedLayers } from '../layer/index.ts';
import { silentLog, type VolumeCloud } from '../volume/testing.ts';
import { beginCaches } from './index.ts';

export function cacheCloud(cloud: () => VolumeCloud) {
  /** From the top down, all that is there: the role of each, `final` of none. */
  async function chainOf(volumeId: string): Promise<string> {
    const { rows } = await sql<{ role: string | null; pool: string }>`
      with recursive chain as (select l.*, 0 as depth from volume v join volume_layer l on l.id = v.layer_id where v.id = ${volumeId}
        union all select l.*, depth + 1 from chain join volume_layer l on l.id = chain.parent_id)
      select cache_role as role, p.name as pool from chain join storage_pool p on p.id = chain.pool_id order by depth`.execute(
      cloud().database.query,
    );
    return rows.map(({ role, pool }) => `${role ?? 'final'}@${pool}`).join(' ');
  }

  /** Hosts and controllers do what they shall, to the end. @param settle what controllers do */
  async function obeyed(serverId?: string, settle = () => cloud().settle()): Promise<void> {
    for (let n = 0; n < 12; n++) {
      if (serverId) await cloud().switchOver(serverId);
      const { rows } = await sql<{ id: LayerId; epoch: number; generation: number; size_bytes: number; taken: number }>`
        select id, epoch, generation, size_bytes, observed_allocated_bytes as taken from volume_layer where desired_presence = 'present'
          and (observed_generation <> generation or observed_state <> 'ready')`.execute(cloud().database.query);
      const reports = rows.map(
        ({ id, epoch, generation, size_bytes, taken }): ObservedLayer => ({
          ...{
            id,
            epoch,
            generation,
            state: 'ready',
            sizeBytes: size_bytes,
            allocatedBytes: taken,
            step: null,
            error: null,
          },
        }),
      );
      await layers().recordReports(cloud().hostId, reports, { complete: false });
      await sql`delete from volume_layer where desired_presence = 'absent'`.execute(cloud().database.query);
      await settle();
    }
  }

  const layers = () => hostedLayers({ database: cloud().database, sealer: testSealer, log: silentLog });

  async function attached(volumeId: string): Promise<string> {
    const { serverId } = await cloud().attach(volumeId);
    await cloud().database.transaction(cloudActor, (tx) => beginCaches(tx, [volumeId]));
    await obeyed(serverId);
    return serverId;
  }

  async function fill(volumeId: string): Promise<void> {
    await sql`update volume_layer set observed_full = true where id = (select layer_id from volume where id = ${volumeId})`.execute(
      cloud().database.query,
    );
  }

  const detach = (volumeId: string) =>
    sql`delete from volume_attachment where volume_id = ${volumeId}`.execute(cloud().database.query);

  return { chainOf, obeyed, attached, fill, detach, layers };
}
