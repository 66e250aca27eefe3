/**
 * Keeps refuges right when the world has changed around them: a host that kept room is closed, away or has become too full, a server has moved by a way that asked for none (an evacuation, a
 * maintenance), or administrators have asked for the reserve only now. Looks each half minute, and decides anew under placement's lock, a few at a time. Where there is no room
 * the server has no refuge, which `GET /native/v1/reserve`, survival and `bothy doctor` tell. Several control processes may look at once. Owns its timer and what it remembers of those in vain.
 */
import { setTimeout as rest } from 'node:timers/promises';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import { cloudActor, type Database } from '../../kit/database/database.ts';
import { Sweep } from '../../kit/queue/sweep.ts';
import { lockPlacement } from '../placement/index.ts';
import { keepRefuges, needsRefuge } from '../server/index.ts';

export interface RefugeKeeperOptions {
  database: Database;
  log: Logger;
  /** For tests. */
  timing?: Partial<typeof defaults>;
}

const defaults = { everyMs: 30_000, retryMs: 120_000, awayMs: 120_000 };
/** Of one transaction. */
const together = 20;
/** After each of several for so many times as long as that took. */
const restsFor = 3;

export class RefugeKeeper {
  readonly #options: RefugeKeeperOptions;
  readonly #timing: typeof defaults;
  readonly #sweep: Sweep;
  readonly #later = new Map<string, number>();

  constructor(options: RefugeKeeperOptions) {
    this.#options = options;
    this.#timing = { ...defaults, ...options.timing };
    this.#sweep = new Sweep(() => this.#lookAgain(), {
      everyMs: this.#timing.everyMs,
      log: options.log,
      what: 'looking after the reserve',
    });
  }

  start(): void {
    this.#sweep.start();
  }

  stop(): void {
    this.#sweep.stop();
  }

  async #lookAgain(): Promise<void> {
    for (;;) {
      const began = performance.now();
      if ((await this.look()) < together || this.#sweep.stopped) return;
      // Whoever else wants placement's lock does not notice.
      await rest(restsFor * (performance.now() - began), undefined, { ref: false });
      if (this.#sweep.stopped) return;
    }
  }

  /** One turn. @returns how many servers were decided anew */
  async look(): Promise<number> {
    const { database, log } = this.#options;
    const now = performance.now();
    for (const [id, at] of this.#later) if (at <= now) this.#later.delete(id);
    await sql`delete from server_refuge where (select survive = 'none' from reserve_policy)`.execute(database.query);
    const candidates = await this.#candidates();
    if (candidates.length === 0) return 0;
    const without = await database.transaction(cloudActor, async (tx) => {
      // Servers' rows before placement's lock, as everybody does.
      const { rows } = await sql<{ serverId: string; hostId: string }>`select id as "serverId", host_id as "hostId"
        from server where id = any(${candidates}::uuid[]) and host_id is not null order by id for update skip locked`.execute(
        tx,
      );
      await lockPlacement(tx);
      return keepRefuges(tx, rows);
    });
    for (const id of candidates) this.#later.set(id, performance.now() + this.#timing.retryMs);
    for (const serverId of without)
      log.warn({ serverId }, 'no host has room left for a server in case its own is lost');
    return candidates.length;
  }

  /** Without a refuge, or with one of another size, or with one that is none any more. */
  async #candidates(): Promise<string[]> {
    const { rows } = await sql<{ id: string }>`
      with own as materialized (select h.id, loss from reserve_policy p join host h on p.survive = 'domain', losses_of_host(h.id) loss),
      together as materialized (select a.id as lost_id, b.id as refuge_id from own a join own b on b.loss = a.loss and b.id <> a.id)
      select s.id from reserve_policy p join server s on p.survive <> 'none'
        left join server_refuge r on r.server_id = s.id and r.lost_host_id = s.host_id
        left join host h on h.id = r.refuge_host_id
        left join host_usage u on u.host_id = h.id left join host_reserve k on k.host_id = h.id
      where s.host_id is not null and ${needsRefuge} and s.desired_move is null and not s.id = any(${[...this.#later.keys()]}::uuid[])
        and (r.server_id is null or not h.enabled or h.forced_down
          or (r.vcpus, r.memory_mib, r.disk_gib) is distinct from (s.vcpus, s.memory_mib, s.disk_gib + s.local_gib)
          or not h.connected and coalesce(h.last_seen_at < now() - ${this.#timing.awayMs} * interval '1 millisecond', true)
          or u.vcpus + k.vcpus > h.vcpus or u.memory_mib + k.memory_mib > h.memory_mib or u.disk_gib + k.disk_gib > h.disk_gib
          or (s.host_id, h.id) in (select lost_id, refuge_id from together))
      order by coalesce((s.evacuation_policy ->> 'priority')::integer, 0) desc, s.id limit ${together}`.execute(
      this.#options.database.query,
    );
    return rows.map(({ id }) => id);
  }
}
