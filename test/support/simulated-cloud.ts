/**
 * A whole cloud in this process, without root, QEMU, Open vSwitch or OVN: the real control over real TLS and a real
 * PostgreSQL, real hosts over fakes on the wire. Control and hosts do all their work over wires of their own
 * (wire.ts), so that `kill` is as sudden as kill -9: no goodbye, nothing that was under way reaches anyone.
 */

import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import type { NetConnectOpts } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import pino, { type Logger } from 'pino';
import { observer } from '../../api/boundary/testing/hold-answers.ts';
import { freePort } from '../../cli/cloud/free-port.ts';
import { postgresEngine, postgresUrl } from '../../cli/cloud/postgres.ts';
import type { ControlConfiguration } from '../../cli/process/configuration.ts';
import { type ControlHooks, type RunningControl, startControl } from '../../cli/process/start-control.ts';
import { hostStreamPath } from '../../contract/host/index.ts';
import { newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { registerHost } from '../../control/host/index.ts';
import { Database } from '../../control/kit/database/database.ts';
import { migrate } from '../../control/kit/database/migrate.ts';
import { testDatabase } from '../../control/kit/database/testing.ts';
import { ensureEngine, stopEngine } from '../../engine/process.ts';
import { FakeDatabase, FakeNorthd, FakeOvsdbServer, northbound } from '../../simulator/ovsdb/index.ts';
import { OpenStack } from './openstack.ts';
import { SimulatedHost, type SimulatedHostOptions } from './simulated-host.ts';
import {
  controlConfiguration,
  type SimulatedIdentity,
  simulatedIdentity,
  simulatedPostgres,
} from './simulated-parts.ts';
import { patienceMs } from './until.ts';
import { Wire } from './wire.ts';

export interface SimulatedCloudOptions {
  hosts?: number;
  /** 'own': a cluster of this cloud alone, which the test may stop and start. */
  postgres?: 'shared' | 'own';
  /** Of each host, beside the one named local. */
  pools?: SimulatedHostOptions['pools'];
  /** Of every control process that does not say otherwise. */
  hooks?: ControlHooks;
  /** Of its configuration, what is not as by default. */
  settings?: Partial<ControlConfiguration>;
  /** Where the log goes; BOTHY_TEST_LOG=debug shows it. */
  log?: Logger;
}

/** One control process. */
export class SimulatedControl {
  readonly #running: RunningControl;
  readonly #wires: Wire[];
  /** PostgreSQL as this control reaches it. */
  readonly databaseWire: Wire;
  readonly port: number;
  alive = true;
  #ended: Promise<void> = Promise.resolve();

  constructor(running: RunningControl, wires: { database: Wire; others: Wire[] }) {
    this.#running = running;
    this.databaseWire = wires.database;
    this.#wires = [wires.database, ...wires.others];
    this.port = running.port;
  }

  /** As kill -9. Its remains are swept up in the background, see `ended`. */
  kill(): void {
    if (!this.alive) return;
    this.alive = false;
    for (const wire of this.#wires) wire.cut();
    this.#ended = soon(this.#running.close());
  }

  async stop(): Promise<void> {
    if (!this.alive) return this.#ended;
    this.alive = false;
    await soon(this.#running.close());
    for (const wire of this.#wires) wire.cut();
  }

  get ended(): Promise<void> {
    return this.#ended;
  }
}

/** What is left of a dead process may wait for answers that never come. */
function soon(ending: Promise<void>): Promise<void> {
  return Promise.race([
    ending.catch(() => {}),
    new Promise<void>((resolve) => {
      setTimeout(resolve, 2000).unref();
    }),
  ]);
}

export class SimulatedCloud implements AsyncDisposable {
  readonly directory: string;
  readonly identity: SimulatedIdentity;
  /** The test's own eyes on the truth. */
  readonly database: Database;
  readonly northbound: FakeDatabase;
  readonly northd: FakeNorthd;
  readonly hosts: SimulatedHost[] = [];
  readonly controls: SimulatedControl[] = [];
  readonly port: number;
  readonly log: Logger;
  readonly #databaseUrl: string;
  readonly #stack: AsyncDisposableStack;
  readonly #northboundSocket: string;
  readonly #postgres: { stop(): Promise<void>; start(): Promise<void> } | undefined;
  readonly #settings: Partial<ControlConfiguration>;
  readonly #hooks: ControlHooks;
  #runs = 0;
  readonly #holder = newId();

  private constructor(parts: {
    directory: string;
    identity: SimulatedIdentity;
    databaseUrl: string;
    port: number;
    log: Logger;
    stack: AsyncDisposableStack;
    postgres: { stop(): Promise<void>; start(): Promise<void> } | undefined;
    settings: Partial<ControlConfiguration>;
    hooks: ControlHooks;
  }) {
    this.directory = parts.directory;
    this.identity = parts.identity;
    this.#databaseUrl = parts.databaseUrl;
    this.port = parts.port;
    this.log = parts.log;
    this.#stack = parts.stack;
    this.#postgres = parts.postgres;
    this.#settings = parts.settings;
    this.#hooks = parts.hooks;
    this.database = new Database({ url: new Secret(parts.databaseUrl), applicationName: 'test' });
    this.northbound = new FakeDatabase(northbound);
    this.northd = new FakeNorthd(this.northbound);
    this.#northboundSocket = join(parts.directory, 'nb.sock');
  }

  /** A cloud with its hosts connected, and one control. */
  static async start(options: SimulatedCloudOptions = {}): Promise<SimulatedCloud> {
    const stack = new AsyncDisposableStack();
    try {
      const directory = mkdtempSync(join(tmpdir(), 'bothy-sim-'));
      chmodSync(directory, 0o755);
      stack.defer(() => rmSync(directory, { recursive: true, force: true }));
      const postgres = options.postgres === 'own' ? await ownPostgres(directory, stack) : undefined;
      const databaseUrl = postgres?.url ?? (await sharedPostgres(stack));
      const identity = await simulatedIdentity(directory, options.hosts ?? 1);
      const log = options.log ?? pino({ level: process.env.BOTHY_TEST_LOG ?? 'silent' });
      const { settings = {}, hooks = {} } = options;
      const parts = { directory, identity, databaseUrl, port: await freePort(), log, stack, postgres, settings, hooks };
      const { pools } = options;
      const cloud = new SimulatedCloud(parts);
      await cloud.#begin(pools);
      return cloud;
    } catch (error) {
      await stack.disposeAsync();
      throw error;
    }
  }

  async #begin(pools: SimulatedCloudOptions['pools']): Promise<void> {
    const stack = this.#stack;
    stack.defer(() => this.database.close());
    const server = new FakeOvsdbServer([this.northbound]);
    await server.listen({ path: this.#northboundSocket });
    stack.defer(async () => {
      this.northd.close();
      await server.close();
    });
    stack.defer(async () => {
      await Promise.all(this.controls.map((control) => control.stop()));
    });
    for (const host of this.identity.hosts) await registerHost(this.database, host);
    await this.startControl();
    for (const host of this.identity.hosts) {
      const simulated = new SimulatedHost({
        ...host,
        cloudId: this.identity.cloudId,
        directory: join(this.directory, host.name),
        controlPort: this.port,
        streamPath: hostStreamPath,
        northd: this.northd,
        log: this.log,
        ...(pools && { pools }),
      });
      stack.defer(() => simulated.remove());
      this.hosts.push(simulated);
    }
    await Promise.all(this.hosts.map((host) => host.start()));
    await this.until('all hosts to be connected', async () => (await this.connectedHosts()) === this.hosts.length);
  }

  /** The control that serves the public port; with `beside` another one at a port of its own, on the same database. */
  async startControl(options: { beside?: boolean; hooks?: ControlHooks } = {}): Promise<SimulatedControl> {
    const name = `c${++this.#runs}`;
    const run = join(this.directory, name);
    mkdirSync(run, { recursive: true });
    const target = postgresTarget(this.#databaseUrl);
    const database = await Wire.open(join(run, '.s.PGSQL.5432'), target.connect);
    const nb = await Wire.open(join(run, 'nb.sock'), { path: this.#northboundSocket });
    const configuration = controlConfiguration(this.identity, {
      databaseUrl: `postgres://${target.user}@localhost/${target.database}?host=${encodeURIComponent(run)}`,
      northbound: `unix:${join(run, 'nb.sock')}`,
      port: this.port,
      logLevel: 'info',
      runDirectory: run,
    });
    const inner = { ...configuration, ...this.#settings, listen: { address: '127.0.0.1', port: 0 } };
    const running = await startControl(inner, this.log.child({ control: name }), {
      credentials: { lookEveryMs: 50 },
      // What cli/process/lease-holder.ts proves of processes: who serves the port comes after one that is dead.
      holder: options.beside ? newId() : this.#holder,
      observer: observer().dialect,
      ...this.#hooks,
      ...options.hooks,
    }).catch((error: unknown) => {
      for (const wire of [database, nb]) wire.cut();
      throw error;
    });
    const front = await Wire.openPort({ host: '127.0.0.1', port: running.port }, options.beside ? 0 : this.port);
    const control = new SimulatedControl({ ...running, port: front.port }, { database, others: [nb, front.wire] });
    this.controls.push(control);
    return control;
  }

  /** As its supervisor would: a start that fails is tried again. */
  async superviseControl(): Promise<SimulatedControl> {
    let started: SimulatedControl | undefined;
    await this.until('control to start', async () => {
      started = await this.startControl();
      return true;
    });
    return started!;
  }

  /** The newest control that lives. */
  get control(): SimulatedControl {
    const control = this.controls.findLast(({ alive }) => alive);
    if (!control) throw new Error('no control process lives');
    return control;
  }

  /** Kills the control and starts another in its place. */
  async replaceControl(): Promise<void> {
    this.control.kill();
    await this.startControl();
  }

  /** What a client of PostgreSQL is given to reach the database, past every control. */
  get databaseUrl(): string {
    return this.#databaseUrl;
  }

  get postgres(): { stop(): Promise<void>; start(): Promise<void> } {
    if (!this.#postgres)
      throw new Error("the database is shared with other tests; start the cloud with postgres: 'own'");
    return this.#postgres;
  }

  /** A client that is logged in, as the administrator where nobody is named. */
  async client({
    port = this.port,
    project = 'admin',
    user = { name: 'admin', password: this.identity.adminPassword },
  } = {}): Promise<OpenStack> {
    const client = new OpenStack({ authUrl: `https://127.0.0.1:${port}/identity/v3`, caFile: this.identity.ca });
    this.#stack.defer(() => client.close());
    return client.login({ ...user, project });
  }

  host(name: string): SimulatedHost {
    const host = this.hosts.find((candidate) => candidate.name === name || candidate.id === name);
    if (!host) throw new Error(`no host ${name}`);
    return host;
  }

  async connectedHosts(): Promise<number> {
    return this.count(sql`select count(*) as n from host where connected`);
  }

  async count(query: ReturnType<typeof sql>): Promise<number> {
    const { rows } = await query.execute(this.database.query);
    return Number((rows[0] as { n: number }).n);
  }

  /** Waits for a condition; an error in looking (the database is away) counts as not yet. */
  async until(what: string, condition: () => boolean | Promise<boolean>, timeoutMs = patienceMs): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    let error: unknown;
    for (;;) {
      try {
        if (await condition()) return;
        error = undefined;
      } catch (cause) {
        error = cause;
      }
      if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

async function sharedPostgres(stack: AsyncDisposableStack): Promise<string> {
  const db = stack.use(await testDatabase());
  return db.url.reveal();
}

async function ownPostgres(directory: string, stack: AsyncDisposableStack) {
  const options = simulatedPostgres(directory, { durable: false });
  const engine = postgresEngine(options);
  const start = async () => {
    await ensureEngine(engine, { logFile: join(directory, 'postgres.log') });
  };
  const stop = async () => {
    await stopEngine(engine);
  };
  stack.defer(stop);
  await start();
  const url = postgresUrl(options);
  await migrate({ url: new Secret(url) });
  return { url, start, stop };
}

function postgresTarget(url: string): { connect: NetConnectOpts; user: string; database: string } {
  const { host, port, user, database } = new pg.Client({ connectionString: url });
  const connect = host.startsWith('/') ? { path: join(host, `.s.PGSQL.${port}`) } : { host, port };
  return { connect, user: user ?? '', database: database ?? '' };
}
