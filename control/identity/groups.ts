/** Groups of users: they get roles together. */
import { sql } from 'kysely';
import type { DomainId, UserId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import { groupsOf, matching, type Page, type PageRequest } from './directory.ts';
import { type DomainRight, listedDomain, requireInDomain, requireNoMightier, requireOver } from './domain-rights.ts';
import { Entries, type EntryChange, findEntry, type Kind, type NewEntry } from './entries.ts';
import type { GroupRow } from './tables.ts';

export type GroupChange = Pick<EntryChange, 'name' | 'description' | 'extra'>;
export type NewGroup = Pick<NewEntry, keyof GroupChange> & { domainId: DomainId };

export const groupKind: Kind<'user_group'> = { table: 'user_group', noun: 'group', maxName: 64, options: null };

export class GroupService {
  readonly #context: IdentityContext;
  readonly #entries: Entries<'user_group'>;
  constructor(context: IdentityContext) {
    this.#context = context;
    this.#entries = new Entries(context, groupKind);
  }

  /** @throws CloudError `forbidden`, `invalid`, `not_found` (domain), `conflict` */
  async create(caller: Caller, wanted: NewGroup): Promise<GroupRow> {
    requireInDomain(caller, 'manage', { domainId: wanted.domainId, operation: 'identity:create_group' });
    return this.#entries.create(caller, wanted, { domain_id: wanted.domainId });
  }

  /** @throws CloudError `forbidden` */
  async list(
    caller: Caller,
    filter: { name?: string; domainId?: DomainId },
    page: PageRequest,
  ): Promise<Page<GroupRow>> {
    const domainId = listedDomain(caller, filter.domainId, 'identity:list_groups');
    return this.#entries.page(matching({ name: filter.name, domain_id: domainId }), page);
  }

  /** @throws CloudError `forbidden` */
  async ofUser(caller: Caller, userId: UserId, filter: { name?: string } = {}): Promise<GroupRow[]> {
    if (caller.userId !== userId) {
      await this.#over(caller, 'read', { table: 'user', id: userId, operation: 'identity:list_groups_for_user' });
    }
    const { rows } = await sql<GroupRow>`select g.* from user_group g
      where g.id in ${groupsOf(sql`${userId}`)} and ${matching({ 'g.name': filter.name })} order by g.id`.execute(
      this.#context.query,
    );
    return rows;
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, id: string): Promise<GroupRow> {
    await this.#over(caller, 'read', { table: 'user_group', id, operation: 'identity:get_group' });
    return findEntry(this.#context.query, groupKind, id);
  }

  /** @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict` */
  async update(caller: Caller, id: string, change: GroupChange): Promise<GroupRow> {
    await this.#over(caller, 'manage', { table: 'user_group', id, operation: 'identity:update_group' });
    return this.#entries.update(caller, id, change);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async delete(caller: Caller, id: string): Promise<void> {
    await this.#over(caller, 'manage', { table: 'user_group', id, operation: 'identity:delete_group' });
    await requireNoMightier(this.#context.query, caller, { groupId: id });
    await this.#entries.delete(caller, id);
  }

  #over(caller: Caller, right: DomainRight, what: Parameters<typeof requireOver>[3]): Promise<void> {
    return requireOver(this.#context.query, caller, right, what);
  }

  /** Both must be the manager's. @throws CloudError `forbidden` */
  async #manageMember(
    caller: Caller,
    { groupId, userId, operation }: { groupId: string; userId: UserId; operation: string },
  ): Promise<void> {
    await this.#over(caller, 'manage', { table: 'user_group', id: groupId, operation });
    await this.#over(caller, 'manage', { table: 'user', id: userId, operation });
    await requireNoMightier(this.#context.query, caller, { groupId });
    await requireNoMightier(this.#context.query, caller, { userId });
  }

  /** Safe to repeat. @throws CloudError `forbidden`, `not_found` */
  async addMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    await this.#manageMember(caller, { groupId, userId, operation: 'identity:add_user_to_group' });
    const refusals = {
      user_group_member_group_id_fkey: () => notFound('group', groupId),
      user_group_member_user_id_fkey: () => notFound('user', userId),
    };
    await refusing(refusals, () =>
      this.#context.write(actorOf(caller), (tx) =>
        // What a mapping gave for a while is given for good now.
        sql`insert into user_group_member (group_id, user_id) values (${groupId}, ${userId})
          on conflict (group_id, user_id) do update set expires_at = null
            where user_group_member.expires_at is not null`.execute(tx),
      ),
    );
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async checkMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    if (caller.userId !== userId) {
      await this.#over(caller, 'read', { table: 'user_group', id: groupId, operation: 'identity:check_user_in_group' });
    }
    const { rows } = await sql`select where ${groupId}::uuid in ${groupsOf(sql`${userId}`)}`.execute(
      this.#context.query,
    );
    if (rows.length === 0) throw notFound('user_in_group', userId);
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async removeMember(caller: Caller, groupId: string, userId: UserId): Promise<void> {
    await this.#manageMember(caller, { groupId, userId, operation: 'identity:remove_user_from_group' });
    await this.#context.write(actorOf(caller), async (tx) => {
      const row = await tx
        .deleteFrom('user_group_member')
        .where('group_id', '=', groupId)
        .where('user_id', '=', userId)
        .returning('user_id')
        .executeTakeFirst();
      if (!row) throw notFound('user_in_group', userId);
    });
  }
}
