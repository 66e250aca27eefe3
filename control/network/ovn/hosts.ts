/**
 * The hosts as the projection sees them: which are alive, and which physical networks they have. Read once and kept, since
 * each router depends on all of them; a change of a host in the log reads that host again. A host that comes or goes
 * touches the routers that name it and those that now choose it, and no other.
 *
 * Heartbeats are no changes: when a host that is not connected has been silent for the grace, `due` says to look again.
 */
import { sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import type { Actual } from './actual.ts';
import { type HostRow, HostSet } from './intent/gateway.ts';
import { type Unit, unit } from './units.ts';

/** How long a host may be silent before its gateways move. */
export const hostGraceMs = 20_000;

interface Heard {
  id: string;
  physical_networks: string[];
  zone: string;
  connected: boolean;
  /** It goes to sleep, or sleeps: its gateways move while both ends are there, so that nobody waits for BFD. */
  sleeps: boolean;
  /** Milliseconds since its last word, by the database's clock. */
  silent_ms: number | null;
}

/** A router with a gateway: where that may be. */
interface Choosing {
  id: string;
  networks: string[];
  zones: string[];
}

const routersAtOnce = 1000;

export class HostView {
  #rows = new Map<string, HostRow>();
  #set = new HostSet([]);
  #loaded = false;
  /** Hosts whose grace runs, and its end by the clock of `performance`. */
  readonly #grace = new Map<string, number>();
  /** Hosts that became others since `routers` last told; true where their physical networks changed. */
  readonly #moved = new Map<string, boolean>();

  get set(): HostSet {
    return this.#set;
  }
  get loaded(): boolean {
    return this.#loaded;
  }

  /** When the next grace ends; undefined: none runs. */
  get dueAt(): number | undefined {
    return this.#grace.size === 0 ? undefined : Math.min(...this.#grace.values());
  }
  /** Hosts whose grace is over. */
  due(): string[] {
    const now = performance.now();
    return [...this.#grace].filter(([, end]) => end <= now).map(([id]) => id);
  }

  async refresh(db: Queryable, ids: readonly string[] | 'all'): Promise<void> {
    const { rows } = await sql<Heard>`
      select id, physical_networks, availability_zone as zone, connected, coalesce(maintenance ->> 'cause' = 'consolidation', false) as sleeps,
        (extract(epoch from now() - last_seen_at) * 1000)::double precision as silent_ms
      from host where ${ids === 'all' ? sql`true` : sql`id = any(${[...ids]}::uuid[])`}`.execute(db);
    const now = performance.now();
    const found = new Map(rows.map((row) => [row.id, row]));
    for (const id of ids === 'all' ? new Set([...this.#rows.keys(), ...found.keys()]) : ids) {
      this.#note(id, found.get(id), now);
    }
    this.#loaded ||= ids === 'all';
    this.#set = new HostSet([...this.#rows.values()]);
  }

  #note(id: string, heard: Heard | undefined, now: number): void {
    const before = this.#rows.get(id);
    this.#grace.delete(id);
    if (!heard) {
      this.#rows.delete(id);
      if (before) this.#moved.set(id, true);
      return;
    }
    const leftMs = hostGraceMs - (heard.silent_ms ?? hostGraceMs);
    const { physical_networks, zone, sleeps } = heard;
    const row = { id, physical_networks, zone, alive: !sleeps && (heard.connected || leftMs > 0) };
    if (!sleeps && !heard.connected && leftMs > 0) this.#grace.set(id, now + leftMs + 50);
    this.#rows.set(id, row);
    const physical = before?.physical_networks.join() !== row.physical_networks.join();
    const other = before?.alive !== row.alive || before.zone !== row.zone;
    if (physical || other) this.#moved.set(id, physical || this.#moved.get(id) === true);
  }

  /** Routers that the moved hosts touch. What it told is forgotten only when it could tell all of it. */
  async routers(db: Queryable, actual: Actual): Promise<Set<Unit>> {
    const moved = new Map(this.#moved);
    const units = new Set<Unit>();
    if (moved.size === 0) return units;
    for (const id of moved.keys()) for (const router of actual.routersOnChassis(id)) units.add(router);
    for (const id of await this.#choosing(db, moved)) units.add(unit('router', id));
    // A floating IP is handled on its guest's host where that has the physical network.
    const changed = [...moved].filter(([, physical]) => physical).map(([id]) => id);
    if (changed.length > 0) {
      const { rows } = await sql<{ id: string }>`
        select distinct f.router_id as id from port p
        cross join lateral (select router_id from floating_ip where port_id = p.id offset 0) f -- by the host's ports
        where p.host_id = any(${changed}::uuid[]) and f.router_id is not null`.execute(db);
      for (const { id } of rows) units.add(unit('router', id));
    }
    for (const [id, physical] of moved) if (this.#moved.get(id) === physical) this.#moved.delete(id);
    return units;
  }

  /** Routers that choose one of the moved hosts as they are now: those that it came for. */
  async #choosing(db: Queryable, moved: ReadonlyMap<string, boolean>): Promise<string[]> {
    const set = this.#set;
    const physical = new Set([...moved.keys()].flatMap((id) => set.get(id)?.physical_networks ?? []));
    const found: string[] = [];
    for (let after: string | undefined = '00000000-0000-0000-0000-000000000000'; physical.size > 0 && after; ) {
      const { rows }: { rows: Choosing[] } = await sql<Choosing>`
        select r.id, r.availability_zone_hints as zones, array(select n.provider_physical_network
          from port p join network n on n.id = p.network_id
          where p.device_id <> '' and p.device_id = r.id::text and p.device_owner = 'network:router_gateway'
            and n.provider_physical_network = any(${[...physical]}::text[])) as networks
        from router r where r.gateway_network_id is not null and r.id > ${after}
        order by r.id limit ${routersAtOnce}`.execute(db);
      for (const { id, networks, zones } of rows) {
        if (networks.some((network) => set.choose(id, network, zones).some((host) => moved.has(host)))) found.push(id);
      }
      after = rows.length < routersAtOnce ? undefined : rows.at(-1)!.id;
    }
    return found;
  }
}
