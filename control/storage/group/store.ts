/** The group's SQL: what is listed of it, and its row with its volumes' rows under lock. */
import { type Selectable, sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { type Listing, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { containsAny, type ListedVolume, lockVolume, volumeStatusSql } from '../volume/index.ts';
import type { VolumeGroupTable } from './tables.ts';

export interface ListedGroup extends Selectable<VolumeGroupTable> {
  status: string;
  volume_ids: string[];
}

/** A group is as far as its volumes: derived, so nobody can leave it in between. */
const status = sql<string>`(case when t.fault is not null then coalesce(t.fault ->> 'status', 'error')
  when exists (select from volume v left join volume_attachment a on a.volume_id = v.id
    where v.group_id = t.id and ${volumeStatusSql} = 'creating') then 'creating' else 'available' end)`;

export const groupListing: Listing<ListedGroup> = {
  noun: 'volume_group',
  select: sql`t.*, ${status} as status,
    array(select id from volume where group_id = t.id order by created_at, id) as volume_ids`,
  from: sql`volume_group t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid' },
    name: { kind: 'text', sortable: true },
    name_like: { kind: 'text', matches: containsAny(sql`t.name`) },
    status: { kind: 'text', expression: status, sortable: true },
    group_type_id: { kind: 'uuid', sortable: true },
    availability_zone: { kind: 'text', sortable: true },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller) =>
    isAdmin(caller) ? sql`true` : sql`t.project_id = ${requireProject(caller, 'see groups')}::uuid`,
};

/**
 * The group's row is locked: whoever puts a volume in or takes one out holds it. Then those of its volumes, in order.
 * @throws CloudError `not_found`, also for one that is hidden from the caller
 */
export async function lockGroup(
  tx: Tx,
  caller: Caller,
  id: string,
): Promise<{ group: ListedGroup; volumes: ListedVolume[] }> {
  if (parseId(id) === undefined) throw notFound('volume_group', id);
  await sql`select from volume_group where id = ${id} for update`.execute(tx);
  const group = await readRow(tx, caller, groupListing, id);
  const volumes: ListedVolume[] = [];
  for (const volumeId of group.volume_ids.toSorted()) volumes.push(await lockVolume(tx, 'all', volumeId));
  return { group, volumes };
}
