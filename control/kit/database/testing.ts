/**
 * A fresh database for a test, copied from a migrated template in tens of milliseconds.
 *
 * Server: BOTHY_TEST_POSTGRES (a URL of a superuser's database), or else a throw-away cluster that the first test starts
 * and all share, below the temporary folder or BOTHY_TEST_CLUSTER; `tools/check.ts` names a folder of its own there and
 * stops the cluster in the end. Not for production use: fsync is off there.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import { newId, type ProjectId, type UserId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { until } from '../../../test/support/until.ts';
import { Database, type Queryable } from './database.ts';
import { migrate, migrations } from './migrate.ts';

const uid = process.getuid!();
const testClusterFolder = join(process.env.BOTHY_TEST_CLUSTER ?? tmpdir(), `bothy-test-postgres-${uid}`);
const clusterUrl = `postgresql://postgres@${encodeURIComponent(testClusterFolder)}/postgres`;

function binaries(): string {
  const base = '/usr/lib/postgresql';
  const versions = existsSync(base)
    ? readdirSync(base)
        .map(Number)
        .filter((n) => n >= 15)
    : [];
  if (versions.length === 0)
    throw new Error('PostgreSQL 15 or newer is not installed: run ./bothy test once, or apt-get install postgresql');
  return join(base, String(Math.max(...versions)), 'bin');
}

/** PostgreSQL refuses to run as root: root lends the cluster to the package's own user. */
const asServerUser = (command: string, args: string[]): [string, string[]] =>
  uid === 0 ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args];

function runAsServerUser(command: string, args: string[]): void {
  const [file, list] = asServerUser(command, args);
  execFileSync(file, list, { stdio: ['ignore', 'ignore', 'pipe'], cwd: '/' });
}

function startCluster(): void {
  const data = join(testClusterFolder, 'data');
  const bin = binaries();
  const lock = `${testClusterFolder}.lock`;
  // flock: test files run in processes of their own and start at the same moment.
  if (process.env.BOTHY_TEST_POSTGRES_LOCKED !== '1') {
    const done = spawnSync('flock', [lock, process.execPath, import.meta.filename], {
      env: { ...process.env, BOTHY_TEST_POSTGRES_LOCKED: '1' },
      encoding: 'utf8',
    });
    if (done.status !== 0) throw new Error(`the test database did not start: ${done.stderr}`);
    return;
  }
  const status = spawnSync(...asServerUser(join(bin, 'pg_ctl'), ['-D', data, 'status']), {
    stdio: 'ignore',
    cwd: '/',
  }).status;
  if (status === 0) return;
  if (!existsSync(join(data, 'PG_VERSION'))) {
    rmSync(testClusterFolder, { recursive: true, force: true });
    mkdirSync(testClusterFolder, { mode: 0o700 });
    if (uid === 0) chownSync(testClusterFolder, Number(execFileSync('id', ['-u', 'postgres'])), -1);
    runAsServerUser(join(bin, 'initdb'), [
      '-D',
      data,
      '-U',
      'postgres',
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--locale=C.UTF-8',
      '-N',
    ]);
  }
  const settings = `-k ${testClusterFolder} -c listen_addresses= -c fsync=off -c full_page_writes=off -c synchronous_commit=off -c max_connections=200 -c shared_buffers=64MB -c max_wal_size=512MB -c wal_level=minimal -c max_wal_senders=0`;
  runAsServerUser(join(bin, 'pg_ctl'), [
    '-D',
    data,
    '-o',
    settings,
    '-l',
    join(testClusterFolder, 'server.log'),
    '-w',
    'start',
  ]);
}

/** Stops the shared throw-away cluster, if it runs, and removes it. */
export function stopTestCluster(): void {
  const data = join(testClusterFolder, 'data');
  if (!existsSync(data)) return;
  spawnSync(...asServerUser(join(binaries(), 'pg_ctl'), ['-D', data, '-m', 'immediate', '-w', 'stop']), {
    stdio: 'ignore',
    cwd: '/',
  });
  rmSync(testClusterFolder, { recursive: true, force: true });
}

export interface TestDatabase extends AsyncDisposable {
  url: Secret;
  database: Database;
}

