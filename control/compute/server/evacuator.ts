/**
 * Restarts servers of hosts that are lost on other hosts, where their owners want that: looks each second for hosts that are silent and for evidence, and evacuates those with the
 * higher priority first, many in one transaction. Any control process may do it, and several at once: each server's row is locked by one.
 *
 * What looks like the loss of a host may be our own: a database or a process that stood still lets every lease end. So it evacuates nothing before it has looked without a gap for as long as a
 * lease lasts, in which hosts that are there come back; and nothing at all where more than half of the hosts, and more than one, were lost at once, which is more likely their network than they
 * (`held`): then an administrator's word about a host is awaited. Owns its timer and what it remembers of failures; if the process dies another looks.
 */
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database, isDatabaseUnavailable, type Tx } from '../../kit/database/database.ts';
import { rowsOf } from '../../kit/database/one-of.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { lockVolumesOf } from '../../storage/volume/index.ts';
import { HostPicture, lockPlacement, type Placement } from '../placement/index.ts';
import { isHeld, type PowerOffs, poweredOff } from '../power/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { evacuate } from './evacuating.ts';
import {
  type Bound,
  type Evidence,
  evidenceOf,
  givenGeneration,
  leaseMarginMs,
  lookAtHosts,
} from './evacuation-evidence.ts';
import type { ServerRow } from './server.ts';

export interface EvacuatorOptions {
  database: Database;
  ports: Pick<ServerPorts, 'bindServerPorts'>;
  log: Logger;
  /** Turns hosts off that are lost; absent: nobody does. */
  powerOffs?: Pick<PowerOffs, 'wish'>;
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
  /** Servers of one transaction: few enough that whoever else wants the lock of placement does not notice. */
  together: number;
}

const defaults: EvacuatorTiming = {
  ...{ everyMs: 1000, steadyMs: 20_000, gapMs: 5000, marginMs: leaseMarginMs, retryMs: 30_000, atOnceMs: 600_000 },
  together: 50,
};

interface Candidate {
  id: string;
  host_id: string;
}

/** Of `server s`: its owner wants it restarted, of an image, and nothing else is under way with it. */
const shallRestart = sql`s.evacuation_policy ->> 'restart' = 'elsewhere' and s.desired_presence = 'present' and s.soft_deleted_at is null
  and (s.image_id is null or s.evacuation_policy ->> 'disk' = 'from_image')
  and s.desired_power in ('on', 'paused') and s.desired_shelve is null and s.desired_move is null`;

/** What became of a server: `to` where it went, or why it went nowhere. */
interface Outcome extends Candidate {
  to?: string;
  why?: string;
  evidence?: Evidence;
}

export class Evacuator {
  readonly #options: EvacuatorOptions;
  readonly #timing: EvacuatorTiming;
  readonly #sweep: Sweep;
  #steadySinceMs = Number.POSITIVE_INFINITY;
  #lastLookMs = Number.NEGATIVE_INFINITY;
  #held = false;
  #picture = new HostPicture();
  /** Servers that no host took, and when they are tried again. */
  readonly #later = new Map<string, number>();

  constructor(options: EvacuatorOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.#look(), {
      ...{ everyMs: this.#timing.everyMs, log: options.log, what: 'looking for servers to evacuate' },
    });
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
      // A rack's worth of servers waits for no timer.
      while (!this.#sweep.stopped && (await this.#lookOnce()));
      if (!this.#sweep.stopped && performance.now() - this.#steadySinceMs >= this.#timing.steadyMs)
        await this.#turnOff();
    } catch (error) {
      // It may have seen what came to nothing.
      this.#picture = new HostPicture();
      throw error;
    }
  }

  /** @returns whether another look is worth it at once */
  async #lookOnce(): Promise<boolean> {
    const began = performance.now();
    const candidates = await this.#candidates();
    const now = performance.now();
    if (began - this.#lastLookMs > this.#timing.gapMs || now - began > this.#timing.gapMs) this.#steadySinceMs = now;
    this.#lastLookMs = now;
    if (candidates.length === 0 || now - this.#steadySinceMs < this.#timing.steadyMs) return false;
    const outcomes = await this.#evacuateAll(candidates);
    for (const outcome of outcomes) this.#tell(outcome);
    this.#lastLookMs = performance.now();
    // Where no host takes any of them, or another process has them all, the timer is waited for.
    return outcomes.some(({ to, evidence }) => to !== undefined || evidence === undefined);
  }

  /** Hosts that are silent and have servers that are not to wait for them. */
  async #turnOff(): Promise<void> {
    const { database, powerOffs } = this.#options;
    if (!powerOffs) return;
    const { rows } = await sql<{ id: string }>`select h.id from host h
      where not h.connected and exists (select from server s where s.host_id = h.id and ${shallRestart})`.execute(
      database.query,
    );
    await powerOffs.wish(rows.map(({ id }) => id));
  }

