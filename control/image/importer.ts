/**
 * Fills images that are being imported: fetches their bytes and hands them to a host, as an upload does. Owns the imports that run in
 * this process. Until the source answers the task says that somebody is at work, from then on the image's lease does. If this process
 * dies, a later look finds the task given up, or the controller takes the upload back; and the task begins anew, a few times, before
 * it fails.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { isCloudError } from '../../contract/errors.ts';
import type { ImageId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Queryable } from '../kit/database/database.ts';
import { endOperations } from '../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../kit/queue/queue.ts';
import { beginningOf } from '../kit/text.ts';
import { endTask, freeTask, uploadState } from './store.ts';
import type { ImageRow, ImageTaskRow } from './tables.ts';
import type { ByteSource, ImageTransfer } from './transfer.ts';
import { whyFailed } from './upload.ts';
import type { WebSource } from './web-source.ts';

const maxAttempts = 3;
/** Imports of one process at a time: each is a stream through it. A source may be slow on purpose, for a day: that takes nobody else's turn. */
const maxRunning = { ofProject: 4, all: 32 };
const tryAgainMs = 5000;
/** A look at whether whoever took a task came as far as a lease. */
const lookAgainMs = 60_000;
/** Longer than that can take: every redirect with its time to answer, and an earlier upload's bytes that are being removed. */
const silentMinutes = 5;

type Task = Omit<ImageTaskRow, 'project_id' | 'foreign_owner'>;

export interface ImporterOptions {
  database: Database;
  transfer: ImageTransfer;
  web: Pick<WebSource, 'open'>;
  log: Logger;
}

export class ImageImporter {
  readonly #options: ImporterOptions;
  readonly #running = new Map<string, { projectId: string | null; work: Promise<void> }>();
  #stopped = false;

  constructor(options: ImporterOptions) {
    this.#options = options;
  }

  /** For the WorkQueue. */
  get tasks(): { image_import: Reconcile } {
    return { image_import: (id) => this.#reconcile(id) };
  }

  /** What runs is broken off by the transfer. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all([...this.#running.values()].map(({ work }) => work));
  }

  #isFull(projectId: string | null): boolean {
    const running = [...this.#running.values()];
    const ofProject = running.filter((each) => each.projectId === projectId).length;
    return running.length >= maxRunning.all || ofProject >= maxRunning.ofProject;
  }

  /** Begins the work and does not wait for it: reconciles of the queue take seconds. */
  async #reconcile(imageId: string): Promise<void> {
    const { database, log } = this.#options;
    const state = await uploadState(database.query, imageId);
    if (state?.status !== 'importing' || state.desired_presence !== 'present') return;
    const { project_id: projectId } = state;
    if (this.#stopped || this.#isFull(projectId)) return lookLater(database.query, imageId, tryAgainMs);
    // Somebody else is at work, or was: then the controller takes the upload back and asks us again.
    if (state.upload_id !== null) return;
    const task = this.#running.has(imageId) ? undefined : await takeTask(database, imageId);
    if (!task) {
      // It gave up, and only its upload's lease was still in the way; or somebody waits for the source.
      const free = (await giveBack(database.query, imageId)) !== undefined;
      return free ? undefined : lookLater(database.query, imageId, lookAgainMs);
    }
    const work = this.#run(imageId as ImageId, task)
      .catch((err) => log.warn({ err, imageId }, 'image: what became of an import could not be written down'))
      .finally(() => this.#running.delete(imageId));
    this.#running.set(imageId, { projectId, work });
  }

  async #run(imageId: ImageId, task: Task): Promise<void> {
    const { database, transfer, log } = this.#options;
    try {
      if (task.attempts > maxAttempts) throw new Error(`it was begun ${maxAttempts} times and never came to its end`);
      await transfer.fill(imageId, (signal) => this.#open(task, signal));
    } catch (error) {
      log.info({ err: error, imageId, taskId: task.id }, 'image: an import failed');
      // Another process, or the next start of this one, begins anew.
      if (this.#stopped) return database.transaction(cloudActor, (tx) => freeTask(tx, imageId));
      await giveUp(database, imageId, error);
    }
  }

  async #open({ input: { source } }: Task, signal: AbortSignal): Promise<ByteSource> {
    if (source.method === 'web-download') return this.#options.web.open(source.uri, signal);
    if (source.method !== 'glance-download') throw new Error(`${source.method} is not a source of bytes`);
    const { rows } = await sql<ImageRow>`select * from image where id = ${source.imageId} and status = 'active'
      and desired_presence = 'present'`.execute(this.#options.database.query);
    if (!rows[0]) throw new Error(`image ${source.imageId} is not there any more`);
    return this.#options.transfer.source(rows[0]);
  }
}

const lookLater = (db: Queryable, imageId: string, ms: number) => enqueue(db, 'image_import', imageId, { afterMs: ms });

/** Undefined where there is none, or where somebody has it. */
function takeTask(database: Database, imageId: string): Promise<Task | undefined> {
  return database.transaction(cloudActor, async (tx) => {
    const { rows } =
      await sql<Task>`update image_task set status = 'processing', attempts = attempts + 1, updated_at = now()
      where image_id = ${imageId} and ended_at is null
        and (status = 'pending' or updated_at < now() - make_interval(mins => ${silentMinutes})) returning *`.execute(
        tx,
      );
    if (rows[0]) await lookLater(tx, imageId, lookAgainMs);
    return rows[0];
  });
}

/** The image waits for bytes again; its owner reads why in the task. */
async function giveUp(database: Database, imageId: ImageId, error: unknown): Promise<void> {
  const message = beginningOf(whyImportFailed(error), 1000);
  await database.transaction(cloudActor, async (tx) => {
    await endTask(tx, imageId, { status: 'failure', message });
    await sql`update image set import_failure = ${message} where id = ${imageId} and status = 'importing'`.execute(tx);
    const generation = await giveBack(tx, imageId);
    if (generation !== undefined) {
      const end = { state: 'failed', code: isCloudError(error) ? error.code : 'unavailable', message } as const;
      await endOperations(tx, imageId, generation, end);
    }
    await enqueue(tx, 'image', imageId);
  });
}

/** Unless an upload still has it, or a task that has not ended. */
async function giveBack(db: Queryable, imageId: string): Promise<number | undefined> {
  const { rows } = await sql<{ generation: number }>`update image set status = 'queued', updated_at = now()
    where id = ${imageId} and status = 'importing' and upload_id is null
      and not exists (select from image_task t where t.image_id = image.id and t.ended_at is null)
    returning generation`.execute(db);
  return rows[0]?.generation;
}

/** Errors of this folder are sentences for the image's owner; what a host or the database said is not. */
function whyImportFailed(error: unknown): string {
  return isCloudError(error) ? whyFailed(error) : ((error as Error | undefined)?.message ?? 'the import failed');
}
