/**
 * What the dialects may do with backups. Decides and writes what shall be; never waits for a host.
 *
 * Owns the rows of backups. If the process dies, a transaction has happened or has not.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../../contract/errors.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject, requireProjectMember } from '../../kit/caller.ts';
import type { Database, Tx } from '../../kit/database/database.ts';
import type { ListQuery } from '../../kit/listing.ts';
import { recordOperation } from '../../kit/operation/operations.ts';
import { enqueue } from '../../kit/queue/queue.ts';
import { checkQuota } from '../../kit/quota/quota.ts';
import { faultOf, type VolumeImages, type VolumeWish } from '../volume/index.ts';
import { type BackupWish, createBackup } from './create.ts';
import { backupService, exportRecord, readRecord, rowOf } from './record.ts';
import { backup as descriptor } from './resource.ts';
import { createVolumeOfBackup, type Restored, restoreBackup } from './restore.ts';
import {
  changeBackup,
  countBackups,
  findBackup,
  insertBackup,
  type ListedBackup,
  listBackups,
  lockBackup,
  noteBackup,
  requireBackupStatus,
} from './store.ts';

export interface BackupDependencies {
  database: Database;
  images: VolumeImages;
  log: Logger;
}

export class BackupService {
  readonly #deps: BackupDependencies;

  constructor(deps: BackupDependencies) {
    this.#deps = deps;
  }

  /** @param options.allProjects administrators; others get their own, as in Cinder */
  list(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<ListedBackup[]> {
    return listBackups(this.#deps.database.query, caller, { ...query, filters: filtersOf(caller, query, options) });
  }

  /** How many there are, whatever the page. */
  count(caller: Caller, query: ListQuery, options: { allProjects: boolean }): Promise<number> {
    return countBackups(this.#deps.database.query, caller, { filters: filtersOf(caller, query, options) });
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  get(caller: Caller, id: string): Promise<ListedBackup> {
    return findBackup(this.#deps.database.query, caller, id);
  }

  /** @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
  async create(caller: Caller, wish: BackupWish): Promise<ListedBackup> {
    const id = await createBackup(this.#deps.database, caller, wish);
    this.#deps.log.info({ requestId: caller.requestId, backupId: id, volumeId: wish.volumeId }, 'backup accepted');
    return this.get(caller, id);
  }

  /** What people wrote on it. */
  async update(
    caller: Caller,
    id: string,
    notes: { name?: string; description?: string | null; metadata?: Record<string, string> },
  ): Promise<ListedBackup> {
    await this.#change(caller, id, 'update a backup', (tx, backup) => noteBackup(tx, backup.id, notes));
    return this.get(caller, id);
  }

  /**
   * Its file goes when its host comes to it.
   * @param options.force administrators: whatever its status
   * @throws CloudError `not_found`, `forbidden`; `invalid` where others hold only what differs from it
   */
  async delete(caller: Caller, id: string, { force }: { force: boolean }): Promise<void> {
    await this.#change(caller, id, 'delete a backup', async (tx, backup) => {
      if (force) requireAdmin(caller, 'force the deletion of a backup');
      else requireBackupStatus(backup, ['available', 'error']);
      if (backup.has_dependents) throw new CloudError('invalid', 'backup_has_dependents', { id: backup.id });
      const generation = await changeBackup(tx, backup.id, { absent: true });
      await record(tx, caller, { ...backup, generation }, 'delete');
      await enqueue(tx, 'backup', backup.id);
    });
    this.#deps.log.info({ requestId: caller.requestId, backupId: id, force }, 'backup deletion accepted');
  }

  /** Into a volume that is there, or (null) a new one. @throws CloudError `not_found`, `forbidden`, `invalid`, `quota_exceeded` */
  async restore(caller: Caller, id: string, wish: { volumeId: string | null; name: string | null }): Promise<Restored> {
    const restored = await restoreBackup(this.#deps, caller, id, wish);
    const { volumeId } = restored;
    this.#deps.log.info({ requestId: caller.requestId, backupId: id, volumeId }, 'restore of a backup accepted');
    return restored;
  }

  /** A new volume as it is wished for, of what the backup holds. @returns its id */
  createVolume(caller: Caller, id: string, wish: VolumeWish): Promise<string> {
    return createVolumeOfBackup(this.#deps, caller, id, wish);
  }

  /** Administrators: an error is shown as said until `available` takes it back. What is not made can't be declared to be. */
  async reset(caller: Caller, id: string, status: string): Promise<void> {
    await this.#change(caller, id, 'reset a backup’s status', async (tx, backup) => {
      requireAdmin(caller, 'reset a backup’s status');
      const lie = status === 'available' && backup.ready_at === null;
      if ((status !== 'available' && status !== 'error') || lie || backup.desired_presence === 'absent')
        throw new CloudError('invalid', 'backup_reset_unserved', { id: backup.id, status });
      const message = 'An administrator reset the backup’s status to error.';
      const fault = status === 'error' ? faultOf('reset', message, backup.generation, { status }) : null;
      const generation = await changeBackup(tx, backup.id, { fault });
      await record(tx, caller, { ...backup, generation }, 'resetStatus');
    });
  }

  /** What `import` takes, also of another cloud. @throws CloudError `forbidden`, `not_found`; `invalid` where it is not whole */
  async export(caller: Caller, id: string): Promise<{ service: string; record: string }> {
    requireAdmin(caller, 'export a backup’s record');
    const backup = await this.get(caller, id);
    requireBackupStatus(backup, ['available', 'restoring']);
    return { service: backupService, record: exportRecord(backup) };
  }

  /** The backup is the caller's project's, under the id that it had. @throws CloudError `forbidden`, `invalid`, `quota_exceeded` */
  async import(caller: Caller, text: string): Promise<ListedBackup> {
    requireAdmin(caller, 'import a backup’s record');
    const projectId = requireProject(caller, 'import a backup’s record');
    const said = readRecord(text);
    await this.#deps.database.transaction(actorOf(caller), async (tx) => {
      // Whoever removes a file of this name has this lock when it looks whether another backup is the same file.
      await sql`select pg_advisory_xact_lock(hashtextextended(${`backup ${said.file.name}`}, 0))`.execute(tx);
      const { rows } = await sql`select from backup where id = ${said.id}
        or (file_name = ${said.file.name} and desired_presence = 'absent')`.execute(tx);
      if (rows.length > 0) throw new CloudError('invalid', 'backup_exists', { id: said.id });
      await checkQuota(tx, projectId, descriptor.usage, { backups: 1, backup_gigabytes: said.size });
      await insertBackup(tx, await rowOf(tx, said, { projectId, userId: caller.userId }));
      await record(tx, caller, { id: said.id, project_id: projectId, generation: 1 }, 'import');
    });
    return this.get(caller, said.id);
  }

  #change<T>(
    caller: Caller,
    id: string,
    doing: string,
    work: (tx: Tx, backup: ListedBackup) => Promise<T>,
  ): Promise<T> {
    return this.#deps.database.transaction(actorOf(caller), async (tx) => {
      const backup = await lockBackup(tx, caller, id);
      if (!isAdmin(caller)) requireProjectMember(caller, doing);
      return work(tx, backup);
    });
  }
}

function filtersOf(caller: Caller, { filters = [] }: ListQuery, { allProjects }: { allProjects: boolean }) {
  if (allProjects && isAdmin(caller)) return filters;
  return [...filters, { column: 'project_id', values: [requireProject(caller, 'list backups')] }];
}

const record = (tx: Tx, caller: Caller, backup: Pick<ListedBackup, 'id' | 'project_id' | 'generation'>, verb: string) =>
  recordOperation(tx, actorOf(caller), {
    ...{ projectId: backup.project_id, resourceType: 'backup', resourceId: backup.id, verb },
    generation: backup.generation,
  });
