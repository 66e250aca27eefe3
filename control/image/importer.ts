/**
 * Fills images that are being imported: fetches their bytes and hands them to a host, as an upload does. Owns the imports that run in
 * this process. The image's lease says who is at work; if this process dies it runs out, the controller takes the upload back, and
 * the task begins anew, a few times, before it fails.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { isCloudError } from '../../contract/errors.ts';
import type { ImageId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Queryable } from '../kit/database/database.ts';
import { endOperations } from '../kit/operation/operations.ts';
import { enqueue, type Reconcile } from '../kit/queue/queue.ts';
import { endTask, uploadState } from './store.ts';
import type { ImageRow, ImageTaskRow } from './tables.ts';
import type { ByteSource, ImageTransfer } from './transfer.ts';
import { whyFailed } from './upload.ts';
import type { WebSource } from './web-source.ts';

const maxAttempts = 3;
/** Imports of one process at a time: each is a stream through it. */
const maxRunning = 4;
const tryAgainMs = 5000;

type Task = Omit<ImageTaskRow, 'project_id'>;

export interface ImporterOptions {
  database: Database;
  transfer: ImageTransfer;
  web: Pick<WebSource, 'open'>;
  log: Logger;
}

export class ImageImporter {
  readonly #options: ImporterOptions;
  readonly #running = new Map<string, Promise<void>>();
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
    await Promise.all(this.#running.values());
  }

  /** Begins the work and does not wait for it: reconciles of the queue take seconds. */
  async #reconcile(imageId: string): Promise<void> {
    if (this.#running.has(imageId)) return;
    const { database, log } = this.#options;
    const later = () => enqueue(database.query, 'image_import', imageId, { at: new Date(Date.now() + tryAgainMs) });
    if (this.#stopped || this.#running.size >= maxRunning) return later();
    const state = await uploadState(database.query, imageId);
    if (state?.status !== 'importing' || state.desired_presence !== 'present') return;
    // Somebody else is at work, or was: then the controller takes the upload back and asks us again.
    if (state.upload_id !== null) return;
    const task = await takeTask(database, imageId);
    // It gave up, and only its upload's lease was still in the way.
    if (!task) return void (await giveBack(database.query, imageId));
    const work = this.#run(imageId as ImageId, task)
      .catch((err) => log.warn({ err, imageId }, 'image: what became of an import could not be written down'))
      .finally(() => this.#running.delete(imageId));
    this.#running.set(imageId, work);
  }

  async #run(imageId: ImageId, task: Task): Promise<void> {
    const { database, transfer, log } = this.#options;
    try {
      if (task.attempts > maxAttempts) throw new Error(`it was begun ${maxAttempts} times and never came to its end`);
      await transfer.fill(imageId, (signal) => this.#open(task, signal));
    } catch (error) {
      log.info({ err: error, imageId, taskId: task.id }, 'image: an import failed');
      // Another process, or the next start of this one, begins anew.
      if (this.#stopped) return enqueue(database.query, 'image_import', imageId);
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

async function takeTask(database: Database, imageId: string): Promise<Task | undefined> {
  const { rows } = await sql<Task>`update image_task set status = 'processing', attempts = attempts + 1,
    updated_at = now() where image_id = ${imageId} and ended_at is null returning *`.execute(database.query);
  return rows[0];
}

/** The image waits for bytes again; its owner reads why in the task. */
async function giveUp(database: Database, imageId: ImageId, error: unknown): Promise<void> {
  const message = whyImportFailed(error).slice(0, 1000);
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

/** Unless an upload still has it. */
async function giveBack(db: Queryable, imageId: string): Promise<number | undefined> {
  const { rows } = await sql<{ generation: number }>`update image set status = 'queued', updated_at = now()
    where id = ${imageId} and status = 'importing' and upload_id is null returning generation`.execute(db);
  return rows[0]?.generation;
}

/** Errors of this folder are sentences for the image's owner; what a host or the database said is not. */
function whyImportFailed(error: unknown): string {
  return isCloudError(error) ? whyFailed(error) : ((error as Error | undefined)?.message ?? 'the import failed');
}
