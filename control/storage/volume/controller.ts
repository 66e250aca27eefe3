/**
 * The volume controller: writes down what has come about, ends what was begun, and gives up what took too long. Takes nothing but an id;
 * reads the whole state; every step is one transaction and may be repeated.
 *
 *   content complete       → launched; its creation ends
 *   task done              → it holds the volume no longer
 *   on its way to another pool → the next stage (move.ts), or host (change-host.ts)
 *   its host gave up       → the fault says why; what was to be made of it comes to nothing; a server that waits for it is looked at
 *   host tries again, and it works → the fault goes
 *   deadline passed        → the fault says what was waited for
 *   its cache is full, or nobody has it → its generations come and sink (../cache)
 *   a server waits for it, or no more → it is brought there, or stays (bring.ts)
 *   its server is not on its way any more → it is where that is (carry.ts)
 *   shall be absent        → goes as soon as nobody has it
 *
 * What is shown is derived from the same rows (states.ts), and waits for this only to be available for the first time: what was so once
 * stays so. If the process dies after any step, the durable job or the sweep finds the volume where it was.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { isCloudError } from '../../../contract/errors.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { endOperations } from '../../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../../kit/queue/queue.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { cacheDueSql, isOwed, tendCache } from '../cache/index.ts';
import { endBackup, filesOf, findLayer, hasFailed, isServed, type LayerBase, type LayerRow } from '../layer/index.ts';
import { lockWithServer } from './brought.ts';
import { tendCarry } from './carry.ts';
import { giveUpChangeHost, tendChangeHost } from './change-host.ts';
import { recordExtension } from './extend.ts';
import { recordLoss } from './loss.ts';
import { isMissing, whyMissing } from './missing.ts';
import { tendMove } from './move.ts';
import { removeVolume } from './remove.ts';
import { endRestore, giveUpRestore, type RestoreTask } from './restore.ts';
import { type ReplacingTask, replaceTop } from './revert.ts';
import { tendSinking } from './sink-first.ts';
import { changeVolume, isContentComplete } from './store.ts';
import type { VolumeTask } from './tables.ts';
import { tendUnmanage } from './unmanage.ts';
import { endUpload, isWanted, type UploadOutcome } from './upload.ts';
import { faultOf, type ListedVolume } from './volume.ts';

/** The steps after which a test may kill the controller. */
export type VolumeStep =
  | 'looked'
  | 'launched'
  | 'moved'
  | 'task ended'
  | 'failed'
  | 'mended'
  | 'expired'
  | 'removed'
  | 'cache';

export interface VolumeControllerOptions {
  database: Database;
  log: Logger;
  /** For crash tests: throws where the process shall die. */
  afterStep?: (step: VolumeStep, volumeId: string) => void;
}

interface Look {
  volume: ListedVolume;
  top: LayerRow | undefined;
  /** Of the operation that runs. */
  deadline: Date | null;
  waitingFor: string | null;
  verb: string | null;
  now: Date;
}

const sweepMs = 30_000;

export class VolumeController {
  readonly #options: VolumeControllerOptions;
  readonly #sweep: Sweep;

  constructor(options: VolumeControllerOptions) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.sweep(), { everyMs: sweepMs, log: options.log, what: 'volume sweep' });
  }

  /** For the work queue. */
  tasks(): { volume: Reconcile } {
    return { volume: (id) => this.reconcile(id) };
  }

  /** Starts the timer that finds what no job knows of. */
  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** Gives a job to every volume that is not complete, has something under way, shall not be, is faulted by its host, has a cache with something to do, or is past its operation's deadline. */
  async sweep(): Promise<void> {
    // The first condition is the index's of the few that are not as they shall be: the others are not read.
    await sql`select enqueue('volume', id::text, now()) from (
        select id from volume where (launched_at is null or desired_presence = 'absent' or desired_task is not null or fault is not null)
          and (launched_at is null and fault is null or desired_presence = 'absent'
            or desired_task ->> 'kind' not in ('backup', 'transfer') or fault ->> 'code' in ('host', 'extend', 'restore'))
        union ${cacheDueSql}
        union select resource_id from operation o where state = 'running' and deadline < now() and resource_type = 'volume'
          and exists (select from volume where id = o.resource_id)) due`.execute(this.#options.database.query);
  }

  async reconcile(id: string): Promise<void> {
    const step = await this.#options.database.transaction(cloudActor, async (tx) => {
      const look = await lookAt(tx, id);
      if (!look) return undefined;
      this.#options.afterStep?.('looked', id);
      return takeStep(tx, look);
    });
    if (!step) return;
    this.#options.log.info({ volumeId: id, step }, 'volume step');
    this.#options.afterStep?.(step, id);
    // There may be another.
    await this.reconcile(id);
  }
}

