/**
 * Definitions of the daemons of Open vSwitch and OVN: they share options, directories and the control socket (JSON-RPC,
 * like OVSDB). Nothing is system-wide: every directory that they would look for is given in the environment, for some
 * (ovn-controller 23.03) have no option for their sockets and need OVS_RUNDIR as well as OVN_RUNDIR.
 */
import { execFile } from 'node:child_process';
import { chownSync, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Session } from '../protocols/ovsdb/session.ts';
import type { Engine } from './engine.ts';
import { userIds } from './process.ts';
import { waitUntil } from './wait.ts';

const run = promisify(execFile);

export interface OvsDaemonOptions {
  name: string;
  command: string;
  args: string[];
  /** Sockets and pid files. Short: a unix socket's path has at most 107 bytes. */
  runDirectory: string;
  /** Becomes the user's: root's daemons must log elsewhere, or the user could lay symbolic links in their way. */
  logDirectory: string;
  user?: string;
  /** Name of a network namespace to run in. */
  netns?: string;
  after?: string[];
  restartAlso?: string[];
  outlives: Engine['outlives'];
  /** Beside its directories. */
  env?: Record<string, string>;
  /** Where the daemon takes no --unixctl, the name of its socket is made of its pid. */
  controlSocket?: 'option' | 'by-pid';
  prepare?: () => Promise<void>;
  ready: (control: Control, signal?: AbortSignal) => Promise<void>;
}

/** Sends a command to the daemon's control socket, as ovs-appctl does. */
export type Control = (command: string, ...args: string[]) => Promise<string>;

/** Room for the longest file name that a daemon makes in its run directory: ovn-controller.<pid>.ctl, <bridge>.snoop. */
const longestSocketName = 32;

export function ovsDaemon(options: OvsDaemonOptions): Engine {
  const { name, runDirectory } = options;
  checkRunDirectory(runDirectory);
  const pidFile = join(runDirectory, `${name}.pid`);
  const mark = `--pidfile=${pidFile}`;
  const byPid = options.controlSocket === 'by-pid';
  const unixctl = join(runDirectory, `${name}.ctl`);
  const args = [
    ...options.args,
    mark,
    ...(byPid ? [] : [`--unixctl=${unixctl}`]),
    `--log-file=${join(options.logDirectory, `${name}.log`)}`,
    '-vconsole:off',
    '-vsyslog:off',
  ];
  const control: Control = (command, ...rest) => {
    const pid = byPid ? readFileSync(pidFile, 'utf8').trim() : '';
    return callControl(byPid ? join(runDirectory, `${options.command}.${pid}.ctl`) : unixctl, command, rest);
  };
  return {
    name,
    command: options.netns === undefined ? options.command : 'ip',
    args: options.netns === undefined ? args : ['netns', 'exec', options.netns, options.command, ...args],
    env: { ...directories(runDirectory, options.logDirectory), ...options.env },
    ...(options.user === undefined ? {} : { user: options.user }),
    // Debian's variant for DPDK has a name of its own; ip is what enters a namespace.
    programs: [options.command, `${options.command}-dpdk`, 'ip'],
    after: options.after ?? [],
    restartAlso: options.restartAlso ?? [],
    outlives: options.outlives,
    pidFile,
    pidFileWriter: 'engine',
    mark,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5000,
    prepare: async () => {
      for (const directory of [runDirectory, options.logDirectory]) ownedDirectory(directory, options.user);
      await options.prepare?.();
    },
    ready: (signal) => options.ready(control, signal),
  };
}

/** Ready once the control socket answers; for daemons with nothing more to wait for. */
export function answering(control: Control, signal?: AbortSignal): Promise<void> {
  return waitUntil('an answer on the control socket', async () => (await control('version')) !== '', {
    timeoutMs: 15_000,
    ...(signal ? { signal } : {}),
  });
}

/** PEM files that a daemon speaks TLS with. */
export interface EngineTls {
  key: string;
  certificate: string;
  ca: string;
}

export const tlsArguments = ({ key, certificate, ca }: EngineTls): string[] => [
  `--private-key=${key}`,
  `--certificate=${certificate}`,
  `--ca-cert=${ca}`,
];

