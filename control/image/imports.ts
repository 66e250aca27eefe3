/** Imports are asked for here: rights, state, one transaction with the task. What needs time is done by importer.ts. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { type ImageId, newOrderedId, parseId } from '../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../kit/caller.ts';
import type { Database, Tx } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { beginOperation, recordOperation } from '../kit/operation/operations.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { checkQuota } from '../kit/quota/quota.ts';
import { isOwnedBy, requireOwner } from './image.ts';
import { importedProperties, requireImportable } from './import.ts';
import { PropertyProtections } from './protection.ts';
import { image as descriptor } from './resource.ts';
import { findVisible } from './service.ts';
import type { ImageRow, ImageTaskRow } from './tables.ts';
import type { ImportInput, ImportSource } from './values.ts';

/** As long as Glance keeps tasks that have ended. */
export const taskLifeHours = 48;
const importDeadlineMs = 24 * 3600 * 1000;

export interface ImportOptions {
  database: Database;
  /** The region of this cloud, from which images may be taken. */
  region: string;
  protections?: PropertyProtections;
}

export class ImageImportService {
  readonly #database: Database;
  readonly #region: string;
  readonly #protections: PropertyProtections;

  constructor(options: ImportOptions) {
    this.#database = options.database;
    this.#region = options.region;
    this.#protections = options.protections ?? new PropertyProtections();
  }