async function lookAt(tx: Tx, id: string): Promise<Look | undefined> {
  const volume = await lockWithServer(tx, id);
  if (!volume) return undefined;
  const [operation, top] = await Promise.all([
    sql<
      Omit<Look, 'volume' | 'top'>
    >`select deadline, waiting_for as "waitingFor", verb, now() as now from (select 1) one
      left join operation on resource_id = ${id} and state = 'running' order by created_at desc limit 1`.execute(tx),
    volume.layer_id === null ? undefined : findLayer(tx, volume.layer_id),
  ]);
  return { volume, top, ...operation.rows[0]! };
}

/** Undefined: there is nothing to do but wait. */
async function takeStep(tx: Tx, look: Look): Promise<VolumeStep | undefined> {
  const { volume, top } = look;
  if (volume.desired_presence === 'absent') return towardsAbsent(tx, volume);
  if (volume.launched_at === null && (await isContentComplete(tx, volume.id))) return launch(tx, volume);
  if (volume.cache_pool_id !== null && (await tendCache(tx, volume, { ends: isSinking(volume.desired_task) })))
    return 'cache';
  const failure = top && (failureOf(top) ?? (await lossBelow(tx, volume)));
  if (volume.fault && byHost.has(volume.fault.code) && !failure && top && isServed(top)) return mend(tx, volume);
  if (volume.desired_task) {
    const ended = await towardsEndOf(tx, look, volume.desired_task);
    if (ended) return ended;
  }
  if (failure && !volume.fault && !isReplaced(volume.desired_task)) return fail(tx, look, failure);
  // Content of any size takes its time; what did not begin is turned back.
  if (volume.desired_task && (isMove(volume.desired_task) || isCarried(volume.desired_task))) return undefined;
  if (look.deadline && volume.launched_at !== null && !volume.desired_task && !volume.fault) return finish(tx, volume);
  return expire(tx, look);
}

const isSinking = (task: VolumeTask | null): boolean => task !== null && 'stage' in task && task.stage === 'sinking';

const isMove = ({ kind }: VolumeTask): boolean => kind === 'retype' || kind === 'migrate' || kind === 'bring';

/** Where its server goes is for that one's hosts to say: they end it, whatever is the matter with the volume. */
const isCarried = (task: VolumeTask | null): boolean => task?.kind === 'carry';

/** What it holds goes when that is there which its host makes of a backup. */
const isReplaced = (task: VolumeTask | null): boolean => task?.kind === 'restore' && task.into !== null;

const isLate = ({ deadline, now }: Look): boolean => deadline !== null && deadline.getTime() <= now.getTime();

async function towardsAbsent(tx: Tx, volume: ListedVolume): Promise<VolumeStep | undefined> {
  if (volume.attachment?.server_id) return undefined;
  if (await isOwed(tx, volume)) return (await tendCache(tx, volume)) && 'cache';
  await removeVolume(tx, volume);
  return 'removed';
}

async function launch(tx: Tx, { id, generation }: ListedVolume): Promise<VolumeStep> {
  await Promise.all([
    sql`update volume set launched_at = now() where id = ${id}`.execute(tx),
    endOperations(tx, id, generation, { state: 'succeeded' }),
  ]);
  return 'launched';
}

