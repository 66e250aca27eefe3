/**
 * What pools have promised of their reads and writes a second: a function of how many volumes of each type and size are in them (counted by the
 * trigger of migration 0581), and of what the QoS specs of those types say now. So it follows when specs change.
 */
import { type RawBuilder, sql } from 'kysely';
import { promisedIops, type QosSpecs, qosOfTypeSql } from '../volume-type/index.ts';

export interface VolumesOfKind {
  size_gib: number;
  volumes: number;
  qos: QosSpecs;
}

/** Those of a pool whose types say anything, as one value; null where there are none. */
export const volumesOfPool = (poolId: RawBuilder<unknown>): RawBuilder<VolumesOfKind[] | null> => sql`
  (select json_agg(json_build_object('size_gib', n.size_gib, 'volumes', n.volumes, 'qos', ${qosOfTypeSql(sql`t.qos_specs_id`)}))
   from storage_pool_volumes n join volume_type t on t.id = n.volume_type_id
   where n.pool_id = ${poolId} and n.volumes > 0 and t.qos_specs_id is not null)`;

export const iopsOf = (kinds: readonly VolumesOfKind[] | null): number =>
  (kinds ?? []).reduce((sum, { size_gib, volumes, qos }) => sum + volumes * promisedIops(qos, size_gib), 0);
