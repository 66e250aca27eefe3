/**
 * What callers may do with images, bytes apart (see transfer.ts). Owns the image rows' desired columns; `status`
 * moves in transfer.ts and controller.ts only, but for deactivation.
 */

import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError } from '../../contract/errors.ts';
import { type ImageId, newId, parseId } from '../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireProject, requireProjectMember } from '../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint } from '../kit/database/database.ts';
import { json } from '../kit/database/schema.ts';
import { beginOperation } from '../kit/operation/operations.ts';
import { enqueue } from '../kit/queue/queue.ts';
import { type Limits, quotaLimits } from '../kit/quota/limits.ts';
import { checkQuota, quotaUsage } from '../kit/quota/quota.ts';
import {
  applyChanges,
  checkAttributes,
  checkOwner,
  checkProperties,
  checkTags,
  checkVisibility,
  type ImageAttributes,
  type ImageChange,
  requireKeyKept,
  requireOwner,
} from './image.ts';
import { type ImageListOptions, listImages, visibleTo } from './list.ts';
import { PropertyProtections } from './protection.ts';
import { image as descriptor } from './resource.ts';
import type { ImageRow } from './tables.ts';

/** Long, because a host that holds the bytes may be away; the image is out of everyone's sight at once. */
const deletionDeadlineMs = 24 * 3600 * 1000;

export interface NewImage extends Partial<ImageAttributes> {
  id?: string;
  /** Administrators only, unless it is the caller's own; theirs may be anybody. */
  owner?: string;
  tags?: string[];
  properties?: Record<string, string>;
}

export class ImageService {
  readonly #database: Database;
  readonly #log: Logger;
  /** Told of each deletion, so that an upload in this process ends at once. */
  onDeleted: (id: ImageId) => void = () => {};

  readonly #protections: PropertyProtections;

  constructor(options: { database: Database; log: Logger; protections?: PropertyProtections }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#protections = options.protections ?? new PropertyProtections();
  }

