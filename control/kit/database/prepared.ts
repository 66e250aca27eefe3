/**
 * Statements by name: PostgreSQL parses and plans a text once per connection instead of at each call, which is half the
 * time of a short query. A text is named when it comes the second time; texts that are built anew with each call (long
 * lists of literals) never are, so a connection keeps a bounded number of plans. Owns nothing that outlives a connection.
 *
 * A plan can go stale: after a migration by a newer control a `select *` has other columns, and PostgreSQL refuses the
 * old plan (0A000). The connection then takes new names; the caller's transaction is run again (database.ts), and so is a statement
 * that is a transaction of its own ({@link oneByOne}).
 */
import { createHash } from 'node:crypto';
import type { PostgresPool } from 'kysely';
import type pg from 'pg';
import { KnownColumns, queryDescribed } from './described.ts';

const maxNames = 400;
const maxSeen = 2000;

/** The names of a pool's texts, for all of its connections. */
export class StatementNames {
  readonly #names = new Map<string, string>();
  #seen = new Set<string>();

  /** Undefined: not worth one, or there are enough. */
  of(text: string): string | undefined {
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    if (this.#names.size >= maxNames) return undefined;
    if (!this.#seen.has(text)) {
      if (this.#seen.size >= maxSeen) this.#seen = new Set();
      this.#seen.add(text);
      return undefined;
    }
    this.#seen.delete(text);
    const name = `b_${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
    this.#names.set(text, name);
    return name;
  }
}

/** True for the error of a plan that does not fit the tables any more. */
export function isStalePlan(error: unknown): boolean {
  const { code, message } = error as { code?: string; message?: string };
  return code === '0A000' && message === 'cached plan must not change result type';
}

type Query = (text: unknown, values?: unknown, ...rest: unknown[]) => unknown;

/** From now on the connection's parameterised queries (text, values) go by name. */
export function prepareStatements(client: pg.Client, names: StatementNames): void {
  const plain = client.query.bind(client) as Query;
  // Names are never used again once a plan was refused: `deallocate` would fail in the transaction that met it.
  let age = 0;
  const known = new KnownColumns();
  const query: Query = (text, values, ...rest) => {
    const name = typeof text === 'string' && Array.isArray(values) && values.length > 0 ? names.of(text) : undefined;
    if (name === undefined || rest.length > 0) return plain(text, values, ...rest);
    const named = { name: `${name}_${age}`, text: text as string, values: values as unknown[] };
    return queryDescribed(plain, known, named).catch((error) => {
      if (isStalePlan(error)) age++;
      throw error;
    });
  };
  client.query = query as typeof client.query;
}

/** The pool for single statements: one whose plan was stale did nothing, and runs again, once, on the same connection. */
export function oneByOne(pool: pg.Pool): PostgresPool {
  const known = new WeakMap<pg.PoolClient, pg.PoolClient>();
  const wrapped = (client: pg.PoolClient): pg.PoolClient => {
    const query = (...args: unknown[]) =>
      (client.query as (...args: unknown[]) => Promise<unknown>)(...args).catch((error) => {
        // Never within a transaction: this would come after its end.
        if (!isStalePlan(error) || client.getTransactionStatus() !== 'I') throw error;
        return (client.query as (...args: unknown[]) => Promise<unknown>)(...args);
      });
    const one = Object.create(client, { query: { value: query } }) as pg.PoolClient;
    known.set(client, one);
    return one;
  };
  return {
    connect: async () => {
      const client = await pool.connect();
      return (known.get(client) ?? wrapped(client)) as never;
    },
    end: () => pool.end(),
    options: pool.options,
  };
}
