/**
 * Lets hosts sleep that nobody needs, where the cloud is set so, and wakes them before those that are awake become short: looks each half minute. A host that has not been needed for a
 * while (plan.ts; ten minutes unless a setting says otherwise) is said to be in standby, one at a time; then the maintenance empties it and standby.ts shuts it down. Waking waits for nothing. Several control processes may look: one decides at a time.
 *
 * Owns its timer, since when it sees a host that nobody needs, and what came to nothing lately; if the process dies, another sees the same a while later.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { wakeHosts } from '../placement/index.ts';
import { BelowReserve, beginStandby, StandbyLater } from './begin-and-end.ts';
import type { Consolidation, SleepProposal } from './plan.ts';
import { type ConsolidationTiming, readConsolidation, timingOf } from './read.ts';

export type ConsolidationPolicy = 'off' | 'propose' | 'do';

export interface ConsolidatorOptions {
  database: Database;
  log: Logger;
  policy: ConsolidationPolicy;
  /** For so long a host must not be needed; three times as long one stays that has come. Absent: 600. */
  afterSeconds?: number | undefined;
  /** For tests. */
  timing?: Partial<Timing> | undefined;
}

interface Timing extends ConsolidationTiming {
  everyMs: number;
  refusedMs: number;
}

/** Looks often enough for what it waits for. */
function defaultsOf(afterSeconds: number | undefined): Timing {
  const timing = timingOf(afterSeconds);
  return { ...timing, everyMs: Math.min(30_000, timing.holdMs / 5), refusedMs: 60 * 60_000 };
}

export class Consolidator {
  readonly #options: ConsolidatorOptions;
  readonly #timing: Timing;
  readonly #sweep: Sweep;
  #since: number | null = null;
  readonly #refused = new Map<string, number>();

  constructor(options: ConsolidatorOptions) {
    this.#options = options;
    this.#timing = { ...defaultsOf(options.afterSeconds), ...options.timing };
    this.#sweep = new Sweep(() => this.look(), {
      everyMs: this.#timing.everyMs,
      log: options.log,
      what: 'consolidating',
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** It came to nothing: not again for a while. */
  refuse(hostId: string): void {
    this.#refused.set(hostId, performance.now() + this.#timing.refusedMs);
  }

  /** One turn. Hosts that sleep are woken whatever the policy is: it may have been another one when they went to sleep. */
  async look(): Promise<void> {
    const { database, policy } = this.#options;
    if (policy !== 'do' && !(await someSleep(database))) return;
    const now = performance.now();
    for (const [id, at] of this.#refused) if (at <= now) this.#refused.delete(id);
    const found = await database.transaction(cloudActor, async (tx) => {
      await sql`set transaction isolation level repeatable read, read only`.execute(tx);
      return readConsolidation(tx, { ...this.#timing, refused: this.#refused.keys() });
    });
    await this.#wake(found, policy);
    const { sleep } = found;
    const wanted = policy === 'do' && found.wake.length === 0 && sleep !== null;
    if (!wanted) this.#since = null;
    else {
      this.#since ??= now;
      if (now - this.#since >= this.#timing.holdMs) await this.#sleep(sleep);
    }
  }

  async #wake({ wake }: Consolidation, policy: ConsolidationPolicy): Promise<void> {
    const { database, log } = this.#options;
    const all = policy === 'do' ? wake.map(({ host_id }) => host_id) : await sleeping(database);
    if (all.length === 0) return;
    const reason = policy === 'do' ? 'those that are awake become short' : 'hosts do not sleep any more';
    await database.transaction(cloudActor, (tx) => wakeHosts(tx, all, reason));
    log.info({ hosts: all, reason }, 'hosts in standby are woken');
  }

  async #sleep({ host_id: id, share, moves }: SleepProposal): Promise<void> {
    const { database, log } = this.#options;
    const reason = `its ${moves.length} servers have room elsewhere: ${Math.round(share * 100)} % of what is left would be given away`;
    try {
      const begun = await database.transaction(cloudActor, (tx) => beginStandby(tx, id, reason));
      if (begun) log.info({ hostId: id, share, servers: moves.length }, 'a host that nobody needs is emptied');
    } catch (error) {
      if (error instanceof StandbyLater) return;
      if (!(error instanceof BelowReserve)) throw error;
      this.refuse(id);
      log.info({ hostId: id, why: error.message }, 'a host is not emptied');
    }
  }
}

const sleeping = async (database: Database): Promise<string[]> =>
  (
    await sql<{ host_id: string }>`select host_id from host_standby where desired = 'standby'`.execute(database.query)
  ).rows.map(({ host_id }) => host_id);
const someSleep = async (database: Database): Promise<boolean> => (await sleeping(database)).length > 0;
