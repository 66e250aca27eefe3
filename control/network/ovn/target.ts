/**
 * OVN's northbound database as a target of the projection kit: which units a change touches, what a unit's rows shall be,
 * what they are, and one OVSDB transaction that makes the one the other. Owns every row stamped `bothy:owner`, and touches
 * no other.
 */
import {
  type ColumnChange,
  type DatabaseSchema,
  type RowChange,
  type Transaction,
  TransactionError,
} from '../../../protocols/ovsdb/index.ts';
import type { Change } from '../../kit/change-log/changes.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { accountOf } from '../../kit/database/incarnation.ts';
import { Refused, type Target, type TargetEvents, TargetLost } from '../../kit/projection/index.ts';
import { type Actual, type ActualRow, ownerOf } from './actual.ts';
import { Astray } from './astray.ts';
import type { DesiredRow } from './desired.ts';
import { everything, gone } from './everything.ts';
import { Fence, type Lease } from './fence.ts';
import { ensureGlobalOptions, hasGlobalOptions } from './global-options.ts';
import { HostView } from './hosts.ts';
import { desiredRows } from './intent/index.ts';
import { expand, loadModel } from './load.ts';
import { largeGroup, mendPage } from './mend.ts';
import type { IndexedModel } from './model.ts';
import { followedIncarnation, followIncarnation, type Northbound, write } from './northbound.ts';
import { planUnit } from './plan.ts';
import { kindOf, phases, type Unit } from './units.ts';
import { concerns, Touched, touch } from './wakes.ts';

export interface NorthboundTargetOptions {
  db: Queryable;
  /** Reads that belong together (Database.together); absent: each by itself. */
  together?: <T>(work: (db: Queryable) => Promise<T>) => Promise<T>;
  client: Northbound;
  lease: Lease;
  actual: Actual;
  events: TargetEvents<Unit>;
  trouble?: () => string | null;
  close?: () => Promise<void>;
}

