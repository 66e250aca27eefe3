/**
 * Brings about that hosts which shall be empty are: looks each second, and moves servers away from each of them, a few at a time, those first that their owners would have
 * restarted first, of equals the larger, while there is room for them. What does not go now is asked again later; what came to nothing is tried again after a while, longer
 * each time. Any control process may do it, and several at once: for each host one does at a time.
 *
 * What shall be is in the host's row, what is under way in the servers' rows: if the process dies another goes on where it was. Owns its timer and what it remembers of refusals.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database, type Tx } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { confirmRelocated, isRelocationRefusal, relocate, type ServerRow } from '../server/index.ts';
import { attemptsSince } from './attempts.ts';
import { type MaintenanceCause, mayUseReserve } from './begin-and-end.ts';

export interface DrainerOptions {
  database: Database;
  ports: Parameters<typeof relocate>[1]['ports'];
  log: Logger;
  /** For tests. */
  timing?: Partial<DrainerTiming>;
}

export interface DrainerTiming {
  everyMs: number;
  /** A server that nobody takes, or that may not move now, is asked again after this. */
  againMs: number;
}

const defaults: DrainerTiming = { everyMs: 1000, againMs: 15_000 };

/** From one host: each copies its disks and its memory through one card. */
const atOnce = 2;
/** Looked at in one turn. */
const oneLook = 20;

export class Drainer {
  readonly #options: DrainerOptions;
  readonly #timing: DrainerTiming;
  readonly #sweep: Sweep;
  /** Servers that were refused, and when they are asked again. */
  readonly #later = new Map<string, number>();

  constructor(options: DrainerOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.look(), {
      everyMs: this.#timing.everyMs,
      log: options.log,
      what: 'looking for hosts to empty',
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  /** One turn. */
  async look(): Promise<void> {
    const { database } = this.#options;
    await confirmRelocated(database);
    const now = performance.now();
    for (const [id, at] of this.#later) if (at <= now) this.#later.delete(id);
    const { rows } = await sql<{ id: string }>`select id from host where maintenance is not null order by id`.execute(
      database.query,
    );
    for (const { id } of rows) await this.#drain(id);
  }

  async #drain(hostId: string): Promise<void> {
    for (const id of await this.#candidates(hostId)) if ((await this.#try(hostId, id)) === 'no more') return;
  }

  /** Whose turn it is: what was tried in vain, or refused, a moment ago keeps nobody else from it. */
  async #candidates(hostId: string): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`select s.id
      from host h join server s on s.host_id = h.id
      left join lateral (${attemptsSince(sql`s.id`, hostId, sql`(h.maintenance ->> 'since')::timestamptz`)}) f on true
      where h.id = ${hostId} and h.connected and h.maintenance is not null and s.desired_move is null and s.desired_presence = 'present'
        and s.soft_deleted_at is null and coalesce(s.desired_shelve ->> 'state' <> 'offloading', true)
        and not s.id = any(${[...this.#later.keys()]}::uuid[]) and coalesce(f.retry_at <= now(), true)
      order by coalesce((s.evacuation_policy ->> 'priority')::integer, 0) desc, s.memory_mib desc, s.id limit ${oneLook}`.execute(
      this.#options.database.query,
    );
    return rows.map(({ id }) => id);
  }

  async #try(hostId: string, id: string): Promise<'begun' | 'refused' | 'no more'> {
    const { database, log, ports } = this.#options;
    try {
      const kind = await database.transaction(cloudActor, async (tx) => {
        const because = await mayBegin(tx, hostId);
        if (!because) return undefined;
        const { rows } = await sql<ServerRow>`select * from server where id = ${id} and host_id = ${hostId}
          for update skip locked`.execute(tx);
        return rows[0]
          ? relocate(tx, { ports }, rows[0], { cause: 'maintenance', usesReserve: mayUseReserve(because) })
          : 'another has it';
      });
      if (kind === undefined) return 'no more';
      if (kind === 'another has it') return 'refused';
      log.info({ serverId: id, hostId, kind }, 'server leaves a host that shall be empty');
      return 'begun';
    } catch (error) {
      if (!isRelocationRefusal(error)) throw error;
      this.#later.set(id, performance.now() + this.#timing.againMs);
      log.info({ serverId: id, hostId, why: (error as Error).message }, 'server does not leave its host now');
      return 'refused';
    }
  }
}

/** It shall still be empty, nobody else is at it, and not so many are on their way from it. */
async function mayBegin(tx: Tx, hostId: string): Promise<MaintenanceCause | undefined> {
  const { rows } = await sql<{
    alone: boolean;
  }>`select pg_try_advisory_xact_lock(hashtextextended(${`maintenance ${hostId}`}, 0)) as alone`.execute(tx);
  if (!rows[0]!.alone) return undefined;
  const wanted = await sql<{
    cause: MaintenanceCause;
  }>`select maintenance ->> 'cause' as cause from host where id = ${hostId} and maintenance is not null and ${atOnce} >
    (select count(*) from server_migration where host_id = ${hostId} and cause is not null and phase <> 'ended' and phase <> 'moved')`.execute(
    tx,
  );
  return wanted.rows[0]?.cause;
}
