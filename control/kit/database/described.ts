/**
 * A prepared statement whose columns are known. pg asks PostgreSQL at each call to describe what it will answer, and reads names and
 * types of which none has changed: of one row with fifty columns that is a fifth of what its statement costs this process. Here a
 * connection asks once for each name. PostgreSQL itself refuses a plan whose columns have changed (prepared.ts), so what was heard
 * stays true as long as the name.
 *
 * Owns what one connection has heard of its names; it goes with the connection, and is no other's: after a migration the same name may
 * have other columns there. Rests on what pg keeps inside, as of the version that is pinned.
 */
import pg from 'pg';

/** pg's own of a result: how a row is read. Null: the statement answers without rows. */
type Columns = Record<'fields' | '_parsers' | '_prebuiltEmptyResultObject', unknown> | null;

interface Connection {
  describe(message: unknown): void;
}

interface Internals {
  _result: NonNullable<Columns>;
  _accumulateRows: boolean;
}

/** Of one connection. */
export class KnownColumns {
  readonly byName = new Map<string, Columns>();
  #quiet: Connection | undefined;

  /** The connection, which now asks for no description. */
  quiet(connection: Connection): Connection {
    this.#quiet ??= Object.create(connection, { describe: { value: () => {} } }) as Connection;
    return this.#quiet;
  }
}

type Done = (error: Error | null, result: pg.QueryResult) => void;

/** What pg.Query has, less its public types: they say nothing of what is overridden here. */
interface Plain extends Internals {
  prepare(connection: Connection): void;
  handleRowDescription(message: unknown): void;
  handleCommandComplete(message: unknown, connection: Connection): void;
}
const Plain = pg.Query as unknown as new (config: object, done: Done) => Plain;

class DescribedQuery extends Plain {
  readonly #known: KnownColumns;
  readonly #name: string;
  #columns: Columns = null;

  constructor(known: KnownColumns, config: { name: string; text: string; values: unknown[] }, done: Done) {
    super(config, done);
    this.#known = known;
    this.#name = config.name;
  }

  override prepare(connection: Connection): void {
    const columns = this.#known.byName.get(this.#name);
    if (columns) {
      Object.assign(this._result, columns);
      this._accumulateRows = true;
      this.#columns = columns;
    }
    super.prepare(columns === undefined ? connection : this.#known.quiet(connection));
  }

  override handleRowDescription(message: unknown): void {
    super.handleRowDescription(message);
    const { fields, _parsers, _prebuiltEmptyResultObject } = this._result;
    this.#columns = { fields, _parsers, _prebuiltEmptyResultObject };
  }

  override handleCommandComplete(message: unknown, connection: Connection): void {
    this.#known.byName.set(this.#name, this.#columns);
    super.handleCommandComplete(message, connection);
  }
}

/** Asks by name. */
export function queryDescribed(
  query: (query: unknown, done: Done) => unknown,
  known: KnownColumns,
  config: { name: string; text: string; values: unknown[] },
): Promise<pg.QueryResult> {
  return new Promise((resolve, reject) => {
    const done: Done = (error, result) => {
      if (!error) return resolve(result);
      // pg's own stack ends at the socket.
      Error.captureStackTrace(error);
      reject(error);
    };
    query(new DescribedQuery(known, config, done), done);
  });
}