  /** All in one transaction; where that fails each in one of its own, for one server's trouble is not its neighbours'. */
  async #evacuateAll(candidates: readonly Candidate[]): Promise<Outcome[]> {
    try {
      return await this.#evacuate(candidates);
    } catch (error) {
      this.#picture = new HostPicture();
      if (isDatabaseUnavailable(error)) throw error;
      if (candidates.length === 1) {
        this.#options.log.warn({ err: error, serverId: candidates[0]!.id }, 'evacuating a server failed');
        return [{ ...candidates[0]!, why: (error as Error).message }];
      }
      const outcomes: Outcome[] = [];
      for (const one of candidates) outcomes.push(...(await this.#evacuateAll([one])));
      return outcomes;
    }
  }

  /** Those of hosts whose leases have ended, or that administrators call lost; whether it is certain is decided on the locked rows. */
  async #candidates(): Promise<Candidate[]> {
    const now = performance.now();
    for (const [id, at] of this.#later) if (at <= now) this.#later.delete(id);
    const { rows } = await sql<Candidate & { held: boolean; some_held: boolean }>`
      with silent as materialized (
        select id, forced_down, lease_ends_at from host h where not connected and (forced_down and lease_ends_at is null
          or lease_ends_at < now() - ${this.#timing.marginMs}::double precision * interval '1 millisecond'
          or ${poweredOff} is not null)),
      waiting as (
        select s.id, s.host_id, (s.evacuation_policy ->> 'priority')::integer as priority,
          not h.forced_down and ${isHeld(this.#timing.atOnceMs)} as held
        -- Host by host: how few are silent PostgreSQL can not know, and this is asked each second.
        from silent h cross join lateral (select * from server where host_id = h.id offset 0) s
        where ${shallRestart} and not s.id = any(${[...this.#later.keys()]}::uuid[]))
      select id, host_id, held, bool_or(held) over () as some_held
      from waiting order by held, priority desc, host_id, id limit ${this.#timing.together}`.execute(
      this.#options.database.query,
    );
    const held = rows[0]?.some_held ?? false;
    if (held && !this.#held)
      this.#options.log.error(
        {},
        'more than half of the hosts were lost at once: no server is evacuated until some are back, or an administrator says of a host that it is down',
      );
    this.#held = held;
    return rows.filter((row) => !row.held);
  }

  #evacuate(candidates: readonly Candidate[]): Promise<Outcome[]> {
    const { database, ports } = this.#options;
    return database.transaction(cloudActor, async (tx) => {
      const locked = await lockServers(tx, candidates);
      await lockVolumesOf(
        tx,
        locked.map(({ id }) => id),
      );
      await lockPlacement(tx);
      const hosts = await lookAtHosts(tx, new Set(locked.map(({ host_id: id }) => id!)));
      const certain = locked.flatMap((server) => {
        const host = hosts.get(server.host_id!);
        const evidence = host && evidenceOf(host, server, this.#timing.marginMs);
        return evidence ? [{ server, evidence }] : [];
      });
      const found = await evacuate(tx, { ports, actor: cloudActor, picture: this.#picture }, certain);
      const placements = new Map(certain.map(({ server, evidence }, n) => [server.id, { evidence, ...found[n]! }]));
      return locked.map(({ id, host_id: hostId }) => outcomeOf({ id, host_id: hostId! }, placements.get(id)));
    });
  }

  #tell({ id, host_id: from, to, why, evidence }: Outcome): void {
    const { log } = this.#options;
    if (to) log.warn({ serverId: id, from, to, evidence }, 'server evacuated');
    else {
      log.warn({ serverId: id, hostId: from, why }, 'server not evacuated');
      this.#later.set(id, performance.now() + this.#timing.retryMs);
    }
  }
}

type Locked = ServerRow & Pick<Bound, 'given_generation'>;

/** In the order of the candidates. Those that another transaction holds are its: another control may evacuate them just now. */
async function lockServers(tx: Tx, candidates: readonly Candidate[]): Promise<Locked[]> {
  const wanted = rowsOf(
    { values: candidates.map(({ id }) => id), type: 'uuid' },
    { values: candidates.map(({ host_id: hostId }) => hostId), type: 'uuid' },
  );
  const { rows } = await sql<Locked>`select s.*, ${givenGeneration} as given_generation
    from server s join ${wanted} as w (id, host_id) on s.id = w.id
    where s.host_id is not distinct from w.host_id and ${shallRestart} for update of s skip locked`.execute(tx);
  const byId = new Map(rows.map((row) => [row.id, row]));
  return candidates.flatMap(({ id }) => byId.get(id) ?? []);
}

function outcomeOf(candidate: Candidate, placed: (Placement & { evidence: Evidence }) | undefined): Outcome {
  if (!placed) return { ...candidate, why: 'nothing proves that its guest does not run on its host any more' };
  const { host, evidence, message } = placed;
  return { ...candidate, evidence, ...(host ? { to: host.id } : { why: message }) };
}