/** What was begun has come about, and somebody else has written that down. */
async function finish(tx: Tx, { id, generation }: ListedVolume): Promise<VolumeStep> {
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

function failureOf(top: LayerRow): string | undefined {
  if (isMissing(top)) return 'Its host has the volume’s file no more.';
  return hasFailed(top) ? (top.observed_error?.message ?? 'The host could not make the volume.') : undefined;
}

/** What has not sunk lies below its top, and in a pool that may be lost. */
async function lossBelow(tx: Tx, { cache_pool_id, layer_id }: ListedVolume): Promise<string | undefined> {
  if (cache_pool_id === null || layer_id === null) return undefined;
  const missing = (await filesOf(tx, layer_id)).find(isMissing);
  return missing && whyMissing(tx, missing);
}

async function fail(tx: Tx, { volume, top, deadline }: Look, why: string): Promise<VolumeStep> {
  const message = top && isMissing(top) ? await whyMissing(tx, top) : why;
  const { id, generation, desired_task: task } = volume;
  await giveUpCopy(tx, volume, message);
  await changeVolume(tx, id, {
    fault: faultOf(faultCode(task), message, generation),
    ...(!isCarried(task) && { task: null }),
    ...(task && isMove(task) && task.kind !== 'bring' && { moveOutcome: 'error' as const }),
    ...(task && isMove(task) && !isSinking(task) && top && { poolId: top.pool_id }),
  });
  const failure = { state: 'failed', code: 'internal', message } as const;
  if (task?.kind === 'extend') await recordExtension(tx, volume, failure);
  await endOperations(tx, id, generation + 1, failure);
  // Nobody had asked for anything: it is told all the same (../message).
  if (deadline === null) await recordLoss(tx, 'volume', volume, failure);
  const serverId = volume.attachment?.server_id;
  if (serverId) await enqueue(tx, 'server', serverId);
  return 'failed';
}

/** What was to be made of its content, and would hold its layer. */
async function giveUpCopy(tx: Tx, volume: ListedVolume, why: string): Promise<void> {
  const { id, layer_id, desired_task: task } = volume;
  if (task?.kind === 'upload') await endUpload(tx, id, task, { result: null, error: givenUp(why) });
  if (task?.kind === 'unmanage') await endBackup(tx, layer_id!, id);
  if (task && 'stage' in task && task.stage === 'copying') await giveUpChangeHost(tx, volume, task);
}

/** Faults that go when the host has done it after all. */
const byHost: ReadonlySet<string> = new Set(['host', 'extend', 'restore']);

/** What it failed at: the status is made of it. */
const faultCode = (task: VolumeTask | null): string =>
  task?.kind === 'extend' || task?.kind === 'restore' ? task.kind : 'host';

/** The host has done it after all. */
async function mend(tx: Tx, { id, generation }: ListedVolume): Promise<VolumeStep> {
  await changeVolume(tx, id, { fault: null });
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'mended';
}

/** Undefined: it goes on. */
async function towardsEndOf(tx: Tx, look: Look, task: VolumeTask): Promise<VolumeStep | undefined> {
  const { volume, top } = look;
  switch (task.kind) {
    case 'extend':
      if (!top || !isServed(top) || !guestSees(volume, top.size_bytes)) return undefined;
      await recordExtension(tx, volume);
      return endTask(tx, volume);
    case 'revert':
    case 'reimage':
      if (task.onto) return replaceWhenSunk(tx, look, task, task.onto);
      return top && isServed(top) ? endTask(tx, volume) : undefined;
    case 'upload':
      return towardsEndOfUpload(tx, look, task);
    case 'restore':
      return towardsEndOfRestore(tx, look, task);
    case 'unmanage':
      return tendUnmanage(tx, { volume, top, late: isLate(look) });
    case 'bring':
      return tendChangeHost(tx, { volume, late: isLate(look) }, task);
    case 'carry':
      return tendCarry(tx, volume, task);
    // Whoever began these ends them.
    case 'backup':
    case 'transfer':
      return undefined;
    case 'retype':
    case 'migrate':
      if (!top) return undefined;
      if (task.stage === 'copying') return tendChangeHost(tx, { volume, late: isLate(look) }, task);
      if (task.stage === 'sinking') return tendSinking(tx, { volume, top, late: isLate(look) }, task);
      return tendMove(tx, { volume, top, late: isLate(look) }, task);
  }
}

/** A guest that has it open was told of its size; one that is off learns it with its start. */
const guestSees = ({ attachment }: ListedVolume, bytes: number): boolean =>
  attachment?.observed_size_bytes == null || attachment.observed_size_bytes >= bytes;

async function endTask(tx: Tx, { id, generation }: ListedVolume): Promise<VolumeStep> {
  await changeVolume(tx, id, { task: null });
  await endOperations(tx, id, generation, { state: 'succeeded' });
  return 'task ended';
}

/** What it held is needed by somebody else until it has left the cache. */
async function replaceWhenSunk(
  tx: Tx,
  look: Look,
  { onto: _, ...task }: ReplacingTask,
  onto: LayerBase,
): Promise<VolumeStep | undefined> {
  if (await isOwed(tx, look.volume)) return undefined;
  try {
    await replaceTop(tx, look.volume, onto, { task });
    return 'moved';
  } catch (error) {
    if (!isCloudError(error)) throw error;
    return fail(tx, look, 'What the volume was to hold is there no more.');
  }
}

async function towardsEndOfRestore(
  tx: Tx,
  { volume, top, deadline, now }: Look,
  { into }: RestoreTask,
): Promise<VolumeStep | undefined> {
  const { id, generation } = volume;
  if (into === null) return top && isServed(top) ? endTask(tx, volume) : undefined;
  const layer = await findLayer(tx, into.layer_id);
  if (layer && isServed(layer)) {
    if (await isOwed(tx, volume)) return undefined;
    await endRestore(tx, volume, into);
    return 'task ended';
  }
  const late = deadline !== null && deadline.getTime() <= now.getTime();
  const failure = layer ? restoreFailure(layer, late) : 'The layer that was to be made of the backup is gone.';
  if (failure === undefined) return undefined;
  // It holds what it held.
  await giveUpRestore(tx, id, into);
  await endOperations(tx, id, generation, failed(failure));
  return 'task ended';
}

function restoreFailure(layer: LayerRow, late: boolean): string | undefined {
  if (hasFailed(layer)) return layer.observed_error?.message ?? 'The host could not restore the backup.';
  return late ? 'The host did not restore the backup in time.' : undefined;
}

async function towardsEndOfUpload(
  tx: Tx,
  look: Look,
  task: Extract<VolumeTask, { kind: 'upload' }>,
): Promise<VolumeStep | undefined> {
  const { volume } = look;
  const { id, generation } = volume;
  const layer = await findLayer(tx, task.layer_id);
  const late = isLate(look);
  const said = layer?.observed_captures.find(({ image_id }) => image_id === task.image_id);
  let outcome: UploadOutcome | undefined = said && { result: said.result, error: said.error };
  if (!layer)
    outcome = { result: null, error: { code: 'internal', message: 'The layer that it was made of is gone.' } };
  else if (!(await isWanted(tx, task.image_id))) outcome = { result: null, error: givenUp('it was deleted') };
  else if (late && !outcome) outcome = { result: null, error: givenUp('the host did not finish it in time') };
  if (!outcome) return undefined;
  const failure = await endUpload(tx, id, task, outcome);
  const end = failure === null ? ({ state: 'succeeded' } as const) : failed(failure);
  await endOperations(tx, id, generation, end);
  return 'task ended';
}

const givenUp = (why: string) => ({ code: 'unavailable', message: `The image was given up: ${why}.` });
const failed = (message: string) => ({ state: 'failed', code: 'unavailable', message }) as const;

/** What took too long is told, and no more waited for; what its host does in the end counts all the same. */
async function expire(tx: Tx, { volume, deadline, now, verb, waitingFor }: Look): Promise<VolumeStep | undefined> {
  const { id, generation, fault } = volume;
  if (deadline === null || fault) return undefined;
  if (deadline.getTime() > now.getTime()) {
    await enqueue(tx, 'volume', id, { at: deadline });
    return undefined;
  }
  const message = `The ${verb} did not finish in time; it was waiting for ${waitingFor ?? 'the host'}.`;
  await sql`update volume set fault = ${json(faultOf(faultCode(volume.desired_task), message, generation))}::jsonb, desired_task = null, updated_at = now()
    where id = ${id}`.execute(tx);
  await endOperations(tx, id, generation, failed(message));
  return 'expired';
}
