/**
 * The private PostgreSQL cluster of a cloud: `<data>/postgres`, run by the unprivileged service user, reachable only
 * through a unix socket in a directory that only this user (and root) may enter. Authentication is by the peer's user:
 * no password exists that could leak. Small (an idle cloud has few connections) but crash-safe: fsync and
 * synchronous_commit keep their defaults, on.
 *
 * The cluster is made beside its place and renamed when it is complete: a `<data>/postgres` that exists is whole.
 */
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Engine } from '../../engine/engine.ts';
import { userIds } from '../../engine/process.ts';
import { waitUntil } from '../../engine/wait.ts';
import { CommandError } from '../command.ts';
import { run, tryRun } from '../run.ts';
import { isAlive, pidIn, pidsWorkingIn } from '../supervisor/process-table.ts';

export interface PostgresOptions {
  /** The cluster's directory. */
  directory: string;
  /** Where the socket is made; at most about 90 bytes long. */
  socketDirectory: string;
  user: string;
  /** Only for throw-away clusters of tests. */
  durable?: boolean;
}

export const databaseName = 'bothy';
const oldestMajor = 15;
/** Recovery after a crash replays at most max_wal_size; on a slow disk that takes a while. */
const readyDeadlineMs = 60_000;

/** Settings on the command line come before every file, so an old cluster follows a new Bothy at its next start. */
const tuning: Record<string, string> = {
  listen_addresses: '',
  unix_socket_permissions: '0700',
  // A control process takes up to 16 under load; there may be several, and what a killed one had ends a moment later.
  max_connections: '80',
  shared_buffers: '32MB',
  work_mem: '4MB',
  maintenance_work_mem: '32MB',
  max_wal_size: '256MB',
  // Only a cluster that is being replicated needs more; HA clusters come by DATABASE_URL.
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_logical_replication_workers: '0',
  max_parallel_workers_per_gather: '0',
  autovacuum_max_workers: '2',
  autovacuum_naptime: '30s',
  jit: 'off',
  // A reader that fell asleep in a transaction holds the change log's horizon back for everybody.
  idle_in_transaction_session_timeout: '60s',
  log_line_prefix: '%m [%p] %a ',
  log_timezone: 'UTC',
  timezone: 'UTC',
};

