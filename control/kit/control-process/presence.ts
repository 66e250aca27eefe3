/**
 * Which control processes there are: this one says so every two seconds, and hears of the others. Owns its row of
 * `control_process`. If the process dies, the row grows old, and the others see that it is silent.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Database } from '../database/database.ts';

export interface ControlProcess {
  /** The name under which it leads, and locks its jobs. */
  id: string;
  /** What its machine is called. */
  machine: string;
  /** Where hosts reach it, e.g. https://192.0.2.7:8443; empty: nowhere. */
  url: string;
  version: string;
  startedAt: Date;
  /** Since its last sign of life, by the database's clock. */
  silentMs: number;
  /** For so long that it is taken for dead. */
  silent: boolean;
}

export interface PresenceOptions {
  database: Pick<Database, 'urgent'>;
  log: Logger;
  self: Pick<ControlProcess, 'id' | 'machine' | 'url' | 'version'>;
  /** Each that fell silent, once; also one that was so before this process began. */
  onSilent: (id: string) => void;
  timing?: Partial<PresenceTiming>;
}

interface PresenceTiming {
  beatMs: number;
  silentMs: number;
}

const defaults: PresenceTiming = { beatMs: 2000, silentMs: 10_000 };

export class Presence {
  readonly #options: PresenceOptions;
  readonly #timing: PresenceTiming;
  readonly #listeners = new Set<() => void>();
  #others: readonly ControlProcess[] = [];
  #silent: ReadonlySet<string> = new Set();
  #addresses: readonly string[] = [];
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: PresenceOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
  }

  /** Begins to say that this process serves. */
  start(): void {
    this.#beating = this.#beat();
    void this.#beating.then(() => {
      if (!this.#stopped) this.#timer = setTimeout(() => this.start(), this.#timing.beatMs).unref();
    });
  }

  /** Says that it ends, so that nobody waits for it. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#beating;
    const { database, self } = this.#options;
    // No database: then it grows old.
    await sql`delete from control_process where id = ${self.id}`.execute(database.urgent).catch(() => {});
  }

  /** As last read. */
  get others(): readonly ControlProcess[] {
    return this.#others;
  }

  /** Where hosts reach control processes: this one, then others that live, then those that are silent. */
  get addresses(): readonly string[] {
    return this.#addresses;
  }

  /** Called when the addresses have changed. */
  onAddresses(listener: () => void): void {
    this.#listeners.add(listener);
  }

  async #beat(): Promise<void> {
    try {
      this.#heard(await this.#exchange());
    } catch (error) {
      this.#options.log.warn({ err: error }, 'control processes: this one could not say that it lives');
    }
  }

  /** One statement: what it reads was so before it wrote, so one whose address this process has taken is heard of a last time. */
  async #exchange(): Promise<ControlProcess[]> {
    const { database, self } = this.#options;
    const { id, machine, url, version } = self;
    const silence = sql`clock_timestamp() - ${this.#timing.silentMs}::double precision * interval '1 millisecond'`;
    const { rows } = await sql<ControlProcess>`
      with beat as (
        insert into control_process as p (id, machine, url, version, started_at, seen_at)
        values (${id}, ${machine}, ${url}, ${version}, clock_timestamp(), clock_timestamp())
        on conflict (id) do update set machine = excluded.machine, url = excluded.url, version = excluded.version, seen_at = excluded.seen_at),
      gone as (
        delete from control_process where id <> ${id}
          and (seen_at < clock_timestamp() - interval '1 day' or (url = ${url} and seen_at < ${silence})))
      select id, machine, url, version, started_at as "startedAt", seen_at < ${silence} as silent,
        (extract(epoch from clock_timestamp() - seen_at) * 1000)::bigint as "silentMs"
      from control_process where id <> ${id} order by started_at, id`.execute(database.urgent);
    return rows;
  }

  #heard(others: readonly ControlProcess[]): void {
    const { log, self, onSilent } = this.#options;
    const before = this.#silent;
    this.#others = others;
    this.#silent = new Set(others.filter(({ silent }) => silent).map((one) => one.id));
    for (const { id, machine, url, silentMs } of others) {
      if (!this.#silent.has(id) || before.has(id)) continue;
      log.warn({ controlId: id, machine, url, silentMs }, 'control processes: one is silent, its work is taken over');
      onSilent(id);
    }
    const live = others.filter(({ silent }) => !silent);
    const dead = others.filter(({ silent }) => silent);
    const urls = [self.url, ...[...live, ...dead].map(({ url }) => url)].filter((url) => url !== '');
    this.#tell([...new Set(urls)]);
  }

  #tell(addresses: readonly string[]): void {
    if (addresses.join() === this.#addresses.join()) return;
    this.#addresses = addresses;
    for (const listener of this.#listeners) listener();
  }
}
