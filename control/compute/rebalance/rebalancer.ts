/**
 * Makes hosts even by live migration, where the cloud is set so: looks every half minute; where a host has been too full for a while (hysteresis.ts) it moves one server at a time, each
 * decided anew by placement in the transaction that begins it, until the host is well below. What a person or a maintenance moves goes on beside it. Several control processes may look:
 * one begins at a time, and nothing while one of ours is on its way.
 *
 * Owns its timer, since when it sees a host too full, and what was refused lately; if the process dies, another sees the same a while later.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { isCloudError } from '../../../contract/errors.ts';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { isRelocationRefusal, relocate, type ServerRow } from '../server/index.ts';
import { after, atRest, type Hysteresis } from './hysteresis.ts';
import type { ProposedMove } from './propose.ts';
import { type RebalanceTiming, readBalance, thresholds, timingOf } from './read.ts';

export type RebalancePolicy = 'off' | 'propose' | 'do';

export interface RebalancerOptions {
  database: Database;
  ports: Parameters<typeof relocate>[1]['ports'];
  log: Logger;
  policy: RebalancePolicy;
  /** For so long a host must be too full; three times as long a server stays that has moved. Absent: 600. */
  afterSeconds?: number | undefined;
  /** For tests. */
  timing?: Partial<Timing>;
}

interface Timing extends RebalanceTiming {
  everyMs: number;
  refusedMs: number;
}

/** Looks often enough for what it waits for. */
function defaultsOf(afterSeconds: number | undefined): Timing {
  const timing = timingOf(afterSeconds);
  return { ...timing, everyMs: Math.min(30_000, timing.holdMs / 5), refusedMs: 10 * 60_000 };
}

export class Rebalancer {
  readonly #options: RebalancerOptions;
  readonly #timing: Timing;
  readonly #sweep: Sweep;
  #state: Hysteresis = atRest;
  readonly #refused = new Map<string, number>();

  constructor(options: RebalancerOptions) {
    this.#options = options;
    this.#timing = { ...defaultsOf(options.afterSeconds), ...options.timing };
    this.#sweep = new Sweep(() => this.look(), {
      everyMs: this.#timing.everyMs,
      log: options.log,
      what: 'rebalancing',
    });
  }

  start(): void {
    if (this.#options.policy === 'do') this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** One turn. @returns the server that goes, where one does */
  async look(): Promise<string | undefined> {
    const { database } = this.#options;
    const now = performance.now();
    for (const [id, at] of this.#refused) if (at <= now) this.#refused.delete(id);
    const { before, moves } = await database.transaction(cloudActor, async (tx) => {
      await sql`set transaction isolation level repeatable read, read only`.execute(tx);
      return readBalance(tx, { restMs: this.#timing.restMs, known: this.#refused.keys() });
    });
    const { upper, lower } = thresholds;
    this.#state = after(this.#state, before, { now, upper, lower, holdMs: this.#timing.holdMs });
    const [move] = moves;
    return this.#state.levelling && move ? this.#move(move) : undefined;
  }

  async #move(move: ProposedMove): Promise<string | undefined> {
    const { database, ports, log } = this.#options;
    const { server, to, why, gain } = move;
    try {
      const begun = await database.transaction(cloudActor, async (tx) => {
        if (!(await nothingUnderWay(tx))) return false;
        const { rows } = await sql<
          ServerRow & { to_name: string }
        >`select s.*, h.name as to_name from server s join host h on h.id = ${to}
          where s.id = ${server.id} and s.host_id = ${server.host_id} for update of s skip locked`.execute(tx);
        if (!rows[0]) return false;
        const { to_name: host, ...row } = rows[0];
        await relocate(tx, { ports }, row, { cause: 'rebalance', host });
        return true;
      });
      if (!begun) return undefined;
      log.info({ serverId: server.id, from: server.host_id, to, why, gain }, 'server moves to make hosts even');
      return server.id;
    } catch (error) {
      if (!isRelocationRefusal(error)) throw error;
      this.#refused.set(server.id, performance.now() + this.#timing.refusedMs);
      log.info(
        { serverId: server.id, to, why: isCloudError(error) ? error.message : '' },
        'server does not move to make hosts even',
      );
      return undefined;
    }
  }
}

/** Nobody else begins one meanwhile. */
async function nothingUnderWay(tx: Tx): Promise<boolean> {
  const { rows } = await sql<{
    alone: boolean;
  }>`select pg_try_advisory_xact_lock(hashtextextended('rebalance', 0)) as alone`.execute(tx);
  if (!rows[0]!.alone) return false;
  const moving = await sql`select from server_migration where cause = 'rebalance' and phase <> 'ended' limit 1`.execute(
    tx,
  );
  return moving.rows.length === 0;
}
