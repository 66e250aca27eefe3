/**
 * What the dialects may do with snapshots. Decides and writes what shall be; never waits for a host.
 *
 * Owns the rows of snapshots. If the process dies, a transaction has happened or has not.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Actor, Database, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { beginOperation, endOperations, recordOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { releaseLayers } from '../layer/index.ts';
import {
  faultOf,
  freezeTop,
  type ListedVolume,
  type ListOptions,
  lockVolume,
  type Reach,
  reachOf,
  requireStatus,
  requireTypeQuota,
  requireVolumeQuota,
  type SnapshotStatus,
  snapshotStatus,
  snapshotStatuses,
  typesAreLimited,
} from '../volume/index.ts';
import type { ListedSnapshot } from './snapshot.ts';
import {
  countSnapshots,
  findSnapshot,
  listSnapshots,
  lockSnapshot,
  noteSnapshot,
  type SnapshotFilter,
  type SnapshotPage,
} from './store.ts';

export interface SnapshotWish {
  volumeId: string;
  name: string;
  description: string | null;
  metadata: Record<string, string>;
  /** Also of a volume that somebody has. */
  inUse: boolean;
}

const createDeadlineMs = 10 * 60_000;

export class SnapshotService {
  readonly #database: Database;
  readonly #log: Logger;

  constructor({ database, log }: { database: Database; log: Logger }) {
    this.#database = database;
    this.#log = log;
  }

  /** @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
  async create(caller: Caller, wish: SnapshotWish): Promise<ListedSnapshot> {
    const id = await this.#database.transaction(actorOf(caller), async (tx) => {
      const volume = await lockVolume(tx, reachOf(caller), wish.volumeId);
      if (!isAdmin(caller)) requireProjectMember(caller, 'make a snapshot');
      requireStatus(volume, 'snapshot', wish.inUse ? ['available', 'in-use'] : ['available']);
      await requireSnapshotQuota(tx, volume);
      return insertSnapshot(tx, actorOf(caller), volume, { ...wish, userId: caller.userId });
    });
    this.#log.info({ requestId: caller.requestId, snapshotId: id, volumeId: wish.volumeId }, 'snapshot accepted');
    return this.get(caller, id);
  }

  /** @throws CloudError `not_found`, also for a snapshot that is hidden from the caller */
  get(caller: Caller, id: string): Promise<ListedSnapshot> {
    return findSnapshot(this.#database.query, reachOf(caller), id);
  }

  /** @throws CloudError `not_found` for a marker that is hidden or none */
  list(caller: Caller, page: SnapshotPage, options: ListOptions): Promise<ListedSnapshot[]> {
    return listSnapshots(this.#database.query, listReach(caller, options), page);
  }

  count(caller: Caller, filter: SnapshotFilter, options: ListOptions): Promise<number> {
    return countSnapshots(this.#database.query, listReach(caller, options), filter);
  }

  /** What people wrote on it. */
  async update(
    caller: Caller,
    id: string,
    notes: { name?: string; description?: string | null },
  ): Promise<ListedSnapshot> {
    await this.#change(caller, id, 'update a snapshot', (tx) => noteSnapshot(tx, id, notes));
    return this.get(caller, id);
  }

  /** Replaces what `edit` answers for the present metadata. @returns the new ones */
  editMetadata(
    caller: Caller,
    id: string,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    return this.#change(caller, id, 'change a snapshot’s metadata', async (tx, snapshot) => {
      const metadata = edit({ ...snapshot.metadata });
      await noteSnapshot(tx, id, { metadata });
      return metadata;
    });
  }

  /**
   * It goes at once; the layer that it was stays as long as a volume or another snapshot builds on it.
   * @param options.force administrators: whatever its status
   * @throws CloudError `not_found`, `forbidden`, `invalid`
   */
  async delete(caller: Caller, id: string, { force }: { force: boolean }): Promise<void> {
    await this.#change(caller, id, 'delete a snapshot', async (tx, snapshot) => {
      if (force) requireAdmin(caller, 'force the deletion of a snapshot');
      if (snapshot.group_snapshot_id !== null) throw new CloudError('invalid', 'snapshot_of_group', { id });
      const status = snapshotStatus(snapshot);
      const wanted = ['available', 'error'];
      if (!force && !wanted.includes(status)) {
        throw new CloudError('invalid', 'snapshot_status_unfit', { id, status, wanted });
      }
      await record(tx, actorOf(caller), snapshot, 'delete');
      await sql`delete from volume_snapshot where id = ${id}`.execute(tx);
      await endOperations(tx, id, Number.MAX_SAFE_INTEGER, { state: 'succeeded' });
      if (snapshot.layer_id !== null) await releaseLayers(tx, [snapshot.layer_id]);
    });
    this.#log.info({ requestId: caller.requestId, snapshotId: id, force }, 'snapshot deleted');
  }

  /** Administrators declare a status, or take that back with `available`; see ../volume/reset.ts. */
  async reset(caller: Caller, id: string, text: string): Promise<void> {
    await this.#change(caller, id, 'reset a snapshot’s status', async (tx, snapshot) => {
      requireAdmin(caller, 'reset a snapshot’s status');
      const status = snapshotStatuses.find((each) => each === text);
      if (status === undefined) throw new CloudError('invalid', 'snapshot_reset_unserved', { id, status: text });
      await this.#declare(tx, snapshot, status, `An administrator reset the snapshot’s status to ${status}.`);
      await record(tx, actorOf(caller), snapshot, 'resetStatus');
    });
  }

  /** What a tool that makes snapshots by itself says of how far one is (Nova's assisted snapshots). */
  async tell(caller: Caller, id: string, said: { status: string; progress: string | null }): Promise<void> {
    await this.#change(caller, id, 'tell how far a snapshot is', async (tx, snapshot) => {
      const present = snapshotStatus(snapshot);
      const next = toldNext[present]?.find((each) => each === said.status);
      if (next === undefined) {
        throw new CloudError('invalid', 'snapshot_progress_unfit', { id, status: present, wanted: said.status });
      }
      await this.#declare(tx, snapshot, next, 'A tool said so of the snapshot.', said.progress);
    });
  }

  async #declare(
    tx: Tx,
    { id, generation }: ListedSnapshot,
    status: SnapshotStatus,
    message: string,
    progress: string | null = null,
  ): Promise<void> {
    const word = faultOf('reset', message, generation, { status, ...(progress !== null && { progress }) });
    await noteSnapshot(tx, id, { fault: status === 'available' ? null : word });
    await enqueue(tx, 'volume_snapshot', id);
  }

  #change<T>(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, snapshot: ListedSnapshot) => Promise<T>,
  ): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const snapshot = await lockSnapshot(tx, reachOf(caller), id);
      if (!isAdmin(caller)) requireProjectMember(caller, doing);
      return work(tx, snapshot);
    });
  }
}

