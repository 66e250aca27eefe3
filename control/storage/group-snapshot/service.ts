/**
 * Snapshots of groups: all volumes of a group are frozen in one transaction, each as a snapshot of its own. Guests that have them are
 * switched over by their hosts: all disks in one moment where the group's type wants that (../group/moment.ts), else each in its own.
 */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import { type Listing, type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { recordOperation } from '../../kit/operation/operations.ts';
import { notFound } from '../../kit/refusal.ts';
import { isOfOneMoment, lockGroup, requireOneMoment } from '../group/index.ts';
import { releaseLayers } from '../layer/index.ts';
import { insertSnapshot, requireSnapshotQuota } from '../snapshot/index.ts';
import {
  containsAny,
  faultOf,
  lockVolume,
  requireStatus,
  snapshotStatuses,
  snapshotStatusSql,
} from '../volume/index.ts';
import type { GroupSnapshotTable } from './tables.ts';

export interface ListedGroupSnapshot extends Selectable<GroupSnapshotTable> {
  status: string;
}

const having = (wanted: string) => sql`exists (select from volume_snapshot s join volume v on v.id = s.volume_id
  where s.group_snapshot_id = t.id and ${snapshotStatusSql} = ${sql.lit(wanted)})`;

/** As far as the snapshots of its volumes. */
const status = sql<string>`(case when t.fault is not null then coalesce(t.fault ->> 'status', 'error')
  when ${having('error')} then 'error' when ${having('creating')} then 'creating' else 'available' end)`;

const listing: Listing<ListedGroupSnapshot> = {
  noun: 'group_snapshot',
  select: sql`t.*, ${status} as status`,
  from: sql`group_snapshot t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid' },
    group_id: { kind: 'uuid' },
    name: { kind: 'text', sortable: true },
    name_like: { kind: 'text', matches: containsAny(sql`t.name`) },
    status: { kind: 'text', expression: status, sortable: true },
    status_like: { kind: 'text', matches: containsAny(status) },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller) =>
    isAdmin(caller) ? sql`true` : sql`t.project_id = ${requireProject(caller, 'see snapshots of groups')}::uuid`,
};

export class GroupSnapshotService {
  readonly #database: Database;

  constructor({ database }: { database: Database }) {
    this.#database = database;
  }

  /** @param options.allProjects administrators; others get their own, as in Cinder */
  list(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<ListedGroupSnapshot[]> {
    const filters = [...(query.filters ?? [])];
    if (!options.allProjects || !isAdmin(caller)) {
      filters.push({ column: 'project_id', values: [requireProject(caller, 'list snapshots of groups')] });
    }
    return listRows(this.#database.query, caller, listing, { ...query, filters });
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  async get(caller: Caller, id: string): Promise<ListedGroupSnapshot> {
    if (parseId(id) === undefined) throw notFound('group_snapshot', id);
    return readRow(this.#database.query, caller, listing, id);
  }

  /** @throws CloudError `not_found`, `forbidden`, `quota_exceeded`; `invalid` where the group is empty, a volume can't be snapshotted, or all can't be in one moment and have to */
  async create(
    caller: Caller,
    wish: { groupId: string; name: string; description: string | null },
  ): Promise<ListedGroupSnapshot> {
    const id = newId();
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { group, volumes } = await lockGroup(tx, caller, wish.groupId);
      if (!isAdmin(caller)) requireProjectMember(caller, 'make a snapshot of a group');
      if (volumes.length === 0) throw new CloudError('invalid', 'group_empty', { id: group.id });
      const { name, description } = wish;
      const moment = (await isOfOneMoment(tx, group.group_type_id)) ? id : undefined;
      if (moment) await requireOneMoment(tx, group.id, volumes);
      await tx
        .insertInto('group_snapshot')
        .values({
          ...{ id, project_id: group.project_id, user_id: caller.userId, group_id: group.id, name, description },
          group_type_id: group.group_type_id,
        })
        .execute();
      for (const volume of volumes) {
        requireStatus(volume, 'snapshot', ['available', 'in-use']);
        await requireSnapshotQuota(tx, volume);
        const asked = { name, description, metadata: {}, userId: caller.userId, groupSnapshotId: id, moment };
        await insertSnapshot(tx, actorOf(caller), volume, asked);
      }
      await record(tx, caller, { id, project_id: group.project_id, generation: 1 }, 'create');
    });
    return this.get(caller, id);
  }

  /** It goes at once, with the snapshots that it is made of. @throws CloudError `not_found`, `forbidden`, `invalid` */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#change(caller, id, 'delete a snapshot of a group', async (tx, snapshot) => {
      if (snapshot.status === 'creating') {
        const fields = { id, status: snapshot.status, wanted: ['available', 'error'] };
        throw new CloudError('invalid', 'snapshot_status_unfit', fields);
      }
      const { rows } = await sql<{
        layer_id: string | null;
      }>`delete from volume_snapshot where group_snapshot_id = ${id}
        returning layer_id`.execute(tx);
      await sql`delete from group_snapshot where id = ${id}`.execute(tx);
      await record(tx, caller, snapshot, 'delete');
      await releaseLayers(
        tx,
        rows.flatMap(({ layer_id }) => layer_id ?? []),
      );
    });
  }

  /** Administrators declare a status, or take that back with `available`; see ../volume/reset.ts. */
  async reset(caller: Caller, id: string, text: string): Promise<void> {
    await this.#change(caller, id, 'reset the status of a snapshot of a group', async (tx, snapshot) => {
      requireAdmin(caller, 'reset the status of a snapshot of a group');
      const declared = snapshotStatuses.find((each) => each === text);
      if (declared === undefined || declared === 'deleting') {
        throw new CloudError('invalid', 'snapshot_reset_unserved', { id, status: text });
      }
      const message = `An administrator reset the status to ${declared}.`;
      const fault =
        declared === 'available' ? null : faultOf('reset', message, snapshot.generation, { status: declared });
      await sql`update group_snapshot set fault = ${fault && JSON.stringify(fault)}::jsonb, generation = generation + 1,
        updated_at = now() where id = ${id}`.execute(tx);
      await record(tx, caller, snapshot, 'resetStatus');
    });
  }

  /** Its volumes' rows are locked, as for any change of a snapshot. */
  async #change(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, snapshot: ListedGroupSnapshot) => Promise<void>,
  ): Promise<void> {
    if (parseId(id) === undefined) throw notFound('group_snapshot', id);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<{
        volume_id: string;
      }>`select volume_id from volume_snapshot where group_snapshot_id = ${id}
        order by volume_id`.execute(tx);
      for (const { volume_id } of rows) await lockVolume(tx, 'all', volume_id);
      await sql`select from group_snapshot where id = ${id} for update`.execute(tx);
      const snapshot = await readRow(tx, caller, listing, id);
      if (!isAdmin(caller)) requireProjectMember(caller, doing);
      await work(tx, snapshot);
    });
  }
}

const record = (
  tx: Tx,
  caller: Caller,
  row: Pick<ListedGroupSnapshot, 'id' | 'project_id' | 'generation'>,
  verb: string,
) =>
  recordOperation(tx, actorOf(caller), {
    ...{ projectId: row.project_id, resourceType: 'group_snapshot', resourceId: row.id, verb },
    generation: row.generation,
  });
