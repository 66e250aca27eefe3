/**
 * Bothy's own processes as engines: `bothy control` as the unprivileged service user and `bothy host` as root. They take
 * all they need from one configuration file, and say that they serve by writing their pid into a ready file.
 *
 * A clone often lies where the service user may not go (a home directory). So control runs in a mount namespace of its
 * own in which the clone is mounted, read-only, on `<run>/app`; the mount ends with the process.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readText } from '../../control/kit/files.ts';
import type { Engine } from '../../engine/engine.ts';
import { waitUntil } from '../../engine/wait.ts';
import { pidIn } from '../supervisor/process-table.ts';

/** The clone that this file belongs to. */
export const sourceRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

const nodeInClone = `node_modules/node-linux-${process.arch}/bin/node`;
/** As in ./bothy, whose compile cache the supervisor shares: code in it is good only for the flags that it was compiled with. */
export const nodeFlags = ['--disable-warning=ExperimentalWarning'];

/**
 * For the processes that live long. The young generation may grow to three times this under load, by default to 48 MiB.
 * Measured on control: 4 costs nothing, 2 makes long lists 12 % slower. How they use gc: ../process/idle.ts.
 * The old one grows by half of what lives in it before it is collected; by default to four times as much while a burst
 * allocates, which is never given back under load.
 */
export const processFlags = [...nodeFlags, '--max-semi-space-size=4', '--heap-growing-percent=50', '--expose-gc'];

/**
 * For glibc's malloc. A password's hash takes 7 MiB on one of libuv's threads: in an arena of that thread it would stay
 * for ever, mapped by itself it goes back to the system. The threshold would else grow to the largest block freed.
 */
export const mallocSettings = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_MMAP_THRESHOLD_: '1048576',
  MALLOC_TRIM_THRESHOLD_: '1048576',
};

export interface BothyProcessOptions {
  /** Run directory of the cloud. */
  run: string;
  /** Holds the process's sources without their types (strip-types.mjs); belongs to it. */
  cacheDirectory: string;
  configurationFile: string;
}

export interface ControlOptions extends BothyProcessOptions {
  user: string;
  /** May read the images of this machine's host: so downloads pass one process. */
  imageGroup: string;
  port: number;
}

export function controlEngine(options: ControlOptions): Engine {
  const app = join(options.run, 'app');
  const privileges = [
    `--reuid=${options.user}`,
    `--regid=${options.user}`,
    `--groups=${options.imageGroup}`,
    '--no-new-privs',
  ];
  // Ports below 1024 need one capability, and nothing else does.
  const capability =
    options.port < 1024
      ? ['--inh-caps=-all,+net_bind_service', '--ambient-caps=-all,+net_bind_service']
      : ['--inh-caps=-all'];
  const script = 'mount --bind -o ro "$1" "$2" && shift 2 && exec setpriv "$@"';
  return {
    ...common('control', options),
    command: 'unshare',
    becomes: options.user,
    programs: ['unshare', 'sh', 'dash', 'bash', 'mount', 'setpriv', 'node'],
    args: [
      ...['--mount', '--propagation', 'private', '--', '/bin/sh', '-c', script, 'control', sourceRoot, app],
      ...[...privileges, ...capability, '--', join(app, nodeInClone), ...processFlags, ...withoutTypes(app)],
      ...[join(app, 'cli/main.ts'), 'control', '--configuration', options.configurationFile],
    ],
    after: ['postgres', 'ovn-northbound'],
    async prepare() {
      mkdirSync(app, { recursive: true });
      rmSync(readyFile(options.configurationFile), { force: true });
    },
  };
}

export function hostEngine(options: BothyProcessOptions): Engine {
  return {
    ...common('host', options),
    command: process.execPath,
    programs: ['node'],
    args: [
      ...[...processFlags, ...withoutTypes(sourceRoot)],
      ...[join(sourceRoot, 'cli/main.ts'), 'host', '--configuration', options.configurationFile],
    ],
    after: ['ovs-vswitchd', 'ovn-controller'],
    async prepare() {
      rmSync(readyFile(options.configurationFile), { force: true });
    },
  };
}

const withoutTypes = (root: string): string[] => ['--import', join(root, 'cli/process/strip-types.mjs')];

function common(name: string, options: BothyProcessOptions) {
  const pidFile = join(options.run, `${name}.pid`);
  return {
    name,
    env: { BOTHY_STRIPPED: options.cacheDirectory, NODE_ENV: 'production', ...mallocSettings },
    restartAlso: [],
    outlives: 'cloud' as const,
    pidFile,
    pidFileWriter: 'supervisor' as const,
    mark: options.configurationFile,
    stopSignal: 'SIGTERM' as const,
    stopTimeoutMs: 10_000,
    async ready(signal?: AbortSignal) {
      const announced = () => {
        const pid = readText(readyFile(options.configurationFile))?.trim();
        return pid !== undefined && pid === String(pidIn(pidFile));
      };
      await waitUntil(`${name} to say that it serves`, announced, {
        timeoutMs: 60_000,
        everyMs: 20,
        ...(signal === undefined ? {} : { signal }),
      });
    },
  };
}

/** Where the process of a configuration file writes its pid once it serves. In a directory that the process may write to. */
export function readyFile(configurationFile: string): string {
  return join(dirname(configurationFile), 'ready');
}
