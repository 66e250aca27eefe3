/** Attachments as callers see them: of their project's volumes. */
import { sql } from 'kysely';
import type { ObservedExport } from '../../../contract/host/index.ts';
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Column, Listing } from '../../kit/listing.ts';
import { attachmentStatusSql, containsAny } from '../volume/index.ts';

export interface ShownAttachment {
  id: string;
  volume_id: string;
  /** Of this cloud, or whatever the other side named. */
  instance: string | null;
  status: 'reserved' | 'attaching' | 'attached' | 'detaching';
  mode: 'rw' | 'ro';
  device: string | null;
  /** It is a server's of this cloud. */
  local: boolean;
  attached_at: Date | null;
  /** Open to a machine outside, as its host says. */
  observed_export: ObservedExport | null;
}

const part = (column: string): Column => ({
  ...{ kind: 'text', matches: containsAny(sql`${sql.ref(`t.${column}`)}::text`) },
});

export const attachmentListing: Listing<ShownAttachment> = {
  noun: 'attachment',
  select: sql`t.id, t.volume_id, t.instance, t.status, t.mode, t.device, t.local, t.attached_at, t.observed_export`,
  from: sql`(select a.id, a.project_id, a.volume_id, coalesce(a.server_id, a.named_server_id) as instance, ${attachmentStatusSql} as status,
    case when (select v.read_only from volume v where v.id = a.volume_id) then 'ro' else a.mode end as mode, a.device, a.server_id is not null as local, coalesce(a.attached_at, a.completed_at) as attached_at, a.created_at,
    (select l.observed_export from volume_export x, volume v join volume_layer l on l.id = v.layer_id
      where x.attachment_id = a.id and v.id = a.volume_id and l.observed_export ->> 'id' = a.id::text) as observed_export
    from volume_attachment a) t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    created_at: { kind: 'time', sortable: true },
    volume_id: { kind: 'uuid', sortable: true },
    instance: { kind: 'uuid', sortable: true },
    status: { kind: 'text', sortable: true },
    ...{ volume_like: part('volume_id'), instance_like: part('instance'), status_like: part('status') },
    project_id: { kind: 'uuid' },
  },
  visible: (caller: Caller) =>
    isAdmin(caller) ? sql`true` : sql`t.project_id = ${requireProject(caller, 'see attachments')}::uuid`,
};