/** cinder/api/contrib/snapshot_actions.py: from what to what. */
const toldNext: Partial<Record<SnapshotStatus, readonly SnapshotStatus[]>> = {
  creating: ['creating', 'available', 'error'],
  deleting: ['deleting', 'error_deleting'],
};

/** @throws CloudError `quota_exceeded` */
export async function requireSnapshotQuota(
  tx: Tx,
  { project_id, size_gib, volume_type_id, type_name }: ListedVolume,
): Promise<void> {
  const wish = { snapshots: 1, gigabytes: size_gib };
  await requireVolumeQuota(tx, project_id, wish);
  if (!(await typesAreLimited(tx))) return;
  await requireTypeQuota(tx, project_id, { id: volume_type_id, name: type_name }, wish);
}

/** The volume's row must be locked, and its state allow it. @returns the snapshot's id */
export async function insertSnapshot(
  tx: Tx,
  actor: Actor,
  volume: ListedVolume,
  wish: Omit<SnapshotWish, 'volumeId' | 'inUse'> & {
    userId: string;
    groupSnapshotId?: string;
    moment?: string | undefined;
  },
): Promise<string> {
  const id = newId();
  const { frozen } = await freezeTop(tx, volume, { moment: wish.moment });
  await tx
    .insertInto('volume_snapshot')
    .values({
      ...{ id, project_id: volume.project_id, user_id: wish.userId, volume_id: volume.id, layer_id: frozen },
      ...{ name: wish.name, description: wish.description, size_gib: volume.size_gib, metadata: json(wish.metadata) },
      group_snapshot_id: wish.groupSnapshotId ?? null,
    })
    .execute();
  await beginOperation(tx, actor, {
    ...{ projectId: volume.project_id, resourceType: 'volume_snapshot', resourceId: id, verb: 'create', generation: 1 },
    ...{ owner: `host ${volume.host_id}`, waitingFor: 'the host to keep what the volume holds' },
    deadlineMs: createDeadlineMs,
  });
  await enqueue(tx, 'volume_snapshot', id, { afterMs: createDeadlineMs });
  return id;
}

const record = (tx: Tx, actor: Actor, { id, project_id, generation }: ListedSnapshot, verb: string) =>
  recordOperation(tx, actor, {
    ...{ projectId: project_id, resourceType: 'volume_snapshot', resourceId: id, verb, generation },
  });

const listReach = (caller: Caller, { allProjects }: ListOptions): Reach =>
  allProjects && isAdmin(caller) ? 'all' : { projectId: requireProject(caller, 'list snapshots') };
