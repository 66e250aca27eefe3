/**
 * One kind of entry of the directory: domains, projects, users, groups or roles. What they have in common is here: a name
 * that is unique in its domain (a domain's own in the cloud), a description, options, attributes that only callers know; lists
 * by page, changes under lock. Rights, and what only one kind knows, are in the file of that kind.
 */

import { type Insertable, type RawBuilder, type Selectable, sql, type Updateable } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { newOrderedId } from '../../contract/ids.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { defined, json } from '../kit/database/schema.ts';
import { notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';
import {
  checkName,
  nameTaken,
  type Page,
  type PageRequest,
  pageEnd,
  pageStart,
  requireMarker,
  toPage,
} from './directory.ts';
import { factorRulesOption } from './factors.ts';
import type { Extra, IdentityTables } from './tables.ts';

type Table = 'domain' | 'project' | 'user' | 'user_group' | 'role';
type Row<T extends Table> = Selectable<IdentityTables[T]> & Entry;
type Common = 'id' | 'name' | 'description' | 'enabled' | 'tags' | 'options' | 'extra';

interface Entry {
  id: string;
  extra: Extra;
  options?: Extra;
}

export interface Kind<T extends Table> {
  table: T;
  noun: 'domain' | 'group' | 'project' | 'role' | 'user';
  maxName: number;
  /** Those that callers may set; null: the kind has none. */
  options: readonly string[] | null;
}

/** What callers may set. Not every kind has all of it; a kind's own change says which. */
export interface EntryChange {
  name?: string;
  description?: string | null;
  enabled?: boolean;
  tags?: string[];
  options?: Extra;
  extra?: Extra;
}
export type NewEntry = EntryChange & { name: string };

/** Only a deletion waits for those who are making something that belongs to the entry, and they for it; who relies on what it says keeps it from being changed. */
const locks = { change: sql`for no key update`, deletion: sql`for update`, reliance: sql`for share` };

/** @throws CloudError `not_found` */
export async function findEntry<T extends Table>(
  db: Queryable,
  kind: Kind<T>,
  id: string,
  lockedFor?: keyof typeof locks,
): Promise<Row<T>> {
  const { rows } = await sql<Row<T>>`select * from ${sql.table(kind.table)} where id = ${id}
    ${lockedFor ? locks[lockedFor] : sql``}`.execute(db);
  if (!rows[0]) throw notFound(kind.noun, id);
  return rows[0];
}

export class Entries<T extends Table> {
  readonly #context: IdentityContext;
  readonly #kind: Kind<T>;

  constructor(context: IdentityContext, kind: Kind<T>) {
    this.#context = context;
    this.#kind = kind;
  }

  /** @throws CloudError `not_found` (marker) */
  async page(condition: RawBuilder<unknown>, page: PageRequest): Promise<Page<Row<T>>> {
    await requireMarker(this.#context.query, this.#kind.table, page);
    const { rows } = await sql<Row<T>>`select * from ${sql.table(this.#kind.table)} where ${condition}
      ${pageStart(page, 'id')} order by id ${pageEnd(page)}`.execute(this.#context.query);
    return toPage(rows, page);
  }

  /**
   * @param own the columns that only this kind has
   * @throws CloudError `invalid`, `not_found` (domain), `conflict`
   */
  async create(
    caller: Caller,
    wanted: NewEntry,
    own: Omit<Insertable<IdentityTables[T]>, Common>,
    around: { before?: (tx: Tx) => Promise<void>; after?: (tx: Tx, row: Row<T>) => Promise<void> } = {},
  ): Promise<Row<T>> {
    const values = { id: newOrderedId(), description: '', ...this.#columns(wanted, { extra: {} }), ...own };
    return this.#write(caller, wanted, (own as { domain_id?: string }).domain_id, async (tx) => {
      await around.before?.(tx);
      const row = await tx
        .insertInto(this.#kind.table as 'domain')
        .values(values as never)
        .returningAll()
        .executeTakeFirstOrThrow();
      await around.after?.(tx, row as unknown as Row<T>);
      return row as unknown as Row<T>;
    });
  }

  /**
   * @param own checks the change and answers the columns that only this kind has
   * @throws CloudError `forbidden`, `not_found`, `invalid`, `conflict`
   */
  async update(
    caller: Caller,
    id: string,
    change: EntryChange,
    own?: (tx: Tx, before: Row<T>) => Promise<Updateable<IdentityTables[T]> | undefined>,
  ): Promise<Row<T>> {
    return this.#write(caller, change, undefined, async (tx) => {
      const before = await findEntry(tx, this.#kind, id, 'change');
      this.#checkMutable(before, change.options);
      const further = await own?.(tx, before);
      const columns = { ...this.#columns(change, before), ...further, updated_at: sql`now()` };
      const row = await tx
        .updateTable(this.#kind.table as 'domain')
        .set(columns as never)
        .where('id', '=', id as never)
        .returningAll()
        .executeTakeFirstOrThrow();
      return row as unknown as Row<T>;
    });
  }

  /**
   * @param before what must hold, and what goes along
   * @throws CloudError `forbidden`, `not_found`
   */
  async delete(caller: Caller, id: string, before?: (tx: Tx, row: Row<T>) => Promise<void>): Promise<void> {
    await this.#context.write(actorOf(caller), async (tx) => {
      const row = await findEntry(tx, this.#kind, id, 'deletion');
      this.#checkMutable(row);
      await before?.(tx, row);
      await sql`delete from ${sql.table(this.#kind.table)} where id = ${id}`.execute(tx);
    });
  }

  async #write<Result>(
    caller: Caller,
    { name, tags }: EntryChange,
    domainId: string | undefined,
    work: (tx: Tx) => Promise<Result>,
  ): Promise<Result> {
    const { table, noun, maxName } = this.#kind;
    if (name !== undefined) checkName(noun, name, maxName);
    if (tags) checkTags(tags);
    const taken = () => nameTaken(noun, name ?? '');
    return refusing(
      {
        [`${table}_name_key`]: taken,
        [`${table}_domain_id_name_key`]: taken,
        [`${table}_domain_id_fkey`]: () => notFound('domain', domainId ?? ''),
      },
      () => this.#context.write(actorOf(caller), work),
    );
  }

  /** Given attributes replace, others stay. @throws CloudError `invalid` */
  #columns(change: EntryChange, before: Omit<Entry, 'id'>): Record<string, unknown> {
    const { options } = this.#kind;
    const { name, description, enabled, tags } = change;
    return {
      ...defined({ name, enabled, tags }),
      ...(description === undefined ? {} : { description: description ?? '' }),
      ...(options ? { options: json(mergeOptions(options, before.options ?? {}, change.options)) } : {}),
      extra: json(checkedExtra({ ...before.extra, ...change.extra })),
    };
  }

  /**
   * What is immutable can be changed only by taking that option back in the same request, and not be deleted.
   * @throws CloudError `forbidden`
   */
  #checkMutable(row: Entry, changes?: Extra): void {
    if (row.options?.immutable !== true) return;
    if (changes && 'immutable' in changes && changes.immutable !== true) return;
    throw new CloudError('forbidden', 'entry_immutable', { noun: this.#kind.noun, id: row.id });
  }
}

const maxExtraBytes = 65_535;
const maxTags = 80;
const maxTagLength = 255;

function checkedExtra(extra: Extra): Extra {
  if (Buffer.byteLength(JSON.stringify(extra)) <= maxExtraBytes) return extra;
  throw new CloudError('invalid', 'extra_too_large', { maximum: maxExtraBytes });
}

function checkTags(tags: readonly string[]): void {
  if (tags.length > maxTags) throw new CloudError('invalid', 'too_many_project_tags', { maximum: maxTags });
  if (new Set(tags).size !== tags.length) throw new CloudError('invalid', 'project_tags_repeat', {});
  for (const tag of tags) {
    if (tag === '' || [...tag].length > maxTagLength || /[,/]/.test(tag)) {
      throw new CloudError('invalid', 'project_tag_malformed', { maximum: maxTagLength });
    }
  }
}

/** Null takes an option back. */
function mergeOptions(known: readonly string[], before: Extra, changes: Extra | undefined): Extra {
  const options = { ...before };
  for (const [name, value] of Object.entries(changes ?? {})) {
    if (!known.includes(name)) throw new CloudError('invalid', 'option_unknown', { option: name });
    if (value === null) {
      delete options[name];
      continue;
    }
    if (typeof value !== 'boolean' && name !== factorRulesOption) {
      throw new CloudError('invalid', 'option_not_boolean', { option: name });
    }
    options[name] = value;
  }
  return options;
}
