/**
 * Keeps OVN's northbound database equal to what the truth says. It owns every row stamped `bothy:owner` there, and
 * touches no other.
 *
 * A change in the log names units; their whole state is read from PostgreSQL, compared with the copy of the northbound
 * database and what differs is written, one transaction for each unit. All units are gone through when a connection
 * begins and once a minute: that is the same code, so an emptied database is rebuilt and drift repaired by the normal
 * path. A change that someone else makes to our rows wakes us at once.
 *
 * If the process dies between two transactions, the next holder of the lease finds what is missing by content.
 */
import type { Logger } from 'pino';
import { newId } from '../../../contract/ids.ts';
import {
  configReached,
  OvsdbClient,
  type RowChange,
  raiseConfig,
  type TlsFiles,
} from '../../../protocols/ovsdb/index.ts';
import type { Change, ChangeFeed } from '../../kit/change-log/changes.ts';
import type { Database } from '../../kit/database/database.ts';
import { Leadership, type LeaseTiming } from '../../kit/leadership/index.ts';
import { Actual, monitored, ownerOf } from './actual.ts';
import { hostGraceMs } from './intent/gateway.ts';
import { expand, loadModel } from './load.ts';
import { ensureGlobal, isWaiting, mendGroups, type Projection, runPass, type UnitOutcome } from './pass.ts';
import { PortStatus } from './port-status.ts';
import type { PassStatus, ProjectionStatus } from './status.ts';
import {
  dropUnit,
  hostDigest,
  isTouched,
  mergeTouched,
  nothingTouched,
  type Touched,
  touch,
  type Unit,
  unit,
} from './units.ts';
import { WorkList } from './work-list.ts';

export interface ProjectorOptions {
  database: Database;
  feed: Pick<ChangeFeed, 'subscribe'>;
  log: Logger;
  northbound: { target: string | readonly string[]; tls?: TlsFiles };
  fullPassMs?: number;
  /** For tests. */
  leaseTiming?: Partial<LeaseTiming>;
}

/** After a failure to reach PostgreSQL or OVN. */
const retryMs = 500;