export function postgresEngine(options: PostgresOptions): Engine {
  const bin = () => binaries(options.directory);
  const settings = {
    ...tuning,
    unix_socket_directories: options.socketDirectory,
    ...(options.durable === false ? { fsync: 'off' } : {}),
  };
  return {
    name: 'postgres',
    get command() {
      return join(bin(), 'postgres');
    },
    args: ['-D', options.directory, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    env: { LC_ALL: 'C.UTF-8' },
    user: options.user,
    programs: ['postgres'],
    after: [],
    restartAlso: [],
    outlives: 'cloud',
    pidFile: join(options.directory, 'postmaster.pid'),
    pidFileWriter: 'engine',
    mark: options.directory,
    // Fast shutdown: connections are cut, what they had not committed is rolled back.
    stopSignal: 'SIGINT',
    stopTimeoutMs: 30_000,
    prepare: () => prepareCluster(options),
    async ready(signal) {
      const check = () =>
        tryRun(join(bin(), 'pg_isready'), [
          '-q',
          '-h',
          options.socketDirectory,
          '-U',
          options.user,
          '-d',
          databaseName,
        ]);
      await waitUntil('PostgreSQL to accept connections', async () => (await check()).code === 0, {
        timeoutMs: readyDeadlineMs,
        everyMs: 30,
        ...(signal === undefined ? {} : { signal }),
      });
    },
  };
}

export function postgresUrl(options: Pick<PostgresOptions, 'socketDirectory' | 'user'>): string {
  return `postgres://${options.user}@localhost/${databaseName}?host=${encodeURIComponent(options.socketDirectory)}`;
}

/** The newest PostgreSQL of Debian, or the one that made the cluster where there is one. */
export function binaries(directory?: string): string {
  const base = '/usr/lib/postgresql';
  const installed = existsSync(base)
    ? readdirSync(base).filter((name) => existsSync(join(base, name, 'bin/postgres')))
    : [];
  const version = directory === undefined ? undefined : clusterVersion(directory);
  if (version !== undefined) {
    if (installed.includes(version)) return join(base, version, 'bin');
    throw new CommandError(
      `the database in ${directory} was made by PostgreSQL ${version}, which is not installed (found: ${installed.join(', ') || 'none'})`,
      `apt-get install postgresql-${version}`,
    );
  }
  const newest = installed
    .map(Number)
    .filter((major) => major >= oldestMajor)
    .sort((a, b) => b - a)[0];
  if (newest === undefined)
    throw new CommandError('PostgreSQL is not installed', "run 'sudo ./bothy up', which installs it");
  return join(base, String(newest), 'bin');
}

function clusterVersion(directory: string): string | undefined {
  try {
    return readFileSync(join(directory, 'PG_VERSION'), 'utf8').trim();
  } catch {
    return undefined;
  }
}

async function prepareCluster(options: PostgresOptions): Promise<void> {
  const ids = process.getuid?.() === 0 ? userIds(options.user) : undefined;
  ownDirectory(options.socketDirectory, ids);
  if (!existsSync(options.directory)) await makeCluster(options, ids);
  else await releaseZombieLock(options);
  // "map" lets root in as the service user: doctor and backups run as root.
  const hba = 'local all all peer map=bothy\n';
  const ident = `bothy ${options.user} ${options.user}\nbothy root ${options.user}\n`;
  for (const [file, text] of [
    ['pg_hba.conf', hba],
    ['pg_ident.conf', ident],
  ] as const) {
    const path = join(options.directory, file);
    if (readFileSync(path, 'utf8') === text) continue;
    // Written aside first: a half-written pg_hba.conf would lock everybody out.
    writeFileSync(`${path}.new`, text, { mode: 0o600 });
    if (ids !== undefined) chownSync(`${path}.new`, ids.uid, ids.gid);
    renameSync(`${path}.new`, path);
  }
}

/**
 * PostgreSQL takes a killed predecessor that nobody has reaped yet (a zombie below a slow init) for a living one and
 * refuses to start. Its lock files go when the zombie is all that is left: no backend still works in the directory.
 */
async function releaseZombieLock({ directory, socketDirectory }: PostgresOptions): Promise<void> {
  const files = [join(directory, 'postmaster.pid'), join(socketDirectory, '.s.PGSQL.5432.lock')];
  const pid = files.map((file) => pidIn(file)).find((found) => found !== undefined);
  if (pid === undefined || isAlive(pid) || !existsSync(`/proc/${pid}`)) return;
  await waitUntil('the backends of the killed PostgreSQL to end', () => pidsWorkingIn(directory).length === 0, {
    timeoutMs: 20_000,
    everyMs: 50,
  });
  for (const file of files) rmSync(file, { force: true });
}

async function makeCluster(options: PostgresOptions, ids: { uid: number; gid: number } | undefined): Promise<void> {
  const bin = binaries();
  const fresh = `${options.directory}.new`;
  rmSync(fresh, { recursive: true, force: true });
  ownDirectory(fresh, ids);
  const as = { ...ids, cwd: '/' };
  const locale = ['--encoding=UTF8', '--locale=C.UTF-8'];
  const auth = ['--auth-local=peer', '--auth-host=reject', `--username=${options.user}`];
  const sync = options.durable === false ? ['--no-sync'] : [];
  await run(join(bin, 'initdb'), ['-D', fresh, '--no-instructions', ...locale, ...auth, ...sync], as);
  // A server in single-user mode listens nowhere; what it makes is part of the complete cluster.
  const sql = `CREATE DATABASE ${databaseName};\n`;
  await run(join(bin, 'postgres'), ['--single', '-D', fresh, '-c', 'log_min_messages=error', 'postgres'], {
    ...as,
    input: sql,
  });
  renameSync(fresh, options.directory);
}

function ownDirectory(path: string, ids: { uid: number; gid: number } | undefined): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
  if (ids !== undefined) chownSync(path, ids.uid, ids.gid);
}
