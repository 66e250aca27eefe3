/**
 * A pooled connection for one transaction, or for reads that belong together. Kysely's own queues statements, so that each waits for the answer to the one
 * before; this one hands them to pg at once, and with pg's pipelining those that the caller does not await one by one
 * (`Promise.all`) share a round trip. PostgreSQL still runs them in order, each with its own snapshot.
 *
 * Closed at the transaction's end: what a part of it that was given up on still asks for must not run outside of it.
 */
import type { CompiledQuery, DatabaseConnection, QueryResult } from 'kysely';
import type pg from 'pg';

/** Of a statement that was not run, for one before it had failed. */
export const isAftermath = (error: unknown): boolean => (error as { code?: unknown } | null)?.code === '25P02';

export class TransactionConnection implements DatabaseConnection {
  readonly #client: pg.PoolClient;
  readonly #unanswered = new Set<Promise<unknown>>();
  #closed = false;
  #failure: unknown;

  constructor(client: pg.PoolClient) {
    this.#client = client;
  }

  /** The first statement that failed, if one did: no later one can have done anything. */
  get failure(): unknown {
    return this.#failure;
  }

  close(): void {
    this.#closed = true;
  }

  /** All statements have their answers, good or bad. */
  async answered(): Promise<void> {
    await Promise.allSettled(this.#unanswered);
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    const answer = this.#execute<R>(query);
    this.#unanswered.add(answer);
    const done = () => this.#unanswered.delete(answer);
    answer.then(done, done);
    return answer;
  }

  async #execute<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#closed) throw new Error('the transaction has ended');
    try {
      const { command, rowCount, rows } = await this.#client.query(query.sql, query.parameters as unknown[]);
      const writes = command === 'INSERT' || command === 'UPDATE' || command === 'DELETE' || command === 'MERGE';
      return { rows: rows ?? [], ...(writes && { numAffectedRows: BigInt(rowCount ?? 0) }) };
    } catch (error) {
      // pg's own stack ends at the socket.
      if (error instanceof Error) Error.captureStackTrace(error);
      // Of statements that are answered at once a later one may be heard of first: one that has a name is looked at on its way (prepared.ts).
      if (this.#failure === undefined || isAftermath(this.#failure)) this.#failure = error;
      throw error;
    }
  }

  // biome-ignore lint/correctness/useYield: there is nothing to stream
  async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
    throw new Error('streaming is not possible in a transaction');
  }
}
