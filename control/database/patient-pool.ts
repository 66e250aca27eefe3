/**
 * The pool as graphile-worker gets it: without a database it waits instead of failing. graphile-worker 0.18 does not
 * await the statement that ends a job, so its failure would be an unhandled rejection and the end of this process; its
 * batched form does not get over a deadlock. It does run a statement again after a serialization failure (40001): that is
 * what a lost connection is made to look like, and the next connection is there when the database is.
 *
 * Owns no connection. After `close` what graphile-worker does not await never comes back, and the rest fails.
 */
import type pg from 'pg';
import { isDatabaseUnavailable } from './database.ts';

const retryMs = 200;
const never = new Promise<never>(() => {});

/** Statements that end a job: those that nobody awaits. */
const endsJob = (query: unknown) => /\bdelete from\b|\blast_error\b/.test((query as pg.QueryConfig).text ?? '');

const closedClient = {
  query: (query: unknown) => (endsJob(query) ? never : Promise.reject(new Error('the work queue has stopped'))),
  release() {},
} as unknown as pg.PoolClient;

export class PatientPool {
  /** What graphile-worker takes for a pool. */
  readonly pool: pg.Pool;
  readonly #inner: pg.Pool;
  readonly #onReturn: () => void;
  #lost = false;
  #closed = false;

  /** @param onReturn called when the database is there again after it was not */
  constructor(pool: pg.Pool, onReturn: () => void) {
    this.#inner = pool;
    this.#onReturn = onReturn;
    this.pool = Object.create(pool, { connect: { value: this.#connect.bind(this) } }) as pg.Pool;
  }

  close(): void {
    this.#closed = true;
  }

  /** With a callback (LISTEN) as ever: graphile-worker comes again by itself. */
  #connect(callback?: Parameters<pg.Pool['connect']>[0]): Promise<pg.PoolClient> | undefined {
    if (!callback) return this.#connectPatiently();
    this.#inner.connect(callback);
    return undefined;
  }

  async #connectPatiently(): Promise<pg.PoolClient> {
    for (;;) {
      if (this.#closed) return closedClient;
      try {
        const client = await this.#inner.connect();
        if (this.#lost) {
          this.#lost = false;
          this.#onReturn();
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
        if (!isDatabaseUnavailable(cause)) throw cause;
        broken = true;
        this.#lost = true;
        if (this.#closed) return closedClient.query(args[0] as pg.QueryConfig);
        throw Object.assign(new Error('the database went away', { cause }), { code: '40001' });
      }
    };
    return { query, release: () => client.release(broken) } as unknown as pg.PoolClient;
  }
}
