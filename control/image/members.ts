/** Sharing: the owner of a `shared` image names projects; each of them accepts or rejects for itself. */
import { sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { parseId } from '../../contract/ids.ts';
import { actorOf, type Caller, isAdmin } from '../kit/caller.ts';
import type { Database, Queryable } from '../kit/database/database.ts';
import { isOwnedBy, limits, requireOwner } from './image.ts';
import { findVisible } from './service.ts';
import type { ImageMemberRow, ImageRow } from './tables.ts';
import type { MemberStatus } from './values.ts';

export class ImageMemberService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** The owner sees all, a member itself. @throws CloudError `not_found`, `forbidden` */
  async list(caller: Caller, imageId: string): Promise<ImageMemberRow[]> {
    const image = await sharedImage(this.#database.query, caller, imageId);
    const seen = seesAll(caller, image) ? sql`true` : sql`project_id = ${caller.projectId}`;
    const { rows } = await sql<ImageMemberRow>`select * from image_member where image_id = ${image.id} and ${seen}
      order by created_at, project_id`.execute(this.#database.query);
    return rows;
  }

  /** @throws CloudError `not_found` */
  async show(caller: Caller, imageId: string, memberId: string): Promise<ImageMemberRow> {
    const db = this.#database.query;
    const image = await findVisible(db, caller, imageId);
    const projectId = parseId(memberId);
    const member =
      projectId && image.visibility === 'shared' && (seesAll(caller, image) || caller.projectId === projectId)
        ? await db
            .selectFrom('image_member')
            .selectAll()
            .where('image_id', '=', image.id)
            .where('project_id', '=', projectId)
            .executeTakeFirst()
        : undefined;
    if (!member) throw noMember(image.id, memberId);
    return member;
  }

  /** @throws CloudError `not_found`, `forbidden`, `invalid`, `conflict`, `too_large` */
  async add(caller: Caller, imageId: string, memberId: string): Promise<ImageMemberRow> {
    const projectId = parseId(memberId);
    if (!projectId) throw new CloudError('invalid', 'image_member_malformed', { member: memberId });
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await sharedImage(tx, caller, imageId, { lock: true });
      requireOwner(caller, image, 'add_member');
      const { rows } = await sql<{ count: number }>`
        select count(*) as count from image_member where image_id = ${image.id}`.execute(tx);
      if (rows[0]!.count >= limits.members) {
        throw new CloudError('too_large', 'too_many_image_members', { limit: limits.members });
      }
      const member = await tx
        .insertInto('image_member')
        .values({ image_id: image.id, project_id: projectId })
        .onConflict((conflict) => conflict.doNothing())
        .returningAll()
        .executeTakeFirst();
      if (!member) throw new CloudError('conflict', 'image_member_exists', { image: image.id, member: memberId });
      return member;
    });
  }

  /** Only the member decides for itself. @throws CloudError `not_found`, `forbidden` */
  async answer(caller: Caller, imageId: string, memberId: string, status: MemberStatus): Promise<ImageMemberRow> {
    const projectId = parseId(memberId);
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await sharedImage(tx, caller, imageId);
      const writes = caller.roles.has('member') || caller.roles.has('manager');
      if (!isAdmin(caller) && !(writes && projectId === caller.projectId)) {
        if (seesAll(caller, image)) {
          throw new CloudError('forbidden', 'image_member_answers_for_itself', {});
        }
        throw projectId === caller.projectId
          ? new CloudError('forbidden', 'image_member_role_required', {})
          : noMember(image.id, memberId);
      }
      const member = projectId
        ? await tx
            .updateTable('image_member')
            .set({ status, updated_at: sql`now()` })
            .where('image_id', '=', image.id)
            .where('project_id', '=', projectId)
            .returningAll()
            .executeTakeFirst()
        : undefined;
      if (!member) throw noMember(image.id, memberId);
      return member;
    });
  }

  /** @throws CloudError `not_found`, `forbidden` */
  async remove(caller: Caller, imageId: string, memberId: string): Promise<void> {
    const projectId = parseId(memberId);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const image = await sharedImage(tx, caller, imageId, { lock: true });
      requireOwner(caller, image, 'delete_member');
      const { rows } = projectId
        ? await sql`delete from image_member where image_id = ${image.id} and project_id = ${projectId}
            returning project_id`.execute(tx)
        : { rows: [] };
      if (rows.length === 0) throw noMember(image.id, memberId);
    });
  }
}

const seesAll = (caller: Caller, image: ImageRow): boolean => isAdmin(caller) || isOwnedBy(image, caller);

const noMember = (imageId: string, memberId: string): CloudError =>
  new CloudError('not_found', 'image_member_not_found', { image: imageId, member: memberId });

async function sharedImage(
  db: Queryable,
  caller: Caller,
  imageId: string,
  options: { lock: boolean } = { lock: false },
): Promise<ImageRow> {
  const image = await findVisible(db, caller, imageId, options);
  if (image.visibility === 'shared') return image;
  throw new CloudError('forbidden', 'image_not_shared', {});
}
