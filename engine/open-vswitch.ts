/**
 * The engines of the network on one machine, as definitions for a supervisor: OVS's database, ovs-vswitchd and
 * ovn-controller. They run as root and outlive Bothy while guests are kept running; HAProxy is not here, the network
 * driver runs it itself because it is there only while a network needs it (host/network/metadata-proxy.ts).
 */
import { join } from 'node:path';
import type { Engine } from './engine.ts';
import { answering, type EngineTls, ovsDaemon, ovsdbServer, tlsArguments } from './ovs-daemon.ts';
import { withdrawZeroSnat } from './zero-snat.ts';

export interface HostEngineOptions {
  /** The bridge that guests are plugged into; host/network/names.ts. */
  integrationBridge: string;
  /** Lasting data of the host, e.g. <data directory>/host. */
  dataDirectory: string;
  /** Short run directory of this cloud on this machine, e.g. /run/bothy/<tag>. */
  runDirectory: string;
  logDirectory: string;
  /** What ovn-controller shows to a southbound database on another machine. */
  tls?: EngineTls | undefined;
  netns?: string;
  schemaDirectory?: string;
}

/** Where the engines of a host are reached. */
export function hostSockets(runDirectory: string) {
  const ovs = join(runDirectory, 'ovs');
  return { ovsDirectory: ovs, ovsdb: join(ovs, 'db.sock') };
}

export function hostEngines(options: HostEngineOptions): Engine[] {
  const { ovsDirectory, ovsdb } = hostSockets(options.runDirectory);
  const common = {
    runDirectory: ovsDirectory,
    logDirectory: options.logDirectory,
    outlives: 'guests' as const,
    ...(options.netns === undefined ? {} : { netns: options.netns }),
  };
  return [
    ovsdbServer({
      ...common,
      name: 'ovs-database',
      databaseFile: join(options.dataDirectory, 'ovs', 'conf.db'),
      database: 'Open_vSwitch',
      schema: join(options.schemaDirectory ?? '/usr/share/openvswitch', 'vswitch.ovsschema'),
      // ovn-controller makes the integration bridge as soon as it runs: it must know its name before that, and must not
      // touch the kernel's datapath (another Open vSwitch may own it) before the driver's probe has allowed it.
      firstRow: {
        table: 'Open_vSwitch',
        row: {
          external_ids: [
            'map',
            [
              ['ovn-bridge', options.integrationBridge],
              ['ovn-bridge-datapath-type', 'netdev'],
            ],
          ],
        },
      },
      socket: ovsdb,
    }),
    ovsDaemon({
      ...common,
      name: 'ovs-vswitchd',
      command: 'ovs-vswitchd',
      args: [`unix:${ovsdb}`],
      after: ['ovs-database'],
      // A new vswitchd has no flows. ovn-controller alone needs 6.5 s to notice, restarted with it 1.2 s.
      restartAlso: ['ovn-controller'],
      ready: answering,
    }),
    ovsDaemon({
      ...common,
      name: 'ovn-controller',
      command: 'ovn-controller',
      args: [`unix:${ovsdb}`, ...(options.tls ? tlsArguments(options.tls) : [])],
      after: ['ovs-database', 'ovs-vswitchd'],
      controlSocket: 'by-pid',
      prepare: () => withdrawZeroSnat(ovsdb),
      ready: answering,
    }),
  ];
}
