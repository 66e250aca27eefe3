/** The wire under a session (a WebSocket; see api/host), and how much of this process's time what comes over it may take. */

export interface HostConnection {
  send(text: string): void;
  ping(): void;
  /** Ends it in order, and by force soon after. */
  close(code: number, reason: string): void;
  terminate(): void;
  /** Stops and resumes reading, so that a flood waits in the host's own memory. */
  pause(): void;
  resume(): void;
  /** Bytes accepted by send that the wire has not taken yet. */
  readonly bufferedBytes: number;
}

/** What a host's messages may take of the process, in the long run; all others share the rest. */
const share = 0.1;
/** What each costs beside what is done with it: the smallest ones are many. */
const eachMs = 0.02;
/** Saved up: a host that comes with all that it has is not held back. */
const mostSavedMs = 1000;
/** Well within the silence after which it would be given up. */
const longestRestMs = 5000;

/** Who has used up its share is read no more until it has some again. Owns a timer. */
export class Pace {
  readonly #changed: () => void;
  readonly #now: () => number;
  #savedMs = mostSavedMs;
  #at: number;
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param changed it rests, or does no more
   * @param now milliseconds, of a clock that only goes forward
   */
  constructor(changed: () => void, now: () => number = () => performance.now()) {
    this.#changed = changed;
    this.#now = now;
    this.#at = now();
  }

  get resting(): boolean {
    return this.#timer !== undefined;
  }

  run(work: () => void): void {
    const began = this.#now();
    this.#savedMs = Math.min(mostSavedMs, this.#savedMs + share * (began - this.#at));
    try {
      work();
    } finally {
      this.#at = this.#now();
      this.#savedMs -= this.#at - began + eachMs;
      if (this.#savedMs < 0) this.#rest(Math.min(longestRestMs, -this.#savedMs / share));
    }
  }

  /** What has come before it was paused is still handed over; it makes the rest longer. */
  #rest(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#changed();
    }, ms).unref();
    this.#changed();
  }
}
