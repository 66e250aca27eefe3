/** What would become of servers if hosts were lost, for administrators; and which hosts may be lost together, as they say it. Owns `host.failure_domains`. */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import type { FailureDomains } from '../../host/tables.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { notFound } from '../../kit/refusal.ts';
import { HostPicture } from '../placement/index.ts';
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
    return Array.fromAsync(survivals(this.#database, { onlyWanted: false }));
  }

  /** Of one loss, server by server. @param of a host by its id or its name, or a failure domain by its name @throws CloudError `not_found` */
  async one(caller: Caller, of: Pick<Loss, 'kind' | 'name'>): Promise<Survival> {
    requireAdmin(caller, 'ask what would survive');
    const losses = await readLosses(this.#database.query);
    const wanted = losses.filter(
      ({ kind, name, hostIds }) =>
        kind === of.kind && (name === of.name || (kind === 'host' && hostIds[0] === of.name)),
    );
    for await (const survival of surviveAll(this.#database, wanted, { onlyWanted: false })) return survival;
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
      // What comes to a host by one loss is another sum now.
      await sql`select count_host_reserve(array(select host_id from host_reserve))`.execute(tx);
    });
    return domains;
  }
}

/** The same without a caller: for who watches it, and takes them at its own pace. */
export async function* survivals(database: Database, options: FleetOptions): AsyncGenerator<SurvivalSummary> {
  const losses = await readLosses(database.query);
  for await (const survival of surviveAll(database, losses, options)) yield summaryOf(survival);
}

/** Losses of so many hosts are looked at over one picture: a cloud of any size is not in memory, nor in one transaction, as a whole. */
const hostsTogether = 20;

/** Each loss as it would be at the moment of its own look. */
async function* surviveAll(
  database: Database,
  losses: readonly Loss[],
  options: FleetOptions,
): AsyncGenerator<Survival> {
  const picture = new HostPicture();
  for (const some of inParts(losses)) {
    const hostIds = [...new Set(some.flatMap((loss) => loss.hostIds))];
    const fleet = await database.transaction(cloudActor, async (tx) => {
      await sql`set transaction isolation level repeatable read, read only`.execute(tx);
      return readFleet(tx, { ...options, hostIds, picture });
    });
    yield* survive(fleet, some);
  }
}

function* inParts(losses: readonly Loss[]): Generator<Loss[]> {
  let [part, hosts]: [Loss[], number] = [[], 0];
  for (const loss of losses) {
    part.push(loss);
    hosts += loss.hostIds.length;
    if (hosts < hostsTogether) continue;
    yield part;
    [part, hosts] = [[], 0];
  }
  if (part.length > 0) yield part;
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
