/**
 * Records the ends of streams, those of one moment in one statement: a thousand end at once when control stops or a switch fails.
 * What can't be recorded, or dies with the process, the others' sweep finds ({@link recordLiveness}).
 */
import type { Logger } from 'pino';
import type { Database } from '../kit/database/database.ts';
import { disconnectHosts } from './store.ts';

export class Endings {
  readonly #database: Database;
  readonly #log: Logger;
  #waiting: string[] = [];
  #running: Promise<void> | undefined;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  add(connectionId: string): void {
    this.#waiting.push(connectionId);
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  /** All that ended so far is on record, or can't be. */
  async settled(): Promise<void> {
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
      }
    }
  }
}
