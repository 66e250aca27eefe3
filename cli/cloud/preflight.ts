/** What would make a start fail later with a worse message: looked at before anything is changed. */
import { existsSync, statfsSync } from 'node:fs';
import net from 'node:net';
import { dirname } from 'node:path';
import { readText } from '../../control/kit/files.ts';
import { CommandError } from '../command.ts';
import { tryRun } from '../run.ts';
import { tunnelCard } from '../setting-checks.ts';
import type { Settings } from '../settings.ts';
import { hasKit } from './control-kit.ts';
import { readIdentity } from './identity.ts';

/** To begin, and to go on: what the database and the logs of a start take. */
const [leastFreeMiB, leastFreeAgainMiB] = [1024, 64];

export function requireRoot(what: string): void {
  if (process.getuid?.() !== 0) throw new CommandError(`${what} needs root`, 'run the command with sudo');
}

export type PortSetting = 'port' | 'host_port' | 'southbound_port';

/** The ports that this machine listens on, each with its process. */
export function portsOf({ paths }: Settings): { setting: PortSetting; use: string; process: string }[] {
  const host = { setting: 'host_port', use: 'the host service', process: 'host' } as const;
  const apis = { setting: 'port', use: 'the APIs', process: 'control' } as const;
  if (readIdentity(paths)?.joined) return hasKit({ paths }) ? [apis, host] : [host];
  return [apis, host, { setting: 'southbound_port', use: 'the network database', process: 'ovn-southbound' }];
}

export async function checkPorts(settings: Settings, ports = portsOf(settings)): Promise<void> {
  const { paths, values } = settings;
  for (const [index, { setting, use }] of ports.entries()) {
    const port = Number(values[setting]);
    const other = ports.slice(0, index).find((each) => Number(values[each.setting]) === port);
    if (other) {
      const cure = `set '${setting}' to another in ${paths.settingsFile} (or BOTHY_${setting.toUpperCase()})`;
      throw new CommandError(`port ${port} is for ${other.use} already, and for ${use} too`, cure);
    }
    const problem = await listenProblem(values.listen, port);
    if (problem === undefined) continue;
    if (problem === 'EADDRINUSE') {
      const cure = `stop that process, or set '${setting}' in ${paths.settingsFile} (or BOTHY_${setting.toUpperCase()})`;
      const holder = await holderOf(port);
      const who = holder === undefined ? '' : ` by ${holder.name} (pid ${holder.pid})`;
      throw new CommandError(`port ${port}, for ${use}, is taken${who}`, cure);
    }
    throw new CommandError(
      `cannot listen on ${values.listen} port ${port}: ${problem}`,
      `correct 'listen' in ${paths.settingsFile}`,
    );
  }
}

/** The error's code where nothing can listen there; undefined where all is well. */
export function listenProblem(address: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = net.createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: address, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Who listens there, as far as this user may know. */
export async function holderOf(port: number): Promise<{ name: string; pid: number } | undefined> {
  const answer = await tryRun('ss', ['-Hltnp', `sport = :${port}`]).catch(() => undefined);
  const match = /users:\(\("([^"]+)",pid=(\d+)/.exec(answer?.stdout ?? '');
  return match === null ? undefined : { name: match[1]!, pid: Number(match[2]) };
}

/** Names of this network namespace's cards. */
export const cards = (): string[] =>
  [...(readText('/proc/self/net/dev') ?? '').matchAll(/^\s*([^\s:]+):/gm)].map((match) => match[1]!);

/** Cards that settings name must be there: without them floating IPs, or tunnels, would silently lead nowhere. */
export function checkCards({ paths, values }: Settings): void {
  const named = { external_interface: values.external_interface, tunnels: tunnelCard(values.tunnels)?.device ?? '' };
  const there = cards();
  for (const [setting, name] of Object.entries(named)) {
    if (name === '' || there.includes(name)) continue;
    const others = there.filter((card) => card !== 'lo').join(', ') || 'none';
    throw new CommandError(
      `this machine has no network card '${name}' (it has ${others})`,
      `correct '${setting}' in ${paths.settingsFile} (or BOTHY_${setting.toUpperCase()})`,
    );
  }
}

/** A module that is loaded, or can be. */
export async function kernelHas(module: string): Promise<boolean> {
  if (existsSync(`/sys/module/${module}`)) return true;
  return (await tryRun('modprobe', ['-n', '-q', module]).catch(() => ({ code: 1 }))).code === 0;
}

/** The kernel's Open vSwitch must be there where it is asked for: bridges that are moved to it are gone where it is not. */
export async function checkDatapath({ paths, values }: Settings, has = kernelHas): Promise<void> {
  if (values.datapath !== 'system' || (await has('openvswitch'))) return;
  throw new CommandError(
    "'datapath' is system, but this kernel has no module openvswitch",
    `set it to auto in ${paths.settingsFile} (or BOTHY_DATAPATH)`,
  );
}

/** One that is there must be up to be given room: what lies in it is deleted by its API. @param freeMiB for tests */
export function checkDisk({ paths }: Settings, freeMiB = freeSpaceMiB(paths.data)): void {
  const least = readIdentity(paths) ? leastFreeAgainMiB : leastFreeMiB;
  if (freeMiB >= least) return;
  const cache = existsSync(paths.cache) ? ` (${paths.cache} may be deleted)` : '';
  throw new CommandError(
    `the disk of ${paths.data} has only ${freeMiB} MiB free; a cloud needs at least ${least} MiB to start`,
    `make room${cache}, or name another directory with --data`,
  );
}

/** Free space of the file system that the path is, or will be, on. */
export function freeSpaceMiB(path: string): number {
  try {
    const { bavail, bsize } = statfsSync(path);
    return Math.floor((bavail * bsize) / 1024 / 1024);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && path !== '/') return freeSpaceMiB(dirname(path));
    throw error;
  }
}
