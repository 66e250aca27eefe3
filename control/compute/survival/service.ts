/** What would become of servers if hosts were lost, for administrators; and which hosts may be lost together, as they say it. Owns `host.failure_domains`. */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import type { FailureDomains } from '../../host/tables.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { notFound } from '../../kit/refusal.ts';
import { type FleetOptions, readFleet, readLosses } from './read.ts';
import { type Loss, type StaysDown, type Survival, survive } from './survive.ts';

/** Of one loss, in numbers. */
export interface SurvivalSummary {
  loss: Loss;
  servers: number;
  restarted: number;
  down: Record<StaysDown, number>;
  /** What would help the most of those that no host takes. */
  change: string | null;
}

export class SurvivalService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Of each host and each failure domain. */
  async summaries(caller: Caller): Promise<SurvivalSummary[]> {
    requireAdmin(caller, 'ask what would survive');
    return survivals(this.#database, { onlyWanted: false });
  }

  /** Of one loss, server by server. @param of a host by its id or its name, or a failure domain by its name @throws CloudError `not_found` */
  async one(caller: Caller, of: Pick<Loss, 'kind' | 'name'>): Promise<Survival> {
    requireAdmin(caller, 'ask what would survive');
    const { fleet, losses } = await picture(this.#database, { onlyWanted: false });
    const wanted = losses.filter(
      ({ kind, name, hostIds }) =>
        kind === of.kind && (name === of.name || (kind === 'host' && hostIds[0] === of.name)),
    );
    for await (const survival of survive(fleet, wanted)) return survival;
    throw notFound('host', of.kind === 'host' ? of.name : `of ${of.kind} ${of.name}`);
  }

  /** @throws CloudError `not_found` */
  async failureDomains(caller: Caller, hostId: string): Promise<FailureDomains> {
    requireAdmin(caller, 'show the failure domains of a host');
    const { rows } = await sql<{ failure_domains: FailureDomains }>`select failure_domains from host
      where id = ${parseId(hostId) ?? null}::uuid`.execute(this.#database.query);
    if (!rows[0]) throw notFound('host', hostId);
    return rows[0].failure_domains;
  }

  /** Replaces all of them. @throws CloudError `not_found` */
  async setFailureDomains(caller: Caller, hostId: string, domains: FailureDomains): Promise<FailureDomains> {
    requireAdmin(caller, 'say with what a host may be lost');
    await this.#database.transaction(actorOf(caller), async (tx) => {
      const { numAffectedRows } =
        await sql`update host set failure_domains = ${json(domains)}::jsonb, updated_at = now()
        where id = ${parseId(hostId) ?? null}::uuid`.execute(tx);
      if (numAffectedRows !== 1n) throw notFound('host', hostId);
    });
    return domains;
  }
}

/** The same without a caller: for who watches it. */
export async function survivals(database: Database, options: FleetOptions): Promise<SurvivalSummary[]> {
  const { fleet, losses } = await picture(database, options);
  const found: SurvivalSummary[] = [];
  for await (const survival of survive(fleet, losses)) found.push(summaryOf(survival));
  return found;
}

function picture(database: Database, options: FleetOptions) {
  return database.transaction(cloudActor, async (tx) => {
    await sql`set transaction isolation level repeatable read, read only`.execute(tx);
    return { fleet: await readFleet(tx, options), losses: await readLosses(tx) };
  });
}

export function summaryOf({ loss, fates }: Survival): SurvivalSummary {
  const down = { not_wanted: 0, disk_kept: 0, no_host: 0 };
  const changes = new Map<string, number>();
  for (const { why, change } of fates) {
    if (why) down[why]++;
    if (change !== '') changes.set(change, (changes.get(change) ?? 0) + 1);
  }
  const [most] = [...changes].sort((a, b) => b[1] - a[1]);
  const restarted = fates.filter(({ to }) => to !== null).length;
  return { loss, servers: fates.length, restarted, down, change: most?.[0] ?? null };
}
