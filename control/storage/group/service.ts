/**
 * Groups of volumes: what is done to one is done to all of its volumes, in one transaction. A group that is deleted is gone at once, and so
 * are its volumes where that was said; there is nothing in between that could get stuck.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { recordOperation } from '../../kit/operation/operations.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { notFound } from '../../kit/refusal.ts';
import type { GroupTypeService } from '../group-type/index.ts';
import {
  createVolumeIn,
  emptyWish,
  faultOf,
  lockVolume,
  reachOf,
  removeVolume,
  requireStatus,
  type VolumeImages,
  volumeStatuses,
  zoneOf,
} from '../volume/index.ts';
import { holdTypeOf } from '../volume-type/index.ts';
import { isOfOneMoment, requireOneMoment } from './moment.ts';
import { volumeGroup } from './resource.ts';
import { groupListing, type ListedGroup, lockGroup } from './store.ts';

export type { ListedGroup } from './store.ts';

export interface GroupWish {
  name: string;
  description: string | null;
  /** Id. */
  type: string;
  /** Ids or names. */
  volumeTypes: readonly string[];
  zone: string | null;
}

/** What a group is made from: all that is in another one, or what was in one. */
export type GroupSource = { groupId: string } | { groupSnapshotId: string };

export interface GroupChange {
  name?: string | undefined;
  description?: string | null | undefined;
  addVolumes: readonly string[];
  removeVolumes: readonly string[];
}

export interface GroupDependencies {
  database: Database;
  images: VolumeImages;
  groupTypes: Pick<GroupTypeService, 'get'>;
}

export class GroupService {
  readonly #deps: GroupDependencies;

  constructor(deps: GroupDependencies) {
    this.#deps = deps;
  }

