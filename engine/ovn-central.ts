/**
 * OVN's central part as engine definitions: northbound and southbound database and ovn-northd, run by an unprivileged
 * user. The two databases are two servers on purpose: hosts of other machines may reach the southbound one only.
 */
import { join } from 'node:path';
import type { Engine } from './engine.ts';
import { ovsDaemon, ovsdbServer } from './ovs-daemon.ts';
import { waitUntil } from './wait.ts';

export interface OvnCentralOptions {
  /** Lasting data, e.g. <data directory>/ovn. */
  dataDirectory: string;
  /** Short run directory of this cloud on this machine, e.g. /run/bothy/<tag>. */
  runDirectory: string;
  logDirectory: string;
  /** Absent: runs as the supervisor itself (tests). */
  user?: string;
  /** Where hosts of other machines reach the southbound database, e.g. 'pssl:6642:0.0.0.0'. */
  southboundRemotes?: string[];
  tls?: { key: string; certificate: string; ca: string };
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
      ...(options.southboundRemotes ? { remotes: options.southboundRemotes } : {}),
      ...(options.tls ? { tls: options.tls } : {}),
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
