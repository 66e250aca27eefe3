/**
 * One of several control processes projects: the one that holds a PostgreSQL advisory lock, on a connection of its own.
 * When it dies PostgreSQL frees the lock and another takes it. A holder that loses its connection stops at once; should
 * it still have a transaction under way, that one states the same truth as the next holder's.
 */
import pg from 'pg';
import type { Secret } from '../../../contract/secret.ts';

/** Two 32-bit numbers name the lock: 'both', and 1 for the projection. */
const lockKey = [0x626f7468, 1] as const;

export interface LeadershipOptions {
  url: Secret;
  retryMs?: number;
  onGain: () => void;
  onLose: () => void;
}

export class Leadership {
  readonly #options: LeadershipOptions;
  #client: pg.Client | undefined;
  #held = false;
  #stopped = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: LeadershipOptions) {
    this.#options = options;
  }

  get held(): boolean {
    return this.#held;
  }

  start(): void {
    void this.#try();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    const client = this.#client;
    this.#drop();
    await client?.end().catch(() => {});
  }

  async #try(): Promise<void> {
    try {
      const client = this.#client ?? (await this.#connect());
      const { rows } = await client.query('select pg_try_advisory_lock($1, $2) as held', [...lockKey]);
      if (rows[0].held === true && this.#client === client && !this.#stopped) {
        this.#held = true;
        this.#options.onGain();
        return;
      }
    } catch {
      // No database: the pause below, then another attempt. Whoever needs the database reports that it is away.
      const client = this.#client;
      this.#drop();
      client?.end().catch(() => {});
    }
    this.#again();
  }

  async #connect(): Promise<pg.Client> {
    const client = new pg.Client({
      connectionString: this.#options.url.reveal(),
      application_name: 'bothy ovn projection',
      keepAlive: true,
      connectionTimeoutMillis: 10_000,
    });
    const lost = () => {
      if (this.#client !== client) return;
      this.#drop();
      this.#again();
    };
    client.on('error', lost);
    client.on('end', lost);
    await client.connect();
    if (this.#stopped) {
      await client.end();
      throw new Error('stopped');
    }
    this.#client = client;
    return client;
  }

  #drop(): void {
    this.#client = undefined;
    if (!this.#held) return;
    this.#held = false;
    this.#options.onLose();
  }

  #again(): void {
    if (this.#stopped) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#try(), this.#options.retryMs ?? 2000);
    this.#timer.unref();
  }
}
