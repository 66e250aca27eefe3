/** Rows of the administrators' tables that have nothing to be decided about: made, listed, changed under lock, removed. */
import { type RawBuilder, sql } from 'kysely';
import type { CloudError } from '../../contract/errors.ts';
import { actorOf, type Caller } from '../kit/caller.ts';
import type { Queryable, Tx } from '../kit/database/database.ts';
import { type Noun, notFound } from '../kit/refusal.ts';
import { type IdentityContext, refusing } from './context.ts';

export interface RecordKind {
  table: string;
  noun: Noun;
  /** What is selected of a row with alias `t`. */
  columns?: RawBuilder<unknown>;
  /** What violated constraints mean. */
  refusals?: Readonly<Record<string, () => CloudError>>;
}

type Values = Readonly<Record<string, unknown>>;

export class Records<Row extends { id: string }> {
  readonly #context: IdentityContext;
  readonly #kind: RecordKind;

  constructor(context: IdentityContext, kind: RecordKind) {
    this.#context = context;
    this.#kind = kind;
  }

  async list(condition: RawBuilder<unknown>, db: Queryable = this.#context.query): Promise<Row[]> {
    const { rows } =
      await sql<Row>`select ${this.#columns} from ${this.#table} t where ${condition} order by t.id`.execute(db);
    return rows;
  }

  /** @throws CloudError `not_found` */
  async find(id: string, db: Queryable = this.#context.query): Promise<Row> {
    const [row] = await this.list(sql`t.id = ${id}`, db);
    if (!row) throw notFound(this.#kind.noun, id);
    return row;
  }

  /** @param values of the columns; jsonb as text */
  async insert(caller: Caller, values: Values & { id: string }, before?: (tx: Tx) => Promise<void>): Promise<Row> {
    return this.#write(caller, async (tx) => {
      await before?.(tx);
      const columns = sql.join(Object.keys(values).map((name) => sql.ref(name)));
      await sql`insert into ${this.#table} (${columns}) values (${sql.join(Object.values(values))})`.execute(tx);
      return this.find(values.id, tx);
    });
  }

  /** @throws CloudError `not_found` */
  async update(caller: Caller, id: string, change: (before: Row, tx: Tx) => Values | Promise<Values>): Promise<Row> {
    return this.#write(caller, async (tx) => {
      await sql`select from ${this.#table} where id = ${id} for no key update`.execute(tx);
      const values = Object.entries(await change(await this.find(id, tx), tx)).filter(
        ([, value]) => value !== undefined,
      );
      if (values.length > 0) {
        const sets = sql.join(values.map(([name, value]) => sql`${sql.ref(name)} = ${value}`));
        await sql`update ${this.#table} set ${sets} where id = ${id}`.execute(tx);
      }
      return this.find(id, tx);
    });
  }

  /** @throws CloudError `not_found` */
  async delete(caller: Caller, id: string, before?: (row: Row, tx: Tx) => void | Promise<void>): Promise<void> {
    await this.#write(caller, async (tx) => {
      await sql`select from ${this.#table} where id = ${id} for update`.execute(tx);
      await before?.(await this.find(id, tx), tx);
      await sql`delete from ${this.#table} where id = ${id}`.execute(tx);
    });
  }

  get #table() {
    return sql.table(this.#kind.table);
  }
  get #columns() {
    return this.#kind.columns ?? sql`t.*`;
  }
  #write<T>(caller: Caller, work: (tx: Tx) => Promise<T>): Promise<T> {
    return refusing(this.#kind.refusals ?? {}, () => this.#context.write(actorOf(caller), work));
  }
}
