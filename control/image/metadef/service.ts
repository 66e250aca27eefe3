/**
 * Metadata definitions: which properties there are, for people who choose them. Administrators write them, everybody reads what is
 * public or the own project's. Nothing in the cloud obeys them.
 */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newId, newOrderedId, parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, isAdmin, requireAdmin, requireProject } from '../../kit/caller.ts';
import { type Database, type Queryable, type Tx, violatedConstraint } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import type { MetadefEntryRow, MetadefKind, MetadefNamespaceRow } from './tables.ts';

/** Of one kind in one namespace. */
const maxEntries = 128;

export interface NamespaceWish {
  name: string;
  display_name?: string | null;
  description?: string | null;
  visibility?: 'public' | 'private';
  protected?: boolean;
  projectId?: string;
}

export interface EntryWish {
  name: string;
  body: Record<string, unknown>;
}

/** By what namespaces are put in order; of equal ones by their ids. */
const orders = {
  created_at: sql`n.created_at`,
  updated_at: sql`n.updated_at`,
  name: sql`n.name`,
  display_name: sql`coalesce(n.display_name, '')`,
  visibility: sql`n.visibility`,
  owner: sql`n.project_id`,
} as const;
export type NamespaceOrder = keyof typeof orders;

export interface NamespacePage {
  limit: number;
  order: NamespaceOrder;
  descending: boolean;
  /** The name of the last one of the page before. */
  after?: string;
  visibility?: 'public' | 'private';
  /** Those for one of these. */
  resourceTypes?: readonly string[];
}

/** With the types of resources that it is for. */
export type ListedNamespace = MetadefNamespaceRow & { resource_types: MetadefEntryRow[] };