export interface OvsdbServerOptions {
  name: string;
  databaseFile: string;
  database: string;
  schema: string;
  /** Inserted where its table has no row yet: ovn-controller 23.03 dies of a missing Open_vSwitch row. On the wire's terms. */
  firstRow?: { table: string; row: Record<string, unknown> };
  /** Path of the unix socket that it listens on. */
  socket: string;
  /** More places to listen, e.g. 'pssl:6642:0.0.0.0', or what a table of it says, such as 'db:OVN_Southbound,SB_Global,connections'. */
  remotes?: string[];
  /** PEM files; read again when they change. */
  tls?: EngineTls;
  /** Called on a connection to the database once it is served, before it counts as ready; may be repeated. */
  settle?: (session: Session) => Promise<void>;
  runDirectory: string;
  logDirectory: string;
  user?: string;
  netns?: string;
  outlives: Engine['outlives'];
}

export function ovsdbServer(options: OvsdbServerOptions): Engine {
  const tls = options.tls;
  return ovsDaemon({
    ...options,
    command: 'ovsdb-server',
    args: [
      options.databaseFile,
      `--remote=punix:${options.socket}`,
      ...(options.remotes ?? []).map((remote) => `--remote=${remote}`),
      ...(tls ? tlsArguments(tls) : []),
    ],
    prepare: () => prepareDatabase(options.databaseFile, options.schema, options.user),
    ready: (_control, signal) => databaseServed(options, signal),
  });
}

/**
 * Creates the database, or converts it when the schema of a newer package came. One that cannot be read is set aside
 * and made anew: all that Bothy keeps in OVSDB is a projection that is written again.
 */
async function prepareDatabase(file: string, schema: string, user?: string): Promise<void> {
  const ids = user === undefined ? {} : userIds(user);
  const tool = async (...args: string[]) => (await run('ovsdb-tool', args, ids)).stdout.trim();
  ownedDirectory(dirname(file), user);
  await tool('schema-version', schema);
  if (existsSync(file)) {
    try {
      if ((await tool('needs-conversion', file, schema)) === 'yes') await tool('convert', file, schema);
      return;
    } catch {
      renameSync(file, `${file}.unreadable-${Date.now()}`);
    }
  }
  const draft = `${file}.new-${process.pid}-${Date.now()}`;
  await tool('create', draft, schema);
  renameSync(draft, file);
}

function databaseServed(options: OvsdbServerOptions, signal?: AbortSignal): Promise<void> {
  const { socket, database, firstRow, settle } = options;
  const served = async () => {
    const session = await Session.open({ target: `unix:${socket}`, probeMs: 0 });
    try {
      const databases = (await session.call('list_dbs', [], { timeoutMs: 2000 })) as string[];
      if (!databases.includes(database)) return false;
      if (firstRow !== undefined) {
        const { table, row } = firstRow;
        // The wait refuses the insertion where the row exists; that refusal is as good as the insertion.
        const none = { op: 'wait', table, timeout: 0, where: [], columns: [], until: '==', rows: [] };
        await session.call('transact', [database, none, { op: 'insert', table, row }], { timeoutMs: 2000 });
      }
      await settle?.(session);
      return true;
    } finally {
      session.close();
    }
  };
  return waitUntil(`${database} on ${socket}`, served, { timeoutMs: 15_000, ...(signal ? { signal } : {}) });
}

export async function callControl(socket: string, command: string, args: string[]): Promise<string> {
  const session = await Session.open({ target: `unix:${socket}`, probeMs: 0, connectTimeoutMs: 2000 });
  try {
    return String(await session.call(command, args, { timeoutMs: 5000 }));
  } finally {
    session.close();
  }
}

function directories(runDirectory: string, logDirectory: string): Record<string, string> {
  const env: Record<string, string> = {};
  for (const prefix of ['OVS', 'OVN']) {
    for (const kind of ['RUNDIR', 'DBDIR', 'SYSCONFDIR']) env[`${prefix}_${kind}`] = runDirectory;
    env[`${prefix}_LOGDIR`] = logDirectory;
  }
  return env;
}

function checkRunDirectory(directory: string): void {
  const bytes = Buffer.byteLength(directory) + 1 + longestSocketName;
  if (bytes > 107) throw new Error(`run directory ${directory} is too long for unix sockets (${bytes} > 107 bytes)`);
}

function ownedDirectory(directory: string, user: string | undefined): void {
  mkdirSync(dirname(directory), { recursive: true, mode: 0o755 });
  mkdirSync(directory, { recursive: true, mode: 0o750 });
  if (user === undefined) return;
  const { uid, gid } = userIds(user);
  chownSync(directory, uid, gid);
}
