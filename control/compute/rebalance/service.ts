/** What would make hosts even, for administrators. */
import { sql } from 'kysely';
import { type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { type Balance, readBalance, thresholds, timingOf } from './read.ts';
import type { RebalancePolicy } from './rebalancer.ts';

export interface Rebalance extends Balance {
  policy: RebalancePolicy;
  upper: number;
  lower: number;
  /** Names by id. */
  hosts: ReadonlyMap<string, string>;
}

export class RebalanceService {
  readonly #database: Database;
  readonly #policy: RebalancePolicy;
  readonly #restMs: number;

  constructor(options: { database: Database; policy?: RebalancePolicy; afterSeconds?: number | undefined }) {
    this.#database = options.database;
    this.#policy = options.policy ?? 'off';
    this.#restMs = timingOf(options.afterSeconds).restMs;
  }

  /** As of now; nothing is changed. Where the policy is `off` only how far the hosts are from even. */
  async show(caller: Caller): Promise<Rebalance> {
    requireAdmin(caller, 'show what would make hosts even');
    const { upper, lower } = thresholds;
    return this.#database.transaction(cloudActor, async (tx) => {
      await sql`set transaction isolation level repeatable read, read only`.execute(tx);
      const balance = await readBalance(tx, { restMs: this.#restMs, proposing: this.#policy !== 'off' });
      const { rows } = await sql<{ id: string; name: string }>`select id, name from host`.execute(tx);
      const hosts = new Map(rows.map(({ id, name }) => [id, name]));
      return { ...balance, policy: this.#policy, upper, lower, hosts };
    });
  }
}