const withName = (url: string, name: string): string => {
  const cut = url.indexOf('?');
  const [main, query] = cut < 0 ? [url, ''] : [url.slice(0, cut), url.slice(cut)];
  return main.replace(/\/[^/]*$/, `/${name}`) + query;
};

const server = process.env.BOTHY_TEST_POSTGRES ?? clusterUrl;

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: server });
  await client.connect();
  return client;
}

/** The throw-away cluster is started by the first that finds nobody there. */
async function connectOrStart(): Promise<pg.Client> {
  try {
    return await connect();
  } catch (error) {
    if (server !== clusterUrl) throw error;
    startCluster();
    return connect();
  }
}

/** A fresh, migrated, empty database; `await using db = await testDatabase()` drops it at the end. */
export async function testDatabase(): Promise<TestDatabase> {
  const hash = createHash('sha256');
  for (const migration of await migrations()) hash.update(migration.sha256);
  const template = `bothy_template_${hash.digest('hex').slice(0, 16)}`;
  const name = `bothy_test_${randomBytes(8).toString('hex')}`;
  const admin = await connectOrStart();
  try {
    await admin.query('select pg_advisory_lock(7265)');
    const known = await admin.query('select from pg_database where datname = $1 and datistemplate', [template]);
    if (known.rowCount === 0) {
      await admin.query(`drop database if exists ${template}`);
      await admin.query(`create database ${template}`);
      await migrate({ url: new Secret(withName(server, template)) });
      await admin.query(`alter database ${template} is_template true`);
    }
    // Copying files costs half of what copying through the log does, where nothing is synced.
    await admin.query(`create database ${name} template ${template} strategy file_copy`);
  } finally {
    await admin.end();
  }
  const url = new Secret(withName(server, name));
  const database = new Database({ url });
  return {
    url,
    database,
    async [Symbol.asyncDispose]() {
      await database.close();
      const client = await connect();
      await client.query(`drop database if exists ${name} with (force)`);
      await client.end();
    },
  };
}

/**
 * Waits until all that is committed by now is final, as readers of the change log see it: a transaction in the database of another test,
 * in the same cluster, holds that back. Answers the transaction id that all of it is below.
 */
export async function untilFinal(query: Queryable): Promise<bigint> {
  const read = async (which: 'xmin' | 'xmax') => {
    const { rows } = await sql<{
      id: string;
    }>`select ${sql.raw(`pg_snapshot_${which}`)}(pg_current_snapshot())::text as id`.execute(query);
    return BigInt(rows[0]!.id);
  };
  const end = await read('xmax');
  await until('it to be final', async () => (await read('xmin')) >= end);
  return end;
}

/** The schema as schema.sql has it. */
export function schemaOf(url: Secret): string {
  const options = ['--schema-only', '--no-owner', '--no-privileges', '--exclude-schema=graphile_worker'];
  const dump = execFileSync('pg_dump', [...options, url.reveal()], { encoding: 'utf8' })
    // Comments name the versions of server and client; \restrict carries a random word.
    .split('\n')
    .filter((line) => !/^(--|\\|SET |SELECT pg_catalog|COMMENT ON SCHEMA)/.test(line))
    .join('\n')
    .replace(/\n{2,}/g, '\n\n')
    .trim();
  return `${dump}\n`;
}

/** A project for the rows of a test; that it is there already is fine. */
export async function testProject(database: Database, id: string = newId()): Promise<ProjectId> {
  const domain = '00000000-0000-7000-8000-000000000000';
  await sql`with shared as (insert into domain (id, name) values (${domain}, 'domain of tests') on conflict do nothing)
    insert into project (id, domain_id, name) values (${id}, ${domain}, ${id}) on conflict do nothing`.execute(
    database.query,
  );
  return id as ProjectId;
}

/** A user, for tests of what belongs to users; with all of its columns at their defaults. */
export async function testUser(database: Database, id: string = newId()): Promise<UserId> {
  const domain = '00000000-0000-7000-8000-000000000000';
  await sql`with shared as (insert into domain (id, name) values (${domain}, 'domain of tests') on conflict do nothing)
    insert into "user" (id, domain_id, name) values (${id}, ${domain}, ${id}) on conflict do nothing`.execute(
    database.query,
  );
  return id as UserId;
}

if (process.env.BOTHY_TEST_POSTGRES_LOCKED === '1' && process.argv[1] === import.meta.filename) startCluster();
