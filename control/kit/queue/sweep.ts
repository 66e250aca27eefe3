import type { Logger } from 'pino';

/** A process has many, begun together: in step they would want a connection to the database each, for a moment each second, and keep them. */
const aboutAsLong = (ms: number): number => ms * (0.8 + 0.4 * Math.random());

export interface SweepOptions {
  everyMs: number;
  log: Pick<Logger, 'warn'>;
  /** Of the log's line about a look that threw: "… failed, will be tried again". */
  what: string;
}

/**
 * Looks for what no job knows of, again and again, each time a while after the last look has ended. Nothing begins after `stop`. A look that throws is logged, and the next
 * one comes at its time. Owns the timer.
 */
export class Sweep {
  readonly #look: () => Promise<unknown>;
  readonly #options: SweepOptions;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(look: () => Promise<unknown>, options: SweepOptions) {
    this.#look = look;
    this.#options = options;
  }

  /** For a look that takes long: it shall end soon. */
  get stopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    this.#stopped = false;
    void this.#again();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #again(): Promise<void> {
    const { everyMs, log, what } = this.#options;
    try {
      await this.#look();
    } catch (error) {
      log.warn({ err: error }, `${what} failed, will be tried again`);
    }
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#again(), aboutAsLong(everyMs)).unref();
  }
}