export class MetadefService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** @throws CloudError `not_found` for a page after what the caller does not see */
  async namespaces(caller: Caller, page: NamespacePage): Promise<ListedNamespace[]> {
    const { resourceTypes: types, after } = page;
    const key = orders[page.order];
    const [direction, beyond] = page.descending ? [sql`desc`, sql`<`] : [sql`asc`, sql`>`];
    const last = after === undefined ? undefined : await findNamespace(this.#database.query, caller, after);
    const { rows } =
      await sql<ListedNamespace>`select n.*, (select coalesce(json_agg(e order by e.id), '[]') from metadef_entry e
        where e.namespace_id = n.id and e.kind = 'resource_type') as resource_types
      from metadef_namespace n where ${visible(caller)}
      and ${last ? sql`(${key}, n.id) ${beyond} (select ${key}, n.id from metadef_namespace n where n.id = ${last.id})` : sql`true`}
      and ${page.visibility === undefined ? sql`true` : sql`visibility = ${page.visibility}`}
      and ${types ? sql`exists (select from metadef_entry e where e.namespace_id = n.id and e.kind = 'resource_type' and e.name = any(${[...types]}::text[]))` : sql`true`}
      order by ${key} ${direction}, n.id ${direction} limit ${page.limit}`.execute(this.#database.query);
    // As JSON has them their times are texts.
    const whole = (entry: MetadefEntryRow): MetadefEntryRow => ({
      ...entry,
      created_at: new Date(entry.created_at),
      updated_at: new Date(entry.updated_at),
    });
    return rows.map((row) => ({ ...row, resource_types: row.resource_types.map(whole) }));
  }

  /** @throws CloudError `not_found` */
  async namespace(caller: Caller, name: string): Promise<MetadefNamespaceRow> {
    return findNamespace(this.#database.query, caller, name);
  }

  /** With all that it consists of. @throws CloudError `forbidden`, `conflict`, `invalid` */
  async createNamespace(
    caller: Caller,
    wish: NamespaceWish,
    entries: readonly { kind: MetadefKind; entry: EntryWish }[],
  ): Promise<MetadefNamespaceRow> {
    requireAdmin(caller, 'creating a metadata definition');
    const { projectId, ...columns } = wish;
    const owner =
      projectId === undefined ? requireProject(caller, 'creating a metadata definition') : parseId(projectId);
    if (!owner) throw new CloudError('invalid', 'image_owner_malformed', { owner: String(projectId) });
    return this.#write(caller, async (tx) => {
      const row = await tx
        .insertInto('metadef_namespace')
        .values({ id: newId(), project_id: owner, ...columns })
        .returningAll()
        .executeTakeFirstOrThrow()
        .catch(
          rethrowTaken(
            'metadef_namespace_name_key',
            () => new CloudError('conflict', 'metadef_namespace_exists', { namespace: wish.name }),
          ),
        );
      for (const { kind, entry } of entries) await insertEntry(tx, row, kind, entry);
      return row;
    });
  }

  /** @throws CloudError `not_found`, `forbidden`, `conflict` */
  async updateNamespace(caller: Caller, name: string, wish: NamespaceWish): Promise<MetadefNamespaceRow> {
    requireAdmin(caller, 'changing a metadata definition');
    return this.#write(caller, async (tx) => {
      const { id } = await findNamespace(tx, caller, name, { lock: true });
      const { projectId: _fixed, ...columns } = wish;
      return tx
        .updateTable('metadef_namespace')
        .set({ ...columns, updated_at: sql`now()` })
        .where('id', '=', id)
        .returningAll()
        .executeTakeFirstOrThrow()
        .catch(
          rethrowTaken(
            'metadef_namespace_name_key',
            () => new CloudError('conflict', 'metadef_namespace_exists', { namespace: wish.name }),
          ),
        );
    });
  }

  /** @throws CloudError `not_found`, `forbidden` (also where it is protected) */
  async deleteNamespace(caller: Caller, name: string): Promise<void> {
    requireAdmin(caller, 'deleting a metadata definition');
    await this.#write(caller, async (tx) => {
      const { id } = await this.#open(tx, caller, name);
      await tx.deleteFrom('metadef_namespace').where('id', '=', id).execute();
    });
  }

  /** In the order of their making. @throws CloudError `not_found` */
  async entries(caller: Caller, namespace: string, kind: MetadefKind): Promise<MetadefEntryRow[]> {
    const { id } = await findNamespace(this.#database.query, caller, namespace);
    return entriesOf(this.#database.query, id, kind);
  }

  /** @throws CloudError `not_found` */
  async entry(caller: Caller, namespace: string, kind: MetadefKind, name: string): Promise<MetadefEntryRow> {
    const { id } = await findNamespace(this.#database.query, caller, namespace);
    return findEntry(this.#database.query, { id, namespace }, kind, name);
  }

  /** All or none. @throws CloudError `not_found`, `forbidden`, `conflict`, `too_large` */
  async createEntries(
    caller: Caller,
    namespace: string,
    kind: MetadefKind,
    wishes: readonly EntryWish[],
    options: { replacing: boolean } = { replacing: false },
  ): Promise<MetadefEntryRow[]> {
    requireAdmin(caller, 'creating a metadata definition');
    return this.#write(caller, async (tx) => {
      const row = await findNamespace(tx, caller, namespace, { lock: true });
      if (options.replacing) await deleteEntries(tx, row.id, kind);
      const made: MetadefEntryRow[] = [];
      for (const wish of wishes) made.push(await insertEntry(tx, row, kind, wish));
      return made;
    });
  }

  /** @throws CloudError `not_found`, `forbidden`, `conflict` */
  async updateEntry(
    caller: Caller,
    namespace: string,
    kind: MetadefKind,
    name: string,
    { name: wanted, body }: EntryWish,
  ): Promise<MetadefEntryRow> {
    requireAdmin(caller, 'changing a metadata definition');
    return this.#write(caller, async (tx) => {
      const { id } = await findNamespace(tx, caller, namespace, { lock: true });
      const entry = await findEntry(tx, { id, namespace }, kind, name);
      return tx
        .updateTable('metadef_entry')
        .set({ name: wanted, body: json(body), updated_at: sql`now()` })
        .where('id', '=', entry.id)
        .returningAll()
        .executeTakeFirstOrThrow()
        .catch(rethrowTaken('metadef_entry_namespace_id_kind_name_key', () => entryExists(kind, wanted, namespace)));
    });
  }

  /** One by its name, or all of the kind. @throws CloudError `not_found`, `forbidden` */
  async deleteEntries(caller: Caller, namespace: string, kind: MetadefKind, name?: string): Promise<void> {
    requireAdmin(caller, 'deleting a metadata definition');
    await this.#write(caller, async (tx) => {
      const { id } = await this.#open(tx, caller, namespace);
      if (name !== undefined) await findEntry(tx, { id, namespace }, kind, name);
      await deleteEntries(tx, id, kind, name);
    });
  }

  /** The namespace, locked, unless it is protected. */
  async #open(tx: Tx, caller: Caller, name: string): Promise<MetadefNamespaceRow> {
    const row = await findNamespace(tx, caller, name, { lock: true });
    if (row.protected) throw new CloudError('forbidden', 'metadef_namespace_protected', { namespace: name });
    return row;
  }

  #write<T>(caller: Caller, work: (tx: Tx) => Promise<T>): Promise<T> {
    return this.#database.transaction(actorOf(caller), work);
  }
}

