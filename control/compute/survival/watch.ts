/**
 * Looks again and again at what would survive, and remembers where servers that shall be restarted elsewhere would not be: for `bothy doctor`, and a line
 * in the log when that begins or becomes worse. It takes a hundredth of its time at most. Each process looks by itself; owns its timer and nothing else.
 */
import { setTimeout } from 'node:timers/promises';
import type { Logger } from 'pino';
import type { Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { type SurvivalSummary, survivals } from './service.ts';

/** Losses by which servers that shall be restarted would not be. */
export interface SurvivalAlarm {
  loss: Pick<SurvivalSummary['loss'], 'kind' | 'name'>;
  servers: number;
  change: string | null;
}

const everyMs = 60_000;
/** While a look is under way it rests for three times as long as it works: a look at a large cloud takes seconds, which others need too. */
const restsFor = 3;
/** What is worked before a rest. */
const turnMs = 20;

export class SurvivalWatch {
  readonly #options: { database: Database; log: Logger };
  readonly #sweep: Sweep;
  #alarms: SurvivalAlarm[] = [];
  #notBefore = Number.NEGATIVE_INFINITY;

  constructor(options: { database: Database; log: Logger }) {
    this.#options = options;
    this.#sweep = new Sweep(() => this.#lookInTurn(), {
      everyMs,
      log: options.log,
      what: 'looking at what would survive',
    });
  }

  /** As of the last look. */
  get alarms(): readonly SurvivalAlarm[] {
    return this.#alarms;
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  async #lookInTurn(): Promise<void> {
    const began = performance.now();
    if (began < this.#notBefore) return;
    try {
      await this.look();
    } finally {
      this.#notBefore = began + (100 / (1 + restsFor)) * (performance.now() - began);
    }
  }

  async look(): Promise<void> {
    const { database, log } = this.#options;
    const before = new Map(this.#alarms.map((alarm) => [keyOf(alarm), alarm.servers]));
    const alarms: SurvivalAlarm[] = [];
    let since = performance.now();
    for await (const { loss, down, change } of survivals(database, { onlyWanted: true })) {
      const servers = down.disk_kept + down.no_host;
      if (servers > 0) alarms.push({ loss: { kind: loss.kind, name: loss.name }, servers, change });
      const workedMs = performance.now() - since;
      if (workedMs < turnMs) continue;
      await setTimeout(restsFor * workedMs, undefined, { ref: false });
      if (this.#sweep.stopped) return;
      since = performance.now();
    }
    this.#alarms = alarms;
    for (const alarm of this.#alarms) {
      if (alarm.servers <= (before.get(keyOf(alarm)) ?? 0)) continue;
      const { loss, servers, change } = alarm;
      log.warn(
        { [loss.kind]: loss.name, servers, change },
        'survival: servers that shall be restarted elsewhere would stay down',
      );
    }
  }
}

const keyOf = ({ loss }: SurvivalAlarm): string => `${loss.kind} ${loss.name}`;
