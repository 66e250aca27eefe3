/**
 * The pool as graphile-worker gets it: without a database it waits instead of failing.
 *
 * graphile-worker 0.18 does not await the statement that ends a job, so that its failure, of whatever kind, would be an
 * unhandled rejection and the end of this process; its batched form does not get over a deadlock. Here such a statement
 * never fails for good: the job stays locked, and the queue takes it back. Of the other statements it runs again those that
 * met a serialization failure (40001): that is what a lost connection is made to look like, and the next connection is
 * there when the database is.
 *
 * It also gives its listening connection back twice, once more when LISTEN fails in the moment of a stop, and awaits neither: the second is nothing here.
 *
 * Owns no connection. After `close` nothing waits any more.
 */
import type pg from 'pg';
import { isDatabaseUnavailable, isRetriable } from '../database/database.ts';

const retryMs = 200;

/** Statements that end a job, or give one back at a stop: those that nobody awaits. */
const endsJob = (query: unknown) =>
  /\bdelete from\b|\blast_error\b|\battempts - 1\b/.test((query as pg.QueryConfig).text ?? '');

const nothing = { rows: [], rowCount: 0 };

const closedClient = {
  query: async (query: unknown) => {
    if (!endsJob(query)) throw new Error('the work queue has stopped');
    return nothing;
  },
  release() {},
} as unknown as pg.PoolClient;

export interface PatientPoolEvents {
  /** The database is there again after it was not. */
  returned(): void;
  /** A job could not be ended for a reason other than a lost connection. */
  unended(error: unknown): void;
}

export class PatientPool {
  /** What graphile-worker takes for a pool. */
  readonly pool: pg.Pool;
  readonly #inner: pg.Pool;
  readonly #events: PatientPoolEvents;
  #lost = false;
  #closed = false;

  constructor(pool: pg.Pool, events: PatientPoolEvents) {
    this.#inner = pool;
    this.#events = events;
    this.pool = Object.create(pool, { connect: { value: this.#connect.bind(this) } }) as pg.Pool;
  }

  close(): void {
    this.#closed = true;
  }

  /** With a callback (LISTEN) as ever: graphile-worker comes again by itself. */
  #connect(callback?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | undefined {
    if (!callback) return this.#connectPatiently();
    this.#inner.connect((error, client, release) => {
      let given = false;
      callback(error, client, (destroy) => {
        // pg's pool gives none with an error once it has ended, and graphile-worker calls it all the same.
        if (!given) release?.(destroy);
        given = true;
      });
    });
    return undefined;
  }

  async #connectPatiently(): Promise<pg.PoolClient> {
    for (;;) {
      if (this.#closed) return closedClient;
      try {
        const client = await this.#inner.connect();
        if (this.#lost) {
          this.#lost = false;
          this.#events.returned();
        }
        return this.#patient(client);
      } catch {
        this.#lost = true;
        await new Promise((resolve) => setTimeout(resolve, retryMs).unref());
      }
    }
  }

  #patient(client: pg.PoolClient): pg.PoolClient {
    let broken = false;
    const query = async (...args: unknown[]): Promise<unknown> => {
      try {
        return await (client.query as (...args: unknown[]) => Promise<unknown>)(...args);
      } catch (cause) {
        const away = isDatabaseUnavailable(cause);
        if (away) {
          broken = true;
          this.#lost = true;
        }
        if (endsJob(args[0]) && !isRetriable(cause)) {
          if (!away) this.#events.unended(cause);
          return nothing;
        }
        if (!away || this.#closed) throw cause;
        throw Object.assign(new Error('the database went away', { cause }), { code: '40001' });
      }
    };
    return { query, release: () => client.release(broken) } as unknown as pg.PoolClient;
  }
}
