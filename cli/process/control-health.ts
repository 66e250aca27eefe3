/** What control tells `bothy doctor`: the database, the change feed, the OVN projection, the hosts it holds. */
import { sql } from 'kysely';
import type { ChangeFeed } from '../../control/database/changes.ts';
import type { Database } from '../../control/database/database.ts';
import type { HostService } from '../../control/host/index.ts';
import type { Projector } from '../../control/ovn/index.ts';
import type { Health, HealthPart } from './health.ts';

interface Parts {
  database: Database;
  feed: ChangeFeed;
  projector: Projector;
  hosts: HostService;
}

export async function controlHealth({ database, feed, projector, hosts }: Parts): Promise<Health> {
  const projection = projector.status();
  const failing = projection.failures.length;
  const parts: HealthPart[] = [
    await databasePart(database),
    {
      name: 'change feed',
      ok: feed.listening,
      detail: feed.listening ? 'woken by the database' : 'reads once a second: NOTIFY does not reach it',
      cure: 'it reconnects by itself; if not, look at the database above',
    },
    {
      name: 'OVN projection',
      ok: projection.connected && failing === 0,
      detail: projection.connected
        ? `${projection.role}, ${projection.pending} pending, ${failing} failing, drift repaired ${projection.drift} times`
        : `not connected: ${projection.connectionError ?? 'starting'}`,
      cure:
        failing > 0
          ? `failing: ${projection.failures.map((f) => `${f.unit}: ${f.error}`).join('; ')}`
          : 'see: bothy logs ovn-northbound',
    },
    {
      name: 'hosts',
      ok: hosts.connectedHosts.length > 0,
      detail: `${hosts.connectedHosts.length} connected here`,
      cure: 'see: bothy logs host',
    },
  ];
  return { parts };
}

async function databasePart(database: Database): Promise<HealthPart> {
  const name = 'work';
  const cure = 'see: bothy logs control';
  try {
    const { rows } = await sql<{ late: number; stuck: number }>`
      select (select count(*) from graphile_worker.jobs where run_at < now() - interval '1 minute' and locked_at is null and attempts < max_attempts) as late,
        (select count(*) from operation where state = 'running' and deadline < now() - interval '1 minute') as stuck`.execute(
      database.query,
    );
    const { late, stuck } = rows[0]!;
    return {
      name,
      ok: late === 0 && stuck === 0,
      detail: `${late} jobs late, ${stuck} operations past their deadline`,
      cure,
    };
  } catch (error) {
    return {
      name,
      ok: false,
      detail: `the database does not answer: ${(error as Error).message}`,
      cure: 'see: bothy logs postgres',
    };
  }
}
