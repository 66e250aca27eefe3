/**
 * A simulated cloud as separate processes, so that CPU and memory are those of production: PostgreSQL with the durable
 * settings of `bothy up`, `bothy control`, and a process with a fleet of real hosts over fake QEMU and Open vSwitch.
 * Needs no root, no QEMU and no OVN. Every process leads a session of its own; its pid is in `<directory>/pids`.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { freePort } from '../../cli/cloud/free-port.ts';
import { databaseName, postgresEngine, postgresUrl } from '../../cli/cloud/postgres.ts';
import type { LogLevel } from '../../cli/process/configuration.ts';
import { mallocSettings, processFlags, readyFile, sourceRoot } from '../../cli/process/definitions.ts';
import { childrenByParent, processFacts, withDescendants } from '../../cli/supervisor/process-table.ts';
import { hostStreamPath } from '../../contract/host/index.ts';
import { Secret } from '../../contract/secret.ts';
import { registerHost } from '../../control/host/index.ts';
import { Database } from '../../control/kit/database/database.ts';
import { connect } from '../../control/kit/database/members.ts';
import type * as Migrate from '../../control/kit/database/migrate.ts';
import { ensureEngine, stopEngine } from '../../engine/process.ts';
import type { FleetConfiguration } from '../../simulator/fleet/configuration.ts';
import {
  controlConfiguration,
  type SimulatedIdentity,
  simulatedIdentity,
  simulatedPostgres,
  writeJson,
} from './simulated-parts.ts';
import { until } from './until.ts';

export interface CloudProcessesOptions {
  hosts: number;
  /** How many of them the fleet runs; the others are the caller's, by {@link CloudProcesses.hosts}. All where it is not given. */
  fleetHosts?: number;
  /** Of a database that is not this cloud's to start; absent: one of its own. */
  databaseUrl?: string;
  /** Fills the database before control starts. */
  prepare?(databaseUrl: string, hosts: SimulatedIdentity['hosts']): Promise<void>;
  /** Another work tree's code in the control process, on its own schema. */
  source?: string;
  /** Made below the temporary folder and removed at the end where none is given. */
  directory?: string;
  logLevel?: LogLevel;
  /** Options of Node.js for the control process, e.g. --cpu-prof. */
  controlFlags?: readonly string[];
  fleetFlags?: readonly string[];
}

export interface CloudProcesses extends AsyncDisposable {
  directory: string;
  publicUrl: string;
  caFile: string;
  adminPassword: string;
  databaseUrl: string;
  databaseName: string;
  /** OS_* variables of the administrator. */
  environment: Record<string, string>;
  /** OVSDB target of the fake northbound database. */
  northbound: string;
  /** Holds `<name>.pid` of each session leader. */
  pidDirectory: string;
  /** The session leader of a name: postgres, fleet, control, another. */
  pid(name: string): number;
  /** One more control process at a port of its own, beside the first; hosts are told of it. */
  startAnother(name?: string): Promise<{ publicUrl: string }>;
  hosts: SimulatedIdentity['hosts'];
  controlUrl: string;
  /** Ends control and starts another, which serves when this resolves. */
  restartControl(): Promise<void>;
  /** Resident memory by name, children included. */
  memoryMiB(): Record<string, number>;
}