const visible = (caller: Caller) =>
  isAdmin(caller) ? sql`true` : sql`(visibility = 'public' or project_id = ${caller.projectId})`;

async function findNamespace(
  db: Queryable,
  caller: Caller,
  name: string,
  options: { lock: boolean } = { lock: false },
): Promise<MetadefNamespaceRow> {
  const { rows } = await sql<MetadefNamespaceRow>`select * from metadef_namespace where name = ${name}
    and ${visible(caller)} ${options.lock ? sql`for update` : sql``}`.execute(db);
  if (!rows[0]) throw new CloudError('not_found', 'metadef_namespace_not_found', { namespace: name });
  return rows[0];
}

const entriesOf = (db: Queryable, namespaceId: string, kind: MetadefKind): Promise<MetadefEntryRow[]> =>
  db
    .selectFrom('metadef_entry')
    .selectAll()
    .where('namespace_id', '=', namespaceId)
    .where('kind', '=', kind)
    .orderBy('id')
    .execute();

async function findEntry(
  db: Queryable,
  { id, namespace }: { id: string; namespace: string },
  kind: MetadefKind,
  name: string,
): Promise<MetadefEntryRow> {
  const row = await db
    .selectFrom('metadef_entry')
    .selectAll()
    .where('namespace_id', '=', id)
    .where('kind', '=', kind)
    .where('name', '=', name)
    .executeTakeFirst();
  if (!row) throw new CloudError('not_found', 'metadef_entry_not_found', { kind, name, namespace });
  return row;
}

/** Into a namespace whose row is locked, or new. */
async function insertEntry(
  tx: Tx,
  { id, name: namespace }: MetadefNamespaceRow,
  kind: MetadefKind,
  { name, body }: EntryWish,
): Promise<MetadefEntryRow> {
  const { rows } = await sql<{ count: number }>`
    select count(*) as count from metadef_entry where namespace_id = ${id} and kind = ${kind}`.execute(tx);
  if (rows[0]!.count >= maxEntries) {
    throw new CloudError('too_large', 'too_many_metadef_entries', { kind, limit: maxEntries });
  }
  return tx
    .insertInto('metadef_entry')
    .values({ id: newOrderedId(), namespace_id: id, kind, name, body: json(body) })
    .returningAll()
    .executeTakeFirstOrThrow()
    .catch(rethrowTaken('metadef_entry_namespace_id_kind_name_key', () => entryExists(kind, name, namespace)));
}

const deleteEntries = (tx: Tx, namespaceId: string, kind: MetadefKind, name?: string) =>
  sql`delete from metadef_entry where namespace_id = ${namespaceId} and kind = ${kind}
    and ${name === undefined ? sql`true` : sql`name = ${name}`}`.execute(tx);

const entryExists = (kind: string, name: string, namespace: string) =>
  new CloudError('conflict', 'metadef_entry_exists', { kind, name, namespace });

const rethrowTaken = (constraint: string, refusal: () => CloudError) => (error: unknown) => {
  throw violatedConstraint(error) === constraint ? refusal() : error;
};
