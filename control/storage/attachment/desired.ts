/** What a server's document says of its volumes. SQL in, documents out; pure beyond that. */
import { type RawBuilder, sql } from 'kysely';
import type { DesiredVolume } from '../../../contract/host/index.ts';
import type { AttachmentId, LayerId, VolumeId } from '../../../contract/ids.ts';
import { type QosSpecs, qosLimits, qosOfTypeSql } from '../volume-type/index.ts';

/** As {@link desiredVolumesOf} reads it. */
export interface DesiredVolumeRow {
  id: VolumeId;
  attachment_id: AttachmentId;
  layer_id: LayerId;
  size_bytes: number;
  slot: number;
  boot_index: number | null;
  read_only: boolean;
  tag: string | null;
  device: string;
  size_gib: number;
  qos: QosSpecs | null;
  copy: { id: LayerId; address: string; port: number; key: string; in_sync: boolean } | null;
}

/** Of volume `v`: its top on the host that its server goes to, as long as it is on its way there (../volume/carry.ts). */
export const carriedTopSql: RawBuilder<unknown> = sql`case when v.desired_task ->> 'kind' = 'carry'
  then (v.desired_task ->> 'layer_id')::uuid else v.layer_id end`;

/** Of volume `v` with its top `l`: where each of its guest's writes goes, too. It is said as long as it may be in sync (../replica/age.ts), and never again once it is not. */
const copyOf = sql`(select json_build_object('id', r.copy_layer_id, 'address', r.copy_place ->> 'address', 'port', (r.copy_place ->> 'port')::integer, 'key', k.key,
    'in_sync', r.copy_state = 'in_sync')
  from volume_replica r join volume_replica_key k on k.volume_id = r.volume_id join volume_layer c on c.id = r.copy_layer_id
  where r.volume_id = v.id and r.copy_state in ('copying', 'in_sync') and r.copy_of_layer_id = v.layer_id and c.size_bytes = l.size_bytes)`;

/**
 * Of a server by its id: the volumes that it shall have and that have a place on its host, as one value; null where there are none. All that a
 * document says of them is in it, so that it may go into the document's stamp.
 */
export const desiredVolumesOf = (
  serverId: RawBuilder<unknown>,
  topOf: RawBuilder<unknown> = sql`v.layer_id`,
): RawBuilder<DesiredVolumeRow[] | null> => sql`
  (select json_agg(json_build_object('id', v.id, 'attachment_id', a.id, 'layer_id', ${topOf}, 'size_bytes', l.size_bytes,
    'slot', a.slot, 'boot_index', a.boot_index, 'read_only', a.mode = 'ro' or v.read_only, 'tag', a.tag, 'device', a.device,
    'size_gib', v.size_gib, 'qos', ${qosOfTypeSql(sql`t.qos_specs_id`)}, 'copy', ${copyOf})
    order by a.slot)
  from volume_attachment a join volume v on v.id = a.volume_id join volume_layer l on l.id = v.layer_id
    join volume_type t on t.id = v.volume_type_id
  where a.server_id = ${serverId} and a.desired_presence = 'present' and a.target_host_id is null)`;

export function volumeDocument(row: DesiredVolumeRow): DesiredVolume {
  const limits = qosLimits(row.qos, row.size_gib);
  const { copy } = row;
  return {
    ...{
      id: row.id,
      attachmentId: row.attachment_id,
      layerId: row.layer_id,
      sizeBytes: row.size_bytes,
      slot: row.slot,
    },
    ...{ bootIndex: row.boot_index, readOnly: row.read_only, tag: row.tag, device: row.device },
    ...(limits && { limits }),
    ...(copy && {
      copy: { id: copy.id, address: copy.address, port: copy.port, key: copy.key, inSync: copy.in_sync },
    }),
  };
}
