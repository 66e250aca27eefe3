/** The database: reachable, migrated, with room for connections. Reads only. */
import type pg from 'pg';
import { Secret } from '../../contract/secret.ts';
import { sessionLimits } from '../../control/kit/database/connection.ts';
import { connect, membersNow } from '../../control/kit/database/members.ts';
import { migrations } from '../../control/kit/database/migrate.ts';
import { databaseUrlOf } from '../cloud/database-url.ts';
import type { Settings } from '../settings.ts';
import { type Finding, ok, problem, warning } from './finding.ts';

/** Who asks how things are does not wait long for an answer. */
const limits = { ...sessionLimits, connectMs: 5000 };

export async function checkDatabase(settings: Settings): Promise<Finding[]> {
  const own = settings.values.database_url === '';
  let client: pg.Client;
  try {
    client = await connect({ url: new Secret(databaseUrlOf(settings)), applicationName: 'bothy doctor', limits });
  } catch (error) {
    const cure = own ? 'bothy logs postgres' : 'check database_url (or DATABASE_URL) and the server behind it';
    return [problem('database', `cannot be reached: ${(error as Error).message}`, cure)];
  }
  try {
    const { rows } =
      await client.query(`select current_setting('server_version') as version, current_setting('max_connections')::int as most,
      (select count(*)::int from pg_stat_activity where backend_type = 'client backend') as connections,
      pg_size_pretty(pg_database_size(current_database())) as size, to_regclass('migration') is not null as migrated`);
    const facts = rows[0];
    const detail = `PostgreSQL ${facts.version}${own ? '' : ' (database_url)'}, ${facts.size}, ${facts.connections} of ${facts.most} connections`;
    const crowded = facts.connections > facts.most * 0.8;
    const cure = 'raise max_connections, or find who keeps connections open (pg_stat_activity)';
    return [
      crowded ? warning('database', detail, cure) : ok('database', detail),
      await checkMigrations(client, facts.migrated),
      ...(await checkMembers(settings)),
    ];
  } finally {
    await client.end();
  }
}

/** Of a database of several: one that is away leaves nothing to fail over to. */
async function checkMembers(settings: Settings): Promise<Finding[]> {
  const members = await membersNow(new Secret(databaseUrlOf(settings)));
  return members.map(({ address, state, ok: well }) => {
    const check = `database member ${address}`;
    return well ? ok(check, state) : warning(check, state, 'start it again, or make another standby');
  });
}

async function checkMigrations(client: pg.Client, migrated: boolean): Promise<Finding> {
  const known = (await migrations()).map((migration) => migration.name);
  const applied: string[] = migrated
    ? (await client.query('select name from migration')).rows.map((row) => row.name)
    : [];
  const missing = known.filter((name) => !applied.includes(name));
  const foreign = applied.filter((name) => !known.includes(name));
  if (foreign.length > 0) {
    return problem(
      'migrations',
      `the database is newer than this Bothy: ${foreign.join(', ')}`,
      'start the newer version',
    );
  }
  if (missing.length > 0)
    return problem('migrations', `not applied: ${missing.join(', ')}`, 'bothy up (control applies them at its start)');
  return ok('migrations', `all ${known.length} applied`);
}
