/**
 * Brings `up` of the logical switch ports back into port.observed_up. Gathers what changed and writes it in one
 * statement; what fails is written with the next round, and the whole is compared after each new connection.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Replica, RowChange } from '../../../protocols/ovsdb/index.ts';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { rowsOf } from '../../kit/database/one-of.ts';
import { Turn } from '../../kit/projection/index.ts';
import { portStatus } from './actual.ts';

const gatherMs = 5;
const retryMs = 1000;
const chunk = 2000;

/** Writes only rows that differ, so that nothing is logged that did not change. */
async function recordPortsUp(database: Database, ports: ReadonlyMap<string, boolean>): Promise<void> {
  const entries = [...ports];
  for (let at = 0; at < entries.length; at += chunk) {
    const part = entries.slice(at, at + chunk);
    const [ids, ups] = [part.map(([id]) => id), part.map(([, up]) => up)];
    await database.transaction(cloudActor, (tx) =>
      sql`
        update port set observed_up = seen.up, updated_at = now()
        from ${rowsOf({ values: ids, type: 'uuid' }, { values: ups, type: 'boolean' })} as seen (id, up)
        where port.id = seen.id and port.observed_up <> seen.up`.execute(tx),
    );
  }
}

export class PortStatus {
  readonly #database: Database;
  readonly #log: Logger;
  #seen = new Map<string, boolean>();
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: { database: Database; log: Logger }) {
    this.#database = options.database;
    this.#log = options.log;
  }

  /** What changes meanwhile is told by `changed` and read here as it is by then. */
  async all(replica: Replica): Promise<void> {
    const turn = new Turn();
    for (const row of replica.rows('Logical_Switch_Port').values()) {
      const status = portStatus(row);
      if (status) this.#note(status.id, status.up);
      if (turn.over) await turn.rest();
      if (this.#stopped) return;
    }
  }

  changed(changes: readonly RowChange[]): void {
    for (const { table, before, after } of changes) {
      if (table !== 'Logical_Switch_Port') continue;
      const [was, is] = [before && portStatus(before), after && portStatus(after)];
      if (is && (!was || was.up !== is.up)) this.#note(is.id, is.up);
      else if (was?.up && !after) this.#note(was.id, false);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.#seen.clear();
    await this.#writing;
  }

  #note(id: string, up: boolean): void {
    this.#seen.set(id, up);
    this.#schedule(gatherMs);
  }

  #schedule(ms: number): void {
    if (this.#stopped) return;
    this.#timer ??= setTimeout(() => {
      this.#writing = this.#write();
    }, ms);
  }

  async #write(): Promise<void> {
    const seen = this.#seen;
    this.#seen = new Map();
    try {
      await recordPortsUp(this.#database, seen);
      this.#timer = undefined;
      if (this.#seen.size > 0) this.#schedule(gatherMs);
    } catch (err) {
      this.#log.warn({ err, ports: seen.size }, 'ovn: recording the state of ports failed, will try again');
      this.#seen = new Map([...seen, ...this.#seen]);
      this.#timer = undefined;
      this.#schedule(retryMs);
    }
  }
}