  /** @throws CloudError `forbidden`, `invalid`, `conflict`, `quota_exceeded`, `too_large` */
  async create(caller: Caller, wanted: NewImage): Promise<ImageRow> {
    const { id: chosen, owner: given, tags = [], properties = {}, ...attributes } = wanted;
    const owner = this.#ownerOfNew(caller, given);
    checkAttributes(attributes);
    checkVisibility(caller, attributes.visibility);
    checkProperties(properties);
    this.requireProperties(caller, properties);
    const id = chosen === undefined ? newId<ImageId>() : parseId<ImageId>(chosen);
    if (!id) throw new CloudError('invalid', 'image_id_malformed', { id: String(chosen) });
    const row = {
      ...attributes,
      id,
      tags: checkTags(tags),
      owner_properties: json(properties),
    };
    try {
      const image = await this.#database.transaction(actorOf(caller), async (tx) => {
        const columns = await ownerColumns(tx, caller, owner);
        if (columns.project_id) await checkQuota(tx, columns.project_id, descriptor.usage, { images: 1 });
        const made = await tx
          .insertInto('image')
          .values({ ...row, ...columns })
          .returningAll()
          .executeTakeFirstOrThrow();
        // Behind the insertion, which has waited for whoever was just taking such an image away.
        if (chosen !== undefined) await requireUnused(tx, id);
        return made;
      });
      this.#log.info({ imageId: id, projectId: image.project_id, requestId: caller.requestId }, 'image: created');
      return this.#protections.shown(caller, image);
    } catch (error) {
      if (violatedConstraint(error) !== 'image_pkey') throw error;
      throw new CloudError('conflict', 'image_id_taken', { id });
    }
  }

  /** @throws CloudError `not_found` */
  async show(caller: Caller, imageId: string): Promise<ImageRow> {
    return this.#protections.shown(caller, await findVisible(this.#database.query, caller, imageId));
  }

  /** @throws CloudError `invalid` */
  async list(caller: Caller, options: ImageListOptions): Promise<ImageRow[]> {
    // Who may not read a property learns nothing of its values.
    const asked = Object.keys(options.filter.properties ?? {});
    if (asked.some((name) => !this.#protections.allows(caller, 'read', name))) return [];
    const images = await listImages(this.#database.query, caller, options);
    return images.map((image) => this.#protections.shown(caller, image));
  }

  /**
   * The image that a server is to be made from.
   * @throws CloudError `not_found`; `invalid` when it is not active, its bytes are no disk, or encrypted
   */
  async findForServer(db: Queryable, caller: Caller, imageId: string): Promise<ImageRow> {
    const image = await this.findForVolume(db, caller, imageId);
    if (image.key_id !== null) throw new CloudError('invalid', 'image_encrypted', { id: image.id });
    return image;
  }

  /**
   * The image that a volume is to be made from; it may be encrypted.
   * @throws CloudError `not_found`; `invalid` when it is not active, or its bytes are no disk
   */
  async findForVolume(db: Queryable, caller: Caller, imageId: string): Promise<ImageRow> {
    const image = await findVisible(db, caller, imageId);
    if (image.status !== 'active') {
      throw new CloudError('invalid', 'image_not_active', { id: image.id, status: image.status });
    }
    if (image.virtual_size_bytes === null) {
      throw new CloudError('invalid', 'image_not_a_disk', { id: image.id, format: String(image.disk_format) });
    }
    // What the caller may not read of it is in nothing that is made of it.
    return this.#protections.shown(caller, image);
  }

  /** That a new image of something shall have. @throws CloudError `forbidden` for one that the caller may not make */
  requireProperties(caller: Caller, properties: Readonly<Record<string, string>>): void {
    for (const name of Object.keys(properties)) this.#protections.require(caller, 'create', name);
  }

  /** Those of them that a new image of the caller's may have. */
  makeable(caller: Caller, properties: Readonly<Record<string, string>>): Record<string, string> {
    const allowed = Object.entries(properties).filter(([name]) => this.#protections.allows(caller, 'create', name));
    return Object.fromEntries(allowed);
  }

  /** All changes in order, or none. @throws CloudError `not_found`, `forbidden`, `conflict`, `invalid`, `too_large` */
  async update(caller: Caller, imageId: string, changes: readonly ImageChange[]): Promise<ImageRow> {
    const image = await this.#change(caller, imageId, 'modify_image', async (tx, image) => {
      requireKeyKept(image, changes);
      this.#protections.requireChanges(caller, image, changes);
      const { owner_properties, owner, ...columns } = applyChanges(caller, image, changes);
      const set = {
        ...columns,
        ...(owner !== undefined && (await ownerColumns(tx, caller, owner))),
        ...(owner_properties && { owner_properties: json(owner_properties) }),
      };
      if (Object.keys(set).length === 0) return image;
      return tx
        .updateTable('image')
        .set({ ...set, updated_at: sql`now()` })
        .where('id', '=', image.id)
        .returningAll()
        .executeTakeFirstOrThrow();
    });
    return this.#protections.shown(caller, image);
  }

  /** Idempotent. @throws CloudError `not_found`, `forbidden`, `invalid`, `too_large` */
  async addTag(caller: Caller, imageId: string, tag: string): Promise<void> {
    await this.#change(caller, imageId, 'modify_image', async (tx, image) => {
      const tags = checkTags([...image.tags, tag]);
      if (tags.length > image.tags.length) await setTags(tx, image.id, tags);
    });
  }

  /** @throws CloudError `not_found` also when the image has no such tag; `forbidden` */
  async removeTag(caller: Caller, imageId: string, tag: string): Promise<void> {
    await this.#change(caller, imageId, 'modify_image', async (tx, image) => {
      if (!image.tags.includes(tag)) throw new CloudError('not_found', 'image_tag_not_found', { image: image.id, tag });
      await setTags(
        tx,
        image.id,
        image.tags.filter((other) => other !== tag),
      );
    });
  }

  /** Idempotent. @throws CloudError `not_found`, `forbidden`; `invalid` when there are no bytes to withhold */
  async setActive(caller: Caller, imageId: string, wanted: 'active' | 'deactivated'): Promise<void> {
    const operation = wanted === 'active' ? 'reactivate' : 'deactivate';
    await this.#change(caller, imageId, operation, async (tx, image) => {
      if (image.status !== 'active' && image.status !== 'deactivated') {
        throw new CloudError('invalid', 'image_state_conflict', { status: image.status, wanted });
      }
      if (image.status === wanted) return;
      await sql`update image set status = ${wanted}, updated_at = now() where id = ${image.id}`.execute(tx);
    });
  }

  /**
   * Accepted at once and seen by no one from then on; the controller removes the bytes from the hosts, then the row.
   * Servers made from it keep running: their hosts keep what they need.
   * @throws CloudError `not_found`; `forbidden`, also when the image is protected
   */
  async delete(caller: Caller, imageId: string): Promise<void> {
    const id = await this.#change(caller, imageId, 'delete_image', async (tx, image) => {
      if (image.protected) {
        throw new CloudError('forbidden', 'image_protected', { id: image.id });
      }
      const { generation } = await tx
        .updateTable('image')
        .set({ desired_presence: 'absent', generation: sql`generation + 1`, updated_at: sql`now()` })
        .where('id', '=', image.id)
        .returning('generation')
        .executeTakeFirstOrThrow();
      await beginOperation(tx, actorOf(caller), {
        projectId: image.project_id,
        resourceType: 'image',
        resourceId: image.id,
        verb: 'delete',
        generation,
        owner: 'control',
        waitingFor: 'hosts to remove the bytes',
        deadlineMs: deletionDeadlineMs,
      });
      await enqueue(tx, 'image', image.id);
      if (image.captured_from !== null) await enqueue(tx, image.captured_by, image.captured_from);
      return image.id as ImageId;
    });
    this.onDeleted(id);
    this.#log.info({ imageId: id, requestId: caller.requestId }, 'image: deletion accepted');
  }

  /** What the caller's project has of all that is limited, and how much it may have. @throws CloudError `forbidden` */
  async usage(caller: Caller): Promise<{ used: Record<string, number>; limits: Limits }> {
    const projectId = requireProject(caller, 'showing the usage of images');
    const db = this.#database.query;
    const [used, limits] = await Promise.all([quotaUsage(db, projectId, descriptor.usage), quotaLimits(db, projectId)]);
    return { used, limits };
  }

  #ownerOfNew(caller: Caller, owner: string | undefined): string {
    if (owner === undefined) return requireProjectMember(caller, 'creating an image');
    checkOwner(owner);
    if (isAdmin(caller)) return owner;
    const own = requireProjectMember(caller, 'creating an image');
    if (parseId(owner) === own) return own;
    throw new CloudError('forbidden', 'image_owner_forbidden', { owner });
  }

  /** Runs the work on the locked row, if the caller may change the image. */
  #change<T>(
    caller: Caller,
    imageId: string,
    operation: string,
    work: (tx: Tx, image: ImageRow) => Promise<T>,
  ): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await findVisible(tx, caller, imageId, { lock: true });
      requireOwner(caller, image, operation);
      return work(tx, image);
    });
  }
}

