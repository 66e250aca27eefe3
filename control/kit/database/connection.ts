/**
 * How every connection to PostgreSQL is made, so that neither side can hold the other up by dying without a word.
 *
 * The server ends what a control process left behind that was frozen, or whose machine lost its power: its open transaction after
 * {@link SessionLimits.idleInTransactionMs}, and with it its locks, and the whole session when TCP hears nothing (`tcp_*`, which
 * PostgreSQL ignores on unix sockets: there the kernel tells it at once). The client destroys a connection on which nothing came for
 * {@link SessionLimits.answerMs} although an answer is due. TCP's own patience with a machine that vanished is a quarter of an
 * hour, and Node.js cannot set it.
 *
 * The order idle < lock < statement < answer matters: who waits for a lock of a frozen process gets it; who asks too much hears so from
 * the server; only who hears nothing at all gives the connection up.
 */
import type pg from 'pg';
import type { Secret } from '../../../contract/secret.ts';

export interface SessionLimits {
  /** The longest that a transaction may wait for its client's next statement. */
  idleInTransactionMs: number;
  lockMs: number;
  /** 0: none. */
  statementMs: number;
  /** The longest silence while an answer is due. 0: none. */
  answerMs: number;
  /** The longest that making a connection, or the wait for a free one of a pool, may take. */
  connectMs: number;
}

export const sessionLimits: SessionLimits = {
  idleInTransactionMs: 5000,
  lockMs: 10_000,
  statementMs: 15_000,
  answerMs: 20_000,
  connectMs: 10_000,
};

/** For the few statements that must not wait, see Database.urgent. */
export const urgentLimits: SessionLimits = {
  idleInTransactionMs: 1000,
  lockMs: 1000,
  statementMs: 2000,
  answerMs: 2500,
  connectMs: 2500,
};

/** Migrations rewrite and index tables: they take what they take, but do not stand in everybody's way while they wait for a lock. */
export const migrationLimits: SessionLimits = {
  idleInTransactionMs: 60_000,
  lockMs: 10_000,
  statementMs: 0,
  answerMs: 0,
  connectMs: 10_000,
};

export interface ConnectionOptions {
  url: Secret;
  applicationName: string;
  limits?: SessionLimits;
  /** Statements that have a name get a plan for any values, however dear it looks beside one for these. */
  plannedOnce?: boolean;
}

/**
 * TCP gives a silent peer up after this, on both sides: idle 5 s, then a probe a second (Node.js: ten of them). No just-in-time compiler:
 * it takes seconds of processor time for each of our long statements that reads a handful of rows, and a PostgreSQL that is not ours has it on.
 */
const sessionOptions =
  '-c tcp_user_timeout=10000 -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=1 -c tcp_keepalives_count=5 -c jit=off';

const onePlan = '-c plan_cache_mode=force_generic_plan';

/** What pg.Client and pg.Pool take. */
export function connectionConfig({ url, applicationName, limits = sessionLimits, plannedOnce }: ConnectionOptions) {
  return {
    ...withSessionOptions(url.reveal(), plannedOnce ? `${sessionOptions} ${onePlan}` : sessionOptions),
    application_name: applicationName,
    connectionTimeoutMillis: limits.connectMs,
    keepAlive: true,
    keepAliveInitialDelayMillis: 5000,
    // pg sends these with the greeting: no round trip.
    statement_timeout: limits.statementMs,
    lock_timeout: limits.lockMs,
    idle_in_transaction_session_timeout: limits.idleInTransactionMs,
  } satisfies pg.ClientConfig;
}

/** Options of the administrator's own URL come later, so they win. */
function withSessionOptions(url: string, ours: string): { connectionString: string; options?: string } {
  const cut = url.indexOf('?');
  const query = new URLSearchParams(cut < 0 ? '' : url.slice(cut + 1));
  const theirs = query.get('options');
  if (theirs === null) return { connectionString: url, options: ours };
  query.set('options', `${ours} ${theirs}`);
  return { connectionString: `${url.slice(0, cut)}?${query}` };
}

/** An end is in order, and by force where the other side does not answer. */
const endMs = 2000;

