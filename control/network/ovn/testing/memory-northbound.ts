/** A northbound database without a socket: the fake's commits go straight into the copy, as the wire would bring them. */
import { checkResults, type Operation, OvsdbError, Replica, Transaction } from '../../../../protocols/ovsdb/index.ts';
import type { TableUpdates2 } from '../../../../protocols/ovsdb/replica.ts';
import { FakeDatabase, northbound } from '../../../../simulator/ovsdb/index.ts';
import { Monitor } from '../../../../simulator/ovsdb/monitor.ts';
import type { TargetEvents } from '../../../kit/projection/index.ts';
import { Actual, monitored } from '../actual.ts';
import { stamps } from '../desired.ts';
import type { Lease } from '../fence.ts';
import type { Northbound } from '../northbound.ts';
import type { Unit } from '../units.ts';

export class MemoryNorthbound implements Northbound {
  readonly database = new FakeDatabase(northbound);
  readonly replica = new Replica(monitored);
  readonly actual = new Actual(this.replica);
  readonly schema = this.database.schema;
  /** Operations of each transaction so far. */
  readonly sent: (readonly Operation[])[] = [];

  constructor() {
    const monitor = new Monitor(this.database, this.replica.requests(this.schema));
    this.replica.load(monitor.snapshot() as TableUpdates2);
    this.database.onCommit((changes) => {
      const updates = monitor.updates(changes);
      if (updates) this.replica.update(updates as TableUpdates2);
    });
  }

  transaction(prefix?: string): Transaction {
    return new Transaction(this.schema, prefix);
  }

  async transact(work: Transaction | readonly Operation[]) {
    const operations = work instanceof Transaction ? work.operations : work;
    this.sent.push(operations);
    if (operations.length === 0) throw new OvsdbError('protocol', 'an empty transaction was sent');
    return checkResults(operations, await this.database.transact([...operations]));
  }
}

/**
 * All rows, without UUIDs: equal dumps mean equal clouds. Rows are named by owner and key; what holds them and what
 * they refer to is in it, and so is a row that is there twice.
 */
export function dump(nb: FakeDatabase): string[] {
  const name = new Map<string, string>();
  for (const table of nb.schema.tables.keys()) {
    for (const row of nb.rows(table).values()) {
      const ids = (row.external_ids ?? {}) as Record<string, string>;
      name.set(row._uuid, `${table}:${ids[stamps.owner]}:${ids[stamps.key]}`);
    }
  }
  const lines: string[] = [];
  for (const table of nb.schema.tables.keys()) {
    if (table === 'NB_Global') continue;
    for (const row of nb.rows(table).values()) {
      const { _uuid, _version, up, ...columns } = row;
      const text = JSON.stringify(columns, (_key, value) => {
        if (Array.isArray(value)) return value.map((v) => name.get(v) ?? v).sort();
        return typeof value === 'string' ? (name.get(value) ?? value) : value;
      });
      lines.push(`${name.get(_uuid)} ${text}`);
    }
  }
  return lines.sort();
}

/** Of one that leads alone. */
export class AloneLease implements Lease {
  epoch = 1;
  async raise(above: number): Promise<void> {
    this.epoch = Math.max(this.epoch, above + 1);
  }
}

/** For a target that nobody else writes to and that tells nobody. */
export const alone: TargetEvents<Unit> = {
  mayWrite: () => true,
  renewed: () => {},
  disturbed: () => {},
  look: () => {},
};
