/** A process has many, begun together: in step they would want a connection to the database each, for a moment each second, and keep them. */
const aboutAsLong = (ms: number): number => ms * (0.8 + 0.4 * Math.random());

/**
 * Looks for what no job knows of, again and again, each time a while after the last look has ended. Nothing begins after `stop`. Owns the timer;
 * a look that fails is its owner's to log.
 */
export class Sweep {
  readonly #look: () => Promise<void>;
  readonly #everyMs: number;
  #timer: NodeJS.Timeout | undefined;
  #running = false;

  constructor(look: () => Promise<void>, { everyMs }: { everyMs: number }) {
    this.#look = look;
    this.#everyMs = everyMs;
  }

  start(): void {
    this.#running = true;
    void this.#again();
  }

  stop(): void {
    this.#running = false;
    clearTimeout(this.#timer);
  }

  async #again(): Promise<void> {
    try {
      await this.#look();
    } finally {
      if (this.#running) this.#timer = setTimeout(() => void this.#again(), aboutAsLong(this.#everyMs)).unref();
    }
  }
}
