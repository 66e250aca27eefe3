/**
 * Measures what hosts take, each once a minute: by their BMC, which sees the whole machine, else by the host's own counters. Several control processes share the hosts: a row is claimed by putting off its next turn. Owns its timer; a
 * measurement that is lost with a process is made a minute later.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { BmcError } from '../../../protocols/bmc/index.ts';
import type { HostEndpoint } from '../../host/index.ts';
import type { Sealer } from '../../identity/index.ts';
import type { Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { bmcAccess, openBmc } from './opening.ts';

export interface WattsOptions {
  database: Database;
  sealer: Pick<Sealer, 'open'>;
  log: Logger;
  hosts: {
    /** What its own counters say; null: it has none. @throws CloudError where it can't be asked */
    watts(host: HostEndpoint): Promise<number | null>;
  };
  /** For tests. */
  timing?: Partial<typeof defaults> | undefined;
}

const defaults = { everyMs: 5000, periodMs: 60_000, requestMs: 5000, deniedMs: 60 * 60_000 };
const together = 64;

interface Due {
  id: HostEndpoint['id'];
  url: string;
  connected: boolean;
}

interface Measured {
  watts: number | null;
  source: 'bmc' | 'rapl' | null;
  /** Its BMC takes no password: more attempts lock the user out. */
  denied: boolean;
}

export class Watts {
  readonly #options: WattsOptions;
  readonly #timing: typeof defaults;
  readonly #sweep: Sweep;

  constructor(options: WattsOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.#lookAgain(), {
      everyMs: this.#timing.everyMs,
      log: options.log,
      what: 'measuring what hosts take',
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  async #lookAgain(): Promise<void> {
    while (!this.#sweep.stopped && (await this.look()) === together);
  }

  /** One turn. @returns how many were measured */
  async look(): Promise<number> {
    const { query } = this.#options.database;
    await sql`insert into host_watts (host_id) select id from host h
      where not exists (select from host_watts where host_id = h.id) on conflict do nothing`.execute(query);
    const { rows } =
      await sql<Due>`with mine as (update host_watts w set next_at = now() + ${this.#timing.periodMs} * interval '1 millisecond'
        where host_id in (select host_id from host_watts where next_at <= now() order by next_at limit ${together} for update skip locked)
        returning host_id)
      select h.id, coalesce(h.facts ->> 'url', '') as url, h.connected from mine join host h on h.id = mine.host_id`.execute(
        query,
      );
    await Promise.all(rows.map((host) => this.#measure(host)));
    return rows.length;
  }

  async #measure(host: Due): Promise<void> {
    const { database, log } = this.#options;
    try {
      const { watts, source, denied } = await this.#ask(host);
      await sql`update host_watts set watts = ${watts}, source = ${source}, measured_at = now(),
          next_at = case when ${denied} then now() + ${this.#timing.deniedMs} * interval '1 millisecond' else next_at end
        where host_id = ${host.id}`.execute(database.query);
    } catch (error) {
      log.debug({ err: error, hostId: host.id }, 'what a host takes is not known now');
    }
  }

  async #ask({ id, url, connected }: Due): Promise<Measured> {
    const { database, sealer, hosts } = this.#options;
    const access = await bmcAccess(database.query, id);
    let denied = false;
    if (access) {
      try {
        await using bmc = openBmc(access, sealer, this.#timing.requestMs);
        const watts = await bmc.watts();
        if (watts !== undefined) return { watts: Math.round(watts), source: 'bmc', denied };
      } catch (error) {
        denied = error instanceof BmcError && error.kind === 'denied';
      }
    }
    const watts = connected ? await hosts.watts({ id, url }).catch(() => null) : null;
    return { watts, source: watts === null ? null : 'rapl', denied };
  }
}
