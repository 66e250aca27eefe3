/** What a layer's document says of the machine outside that has it. SQL in, document out; pure beyond that. */
import { type RawBuilder, sql } from 'kysely';
import type { DesiredExport } from '../../../contract/host/index.ts';
import type { AttachmentId, VolumeKeyId } from '../../../contract/ids.ts';
import { type QosSpecs, qosLimits, qosOfTypeSql } from '../volume-type/index.ts';

/** As {@link exportDocumentSql} reads it. */
export interface ExportRow {
  id: AttachmentId;
  initiator: string;
  secret_id: VolumeKeyId;
  port: number;
  read_only: boolean;
  size_gib: number;
  qos: QosSpecs | null;
}

/** Of the layer that the query calls `l`, as the top of a volume; null where no machine outside shall have it. */
export const exportDocumentSql: RawBuilder<ExportRow | null> = sql`
  (select jsonb_build_object('id', a.id, 'initiator', x.initiator, 'secret_id', x.secret_id, 'port', x.port,
    'read_only', a.mode = 'ro' or v.read_only, 'size_gib', v.size_gib, 'qos', ${qosOfTypeSql(sql`t.qos_specs_id`)})
  from volume v join volume_type t on t.id = v.volume_type_id join volume_attachment a on a.volume_id = v.id join volume_export x on x.attachment_id = a.id
  where l.exported and v.layer_id = l.id and x.desired_presence = 'present')`;

export function exportDocument(row: ExportRow): DesiredExport {
  const { id, initiator, secret_id: secretId, port, read_only } = row;
  const limits = qosLimits(row.qos, row.size_gib);
  return { id, initiator, user: exportUser(id), secretId, port, readOnly: read_only, ...(limits && { limits }) };
}

/** The name that its machine logs in with, by CHAP. */
export const exportUser = (attachmentId: string): string => attachmentId;