  /** @param options.allProjects administrators; others get their own, as in Cinder */
  list(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<ListedGroup[]> {
    const filters = [...(query.filters ?? [])];
    if (!options.allProjects || !isAdmin(caller)) {
      filters.push({ column: 'project_id', values: [requireProject(caller, 'list groups')] });
    }
    return listRows(this.#deps.database.query, caller, groupListing, { ...query, filters });
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  async get(caller: Caller, id: string): Promise<ListedGroup> {
    if (parseId(id) === undefined) throw notFound('volume_group', id);
    return readRow(this.#deps.database.query, caller, groupListing, id);
  }

  /** @throws CloudError `forbidden`; `not_found` for a type that is hidden or none; `invalid` for an unknown zone; `quota_exceeded` */
  async create(caller: Caller, wish: GroupWish): Promise<ListedGroup> {
    const projectId = requireProjectMember(caller, 'create a group');
    const { id: typeId } = await this.#deps.groupTypes.get(caller, wish.type);
    const id = newId();
    await this.#deps.database.transaction(actorOf(caller), async (tx) => {
      if (wish.zone !== null) await requireKnownZone(tx, wish.zone);
      const types = [];
      for (const asked of wish.volumeTypes) types.push((await holdTypeOf(tx, projectId, asked)).id);
      await checkQuota(tx, projectId, volumeGroup.usage, { volume_groups: 1 });
      await insertGroup(tx, caller, {
        ...wish,
        id,
        projectId,
        typeId,
        volumeTypeIds: [...new Set(types)],
        source: null,
      });
    });
    return this.get(caller, id);
  }

  /**
   * A group of clones. @throws CloudError `forbidden`, `not_found`, `quota_exceeded`; `invalid` where there is nothing to be made from, or no one moment for its volumes and its type wants that
   */
  async createFrom(
    caller: Caller,
    source: GroupSource,
    wish: Pick<GroupWish, 'name' | 'description'>,
  ): Promise<ListedGroup> {
    const projectId = requireProjectMember(caller, 'create a group');
    const id = newId();
    await this.#deps.database.transaction(actorOf(caller), async (tx) => {
      const from =
        'groupId' in source ? await ofGroup(tx, caller, source.groupId) : await ofSnapshot(tx, caller, source);
      await checkQuota(tx, projectId, volumeGroup.usage, { volume_groups: 1 });
      const { group, volumes, moment } = from;
      await insertGroup(tx, caller, {
        ...{ ...wish, id, projectId, typeId: group.group_type_id, volumeTypeIds: group.volume_type_ids },
        ...{ zone: group.availability_zone, source },
      });
      for (const volume of volumes) {
        const asked = { projectId, wish: { ...emptyWish, ...volume, groupId: id, ...(moment && { moment: id }) } };
        await createVolumeIn(tx, this.#deps, caller, asked);
      }
    });
    return this.get(caller, id);
  }

  /** @throws CloudError `not_found`, `forbidden`; `invalid` for volumes that can't come or are not there */
  async update(caller: Caller, id: string, change: GroupChange): Promise<void> {
    await this.#change(caller, id, 'update a group', async (tx, { group }) => {
      requireAvailable(group);
      const { name = group.name, description = group.description } = change;
      for (const volumeId of change.addVolumes) await add(tx, caller, group, volumeId);
      for (const volumeId of change.removeVolumes) {
        if (!group.volume_ids.includes(volumeId))
          throw new CloudError('invalid', 'volume_not_in_group', { id, volume: volumeId });
        await sql`update volume set group_id = null, updated_at = now() where id = ${volumeId}`.execute(tx);
      }
      await sql`update volume_group set name = ${name}, description = ${description}, generation = generation + 1,
        updated_at = now() where id = ${id}`.execute(tx);
      await record(tx, caller, group, 'update');
    });
  }

  /**
   * The group goes, with its volumes where that is said. @throws CloudError `not_found`, `forbidden`; `invalid` where something is in the way
   */
  async delete(caller: Caller, id: string, { withVolumes }: { withVolumes: boolean }): Promise<void> {
    await this.#change(caller, id, 'delete a group', async (tx, { group, volumes }) => {
      if (volumes.length > 0 && !withVolumes) throw new CloudError('invalid', 'group_has_volumes', { id });
      const { rows } = await sql`select from group_snapshot where group_id = ${id} limit 1`.execute(tx);
      if (rows.length > 0) throw new CloudError('invalid', 'group_has_snapshots', { id });
      for (const volume of volumes) {
        requireStatus(volume, 'delete', ['available', 'error', 'error_restoring', 'error_extending', 'error_managing']);
        const taken = await sql`select from volume_snapshot where volume_id = ${volume.id} limit 1`.execute(tx);
        if (taken.rows.length > 0)
          throw new CloudError('invalid', 'volume_in_the_way', { id: volume.id, why: 'snapshots' });
      }
      await sql`update volume set group_id = null where group_id = ${id}`.execute(tx);
      for (const volume of volumes) await removeVolume(tx, volume);
      await sql`delete from volume_group where id = ${id}`.execute(tx);
      await record(tx, caller, group, 'delete');
    });
  }

  /** Administrators declare a status, or take that back with `available`; see ../volume/reset.ts. */
  async reset(caller: Caller, id: string, text: string): Promise<void> {
    await this.#change(caller, id, 'reset a group’s status', async (tx, { group }) => {
      requireAdmin(caller, 'reset a group’s status');
      const status = volumeStatuses.find((each) => each === text);
      if (status === undefined || status === 'deleting')
        throw new CloudError('invalid', 'group_reset_unserved', { id, status: text });
      const fault = faultOf('reset', `An administrator reset the group’s status to ${status}.`, group.generation, {
        status,
      });
      await sql`update volume_group set fault = ${status === 'available' ? null : JSON.stringify(fault)}::jsonb,
        generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
      await record(tx, caller, group, 'resetStatus');
    });
  }

  async #change(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, locked: Awaited<ReturnType<typeof lockGroup>>) => Promise<void>,
  ): Promise<void> {
    await this.#deps.database.transaction(actorOf(caller), async (tx) => {
      const locked = await lockGroup(tx, caller, id);
      if (!isAdmin(caller)) requireProjectMember(caller, doing);
      await work(tx, locked);
    });
  }
}

function requireAvailable({ id, status }: ListedGroup): void {
  if (status !== 'available') throw new CloudError('invalid', 'group_status_unfit', { id, status });
}

interface NewGroup extends Omit<GroupWish, 'type' | 'volumeTypes'> {
  id: string;
  projectId: string;
  typeId: string;
  volumeTypeIds: string[];
  source: GroupSource | null;
}

async function insertGroup(tx: Tx, caller: Caller, group: NewGroup): Promise<void> {
  const { id, projectId, typeId, source } = group;
  await tx
    .insertInto('volume_group')
    .values({
      ...{ id, project_id: projectId, user_id: caller.userId, name: group.name, description: group.description },
      ...{ group_type_id: typeId, volume_type_ids: group.volumeTypeIds, availability_zone: group.zone },
      source_group_id: source && 'groupId' in source ? source.groupId : null,
      source_group_snapshot_id: source && 'groupSnapshotId' in source ? source.groupSnapshotId : null,
    })
    .execute()
    .catch((error: unknown) => {
      if (violatedConstraint(error) !== 'volume_group_group_type_id_fkey') throw error;
      throw notFound('group_type', typeId);
    });
  await record(tx, caller, { id, project_id: projectId, generation: 1 }, 'create');
}

/** @throws CloudError `invalid` */
async function requireKnownZone(tx: Tx, zone: string): Promise<void> {
  const { rows } = await sql`select from host where availability_zone = ${zone} limit 1`.execute(tx);
  if (rows.length === 0) throw new CloudError('invalid', 'volume_zone_unknown', { zone });
}

type Origin = Pick<ListedGroup, 'group_type_id' | 'volume_type_ids' | 'availability_zone'>;
type Clone = { name: string; snapshotId: string } | { name: string; sourceVolumeId: string };

interface Ingredients {
  group: Origin;
  volumes: Clone[];
  /** The clones are to be of one. */
  moment?: boolean;
}

async function ofGroup(tx: Tx, caller: Caller, id: string): Promise<Ingredients> {
  const { group, volumes } = await lockGroup(tx, caller, id);
  requireAvailable(group);
  if (volumes.length === 0) throw new CloudError('invalid', 'group_empty', { id });
  const moment = await isOfOneMoment(tx, group.group_type_id);
  if (moment) await requireOneMoment(tx, id, volumes);
  return { group, volumes: volumes.map((volume) => ({ name: volume.name, sourceVolumeId: volume.id })), moment };
}

async function ofSnapshot(
  tx: Tx,
  caller: Caller,
  { groupSnapshotId: id }: { groupSnapshotId: string },
): Promise<Ingredients> {
  const reach = reachOf(caller);
  const { rows } = await sql<{
    group_id: string;
  }>`select group_id from group_snapshot where id = ${parseId(id) ?? null}::uuid
    and ${reach === 'all' ? sql`true` : sql`project_id = ${reach.projectId}::uuid`}`.execute(tx);
  if (!rows[0]) throw notFound('group_snapshot', id);
  const { group } = await lockGroup(tx, caller, rows[0].group_id);
  const { rows: taken } = await sql<{ id: string; name: string }>`select s.id, v.name from volume_snapshot s
    join volume v on v.id = s.volume_id where s.group_snapshot_id = ${id} order by s.id`.execute(tx);
  // Deleted before the group was ours: one that is there is of a volume at least.
  if (taken.length === 0) throw notFound('group_snapshot', id);
  return { group, volumes: taken.map((snapshot) => ({ name: snapshot.name, snapshotId: snapshot.id })) };
}

async function add(tx: Tx, caller: Caller, group: ListedGroup, volumeId: string): Promise<void> {
  const volume = await lockVolume(tx, reachOf(caller), volumeId);
  const fields = { id: group.id, volume: volumeId };
  if (volume.group_id !== null || volume.project_id !== group.project_id)
    throw new CloudError('invalid', 'volume_in_other_group', fields);
  if (!group.volume_type_ids.includes(volume.volume_type_id))
    throw new CloudError('invalid', 'group_type_unmet', fields);
  const { availability_zone: zone } = group;
  if (zone !== null && zoneOf(volume) !== zone)
    throw new CloudError('invalid', 'volume_outside_group_zone', { ...fields, zone });
  requireStatus(volume, 'group', ['available', 'in-use']);
  await sql`update volume set group_id = ${group.id}, updated_at = now() where id = ${volumeId}`.execute(tx);
}

const record = (tx: Tx, caller: Caller, group: Pick<ListedGroup, 'id' | 'project_id' | 'generation'>, verb: string) =>
  recordOperation(tx, actorOf(caller), {
    ...{ projectId: group.project_id, resourceType: 'volume_group', resourceId: group.id, verb },
    generation: group.generation,
  });