export class NorthboundTarget implements Target<Unit, IndexedModel, DesiredRow[], ActualRow[], Transaction> {
  readonly #options: NorthboundTargetOptions;
  readonly #db: Queryable;
  readonly #together: <T>(work: (db: Queryable) => Promise<T>) => Promise<T>;
  readonly #client: Fence;
  readonly #actual: Actual;
  readonly #hosts = new HostView();
  readonly #astray: Astray;
  /** Units that are being written: their changes in the copy are our own. */
  readonly #busy = new Set<Unit>();
  #mending = false;
  /** Counts plans: what each calls its new rows stays apart from the others', in one transaction. */
  #plans = 0;
  /** Units that the truth does not name, of another history of it: they stay until an administrator decides. */
  #kept: Set<Unit> | undefined;
  #settled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: NorthboundTargetOptions) {
    this.#options = options;
    this.#db = options.db;
    this.#together = options.together ?? ((work) => work(options.db));
    // Between the kit's question and a write, the lease may have run out.
    this.#client = new Fence(options.client, options.lease, () => options.events.mayWrite());
    this.#actual = options.actual;
    this.#astray = new Astray(options.actual);
  }

  get ready(): boolean {
    return this.#client.replica.complete;
  }
  get trouble(): string | null {
    return this.#options.trouble?.() ?? null;
  }

  /** As the projection itself writes: under its lease, or not at all. */
  get client(): Northbound {
    return this.#client;
  }

  get kept(): number {
    return this.#kept?.size ?? 0;
  }

  // --- which units ---------------------------------------------------------------------------------------------------

  concerns(change: Change): boolean {
    return concerns(change);
  }

  async touched(changes: readonly Change[]): Promise<Set<Unit>> {
    const touched = new Touched();
    const hosts = new Set(this.#hosts.due());
    for (const change of changes) {
      touch(touched, change);
      if (change.resource_type === 'host') {
        hosts.add(change.resource_id);
        if (change.action !== 'updated') touched.unit('host', change.resource_id);
      }
      for (const left of this.#left(change)) touched.units.add(left);
    }
    if (hosts.size > 0) await this.#refreshHosts([...hosts]);
    const units = await this.#together((db) => expand(db, touched));
    for (const name of await this.#hosts.routers(this.#db, this.#actual)) units.add(name);
    await this.#leaveKept(units, changes);
    return units;
  }

  /** What is kept is touched by a change of its own, not by one of its neighbours; and a decision lets go of all. */
  async #leaveKept(units: Set<Unit>, changes: readonly Change[]): Promise<void> {
    if (!this.#settled) await this.#settleKept();
    const kept = this.#kept;
    if (!kept) return;
    for (const { resource_type: type, resource_id: id } of changes) {
      if (type === 'accounted_incarnation') {
        for (const name of kept) units.add(name);
        kept.clear();
      } else kept.delete(`${type}/${id}` as Unit);
    }
    for (const name of units) if (kept.has(name)) units.delete(name);
  }

  /** A row may have moved to another router or host; the one that it left is known only from what stands there. */
  #left({ resource_type, resource_id, body, observed_only }: Change): Unit[] {
    const actual = this.#actual;
    if (observed_only) return [];
    switch (resource_type) {
      case 'floating_ip':
        return [actual.routerWith('NAT', `floating_ip/${resource_id}`) ?? []].flat();
      case 'port':
        return [actual.routerWith('Logical_Router_Port', resource_id) ?? [], actual.hostsLeadingTo(resource_id)].flat();
      case 'local_ip_association':
        return actual.hostsLeadingTo(String(body.fixed_port_id));
      default:
        return [];
    }
  }

  async *everything(): AsyncGenerator<readonly Unit[]> {
    await this.#client.take();
    await ensureGlobalOptions(this.#client);
    await this.#settleKept();
    await this.#refreshHosts('all');
    this.#actual.measureGroups(largeGroup);
    yield* everything(this.#db, this.#actual, { keepGone: this.#kept !== undefined });
  }

  async #settleKept(): Promise<void> {
    const kept = (await this.#keepsUnaccounted()) ? new Set<Unit>() : undefined;
    if (kept) for await (const units of gone(this.#db, this.#actual)) for (const name of units) kept.add(name);
    this.#kept = kept;
    this.#settled = true;
  }

  /** The rows follow another history of the database than the present one, and nobody has decided on the difference. */
  async #keepsUnaccounted(): Promise<boolean> {
    const account = await accountOf(this.#db);
    if (!account) return false;
    const { incarnation, accounted } = account;
    const followed = followedIncarnation(this.#client);
    if (followed === incarnation) return false;
    if (followed !== undefined && !accounted) return true;
    await followIncarnation(this.#client, incarnation);
    return false;
  }

  async #refreshHosts(ids: readonly string[] | 'all'): Promise<void> {
    await this.#hosts.refresh(this.#db, ids);
    this.#awaitGrace();
  }

  #awaitGrace(): void {
    clearTimeout(this.#timer);
    const dueAt = this.#hosts.dueAt;
    if (dueAt === undefined) return;
    const look = () => {
      // Timers count from when their turn of the event loop began: this one may be early, and a look that finds none due would be the last.
      if (this.#hosts.due().length === 0) this.#awaitGrace();
      else this.#options.events.look();
    };
    this.#timer = setTimeout(look, Math.max(50, dueAt - performance.now())).unref();
  }

  // --- what they shall be and are ------------------------------------------------------------------------------------

  phaseOf(name: Unit): number {
    return phases.indexOf(kindOf(name));
  }

  async load(units: readonly Unit[]): Promise<IndexedModel> {
    if (!this.#hosts.loaded) await this.#refreshHosts('all');
    return this.#together((db) => loadModel(db, units, this.#hosts.set));
  }

  desired(model: IndexedModel, name: Unit): DesiredRow[] {
    return desiredRows(model, name);
  }

  actual(name: Unit): ActualRow[] {
    // While the copy is not complete nothing is known to be missing.
    if (!this.ready) throw new TargetLost('OVN: the copy of the northbound database is not complete');
    return this.#actual.rowsOf(name);
  }

  difference(name: Unit, desired: readonly DesiredRow[], present: readonly ActualRow[]): Transaction | undefined {
    const transaction = this.#client.transaction(`p${this.#plans++}_`);
    planUnit({ transaction, schema: this.#schema, actual: this.#actual, owner: name }, desired, present);
    return transaction.empty ? undefined : transaction;
  }

  get #schema(): DatabaseSchema {
    return this.#client.schema;
  }

  async apply(parts: ReadonlyMap<Unit, Transaction>): Promise<void> {
    const whole = this.#client.transaction();
    whole.include(parts.values());
    const [first] = parts.keys();
    whole.comment(`bothy: ${first}${parts.size > 1 ? ` and ${parts.size - 1} more` : ''}`);
    for (const name of parts.keys()) this.#busy.add(name);
    try {
      await write(this.#client, whole);
    } catch (error) {
      throw error instanceof TransactionError ? new Refused(error.message, { cause: error }) : error;
    } finally {
      for (const name of parts.keys()) this.#busy.delete(name);
    }
  }

  mend(units: readonly Unit[]): Promise<number> {
    return this.#mend(() => mendPage(this.#client, this.#actual, units));
  }

  mendTold(): Promise<number> {
    return this.#mend(() => this.#astray.mend(this.#client));
  }

  async #mend(work: () => Promise<number>): Promise<number> {
    this.#mending = true;
    try {
      return await work();
    } finally {
      this.#mending = false;
    }
  }

  // --- what others do ------------------------------------------------------------------------------------------------

  /** Of the copy. */
  changed(changes: readonly RowChange[]): void {
    const { events } = this.#options;
    const disturbed = new Set<Unit>();
    for (const { table, before, after } of changes) {
      if (table === 'NB_Global') {
        if (!after || (before && hasGlobalOptions(before) && !hasGlobalOptions(after))) events.renewed();
        continue;
      }
      for (const row of [before, after]) {
        const owner = row && ownerOf(row);
        if (owner && !this.#busy.has(owner) && !this.#kept?.has(owner) && !onlyObserved(before, after))
          disturbed.add(owner);
      }
    }
    if (disturbed.size > 0) events.disturbed(disturbed);
  }

  /** Of the columns that are not copied. */
  held(changes: readonly ColumnChange[]): void {
    if (this.#mending) return;
    const isLeft = (name: Unit) => this.#busy.has(name) || this.#kept?.has(name) === true;
    if (this.#astray.note(this.#client, changes, isLeft)) this.#options.events.disturbed([]);
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#options.close?.();
  }
}

/** northd writes `up` and the counters; that is news for others, not a change of what we own. */
function onlyObserved(before: RowChange['before'], after: RowChange['after']): boolean {
  if (!before || !after) return false;
  return Object.keys(after).every((column) => column === 'up' || before[column] === after[column]);
}
