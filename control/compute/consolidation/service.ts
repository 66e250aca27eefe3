/** Which hosts are not needed, and which are in standby, for administrators. */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { wakeHosts } from '../placement/index.ts';
import type { ConsolidationPolicy } from './consolidator.ts';
import { type Consolidation, loads } from './plan.ts';
import { readConsolidation, timingOf } from './read.ts';
import type { HostStandbyRow } from './tables.ts';

/** emptying: its servers leave it; shutting_down: it was asked to; waking: it was turned on, or shall be; overdue: it does not come back. */
export type StandbyState = 'emptying' | 'shutting_down' | 'standby' | 'waking' | 'overdue';

export const standbyState = (
  row: Pick<HostStandbyRow, 'desired' | 'asked_at' | 'off_at' | 'overdue_at'>,
): StandbyState => {
  if (row.overdue_at !== null) return 'overdue';
  if (row.desired === 'awake') return 'waking';
  if (row.off_at !== null) return 'standby';
  return row.asked_at === null ? 'emptying' : 'shutting_down';
};

export interface ConsolidationShown extends Consolidation {
  policy: ConsolidationPolicy;
  sleepBelow: number;
  wakeAbove: number;
  standby: (HostStandbyRow & { wake_seconds: number | null })[];
  /** Names by id. */
  hosts: ReadonlyMap<string, string>;
}

export class ConsolidationService {
  readonly #database: Database;
  readonly #policy: ConsolidationPolicy;
  readonly #restMs: number;

  constructor(options: { database: Database; policy?: ConsolidationPolicy; afterSeconds?: number | undefined }) {
    this.#database = options.database;
    this.#policy = options.policy ?? 'off';
    this.#restMs = timingOf(options.afterSeconds).restMs;
  }

  /** As of now; nothing is changed. Where the policy is `off` nothing is proposed. */
  async show(caller: Caller): Promise<ConsolidationShown> {
    requireAdmin(caller, 'show which hosts are not needed');
    return this.#database.transaction(cloudActor, async (tx) => {
      await sql`set transaction isolation level repeatable read, read only`.execute(tx);
      const found = await readConsolidation(tx, { restMs: this.#restMs });
      const { rows: standby } = await sql<HostStandbyRow & { wake_seconds: number | null }>`select y.*, b.wake_seconds
        from host_standby y left join host_bmc b on b.host_id = y.host_id order by y.created_at`.execute(tx);
      const { rows } = await sql<{ id: string; name: string }>`select id, name from host`.execute(tx);
      const hosts = new Map(rows.map(({ id, name }) => [id, name]));
      const proposal = this.#policy === 'off' ? { sleep: null, stays: [] } : {};
      return { ...found, ...proposal, policy: this.#policy, ...loads, standby, hosts };
    });
  }

  /** It shall be awake. Safe to repeat. @param host its id or its name @throws CloudError `not_found` where it is not in standby */
  async wake(caller: Caller, host: string): Promise<void> {
    requireAdmin(caller, 'wake a host');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { rows } = await sql<{ id: string }>`select h.id from host h join host_standby y on y.host_id = h.id
        where h.name = ${host} or h.id = ${parseId(host) ?? null}::uuid limit 1`.execute(tx);
      if (!rows[0]) throw notFound('host_standby', host);
      await wakeHosts(tx, [rows[0].id], `${caller.userName} asked for it`);
    });
  }
}

/** That were turned on and do not come back: for `bothy doctor`. */
export async function overdueHosts(database: Database): Promise<{ name: string; error: string | null }[]> {
  const { rows } = await sql<{ name: string; error: string | null }>`select h.name, y.error
    from host_standby y join host h on h.id = y.host_id where y.overdue_at is not null order by h.name`.execute(
    database.query,
  );
  return rows;
}