  /**
   * Accepted; the task tells what became of it.
   * @throws CloudError `not_found`, `forbidden`, `conflict` (the image's state), `invalid`, `quota_exceeded`
   */
  async request(caller: Caller, imageId: string, input: ImportInput): Promise<void> {
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await findVisible(tx, caller, imageId, { lock: true });
      requireOwner(caller, image, 'import_image');
      requireImportable(image, input.source.method);
      await sql`delete from image_task where ended_at < now() - make_interval(hours => ${taskLifeHours})`.execute(tx);
      await this.#begin(tx, caller, image, input);
    });
  }

  async #begin(tx: Tx, caller: Caller, image: ImageRow, input: ImportInput): Promise<void> {
    const { source } = input;
    switch (source.method) {
      case 'glance-direct': {
        // The bytes are here, inspected: nothing is left to do.
        await sql`update image set status = 'active', import_failure = '', generation = generation + 1, updated_at = now()
          where id = ${image.id}`.execute(tx);
        await enqueue(tx, 'image', image.id);
        return this.#ended(tx, caller, image, input);
      }
      case 'copy-image': {
        await sql`update image set import_failure = '', updated_at = now() where id = ${image.id}`.execute(tx);
        await enqueue(tx, 'image', image.id);
        return this.#ended(tx, caller, image, input);
      }
      case 'web-download':
        return fillLater(tx, caller, image, input);
      case 'glance-download': {
        const why = await this.#takeOver(tx, caller, image, source);
        if (why !== undefined) return this.#ended(tx, caller, image, input, why);
        return fillLater(tx, caller, image, input);
      }
    }
  }

  /** The other image's formats and properties; or why it can't be had. */
  async #takeOver(
    tx: Tx,
    caller: Caller,
    image: ImageRow,
    source: ImportSource & { method: 'glance-download' },
  ): Promise<string | undefined> {
    if (source.region !== this.#region || !['public', 'internal', 'admin'].includes(source.interface)) {
      return `no image service is known in region ${source.region} with the interface ${source.interface}`;
    }
    const other = await findVisible(tx, caller, source.imageId).catch(() => undefined);
    if (!other) return `no image found with ID ${source.imageId}`;
    if (other.status !== 'active') return `image ${source.imageId} is not active: it is ${other.status}`;
    // Its key is its own, and the bytes are worth nothing without it.
    if (other.key_id !== null) return `image ${source.imageId} is encrypted, and only volumes are made of it`;
    const { disk_format, container_format } = other;
    const theirs = importedProperties(this.#protections.readable(caller, other.owner_properties));
    for (const name of Object.keys(theirs)) {
      this.#protections.require(caller, Object.hasOwn(image.owner_properties, name) ? 'update' : 'create', name);
    }
    const properties = { ...image.owner_properties, ...theirs };
    await tx
      .updateTable('image')
      .set({ disk_format, container_format, owner_properties: json(properties) })
      .where('id', '=', image.id)
      .execute();
    return undefined;
  }

  /** A task that has its end already. @param why it failed */
  async #ended(tx: Tx, caller: Caller, image: ImageRow, input: ImportInput, why?: string): Promise<void> {
    await insertTask(tx, caller, image, input, why === undefined ? { status: 'success' } : { status: 'failure', why });
    if (why !== undefined) await sql`update image set import_failure = ${why} where id = ${image.id}`.execute(tx);
    const { project_id: projectId, id: resourceId, generation } = image;
    const outcome = why === undefined ? undefined : ({ state: 'failed', code: 'invalid', message: why } as const);
    await recordOperation(
      tx,
      actorOf(caller),
      { projectId, resourceType: 'image', resourceId, verb: 'import', generation },
      outcome,
    );
  }

  /** Of an image, newest first. @throws CloudError `not_found`, `forbidden` */
  async tasksOf(caller: Caller, imageId: string): Promise<ImageTaskRow[]> {
    const image = await findVisible(this.#database.query, caller, imageId);
    if (!isAdmin(caller) && !isOwnedBy(image, caller)) {
      throw new CloudError('forbidden', 'image_operation_forbidden', { id: image.id, operation: 'get_task' });
    }
    const { rows } =
      await sql<ImageTaskRow>`select ${taskColumns} where image_id = ${image.id} order by t.id desc limit 1000`.execute(
        this.#database.query,
      );
    return rows;
  }

  /** Of all images; for administrators. @throws CloudError `forbidden`, `invalid` (an unknown marker) */
  async tasks(caller: Caller, page: TaskPage): Promise<ImageTaskRow[]> {
    requireAdmin(caller, 'listing tasks');
    const { query } = this.#database;
    const key = taskOrders[page.order];
    const [direction, beyond] = page.descending ? [sql`desc`, sql`<`] : [sql`asc`, sql`>`];
    const marker = page.marker === undefined ? undefined : parseId(page.marker);
    if (page.marker !== undefined) {
      const { rows } = marker ? await sql`select from image_task where id = ${marker}`.execute(query) : { rows: [] };
      if (rows.length === 0) throw new CloudError('invalid', 'marker_not_found', { marker: page.marker });
    }
    const { rows } = await sql<ImageTaskRow>`select ${taskColumns}
      where ${marker ? sql`(${key}, t.id) ${beyond} (select ${key}, t.id from image_task t where t.id = ${marker})` : sql`true`}
      and ${page.status === undefined ? sql`true` : sql`t.status = ${page.status}`}
      order by ${key} ${direction}, t.id ${direction} limit ${page.limit}`.execute(query);
    return rows;
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async task(caller: Caller, taskId: string): Promise<ImageTaskRow> {
    requireAdmin(caller, 'showing a task');
    const id = parseId(taskId);
    const { rows } = id
      ? await sql<ImageTaskRow>`select ${taskColumns} where t.id = ${id}`.execute(this.#database.query)
      : { rows: [] };
    if (!rows[0]) throw new CloudError('not_found', 'image_task_not_found', { id: taskId });
    return rows[0];
  }
}

/** By what tasks are put in order; of equal ones by their ids, which are in the order of their making. */
const taskOrders = {
  created_at: sql`t.id`,
  id: sql`t.id`,
  updated_at: sql`t.updated_at`,
  status: sql`t.status`,
} as const;

export interface TaskPage {
  limit: number;
  order: keyof typeof taskOrders;
  descending: boolean;
  marker?: string;
  status?: string;
}

/** Columns and tables of a SELECT. */
const taskColumns = sql`t.*, i.project_id, i.foreign_owner from image_task t join image i on i.id = t.image_id`;

/** The image is the task's from now on. */
async function fillLater(tx: Tx, caller: Caller, image: ImageRow, input: ImportInput): Promise<void> {
  if (image.project_id !== null) await checkQuota(tx, image.project_id, descriptor.usage, { image_uploads: 1 });
  const { rows } = await sql<{ generation: number }>`update image set status = 'importing', import_failure = '',
    generation = generation + 1, updated_at = now() where id = ${image.id} returning generation`.execute(tx);
  await insertTask(tx, caller, image, input, { status: 'pending' });
  await beginOperation(tx, actorOf(caller), {
    projectId: image.project_id,
    resourceType: 'image',
    resourceId: image.id,
    verb: 'import',
    generation: rows[0]!.generation,
    owner: 'control',
    waitingFor: 'its turn',
    deadlineMs: importDeadlineMs,
  });
  await enqueue(tx, 'image_import', image.id as ImageId);
}

async function insertTask(
  tx: Tx,
  caller: Caller,
  image: ImageRow,
  input: ImportInput,
  end: { status: 'pending' | 'success' } | { status: 'failure'; why: string },
): Promise<void> {
  await tx
    .insertInto('image_task')
    .values({
      id: newOrderedId(),
      image_id: image.id,
      user_id: caller.userId,
      request_id: caller.requestId,
      input: json(input),
      status: end.status,
      message: end.status === 'failure' ? end.why : '',
      ended_at: end.status === 'pending' ? null : sql<string>`now()`,
    })
    .execute();
}
