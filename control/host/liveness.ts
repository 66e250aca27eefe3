/**
 * Pings the streams that were not heard lately, ends those that are silent, notes in the database which live, and lends their hosts what is theirs for a while longer. Parts of them in turn: a thousand pings in one
 * turn of the event loop are one that others wait for. If the process dies, other control processes see that nobody vouches for
 * its streams ({@link recordLiveness}).
 */
import type { Logger } from 'pino';
import type { HostId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import { closeCodes } from './messages.ts';
import type { HostSession } from './session.ts';
import { recordLiveness } from './store.ts';

export interface LivenessOptions {
  database: Database;
  log: Logger;
  timing: { pingMs: number; silentMs: number };
  leaseMs: number;
  /** Every stream, greeted or not. */
  sessions(): Iterable<HostSession>;
  /** Those that speak for their host. */
  greeted: ReadonlyMap<string, HostSession>;
}

/** Parts of the period in which each stream is pinged once. */
const turns = 10;

export class Liveness {
  readonly #options: LivenessOptions;
  /** Streams that have yet to be pinged in this period. */
  #left: HostSession[] = [];
  #turn = 0;
  #timer: NodeJS.Timeout | undefined;
  #recording = false;

  constructor(options: LivenessOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#checkSome(), this.#options.timing.pingMs / turns).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #checkSome(): void {
    if (this.#turn === 0) {
      this.#left = [...this.#options.sessions()];
      this.#record();
    }
    const now = performance.now();
    for (const session of this.#left.splice(0, Math.ceil(this.#left.length / (turns - this.#turn)))) {
      if (session.closed) continue;
      const silentMs = now - (session.greeted ? session.lastHeardMs : session.openedMs);
      if (silentMs > this.#options.timing.silentMs) session.abandon();
      // Hosts ping by themselves, and each answer to them is as good: who was heard need not be asked.
      else if (silentMs >= this.#options.timing.pingMs) session.ping();
    }
    this.#turn = (this.#turn + 1) % turns;
  }

  #record(): void {
    if (this.#recording) return;
    this.#recording = true;
    const { database, greeted, timing, leaseMs, log } = this.#options;
    const alive = [...greeted.values()].map((session) => session.connectionId);
    const asking = [...greeted.values()].flatMap((session) =>
      session.asks === undefined ? [] : [{ session, asked: session.asks }],
    );
    const streams = { alive, asking: asking.map(({ session }) => session.connectionId) };
    recordLiveness(database.query, streams, { silentMs: timing.silentMs + timing.pingMs, leaseMs })
      .then(({ lent, lapsed }) => {
        for (const { session, asked } of asking) {
          if (lent.has(session.connectionId)) session.lend(asked);
          else if (lapsed.has(session.connectionId))
            session.end(closeCodes.tryAgainLater, 'the lease had ended: all is told anew');
        }
      })
      .catch((error) => log.warn({ err: error }, 'host stream: recording liveness failed'))
      .finally(() => {
        this.#recording = false;
      });
  }
}

/** Of one host, before it has introduced itself: it dials one after the other, and of some that it gave up nobody may have heard yet. */
const mostSilent = 3;

/** Makes room for one more of this host. */
export function endOldestSilent(sessions: Iterable<HostSession>, hostId: HostId): void {
  const silent = [...sessions].filter((each) => each.hostId === hostId && !each.greeted);
  if (silent.length >= mostSilent) silent[0]!.end(closeCodes.replaced, 'newer connections of this host have come');
}