export class Projector {
  readonly #options: ProjectorOptions;
  readonly #log: Logger;
  readonly #leadership: Leadership;
  readonly #work = new WorkList();
  readonly #busy = new Set<Unit>();
  readonly #hosts = new Map<string, string>();
  #touched: Touched = nothingTouched();
  #since: Date | undefined;
  #client: OvsdbClient | undefined;
  #actual: Actual | undefined;
  #portStatus: PortStatus | undefined;
  #unsubscribe: () => void = () => {};
  #fullDue = false;
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #fullTimer: NodeJS.Timeout | undefined;
  #stopped = false;
  #connectedAt = new Date(0);
  #closing: Promise<void> = Promise.resolve();
  readonly #status = {
    connectionError: null as string | null,
    databaseError: null as string | null,
    lastPass: null as PassStatus | null,
    lastFullPass: null as PassStatus | null,
    lagMs: null as number | null,
    drift: 0,
  };

  constructor(options: ProjectorOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#leadership = new Leadership({
      database: options.database,
      role: 'network projection',
      holder: newId(),
      ...(options.leaseTiming && { timing: options.leaseTiming }),
      onGain: () => this.#gain(),
      onLose: () => this.#lose(),
    });
  }

  start(): void {
    this.#leadership.start();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#leadership.stop();
    this.#lose();
    await this.#closing;
    await this.#running;
  }

  status(): ProjectionStatus {
    return {
      role: this.#leadership.held ? 'leader' : 'standby',
      connected: this.#client?.replica.complete === true,
      pending: this.#work.size,
      failures: this.#work.failures,
      ...this.#status,
    };
  }

  /**
   * Resolves when the present truth of the units is in the northbound database and all hypervisors have it. Rejects at
   * the deadline, and where this process is not the one that projects.
   */
  async reached(units: readonly Unit[], options: { timeoutMs: number }): Promise<void> {
    const client = this.#client;
    if (!client) throw new Error('this control process does not project: another one holds the lease');
    const signal = AbortSignal.timeout(options.timeoutMs);
    const done = this.#work.done(units, signal);
    this.#wake();
    await done;
    const transaction = client.transaction();
    const number = raiseConfig(transaction);
    const results = await client.transact(transaction);
    await configReached(client, number(results), { timeoutMs: options.timeoutMs, signal });
  }

  // --- holding the lease ---------------------------------------------------------------------------------------------

  #gain(): void {
    if (this.#stopped) return;
    const { database, feed, northbound } = this.#options;
    const client = new OvsdbClient({
      target: northbound.target,
      database: 'OVN_Northbound',
      monitor: monitored,
      ...(northbound.tls ? { tls: northbound.tls } : {}),
      onState: (state) => {
        if (state.connected) this.#log.info({ target: state.target }, 'ovn: connected to the northbound database');
        else if (this.#status.connectionError === null) {
          this.#log.warn({ err: state.error }, 'ovn: no connection to the northbound database, will try again');
        }
        this.#status.connectionError = state.connected ? null : state.error.message;
      },
    });
    this.#client = client;
    this.#actual = new Actual(client.replica);
    this.#portStatus = new PortStatus({ database, log: this.#log });
    client.replica.listen({
      complete: () => {
        this.#connectedAt = new Date();
        this.#portStatus?.all(client.replica);
        this.#fullPassNow();
      },
      changed: (changes) => {
        this.#portStatus?.changed(changes);
        this.#noticeOthers(changes);
      },
    });
    this.#unsubscribe = feed.subscribe((changes) => this.#notice(changes));
    this.#fullTimer = setInterval(() => this.#fullPassNow(), this.#options.fullPassMs ?? 60_000).unref();
    client.start();
    this.#log.info('ovn: this process projects the network');
  }

  #lose(): void {
    const [client, portStatus] = [this.#client, this.#portStatus];
    if (!client) return;
    this.#log.info('ovn: this process no longer projects the network');
    this.#unsubscribe();
    clearInterval(this.#fullTimer);
    clearTimeout(this.#timer);
    this.#client = undefined;
    this.#actual = undefined;
    this.#portStatus = undefined;
    this.#work.clear();
    this.#hosts.clear();
    this.#touched = nothingTouched();
    this.#fullDue = false;
    this.#closing = Promise.all([this.#closing, client.stop(), portStatus?.stop()]).then(() => {});
  }

  // --- what wakes ----------------------------------------------------------------------------------------------------

  #notice(changes: readonly Change[]): void {
    for (const change of changes) {
      touch(this.#touched, change);
      if (change.resource_type === 'host') this.#hostChanged(change);
      this.#forgotten(change);
      if (!this.#since || change.at < this.#since) this.#since = change.at;
    }
    this.#wake();
  }

  /** A row may have moved to another router; the one that it left is known only from the northbound database. */
  #forgotten({ resource_type, resource_id }: Change): void {
    if (!this.#actual || this.#client?.replica.complete !== true) return;
    const router =
      resource_type === 'floating_ip'
        ? this.#actual.routerWith('NAT', `floating_ip/${resource_id}`)
        : resource_type === 'port'
          ? this.#actual.routerWith('Logical_Router_Port', resource_id)
          : undefined;
    if (router) this.#work.add(router);
  }

  #hostChanged({ resource_id: id, action, body }: Change): void {
    const digest = action === 'deleted' ? '' : hostDigest(body);
    if (this.#hosts.get(id) === digest) return;
    this.#hosts.set(id, digest);
    const lookAgain = () => {
      this.#touched.gatewayRouters = true;
      this.#wake();
    };
    lookAgain();
    // A host that fell silent counts as alive for a while; when that is over its gateways move.
    setTimeout(lookAgain, hostGraceMs + 100).unref();
  }

  #noticeOthers(changes: readonly RowChange[]): void {
    for (const { table, before, after } of changes) {
      if (table === 'NB_Global' && !after) this.#fullDue = true;
      if (table === 'NB_Global') continue;
      for (const row of [before, after]) {
        const owner = row && ownerOf(row);
        if (owner && !this.#busy.has(owner) && !onlyObserved(before, after)) this.#work.add(owner);
      }
    }
    this.#wake();
  }

  #fullPassNow(): void {
    this.#fullDue = true;
    this.#wake();
  }

  // --- the loop: one pass at a time ----------------------------------------------------------------------------------

  #wake(): void {
    if (this.#running || this.#stopped) return;
    if (!this.#client?.replica.complete) return;
    clearTimeout(this.#timer);
    this.#running = this.#loop().finally(() => {
      this.#running = undefined;
    });
  }

  async #loop(): Promise<void> {
    // Changes of one transaction arrive together; those of a burst soon after each other.
    await Promise.resolve();
    while (!this.#stopped && this.#leadership.held && this.#client?.replica.complete && this.#hasWork()) {
      try {
        if (this.#fullDue) await this.#fullPass();
        else await this.#changedPass();
        this.#status.databaseError = null;
      } catch (err) {
        if (!this.#leadership.held || !this.#client?.replica.complete) return;
        this.#status.databaseError = err instanceof Error ? err.message : String(err);
        this.#log.warn({ err }, 'ovn: a pass failed, will try again');
        return this.#wakeIn(retryMs);
      }
    }
    const next = this.#work.nextAttempt();
    if (next) this.#wakeIn(Math.max(10, next.getTime() - Date.now()));
  }

  #hasWork(): boolean {
    const due = this.#work.nextAttempt();
    return this.#fullDue || this.#work.size > 0 || isTouched(this.#touched) || (due ? due <= new Date() : false);
  }

  #wakeIn(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#wake(), ms);
    this.#timer.unref();
  }

  async #fullPass(): Promise<void> {
    const started = new Date();
    const actual = this.#actual!;
    const first = this.#status.lastFullPass === null || this.#status.lastFullPass.at < this.#connectedAt;
    this.#fullDue = false;
    const taken = this.#work.take(new Date());
    const [touched, since] = this.#takeTouched();
    try {
      await ensureGlobal(this.#projection());
      const expected = new Set([...taken.keys(), ...(await expand(this.#options.database.query, touched))]);
      const model = await loadModel(this.#options.database.query, 'all');
      const units = new Set<Unit>([dropUnit, ...actual.owners(), ...expected]);
      for (const id of model.networks.keys()) units.add(unit('network', id));
      for (const id of model.securityGroups.keys()) units.add(unit('security_group', id));
      for (const id of model.ports.keys()) units.add(unit('port', id));
      for (const id of model.routers.keys()) units.add(unit('router', id));
      const outcomes = await runPass(this.#projection(), model, units, this.#busy);
      const members = await mendGroups(this.#projection());
      this.#record('full', started, since, outcomes);
      const drifted = outcomes.filter(({ unit: name, changes }) => changes && !expected.has(name));
      if (!first) this.#reportDrift(drifted, members);
    } catch (error) {
      this.#fullDue = true;
      this.#work.putBack(taken);
      this.#restoreTouched(touched, since);
      throw error;
    }
  }

  async #changedPass(): Promise<void> {
    const started = new Date();
    const taken = this.#work.take(started);
    const [touched, since] = this.#takeTouched();
    try {
      const units = new Set([...taken.keys(), ...(await expand(this.#options.database.query, touched))]);
      if (units.size === 0) return;
      const model = await loadModel(this.#options.database.query, units);
      this.#record('changes', started, since, await runPass(this.#projection(), model, units, this.#busy));
    } catch (error) {
      this.#work.putBack(taken);
      this.#restoreTouched(touched, since);
      throw error;
    }
  }

  #projection(): Projection {
    return { client: this.#client!, actual: this.#actual!, mayWrite: () => this.#leadership.held };
  }

  #takeTouched(): [Touched, Date | undefined] {
    const taken: [Touched, Date | undefined] = [this.#touched, this.#since];
    this.#touched = nothingTouched();
    this.#since = undefined;
    return taken;
  }

  #restoreTouched(touched: Touched, since: Date | undefined): void {
    this.#touched = mergeTouched(touched, this.#touched);
    this.#since = since ?? this.#since;
  }

  #record(kind: PassStatus['kind'], started: Date, since: Date | undefined, outcomes: readonly UnitOutcome[]): void {
    let [changed, failed] = [0, 0];
    for (const { unit: name, changes, error } of outcomes) {
      if (error === undefined) this.#work.succeeded(name);
      else {
        failed++;
        this.#failed(name, error);
      }
      if (!changes) continue;
      changed++;
      this.#log.debug({ unit: name, ...changes }, 'ovn: projected');
    }
    const now = Date.now();
    const pass = { kind, at: started, ms: now - started.getTime(), units: outcomes.length, changed, failed };
    this.#status.lastPass = pass;
    if (kind === 'full') this.#status.lastFullPass = pass;
    if (since) this.#status.lagMs = Math.max(0, now - since.getTime());
    if (changed > 0 || failed > 0) this.#log.info(pass, 'ovn: pass');
  }

  #failed(name: Unit, error: unknown): void {
    const { attempts, nextAttemptAt } = this.#work.failed(name, error, new Date());
    // What it waits for goes first; it then has its turn by its own pause.
    if (isWaiting(error)) this.#work.add(error.unit);
    const level = isWaiting(error) && attempts < 3 ? 'debug' : 'warn';
    this.#log[level]({ err: error, unit: name, attempts, nextAttemptAt }, 'ovn: a unit failed, will try again');
  }

  #reportDrift(drifted: readonly UnitOutcome[], members: number): void {
    if (drifted.length === 0 && members === 0) return;
    this.#status.drift += drifted.length + members;
    const some = drifted.slice(0, 20).map(({ unit: name }) => name);
    this.#log.warn({ units: drifted.length, some, members }, 'ovn: drift in the northbound database was repaired');
  }
}

/** northd writes `up` and the counters; that is news for others, not a change of what we own. */
function onlyObserved(before: RowChange['before'], after: RowChange['after']): boolean {
  if (!before || !after) return false;
  return Object.keys(after).every((column) => column === 'up' || before[column] === after[column]);
}