/** An id that an image has had stays that image's: others may name it still. @throws CloudError `conflict` */
async function requireUnused(tx: Tx, id: ImageId): Promise<void> {
  const { rows } = await sql`select from image_id_past where id = ${id}`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'image_id_taken', { id });
}

/** @throws CloudError `not_found`, also for what the caller may not know of */
export async function findVisible(
  db: Queryable,
  caller: Caller,
  imageId: string,
  options: { lock: boolean } = { lock: false },
): Promise<ImageRow> {
  const id = parseId(imageId);
  const { rows } = id
    ? await sql<ImageRow>`select * from image where id = ${id} and ${visibleTo(caller)}
        ${options.lock ? sql`for update` : sql``}`.execute(db)
    : { rows: [] };
  if (!rows[0]) throw new CloudError('not_found', 'image_not_found', { id: imageId });
  return rows[0];
}

/**
 * A project of this cloud, which stays until the transaction ends; or whatever was said. The caller's own is a project, whatever
 * becomes of it meanwhile.
 */
async function ownerColumns(
  tx: Tx,
  caller: Caller,
  owner: string,
): Promise<{ project_id: string | null; foreign_owner: string | null }> {
  const id = parseId(owner) ?? null;
  const known =
    id !== null &&
    (id === caller.projectId ||
      (await sql`select from project where id = ${id} for key share`.execute(tx)).rows.length > 0);
  return known ? { project_id: id, foreign_owner: null } : { project_id: null, foreign_owner: owner };
}

const setTags = (tx: Tx, id: string, tags: string[]) =>
  tx.updateTable('image').set({ tags, updated_at: sql`now()` }).where('id', '=', id).execute();
