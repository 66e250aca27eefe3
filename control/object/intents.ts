/**
 * The intents of this process: its right to write blobs for a while (migrations/1181-object-intent.sql). One at a time is written under; after some minutes the next
 * one is, and the old one is closed as soon as nobody writes under it any more. An idle process has none.
 *
 * Owns a timer. If the process dies its intent runs out, and whoever looks closes it.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { CloudError, hasReason } from '../../contract/errors.ts';
import type { ObjectIntentId } from '../../contract/ids.ts';
import { newId } from '../../contract/ids.ts';
import { type Database, sqlState } from '../kit/database/database.ts';

export interface IntentTimes {
  /** How long it is good for without being renewed. */
  leaseMs: number;
  /** How long it is used. */
  useMs: number;
}

const intentTimes: IntentTimes = { leaseMs: 90_000, useMs: 300_000 };

/** An intent that is being written under; released once its blobs are in a transaction, or given up. */
export interface Hold {
  intent: ObjectIntentId;
  release(): void;
}

interface Own {
  id: ObjectIntentId;
  begun: number;
  holders: number;
  /** Where there is a row that says that something may lie there. */
  disks: Map<string, Promise<void>>;
}

export class Intents {
  readonly #database: Database;
  readonly #log: Logger;
  readonly #holder: string;
  readonly #times: IntentTimes;
  #current: Promise<Own> | undefined;
  readonly #owned = new Set<Own>();
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: { database: Database; log: Logger; holder: string; times?: IntentTimes }) {
    this.#database = options.database;
    this.#log = options.log;
    this.#holder = options.holder;
    this.#times = options.times ?? intentTimes;
  }

  /** Good for writing so many blobs to these disks: a hold for each, of one intent. */
  async hold(disks: readonly string[], count = 1): Promise<Hold[]> {
    return this.#hold(disks, count).catch((error) => {
      // Nothing was written yet: the next one will do.
      if (hasReason(error, 'object_intent_closed')) return this.#hold(disks, count);
      throw error;
    });
  }

  async #hold(disks: readonly string[], count: number): Promise<Hold[]> {
    const own = await this.#open();
    // In the turn that it was found in: nobody closes it any more.
    own.holders += count;
    try {
      for (const disk of disks) await this.#announce(own, disk);
    } catch (error) {
      own.holders -= count;
      throw error;
    }
    return Array.from({ length: count }, () => holdOn(own));
  }

  /** It turned out to be closed: the next is another. */
  lost(intent: string): void {
    for (const own of this.#owned) {
      if (own.id !== intent) continue;
      this.#owned.delete(own);
      this.#current = undefined;
    }
  }

  /** Closes what is not written under; what is runs out. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#current = undefined;
    await this.#close().catch(() => {});
  }

  #open(): Promise<Own> {
    this.#current ??= this.#begin().catch((error) => {
      this.#current = undefined;
      throw error;
    });
    return this.#current;
  }

  async #begin(): Promise<Own> {
    const own: Own = { id: newId<ObjectIntentId>(), begun: performance.now(), holders: 0, disks: new Map() };
    await sql`insert into object_intent (id, holder, deadline) values (${own.id}, ${this.#holder}, ${this.#deadline()})`.execute(
      this.#database.query,
    );
    this.#owned.add(own);
    this.#timer ??= this.#stopped ? undefined : setInterval(() => void this.#tick(), this.#times.leaseMs / 4).unref();
    return own;
  }

  #announce(own: Own, disk: string): Promise<void> {
    const known = own.disks.get(disk);
    if (known) return known;
    // To be looked at from now on, though not before it is closed: whoever closes it meanwhile may not see this row.
    const announced = sql`insert into object_intent_disk (intent_id, disk_id, look_at)
      select id, ${disk}::uuid, now() from object_intent where id = ${own.id} and state = 'open'
      on conflict (intent_id, disk_id) do update set look_at = now() returning intent_id`
      .execute(this.#database.query)
      .then(
        ({ rows }) => {
          if (rows.length > 0) return;
          // Nobody would look for what is written under it.
          this.lost(own.id);
          throw new CloudError('unavailable', 'object_intent_closed', {});
        },
        (error) => {
          // The disk has left with its host since it was chosen: what was to be written is written elsewhere.
          throw sqlState(error) === '23503' ? new CloudError('unavailable', 'object_intent_closed', {}) : error;
        },
      );
    own.disks.set(disk, announced);
    announced.catch(() => own.disks.delete(disk));
    return announced;
  }

  #deadline() {
    return sql`now() + ${this.#times.leaseMs}::double precision * interval '1 millisecond'`;
  }

  async #tick(): Promise<void> {
    try {
      const current = await this.#current;
      if (current && performance.now() - current.begun > this.#times.useMs) this.#current = undefined;
      await this.#close();
      const ids = [...this.#owned].map(({ id }) => id);
      if (ids.length === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
        return;
      }
      const { rows } = await sql<{ id: string }>`update object_intent set deadline = ${this.#deadline()}
        where id = any(${ids}::uuid[]) and state = 'open' returning id`.execute(this.#database.urgent);
      const open = new Set(rows.map(({ id }) => id));
      for (const id of ids) if (!open.has(id)) this.lost(id);
    } catch (error) {
      this.#log.warn({ err: error }, 'object intents: could not be renewed, will be tried again');
    }
  }

  /** Those that are written under no more and that no new writer gets. */
  async #close(): Promise<void> {
    const current = await this.#current?.catch(() => undefined);
    const done = [...this.#owned].filter((own) => own !== current && own.holders === 0);
    if (done.length === 0) return;
    await closeIntents(
      this.#database,
      done.map(({ id }) => id),
    );
    for (const own of done) this.#owned.delete(own);
  }
}

function holdOn(own: Own): Hold {
  let held = true;
  return {
    intent: own.id,
    release() {
      if (held) own.holders--;
      held = false;
    },
  };
}

/** From now on nothing of theirs becomes visible; where they wrote is to be looked at. */
async function closeIntents(database: Database, ids: readonly string[]): Promise<void> {
  await sql`with closed as (update object_intent set state = 'closed' where id = any(${[...ids]}::uuid[]) and state = 'open' returning id)
    update object_intent_disk set look_at = now() where intent_id in (select id from closed)`.execute(database.query);
}

/**
 * Those of processes that are gone, or frozen. What they left is looked at a while later: where the database was copied back, it is these that may hold what was
 * acknowledged after the copy, and it takes until a host says so (migrations/1233-object-intent-expired-kept.sql).
 */
export async function closeExpired(database: Database): Promise<void> {
  await sql`with closed as (update object_intent set state = 'closed' where state = 'open' and deadline < now() returning id)
    update object_intent_disk set look_at = now() + interval '15 minutes' where intent_id in (select id from closed)`.execute(
    database.query,
  );
}
