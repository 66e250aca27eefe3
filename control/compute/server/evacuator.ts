/**
 * Restarts servers of hosts that are lost on other hosts, where their owners want that: looks each second for hosts that are silent and for evidence, and evacuates those with the
 * higher priority first. Any control process may do it, and several at once: each server's row is locked by one.
 *
 * What looks like the loss of a host may be our own: a database or a process that stood still lets every lease end. So it evacuates nothing before it has looked without a gap for as long as a
 * lease lasts, in which hosts that are there come back; and nothing at all where more than half of the hosts, and more than one, were lost at once, which is more likely their network than they
 * (`held`): then an administrator's word about a host is awaited. Owns its timer and what it remembers of failures; if the process dies another looks.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { lockPlacement } from '../placement/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { evacuate } from './evacuating.ts';
import { type Bound, evidenceOf, givenGeneration, leaseMarginMs, lookAtHost } from './evacuation-evidence.ts';
import type { ServerRow } from './server.ts';

export interface EvacuatorOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  log: Logger;
  /** For tests. */
  timing?: Partial<EvacuatorTiming>;
}

export interface EvacuatorTiming {
  everyMs: number;
  /** It has looked for so long without a gap before it believes what it sees. */
  steadyMs: number;
  /** Two looks further apart are a gap. */
  gapMs: number;
  /** See {@link leaseMarginMs}. */
  marginMs: number;
  /** A server that no host takes is looked at again after this. */
  retryMs: number;
  /** A host that was lost longer ago does not count among those that are lost at once. */
  atOnceMs: number;
}

const defaults: EvacuatorTiming = {
  ...{ everyMs: 1000, steadyMs: 20_000, gapMs: 5000, marginMs: leaseMarginMs, retryMs: 30_000, atOnceMs: 600_000 },
};

interface Candidate {
  id: string;
  host_id: string;
}

/** In one look, so that others have their turn at the lock of placement. */
const oneLook = 50;

export class Evacuator {
  readonly #options: EvacuatorOptions;
  readonly #timing: EvacuatorTiming;
  readonly #sweep: Sweep;
  #steadySinceMs = Number.POSITIVE_INFINITY;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #held = false;
  /** Servers that no host took, and when they are tried again. */
  readonly #later = new Map<string, number>();

  constructor(options: EvacuatorOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.#look(), { everyMs: this.#timing.everyMs });
  }

  /** So many hosts were lost at once that none of them is believed to be. */
  get held(): boolean {
    return this.#held;
  }

  /** What was seen so far is of another history of the database: it looks for as long as at its start before it believes anything. */
  beginAnew(): void {
    this.#steadySinceMs = Number.POSITIVE_INFINITY;
    this.#lastLookMs = Number.NEGATIVE_INFINITY;
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  async #look(): Promise<void> {
    try {
      const began = performance.now();
      const candidates = await this.#candidates();
      const now = performance.now();
      if (began - this.#lastLookMs > this.#timing.gapMs || now - began > this.#timing.gapMs) this.#steadySinceMs = now;
      this.#lastLookMs = now;
      if (now - this.#steadySinceMs < this.#timing.steadyMs) return;
      for (const candidate of candidates) await this.#try(candidate);
      this.#lastLookMs = performance.now();
    } catch (error) {
      this.#options.log.warn({ err: error }, 'looking for servers to evacuate failed, will be tried again');
    }
  }

  /** Those of hosts whose leases have ended, or that administrators call lost; whether it is certain is decided on the locked rows. */
  async #candidates(): Promise<Candidate[]> {
    const now = performance.now();
    for (const [id, at] of this.#later) if (at <= now) this.#later.delete(id);
    const { rows } = await sql<Candidate & { held: boolean }>`
      with silent as materialized (
        select id, forced_down, lease_ends_at from host where not connected and (forced_down and lease_ends_at is null
          or lease_ends_at < now() - ${this.#timing.marginMs}::double precision * interval '1 millisecond')),
      at_once as (
        select count(*) filter (where not connected and not forced_down) as lost, count(*) as hosts from host
        where connected or last_seen_at > now() - ${this.#timing.atOnceMs}::double precision * interval '1 millisecond')
      select s.id, s.host_id, not h.forced_down and (select lost > greatest(1, hosts / 2) from at_once) as held
      from server s join silent h on h.id = s.host_id
      where s.evacuation_policy ->> 'restart' = 'elsewhere' and s.desired_presence = 'present' and s.soft_deleted_at is null
        and (s.image_id is null or s.evacuation_policy ->> 'disk' = 'from_image')
        and s.desired_power in ('on', 'paused') and s.desired_shelve is null and s.desired_move is null
        and not s.id = any(${[...this.#later.keys()]}::uuid[])
      order by (s.evacuation_policy ->> 'priority')::integer desc, s.id limit ${oneLook}`.execute(
      this.#options.database.query,
    );
    const held = rows.some((row) => row.held);
    if (held && !this.#held)
      this.#options.log.error(
        {},
        'more than half of the hosts were lost at once: no server is evacuated until some are back, or an administrator says of a host that it is down',
      );
    this.#held = held;
    return rows.filter((row) => !row.held);
  }

  async #try({ id, host_id: hostId }: Candidate): Promise<void> {
    const { database, ports, log } = this.#options;
    const outcome = await database.transaction(cloudActor, async (tx) => {
      const { rows } = await sql<
        ServerRow & Pick<Bound, 'given_generation'>
      >`select s.*, ${givenGeneration} as given_generation
        from server s where id = ${id} and host_id = ${hostId} and desired_move is null for update skip locked`.execute(
        tx,
      );
      const server = rows[0];
      if (!server) return undefined;
      await lockPlacement(tx);
      const host = await lookAtHost(tx, hostId);
      const evidence = host && evidenceOf(host, server, this.#timing.marginMs);
      if (!evidence) return { why: 'nothing proves that its guest does not run on its host any more' };
      const found = await evacuate(tx, { ports }, server, { evidence, actor: cloudActor });
      return { why: found.host ? undefined : found.message, to: found.host?.id, evidence };
    });
    if (!outcome) return;
    if (outcome.to)
      log.warn({ serverId: id, from: hostId, to: outcome.to, evidence: outcome.evidence }, 'server evacuated');
    else {
      log.warn({ serverId: id, hostId, why: outcome.why }, 'server not evacuated');
      this.#later.set(id, performance.now() + this.#timing.retryMs);
    }
  }
}