export async function startCloudProcesses(options: CloudProcessesOptions): Promise<CloudProcesses> {
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'bothy-sim-'));
  const stack = new AsyncDisposableStack();
  if (options.directory === undefined) stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  try {
    // PostgreSQL runs as another user when we are root.
    chmodSync(directory, 0o755);
    return await new Starter(directory, stack).start(options);
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

class Starter {
  readonly #directory: string;
  readonly #stack: AsyncDisposableStack;
  readonly #pids = new Map<string, number>();

  constructor(directory: string, stack: AsyncDisposableStack) {
    this.#directory = directory;
    this.#stack = stack;
    mkdirSync(this.#in('pids'), { recursive: true });
  }

  #in = (name: string) => join(this.#directory, name);

  async start(options: CloudProcessesOptions): Promise<CloudProcesses> {
    const { hosts, fleetHosts = hosts, logLevel = 'info', controlFlags = [], fleetFlags = [] } = options;
    const identity = await simulatedIdentity(this.#directory, hosts);
    const databaseUrl = options.databaseUrl ?? (await this.#postgres());
    await migrateBy(options.source ?? sourceRoot, databaseUrl);
    await registerHosts(databaseUrl, identity.hosts);
    await options.prepare?.(databaseUrl, identity.hosts);
    const port = await freePort();
    const northbound = this.#in('nb.sock');
    const configure = (name: string, onPort: number) =>
      controlConfiguration(identity, {
        ...{ databaseUrl, northbound: `unix:${northbound}`, port: onPort, logLevel, runDirectory: this.#in(name) },
        ...{ hostSocket: this.#in('host.sock'), ownUrl: `https://127.0.0.1:${onPort}` },
      });
    const configuration = configure('control', port);
    const { cloudId } = identity;
    const controlUrl = `wss://127.0.0.1:${port}${hostStreamPath}`;
    const fleet: FleetConfiguration = {
      ...{ cloudId, controlUrl, northbound, logLevel, directory: this.#in('fleet') },
      // As `bothy up` makes it: one host on control's own machine, reached by its socket; the others over the network.
      hosts: identity.hosts
        .slice(0, fleetHosts)
        .map((host, index) => (index === 0 ? { ...host, socket: this.#in('host.sock') } : host)),
    };
    if (fleetHosts > 0) await this.#node('fleet', fleetFlags, ['simulator/fleet/main.ts'], fleet);
    const main = options.source ? join(options.source, 'cli/main.ts') : 'cli/main.ts';
    const startControl = () => this.#node('control', controlFlags, [main, 'control'], configuration);
    let control = await startControl();
    await hostsConnected(databaseUrl, fleetHosts);
    const { publicUrl } = configuration;
    return {
      ...{ directory: this.#directory, publicUrl, caFile: identity.ca, adminPassword: identity.adminPassword },
      ...{ databaseUrl, databaseName, controlUrl, hosts: identity.hosts },
      environment: adminEnvironment(publicUrl, identity.adminPassword, identity.ca),
      pidDirectory: this.#in('pids'),
      northbound: `unix:${northbound}`,
      pid: (name: string) => this.#pids.get(name)!,
      startAnother: async (name = 'another') => {
        const another = configure(name, await freePort());
        await this.#node(name, controlFlags, ['cli/main.ts', 'control'], another);
        return { publicUrl: another.publicUrl };
      },
      restartControl: async () => {
        await end(control);
        control = await startControl();
      },
      memoryMiB: () => memory(this.#pids),
      [Symbol.asyncDispose]: () => this.#stack.disposeAsync(),
    };
  }

  async #postgres(): Promise<string> {
    const postgres = simulatedPostgres(this.#directory, { durable: true });
    const engine = postgresEngine(postgres);
    this.#note('postgres', await ensureEngine(engine, { logFile: this.#in('postgres.log') }));
    this.#stack.defer(() => stopEngine(engine).then(() => {}));
    return postgresUrl(postgres);
  }

  /** Starts a script with its configuration and waits until it says that it serves. */
  async #node(name: string, flags: readonly string[], [script, ...args]: string[], value: unknown) {
    mkdirSync(this.#in(name), { recursive: true });
    const file = writeJson(join(this.#in(name), 'configuration.json'), value);
    const all = [resolve(sourceRoot, script!), ...args, '--configuration', file];
    const child = spawnNode({ name, directory: this.#directory, flags, args: all });
    this.#stack.defer(() => end(child));
    this.#note(name, child.pid!);
    await announced(name, child, file, this.#in(`${name}.log`));
    return child;
  }

  #note(name: string, pid: number): void {
    this.#pids.set(name, pid);
    writeFileSync(join(this.#in('pids'), `${name}.pid`), `${pid}\n`);
  }
}

/** The folder has moved since the first release. */
async function migrateBy(source: string, url: string): Promise<void> {
  const file = ['control/kit/database/migrate.ts', 'control/database/migrate.ts']
    .map((path) => join(source, path))
    .find((path) => existsSync(path));
  const { migrate } = (await import(pathToFileURL(file!).href)) as typeof Migrate;
  await migrate({ url: new Secret(url) });
}

async function registerHosts(url: string, hosts: Parameters<typeof registerHost>[1][]): Promise<void> {
  const database = new Database({ url: new Secret(url) });
  try {
    for (const host of hosts) await registerHost(database, host);
  } finally {
    await database.close();
  }
}

async function hostsConnected(url: string, hosts: number): Promise<void> {
  const client = await connect({ url: new Secret(url), applicationName: 'test' });
  try {
    const connected = async () => (await client.query('select from host where connected')).rowCount === hosts;
    await until('all hosts to be connected', connected, { timeoutMs: 30_000 });
  } finally {
    await client.end();
  }
}

/** As in a cloud; but what is measured now and then shall not begin cold, as it would after the collections of a process at rest. */
export const loadedFlags = processFlags.filter((flag) => flag !== '--expose-gc');

function spawnNode(options: {
  name: string;
  directory: string;
  flags: readonly string[];
  args: string[];
}): ChildProcess {
  const log = openSync(join(options.directory, `${options.name}.log`), 'a');
  try {
    return spawn(process.execPath, [...loadedFlags, ...options.flags, ...options.args], {
      detached: true,
      stdio: ['ignore', log, log],
      cwd: options.directory,
      env: {
        ...process.env,
        ...mallocSettings,
        NODE_ENV: 'production',
        NODE_COMPILE_CACHE: join(tmpdir(), `bothy-compile-${process.getuid!()}`),
      },
    });
  } finally {
    closeSync(log);
  }
}

async function announced(name: string, child: ChildProcess, file: string, log: string): Promise<void> {
  const ready = readyFile(file);
  await until(`${name} to serve (see ${log})`, () => {
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`${name} ended: ${readFileSync(log, 'utf8').split('\n').slice(-15).join('\n')}`);
    }
    try {
      return readFileSync(ready, 'utf8').trim() === String(child.pid);
    } catch {
      return false;
    }
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill('SIGTERM');
  const late = setTimeout(() => child.kill('SIGKILL'), 10_000);
  await gone;
  clearTimeout(late);
}

function adminEnvironment(publicUrl: string, password: string, caFile: string): Record<string, string> {
  return {
    OS_AUTH_URL: `${publicUrl}/identity/v3`,
    OS_USERNAME: 'admin',
    OS_PASSWORD: password,
    OS_PROJECT_NAME: 'admin',
    OS_USER_DOMAIN_NAME: 'Default',
    OS_PROJECT_DOMAIN_NAME: 'Default',
    OS_REGION_NAME: 'RegionOne',
    OS_IDENTITY_API_VERSION: '3',
    OS_CACERT: caFile,
  };
}

function memory(pids: ReadonlyMap<string, number>): Record<string, number> {
  const children = childrenByParent();
  return Object.fromEntries(
    [...pids].map(([name, pid]) => [
      name,
      withDescendants(pid, children).reduce((sum, one) => sum + (processFacts(one)?.rssMiB ?? 0), 0),
    ]),
  );
}
