/** Group types: administrators write them, everyone reads the public ones. */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import { type Database, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { type Listing, type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import type { GroupTypeTable } from './tables.ts';

export type GroupTypeRow = Selectable<GroupTypeTable>;

export interface GroupTypeWish {
  name: string;
  description: string | null;
  public: boolean;
  specs: Record<string, string>;
}

const listing: Listing<GroupTypeRow> = {
  noun: 'group_type',
  select: sql`t.*`,
  from: sql`group_type t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    description: { kind: 'text', sortable: true },
    public: { kind: 'boolean', sortable: true },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller: Caller) => (isAdmin(caller) ? sql`true` : sql`t.public`),
};

export class GroupTypeService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  list(caller: Caller, query: ListQuery = {}): Promise<GroupTypeRow[]> {
    return listRows(this.#database.query, caller, listing, query);
  }

  /** @throws CloudError `not_found`, also for one that is hidden from the caller */
  async get(caller: Caller, id: string): Promise<GroupTypeRow> {
    if (parseId(id) === undefined) throw notFound('group_type', id);
    return readRow(this.#database.query, caller, listing, id);
  }

  /** @throws CloudError `forbidden`, `conflict` */
  async create(caller: Caller, wish: GroupTypeWish): Promise<GroupTypeRow> {
    requireAdmin(caller, 'create a group type');
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<GroupTypeRow>`insert into group_type (id, name, description, public, group_specs)
        values (${newId()}, ${wish.name}, ${wish.description}, ${wish.public}, ${JSON.stringify(wish.specs)}::jsonb)
        returning *`
        .execute(tx)
        .catch((error: unknown) => nameTaken(error, wish.name));
      return rows[0]!;
    });
  }

  async update(
    caller: Caller,
    id: string,
    change: { name?: string; description?: string; public?: boolean },
  ): Promise<GroupTypeRow> {
    requireAdmin(caller, 'change a group type');
    return this.#change(caller, id, async (tx, type) => {
      const now = { name: type.name, description: type.description, public: type.public, ...change };
      const { rows } = await sql<GroupTypeRow>`update group_type set name = ${now.name},
        description = ${now.description}, public = ${now.public}, generation = generation + 1, updated_at = now()
        where id = ${type.id} returning *`
        .execute(tx)
        .catch((error: unknown) => nameTaken(error, now.name));
      return rows[0]!;
    });
  }

  /** @throws CloudError `forbidden`, `not_found`; `conflict` while a group has it */
  async delete(caller: Caller, id: string): Promise<void> {
    requireAdmin(caller, 'delete a group type');
    await this.#change(caller, id, async (tx, type) => {
      await sql`delete from group_type where id = ${type.id}`.execute(tx).catch((error: unknown) => {
        throw violatedConstraint(error) === undefined ? error : new CloudError('conflict', 'group_type_in_use', { id });
      });
    });
  }

  /** Replaces what `edit` answers for the present specs. @returns the new ones */
  async editSpecs(
    caller: Caller,
    id: string,
    edit: (present: Record<string, string>) => Record<string, string>,
  ): Promise<Record<string, string>> {
    requireAdmin(caller, 'change a group type’s specs');
    return this.#change(caller, id, async (tx, type) => {
      const specs = edit({ ...type.group_specs });
      await sql`update group_type set group_specs = ${JSON.stringify(specs)}::jsonb, generation = generation + 1,
        updated_at = now() where id = ${type.id}`.execute(tx);
      return specs;
    });
  }

  #change<T>(caller: Caller, id: string, work: (tx: Tx, type: GroupTypeRow) => Promise<T>): Promise<T> {
    return this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<GroupTypeRow>`select * from group_type where id = ${parseId(id) ?? null}::uuid
        for update`.execute(tx);
      if (!rows[0]) throw notFound('group_type', id);
      return work(tx, rows[0]);
    });
  }
}

function nameTaken(error: unknown, name: string): never {
  if (violatedConstraint(error) !== 'group_type_name_key') throw error;
  throw new CloudError('conflict', 'group_type_name_taken', { name }, { cause: error });
}
