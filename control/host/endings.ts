/**
 * Records the ends of streams, those of one moment in one statement: a thousand end at once when control stops or a switch fails.
 * What can't be recorded, or dies with the process, the others' sweep finds ({@link recordLiveness}); but that a host left in order nobody else can know, so that is tried again for as long
 * as this process lives.
 */
import type { Logger } from 'pino';
import type { Database } from '../kit/database/database.ts';
import { disconnectHosts, type StreamEnd } from './store.ts';

export class Endings {
  readonly #database: Pick<Database, 'query'>;
  readonly #log: Logger;
  #waiting: StreamEnd[] = [];
  #running: Promise<void> | undefined;
  /** Of hosts that left in order, not on record yet. */
  #again: StreamEnd[] = [];
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  readonly #againMs: number;

  /** @param options.againMs how long what could not be recorded waits; for tests */
  constructor(options: { database: Pick<Database, 'query'>; log: Logger; againMs?: number }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#againMs = options.againMs ?? 1000;
  }

  add(end: StreamEnd): void {
    this.#waiting.push(end);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** All that ended so far is on record, or can't be. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#running;
  }

  async #run(): Promise<void> {
    // Whoever ends in this turn of the event loop comes along.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const ended = this.#waiting;
      this.#waiting = [];
      try {
        await disconnectHosts(this.#database.query, ended);
      } catch (error) {
        this.#log.warn({ err: error, count: ended.length }, 'host stream: could not record the end; the sweep will');
        this.#keep(ended.filter(({ left }) => left));
      }
    }
  }

  #keep(left: readonly StreamEnd[]): void {
    if (left.length === 0 || this.#stopped) return;
    this.#again.push(...left);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      for (const end of this.#again.splice(0)) this.add(end);
    }, this.#againMs).unref();
  }
}
