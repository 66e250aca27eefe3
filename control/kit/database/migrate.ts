/**
 * Migrations: SQL files, forward only, each in a transaction of its own together with the row that records it, so
 * a crash between two files leaves a database that the next start carries on from. An advisory lock keeps control
 * processes that start together from running them twice.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { makeWorkerUtils } from 'graphile-worker';
import pg from 'pg';
import { CloudError } from '../../../contract/errors.ts';
import type { Secret } from '../../../contract/secret.ts';
import { type ConnectionOptions, migrationLimits } from './connection.ts';
import { connect, Members, poolConfig } from './members.ts';

const folder = new URL('./migrations/', import.meta.url);
/** Any constant that nothing else in the database uses as an advisory lock: 'bothymig' in ASCII. */
const migrationLock = 0x626f_7468;
/** Of ten seconds each: five minutes. */
const lockAttempts = 30;

export interface Migration {
  name: string;
  sha256: string;
  text: string;
}

/** All migrations in order. */
export async function migrations(): Promise<Migration[]> {
  const names = (await readdir(folder)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const text = await readFile(new URL(name, folder), 'utf8');
      return { name: name.slice(0, -'.sql'.length), sha256: createHash('sha256').update(text).digest('hex'), text };
    }),
  );
}

/**
 * Brings the database to the newest schema and answers the names of the migrations that ran.
 * @throws CloudError `conflict` when the database was migrated by a newer Bothy or a migration's text has changed since
 */
export async function migrate(options: { url: Secret }): Promise<string[]> {
  const connection = { url: options.url, applicationName: 'bothy migrate', limits: migrationLimits };
  const client = await connect(connection);
  const done: string[] = [];
  try {
    // A process that is frozen in here must not keep all others from starting.
    await client.query(`set idle_session_timeout = '2min'`);
    await patiently(() => client.query('select pg_advisory_lock($1)', [migrationLock]));
    await client.query(`create table if not exists migration (
      name text primary key, sha256 text not null, at timestamptz not null default now())`);
    const applied = new Map<string, string>(
      (await client.query('select name, sha256 from migration')).rows.map((row) => [row.name, row.sha256]),
    );
    const known = await migrations();
    const unknown = [...applied.keys()].find((name) => !known.some((migration) => migration.name === name));
    if (unknown) {
      throw new CloudError('conflict', 'migration_unknown_to_this_version', { migration: unknown });
    }
    for (const migration of known) {
      const before = applied.get(migration.name);
      if (before === migration.sha256) continue;
      if (before !== undefined) {
        throw new CloudError('conflict', 'migration_applied_with_another_text', { migration: migration.name });
      }
      await patiently(() => apply(client, migration));
      done.push(migration.name);
    }
    await migrateQueue(connection);
  } finally {
    await client.end();
  }
  return done;
}

async function migrateQueue(connection: ConnectionOptions): Promise<void> {
  const pgPool = new pg.Pool({ ...poolConfig(connection, Members.of(connection.url)), max: 1 });
  pgPool.on('error', () => {});
  pgPool.on('connect', (client) => client.on('error', () => {}));
  try {
    const worker = await makeWorkerUtils({ pgPool });
    await worker.migrate();
    await worker.release();
  } finally {
    await pgPool.end();
  }
}

/** A lock that others hold is asked for again: in between they get their turn, which they would not while we stand in the queue. */
async function patiently(work: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await work();
      return;
    } catch (error) {
      if (attempt === lockAttempts || !isLockTimeout(error)) throw error;
    }
  }
}

const isLockTimeout = (error: unknown): boolean =>
  (error as pg.DatabaseError | undefined)?.code === '55P03' ||
  (error instanceof CloudError && isLockTimeout(error.cause));

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(migration.text);
    await client.query('insert into migration (name, sha256) values ($1, $2)', [migration.name, migration.sha256]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw new CloudError('internal', 'migration_failed', { migration: migration.name }, { cause: error });
  }
}
