/**
 * How streams of bytes share an event loop with requests that are small. A socket that is always ready would have the loop
 * for milliseconds at a time, and ten of them for as long as they last: encryption happens in `write`. So streams do
 * their work in turns: a little of it, then whatever else waits, then the next. Streams are served one after the other,
 * each as often as the others.
 */

/** Work between two looks at everything else. One piece of 512 KiB takes about half of it to encrypt and to send. */
const budgetMs = 1;

export class Turns {
  readonly #waiting: (() => void)[] = [];
  readonly #now: () => number;
  #untilMs = 0;
  #scheduled = false;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Runs the work now, or when its turn has come. It must not throw. */
  take(work: () => void): void {
    if (!this.#scheduled) this.#begin();
    else if (this.#waiting.length > 0 || this.#now() >= this.#untilMs) {
      this.#waiting.push(work);
      return;
    }
    work();
  }

  /** For who is given work instead of taking it, as a TLS socket that decrypts: true when it should let others go on. */
  get over(): boolean {
    if (!this.#scheduled) this.#begin();
    return this.#waiting.length > 0 || this.#now() >= this.#untilMs;
  }

  #begin(): void {
    this.#untilMs = this.#now() + budgetMs;
    this.#scheduled = true;
    setImmediate(() => this.#next());
  }

  #next(): void {
    this.#scheduled = false;
    if (this.#waiting.length === 0) return;
    this.#begin();
    do this.#waiting.shift()!();
    while (this.#waiting.length > 0 && this.#now() < this.#untilMs);
  }
}

/** Of this thread's event loop. */
export const turns = new Turns();
