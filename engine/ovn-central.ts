/**
 * OVN's central part as engine definitions: northbound and southbound database and ovn-northd, run by an unprivileged
 * user. The two databases are two servers on purpose: hosts of other machines may reach the southbound one only.
 */
import { join } from 'node:path';
import type { Session } from '../protocols/ovsdb/session.ts';
import type { Engine } from './engine.ts';
import { type EngineTls, ovsDaemon, ovsdbServer } from './ovs-daemon.ts';
import { waitUntil } from './wait.ts';

export interface OvnCentralOptions {
  /** Lasting data, e.g. <data directory>/ovn. */
  dataDirectory: string;
  /** Short run directory of this cloud on this machine, e.g. /run/bothy/<tag>. */
  runDirectory: string;
  logDirectory: string;
  /** Absent: runs as the supervisor itself (tests). */
  user?: string;
  /** Where hosts of other machines reach the southbound database, by the certificates of `tls`, e.g. 'pssl:6642:[::]'. */
  southboundRemote?: string;
  tls?: EngineTls;
  schemaDirectory?: string;
}

export function ovnCentralSockets(runDirectory: string) {
  const directory = join(runDirectory, 'ovn');
  return { directory, northbound: `unix:${directory}/nb.sock`, southbound: `unix:${directory}/sb.sock` };
}

/**
 * For any change ovn-northd 23.03 makes the text of every logical flow anew, and more than half of that is glibc's malloc: with Debian's tcmalloc
 * a loop takes two fifths of the time (`findings/ovn-northd-spends-half-its-time-in-glibc-malloc.sh`). Without the library the loader says so and goes on.
 */
const allocator = { LD_PRELOAD: 'libtcmalloc_minimal.so.4' };

export function ovnCentralEngines(options: OvnCentralOptions): Engine[] {
  const { directory, northbound, southbound } = ovnCentralSockets(options.runDirectory);
  const schemas = options.schemaDirectory ?? '/usr/share/ovn';
  const common = {
    runDirectory: directory,
    logDirectory: options.logDirectory,
    outlives: 'cloud' as const,
    ...(options.user === undefined ? {} : { user: options.user }),
  };
  return [
    ovsdbServer({
      ...common,
      name: 'ovn-northbound',
      databaseFile: join(options.dataDirectory, 'nb.db'),
      database: 'OVN_Northbound',
      schema: join(schemas, 'ovn-nb.ovsschema'),
      socket: join(directory, 'nb.sock'),
    }),
    ovsdbServer({
      ...common,
      name: 'ovn-southbound',
      databaseFile: join(options.dataDirectory, 'sb.db'),
      database: 'OVN_Southbound',
      schema: join(schemas, 'ovn-sb.ovsschema'),
      socket: join(directory, 'sb.sock'),
      ...(options.tls ? { tls: options.tls, remotes: ['db:OVN_Southbound,SB_Global,connections'] } : {}),
      ...(options.southboundRemote && { settle: offer(options.southboundRemote) }),
    }),
    ovsDaemon({
      ...common,
      name: 'ovn-northd',
      command: 'ovn-northd',
      args: [`--ovnnb-db=${northbound}`, `--ovnsb-db=${southbound}`],
      after: ['ovn-northbound', 'ovn-southbound'],
      env: allocator,
      ready: (control, signal) =>
        waitUntil('ovn-northd to be active', async () => (await control('status')).includes('active'), {
          timeoutMs: 15_000,
          ...(signal ? { signal } : {}),
        }),
    }),
  ];
}

/**
 * Makes the database listen at the remote and nowhere else beside its socket. By a row of its own, not by an option: only so has a connection the role
 * `ovn-controller`, with which a host writes no chassis and no end of tunnels but its own (that which its certificate's subject names; ovn-sb(5), RBAC_Role). Port
 * bindings and what is learnt of addresses every host writes with it (ovn-northd 23.03, `rbac_perm_cfg`).
 */
const offer = (remote: string) => async (session: Session) => {
  const transact = (...operations: object[]) =>
    session.call('transact', ['OVN_Southbound', ...operations], { timeoutMs: 2000 }) as Promise<Outcome[]>;
  // The one row is made by whoever comes first, this or ovn-northd.
  const [empty] = await transact({
    op: 'wait',
    table: 'SB_Global',
    timeout: 0,
    where: [],
    columns: [],
    until: '==',
    rows: [],
  });
  const row = { connections: ['named-uuid', 'remote'] };
  const results = await transact(
    {
      op: 'insert',
      table: 'Connection',
      'uuid-name': 'remote',
      row: { target: remote, role: 'ovn-controller', inactivity_probe: 30_000 },
    },
    empty?.error ? { op: 'update', table: 'SB_Global', where: [], row } : { op: 'insert', table: 'SB_Global', row },
  );
  const failed = results.find((result) => result?.error);
  if (failed) throw new Error(`the southbound database refused its remote: ${failed.error} ${failed.details ?? ''}`);
};

type Outcome = { error?: string; details?: string } | null;
