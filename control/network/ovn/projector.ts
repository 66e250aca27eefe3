/**
 * The projection of the network: the kit's loop with OVN's northbound database as its target. Owns the connection while
 * this process leads, and brings `up` of the ports back into the truth.
 *
 * If the process dies between two transactions, the next holder of the lease finds what is missing by content.
 */
import type { Logger } from 'pino';
import { newId } from '../../../contract/ids.ts';
import { configReached, OvsdbClient, raiseConfig, type TlsFiles } from '../../../protocols/ovsdb/index.ts';
import type { ChangeFeed } from '../../kit/change-log/changes.ts';
import type { Database } from '../../kit/database/database.ts';
import { Leadership, type LeaseTiming } from '../../kit/leadership/index.ts';
import { Projection, type ProjectionStatus, type TargetEvents } from '../../kit/projection/index.ts';
import { Actual, monitored } from './actual.ts';
import { holdingColumns } from './astray.ts';
import { featuresOf, type OvnFeatures } from './features.ts';
import type { Northbound } from './northbound.ts';
import { PortStatus } from './port-status.ts';
import { NorthboundTarget } from './target.ts';
import type { Unit } from './units.ts';

export interface ProjectorOptions {
  database: Database;
  feed: Pick<ChangeFeed, 'subscribe'>;
  log: Logger;
  northbound: { target: string | readonly string[]; tls?: TlsFiles };
  fullPassMs?: number;
  /** The name under which it leads, see kit/leadership; absent: one of its own. */
  holder?: string;
  /** For tests. */
  leaseTiming?: Partial<LeaseTiming>;
}

export class Projector {
  readonly #options: ProjectorOptions;
  readonly #projection: Projection<Unit>;
  #northbound: Northbound | undefined;
  #leadership: Leadership | undefined;

  constructor(options: ProjectorOptions) {
    this.#options = options;
    const { database, feed, log, fullPassMs, holder = newId(), leaseTiming: timing } = options;
    this.#projection = new Projection<Unit>({
      ...{ name: 'ovn', log, feed, open: (events) => this.#open(events) },
      ...(fullPassMs === undefined ? {} : { fullPassMs }),
      leadership: (events) => {
        const lease = { database, role: 'network projection', holder, ...(timing && { timing }) };
        this.#leadership = new Leadership({ ...lease, ...events });
        return this.#leadership;
      },
    });
  }

  start(): void {
    this.#projection.start();
  }

  stop(): Promise<void> {
    return this.#projection.stop();
  }

  status(): ProjectionStatus {
    return this.#projection.status();
  }

  /** What the OVN can do that is there; undefined where this process is not the one that projects, or has not seen it yet. */
  features(): OvnFeatures | undefined {
    const client = this.#northbound;
    if (!client?.replica.complete) return undefined;
    const [global] = client.replica.rows('NB_Global').values();
    return featuresOf(client.schema, global);
  }

  /**
   * Resolves when the present truth of the units is in the northbound database and all hypervisors have it. Rejects at
   * the deadline, and where this process is not the one that projects.
   */
  async reached(units: readonly Unit[], { timeoutMs }: { timeoutMs: number }): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    await this.#projection.reached(units, { timeoutMs });
    const client = this.#northbound;
    if (!client) throw new Error('ovn: this control process no longer projects');
    const transaction = client.transaction();
    const number = raiseConfig(transaction);
    const results = await client.transact(transaction);
    await configReached(client, number(results), { timeoutMs, signal });
  }

  #open(events: TargetEvents<Unit>): NorthboundTarget {
    const { database, northbound, log } = this.#options;
    let trouble: string | null = null;
    const client = new OvsdbClient({
      target: northbound.target,
      database: 'OVN_Northbound',
      monitor: monitored,
      watch: { columns: holdingColumns, changed: (changes) => target.held(changes) },
      ...(northbound.tls ? { tls: northbound.tls } : {}),
      onState: (state) => {
        if (state.connected) log.info({ target: state.target }, 'ovn: connected to the northbound database');
        else if (trouble === null) {
          log.warn({ err: state.error }, 'ovn: no connection to the northbound database, will try again');
        }
        trouble = state.connected ? null : state.error.message;
      },
    });
    const portStatus = new PortStatus({ database, log });
    const target = new NorthboundTarget({
      db: database.query,
      // In one round trip for what does not depend on each other, and by one connection: what others have to plan anew after each pause is at hand.
      together: (work) => database.together(work, { plannedOnce: true }),
      ...{ client, lease: this.#leadership!, actual: new Actual(client.replica), events },
      trouble: () => trouble,
      close: async () => {
        if (this.#northbound === target.client) this.#northbound = undefined;
        await Promise.all([client.stop(), portStatus.stop()]);
      },
    });
    client.replica.listen({
      complete: () => {
        void portStatus.all(client.replica);
        events.renewed();
      },
      changed: (changes) => {
        portStatus.changed(changes);
        target.changed(changes);
      },
    });
    this.#northbound = target.client;
    client.start();
    return target;
  }
}
