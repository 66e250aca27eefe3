/**
 * The backup controller: writes down what has come of one, lets its volume go, and removes what shall not be. Takes nothing but an id; reads
 * the whole state; each step is one transaction, or one request to a host, and may be repeated.
 *
 *   its host has made it      → it is whole; the volume is let go
 *   its host could not        → the fault says why; the volume is let go
 *   deadline passed           → the same
 *   shall be absent           → given up if it is being made; its file goes where no other backup is the same file; then its row
 *
 * What is shown never waits for this (store.ts). A host that is away delays only the end of what nobody can use any more. If the process
 * dies after any step, the durable job or the sweep finds the backup where it was. No row is locked while a host is asked.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { endpointColumns, type HostClient, type HostEndpoint } from '../../host/index.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../../kit/queue/queue.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { endBackup, findLayer, releaseLayers } from '../layer/index.ts';
import { changeVolume, faultOf, lockVolume } from '../volume/index.ts';
import { type BackupRow, changeBackup } from './store.ts';

/** The steps after which a test may kill the controller. */
export type BackupStep = 'looked' | 'made' | 'failed' | 'given up' | 'bytes removed' | 'removed';

export interface BackupControllerOptions {
  database: Database;
  client: Pick<HostClient, 'deleteBackup'>;
  log: Logger;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: BackupStep, backupId: string) => void;
}

const sweepMs = 30_000;
const lookAgainMs = 60_000;

export class BackupController {
  readonly #options: BackupControllerOptions;
  readonly #sweep: Sweep;

  constructor(options: BackupControllerOptions) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, log: options.log, what: 'backup sweep' });
  }

  /** For the work queue. */
  tasks(): { backup: Reconcile } {
    return { backup: (id) => this.reconcile(id) };
  }

  /** Starts the timer that finds what no job knows of. */
  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** Gives a job to every backup that is being made or shall not be. */
  async sweep(): Promise<void> {
    await sql`select enqueue('backup', id::text, now()) from backup
      where layer_id is not null or desired_presence = 'absent'`.execute(this.#options.database.query);
  }

  async reconcile(id: string): Promise<void> {
    const next = await this.#options.database.transaction(cloudActor, async (tx) => {
      const backup = await lock(tx, id);
      if (!backup) return undefined;
      this.#options.afterStep?.('looked', id);
      return takeStep(tx, backup);
    });
    if (!next) return;
    if (typeof next !== 'string') return this.#removeBytes(id, next);
    this.#reached(next, id);
    // There may be another.
    await this.reconcile(id);
  }

  #reached(step: BackupStep, id: string): void {
    this.#options.log.info({ backupId: id, step }, 'backup step');
    this.#options.afterStep?.(step, id);
  }

  /** The file goes, then the row. */
  async #removeBytes(id: string, { host, fileName }: Bytes): Promise<void> {
    const { database, client, log } = this.#options;
    try {
      await client.deleteBackup(host, fileName);
    } catch (error) {
      log.warn({ err: error, backupId: id, hostId: host.id }, 'backup: a host could not remove the file');
      return enqueue(database.query, 'backup', id, { afterMs: lookAgainMs });
    }
    this.#reached('bytes removed', id);
    await database.transaction(cloudActor, async (tx) => {
      if (await lock(tx, id)) await removeRow(tx, id);
    });
    this.#reached('removed', id);
  }
}

interface Bytes {
  host: HostEndpoint;
  fileName: string;
}

/** Its volume's row first, as whoever changes that does; it may be gone. */
async function lock(tx: Tx, id: string): Promise<BackupRow | undefined> {
  await sql`select from volume where id = (select volume_id from backup where id = ${id}) for update`.execute(tx);
  const { rows } = await sql<BackupRow>`select * from backup where id = ${id} for update`.execute(tx);
  return rows[0];
}