type Query = (...args: unknown[]) => unknown;
type Guarded = pg.Client & { connection: { stream: { destroy(error?: Error): void; bytesRead: number } } };

/** From now on silence of the server ends the connection, and what waits on it fails with ETIMEDOUT. */
export function guard(client: pg.Client | pg.PoolClient, { answerMs }: SessionLimits): void {
  const { stream } = (client as Guarded).connection;
  forceEnd(client as pg.Client, () => stream.destroy());
  if (answerMs <= 0) return;
  const instead = unreplicated(client as pg.Client);
  const silence = new Silence(answerMs, stream);
  const plain = client.query.bind(client) as Query;
  const query: Query = (...args) => {
    const callback = args.at(-1);
    if (typeof callback === 'function') {
      silence.asked();
      args[args.length - 1] = (error: unknown, ...answer: unknown[]) => {
        silence.answered();
        callback(error ?? instead(), ...answer);
      };
      return plain(...args);
    }
    const result = plain(...args);
    if (!(result instanceof Promise)) return result;
    silence.asked();
    return result.finally(silence.answered).then((answer) => {
      const error = instead();
      if (error) throw error;
      return answer;
    });
  };
  client.query = query as typeof client.query;
}

/**
 * A commit that waits for a synchronous standby and is cancelled (pg_cancel_backend) is *not* undone: PostgreSQL answers that it is committed, with a warning
 * before it (SyncRepWaitForLSN in syncrep.c). A fail-over would lose it, so nobody is told that it is done.
 * @returns what the next answer is instead, once
 */
function unreplicated(client: pg.Client): () => Error | undefined {
  let error: Error | undefined;
  client.on('notice', ({ routine }) => {
    if (routine === 'SyncRepWaitForLSN')
      error = Object.assign(new Error('committed, but no standby has it'), { code: 'ETIMEDOUT' });
  });
  return () => {
    const instead = error;
    error = undefined;
    return instead;
  };
}

/** One timer a connection, not one a statement. */
class Silence {
  readonly #limitMs: number;
  readonly #stream: Guarded['connection']['stream'];
  #waiting = 0;
  #since = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number, stream: Guarded['connection']['stream']) {
    this.#limitMs = limitMs;
    this.#stream = stream;
  }

  asked(): void {
    if (this.#waiting++ > 0) return;
    this.#heard();
    this.#timer ??= this.#in(this.#limitMs);
  }

  readonly answered = (): void => {
    this.#waiting--;
    this.#heard();
  };

  #heard(): void {
    this.#since = performance.now();
    this.#bytes = this.#stream.bytesRead;
  }

  #in(ms: number): NodeJS.Timeout {
    return setTimeout(() => this.#look(), ms).unref();
  }

  #look(): void {
    this.#timer = undefined;
    if (this.#waiting === 0) return;
    // A long answer is under way.
    if (this.#stream.bytesRead !== this.#bytes) this.#heard();
    const leftMs = this.#since + this.#limitMs - performance.now();
    if (leftMs > 0) this.#timer = this.#in(leftMs);
    // This process itself may have been frozen: timers come first then, and what has arrived is read after them.
    else setImmediate(() => this.#giveUp());
  }

  #giveUp(): void {
    if (this.#waiting === 0 || this.#timer) return;
    if (performance.now() - this.#since < this.#limitMs || this.#stream.bytesRead !== this.#bytes) {
      this.#timer = this.#in(this.#limitMs);
      return;
    }
    const message = `the database did not answer for ${this.#limitMs} ms; the connection was given up`;
    this.#stream.destroy(Object.assign(new Error(message), { code: 'ETIMEDOUT' }));
  }
}

/** `end` says goodbye and waits for the other side's; a side that is gone says nothing. */
function forceEnd(client: pg.Client, destroy: () => void): void {
  const plain = client.end.bind(client) as Query;
  client.end = ((...args: unknown[]) => {
    const timer = setTimeout(destroy, endMs);
    timer.unref();
    client.once('end', () => clearTimeout(timer));
    return plain(...args);
  }) as typeof client.end;
}
