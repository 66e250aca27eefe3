/** Groups of users: they get roles together. */
import { sql } from 'kysely';
import { type DomainId, newId, type UserId } from '../../contract/ids.ts';
import type { Queryable } from '../database/database.ts';
import { actorOf, type Caller } from './caller.ts';
import { type IdentityContext, refusing } from './context.ts';
import {
  checkName,
  defined,
  mergeExtra,
  nameTaken,
  notFound,
  type Page,
  type PageRequest,
  pageEnd,
  pageStart,
  toPage,
} from './directory.ts';
import { requireAdministrator, requireReader, requireSelfOrReader } from './rights.ts';
import type { Extra, GroupRow } from './tables.ts';

export interface GroupChange {
  name?: string;
  description?: string | null;
  extra?: Extra;
}
export type NewGroup = GroupChange & { name: string; domainId: DomainId };

const maxName = 64;

export class GroupService {
  readonly #context: IdentityContext;
  constructor(context: IdentityContext) {
    this.#context = context;
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewGroup): Promise<GroupRow> {
    requireAdministrator(caller, 'identity:create_group');
    checkName('group', wanted.name, maxName);
    const row = {
      id: newId(),
      domain_id: wanted.domainId,
      name: wanted.name,
      description: wanted.description ?? '',
      extra: mergeExtra({}, wanted.extra),
    };
    return this.#named(wanted.name, wanted.domainId, () =>
      this.#context.write(actorOf(caller), (tx) =>
        tx.insertInto('user_group').values(row).returningAll().executeTakeFirstOrThrow(),
      ),
    );
  }

  /** @throws CloudError `forbidden` */
  async list(
    caller: Caller,
    filter: { name?: string; domainId?: DomainId },
    page: PageRequest,
  ): Promise<Page<GroupRow>> {
    requireReader(caller, 'identity:list_groups');
    const { rows } = await sql<GroupRow>`select * from user_group where true
      ${filter.name === undefined ? sql`` : sql`and name = ${filter.name}`}
      ${filter.domainId ? sql`and domain_id = ${filter.domainId}` : sql``}
      ${pageStart(page, 'id')} order by id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /** @throws CloudError `forbidden` */
  async ofUser(caller: Caller, userId: UserId, filter: { name?: string } = {}): Promise<GroupRow[]> {
    requireSelfOrReader(caller, userId, 'identity:list_groups_for_user');
    const { rows } = await sql<GroupRow>`select g.* from user_group g
      join user_group_member m on m.group_id = g.id where m.user_id = ${userId}
      ${filter.name === undefined ? sql`` : sql`and g.name = ${filter.name}`} order by g.id`.execute(
      this.#context.query,
    );
    return rows;
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: string): Promise<GroupRow> {
    requireReader(caller, 'identity:get_group');
    return find(this.#context.query, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: string, change: GroupChange): Promise<GroupRow> {
    requireAdministrator(caller, 'identity:update_group');
    if (change.name !== undefined) checkName('group', change.name, maxName);
    return this.#named(change.name ?? '', '', () =>
      this.#context.write(actorOf(caller), async (tx) => {
        const before = await find(tx, id, { lock: true });
        return tx
          .updateTable('user_group')
          .set({
            ...defined({ name: change.name }),
            ...(change.description === undefined ? {} : { description: change.description ?? '' }),
            extra: mergeExtra(before.extra, change.extra),
            updated_at: new Date(),
          })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
      }),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdministrator(caller, 'identity:delete_group');
    await this.#context.write(actorOf(caller), async (tx) => {
      const deleted = await tx.deleteFrom('user_group').where('id', '=', id).returning('id').executeTakeFirst();
      if (!deleted) throw notFound('group', id);
    });
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async addMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    requireAdministrator(caller, 'identity:add_user_to_group');
    const refusals = {
      user_group_member_group_id_fkey: () => notFound('group', groupId),
      user_group_member_user_id_fkey: () => notFound('user', userId),
    };
    await refusing(refusals, () =>
      this.#context.write(actorOf(caller), (tx) =>
        sql`insert into user_group_member (group_id, user_id) values (${groupId}, ${userId}) on conflict do nothing`.execute(
          tx,
        ),
      ),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async checkMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    requireSelfOrReader(caller, userId, 'identity:check_user_in_group');
    const row = await this.#context.query
      .selectFrom('user_group_member')
      .select('user_id')
      .where('group_id', '=', groupId)
      .where('user_id', '=', userId)
      .executeTakeFirst();
    if (!row) throw notFound('user in group', userId);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async removeMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    requireAdministrator(caller, 'identity:remove_user_from_group');
    await this.#context.write(actorOf(caller), async (tx) => {
      const row = await tx
        .deleteFrom('user_group_member')
        .where('group_id', '=', groupId)
        .where('user_id', '=', userId)
        .returning('user_id')
        .executeTakeFirst();
      if (!row) throw notFound('user in group', userId);
    });
  }

  #named<T>(name: string, domainId: string, work: () => Promise<T>): Promise<T> {
    return refusing(
      {
        user_group_domain_id_name_key: () => nameTaken('group', name),
        user_group_domain_id_fkey: () => notFound('domain', domainId),
      },
      work,
    );
  }
}

async function find(db: Queryable, id: string, options: { lock?: boolean } = {}): Promise<GroupRow> {
  const query = db.selectFrom('user_group').selectAll().where('id', '=', id);
  const row = await (options.lock ? query.forUpdate() : query).executeTakeFirst();
  if (!row) throw notFound('group', id);
  return row;
}
