/**
 * How fast a secret may be guessed: whoever was wrong often, for one name from one network, waits before each further try, twice as
 * long each time and at most a minute. Locking a user out is another thing (password-policy.ts): that is for every address, and off
 * unless it is asked for, since who knows a name can do it. This holds back nobody elsewhere.
 *
 * It counts names as callers gave them, known or not, so that waiting tells nobody who exists. In this process's memory: several
 * processes each give a guesser their pace, and a restart begins anew; what must hold exactly is the lock-out.
 */
import { CloudError } from '../../contract/errors.ts';

/** Wrong tries without a wait: a person who mistypes, a script with yesterday's password. */
const free = 10;
const longestSeconds = 60;
/** Guesses are forgotten that long after the last one. */
const memorySeconds = 3600;
/** Names under guess; the oldest are forgotten, which takes a guesser as many names as this. */
const maxNames = 50_000;

interface Guesses {
  wrong: number;
  /** Of the clock. */
  last: number;
}

export class GuessPace {
  readonly #names = new Map<string, Guesses>();
  readonly #seconds: () => number;

  /** @param seconds a clock that never goes back */
  constructor(seconds = () => performance.now() / 1000) {
    this.#seconds = seconds;
  }

  /** @throws CloudError `unavailable` while the next try has to wait */
  check(name: string): void {
    const guesses = this.#names.get(name);
    if (!guesses || guesses.wrong < free) return;
    const wait = Math.min(2 ** (guesses.wrong - free), longestSeconds) - (this.#seconds() - guesses.last);
    if (wait <= 0) return;
    throw new CloudError('unavailable', 'too_many_wrong_logins', { retry_after_seconds: Math.ceil(wait) });
  }

  wrong(name: string): void {
    const before = this.#names.get(name);
    const last = this.#seconds();
    this.#names.delete(name);
    this.#names.set(name, { wrong: before && last - before.last < memorySeconds ? before.wrong + 1 : 1, last });
    if (this.#names.size > maxNames) this.#names.delete(this.#names.keys().next().value!);
  }

  right(name: string): void {
    this.#names.delete(name);
  }
}