/** Undefined: there is nothing to do but wait. */
async function takeStep(tx: Tx, backup: BackupRow): Promise<BackupStep | Bytes | undefined> {
  const { id, layer_id: layerId } = backup;
  if (backup.desired_presence === 'absent') {
    if (layerId === null) return towardsAbsent(tx, backup);
    await letGo(tx, backup, layerId);
    return 'given up';
  }
  if (layerId === null) return undefined;
  const layer = await findLayer(tx, layerId);
  const said = layer?.observed_backups.find((each) => each.id === id);
  if (said?.result) {
    await changeBackup(tx, id, { made: said.result });
    await letGo(tx, backup, layerId);
    await endOperations(tx, id, backup.generation, { state: 'succeeded' });
    return 'made';
  }
  if (said) return fail(tx, backup, layerId, said.error?.message ?? 'The host could not make the backup.');
  if (!layer) return fail(tx, backup, layerId, 'The layer that it was made of is gone.');
  return expire(tx, backup, layerId);
}

/** Nothing is made any more: the layer goes where nobody else needs it, and the volume is free. */
async function letGo(tx: Tx, { id, volume_id }: BackupRow, layerId: string): Promise<void> {
  await sql`update backup set layer_id = null, updated_at = now() where id = ${id}`.execute(tx);
  const { rows } = await sql`select from volume where id = ${volume_id}`.execute(tx);
  if (rows.length > 0) {
    const { desired_task: task } = await lockVolume(tx, 'all', volume_id);
    if (task?.kind === 'backup' && task.backup_id === id) await changeVolume(tx, volume_id, { task: null });
  }
  await endBackup(tx, layerId, id);
  await releaseLayers(tx, [layerId]);
}

async function fail(tx: Tx, backup: BackupRow, layerId: string, message: string): Promise<BackupStep> {
  const { id, generation } = backup;
  await changeBackup(tx, id, { fault: faultOf('host', message, generation) });
  await letGo(tx, backup, layerId);
  await endOperations(tx, id, generation, { state: 'failed', code: 'unavailable', message });
  return 'failed';
}

async function expire(tx: Tx, backup: BackupRow, layerId: string): Promise<BackupStep | undefined> {
  const { rows } = await sql<{
    deadline: Date;
    late: boolean;
  }>`select deadline, deadline <= now() as late from operation
    where resource_id = ${backup.id} and state = 'running' order by created_at desc limit 1`.execute(tx);
  const [operation] = rows;
  if (!operation) return undefined;
  if (operation.late) return fail(tx, backup, layerId, 'The host did not make the backup in time.');
  await enqueue(tx, 'backup', backup.id, { at: operation.deadline });
  return undefined;
}

async function towardsAbsent(
  tx: Tx,
  { id, host_id, file_name: fileName }: BackupRow,
): Promise<BackupStep | Bytes | undefined> {
  const { rows } = await sql`select from backup where parent_id = ${id}`.execute(tx);
  if (rows.length > 0) return later(tx, id);
  // Of two that go at once the second sees that the first is gone, and takes the file along.
  await sql`select pg_advisory_xact_lock(hashtextextended(${`backup ${fileName}`}, 0))`.execute(tx);
  const others = await sql`select from backup where file_name = ${fileName} and id <> ${id}`.execute(tx);
  if (others.rows.length > 0 || host_id === null) {
    await removeRow(tx, id);
    return 'removed';
  }
  const { rows: hosts } = await sql<HostEndpoint>`select ${endpointColumns} from host
    where id = ${host_id} and connected and facts ? 'url'`.execute(tx);
  return hosts[0] ? { host: hosts[0], fileName } : later(tx, id);
}

/** What is in the way goes by itself: an incremental one that shall not be either, or a host's absence. */
async function later(tx: Tx, id: string): Promise<undefined> {
  await enqueue(tx, 'backup', id, { afterMs: lookAgainMs });
}

async function removeRow(tx: Tx, id: string): Promise<void> {
  const { rows } = await sql<{
    parent_id: string | null;
  }>`delete from backup where id = ${id} returning parent_id`.execute(tx);
  await endOperations(tx, id, Number.MAX_SAFE_INTEGER, { state: 'succeeded' });
  const parent = rows[0]?.parent_id;
  // It may wait for this one.
  if (parent) await enqueue(tx, 'backup', parent);
}
