/** The wire under a session (a WebSocket; see api/host), and how much of this process's time what comes over it may take. */
import type { HostId } from '../../contract/ids.ts';

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
/** No message takes more; what is beyond it the process itself was kept from working, stopped or frozen, and nobody owes that. */
const mostEachMs = 1000;
/**
 * Saved up: a host that comes with all that it has is not held back, for behind that are its pings, by which it asks for its lease. With five thousand servers
 * that is a second, where it has to say them all as being in quarantine, and on a machine that is busy some.
 */
const mostSavedMs = 5000;
/** Well within the silence after which it would be given up. */
const longestRestMs = 5000;

/** What a host has of the process's time, over all of its streams: one that dials anew has no more. */
export class Account {
  readonly now: () => number;
  #savedMs = mostSavedMs;
  #at: number;
  /** When one of its streams was read again. */
  #grantedAt = Number.NEGATIVE_INFINITY;

  /** @param now milliseconds, of a clock that only goes forward */
  constructor(now: () => number = () => performance.now()) {
    this.now = now;
    this.#at = now();
  }

  /** For so long nothing of it is to be read. */
  get restMs(): number {
    this.#earn(this.now());
    return Math.min(longestRestMs, Math.max(0, -this.#savedMs / share));
  }

  /** Asked by a stream that has rested: it is read again, where 0 is the answer; else it asks again after so many ms. While it owes, one of its streams is at a time. */
  grant(): number {
    const now = this.now();
    this.#earn(now);
    const waitMs = this.#savedMs >= 0 ? 0 : Math.max(0, this.#grantedAt + longestRestMs - now);
    if (waitMs === 0) this.#grantedAt = now;
    return waitMs;
  }

  spend(work: () => void): void {
    const began = this.now();
    this.#earn(began);
    try {
      work();
    } finally {
      this.#at = this.now();
      this.#savedMs -= Math.min(mostEachMs, this.#at - began) + eachMs;
    }
  }

  #earn(now: number): void {
    this.#savedMs = Math.min(mostSavedMs, this.#savedMs + share * (now - this.#at));
    this.#at = now;
  }
}

/** Of each host that has ever come: some numbers each. */
export class Accounts {
  readonly #of = new Map<HostId, Account>();

  of(hostId: HostId): Account {
    const account = this.#of.get(hostId) ?? new Account();
    this.#of.set(hostId, account);
    return account;
  }
}

/** One stream of a host that has used up its share is read no more until it has some again. Owns a timer. */
export class Pace {
  readonly #changed: () => void;
  readonly #account: Account;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  /** @param changed it rests, or does no more; that it rests from its beginning is not told */
  constructor(changed: () => void, account = new Account()) {
    this.#changed = changed;
    this.#account = account;
    this.#restIfOwing();
  }

  get resting(): boolean {
    return this.#timer !== undefined;
  }

  /** Its stream has ended, and takes nobody's turn. */
  end(): void {
    clearTimeout(this.#timer);
    this.#ended = true;
  }

  run(work: () => void): void {
    try {
      this.#account.spend(work);
    } finally {
      if (this.#restIfOwing()) this.#changed();
    }
  }

  /** What has come before it was paused is still handed over; it makes the rest longer. */
  #restIfOwing(): boolean {
    const { restMs } = this.#account;
    if (this.#ended) return false;
    if (restMs > 0) this.#rest(restMs);
    return restMs > 0;
  }

  #rest(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const waitMs = this.#account.grant();
      if (waitMs > 0) return this.#rest(waitMs);
      this.#timer = undefined;
      this.#changed();
    }, ms).unref();
  }
}
