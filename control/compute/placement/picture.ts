/**
 * All hosts as placement sees them, kept between decisions: a thousand are read once, then only those that changed. The truth stays
 * in the rows: each read brings all that has changed since the one before, so what it answers is what one statement would have read.
 * One at a time. Nothing outlives the process.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { PlacementGroup } from './groups.ts';
import type { HostNature } from './host-wish.ts';
import { type NatureRow, natureColumns, natureFrom } from './nature.ts';
import type { HostCapacity } from './request.ts';
import type { Survive } from './tables.ts';

interface Row extends Omit<HostCapacity, 'seen_lately' | 'holds_image' | keyof NatureRow>, NatureRow {
  last_seen: number | null;
}

type Known = Omit<Row, 'custom_traits' | 'architecture'> & Required<HostNature>;

interface Reading {
  /** Of which database, since which start of its server. */
  database: string;
  horizon: string;
  now: number;
  hosts: number;
  survive: Survive;
  changed: Row[];
}

/** From the word to a BMC until the host is there, of one that was never woken: servers test their memory for long. */
const usualWakeSeconds = 300;
/** All is read anew after this, whatever may have gone by unseen (rows that were written past the triggers). */
const wholeEveryMs = 60_000;

export class HostPicture {
  #rows = new Map<string, Known>();
  #database = '';
  /** All below was final at the last read. */
  #horizon = '0';
  #survive: Survive = 'none';
  #wholeAt = Number.NEGATIVE_INFINITY;

  /** Of the change log: what was final at the last read, and is in the picture. */
  get horizon(): string {
    return this.#horizon;
  }

  /** The loss that the cloud keeps room for, as of the last read. */
  get survive(): Survive {
    return this.#survive;
  }

  /** @param awayMs who was here within this time counts as seen lately */
  async read(tx: Tx, { awayMs }: { awayMs: number }): Promise<HostCapacity[]> {
    const whole = performance.now() - this.#wholeAt > wholeEveryMs;
    let reading = await readSince(tx, whole ? '0' : this.#horizon);
    // Another database behind the same address, or a host is gone: a read of what changed does not tell.
    if (whole || !this.#take(reading)) {
      if (!whole) reading = await readSince(tx, '0');
      this.#rows = new Map(reading.changed.map((row) => [row.id, known(row)]));
      this.#wholeAt = performance.now();
    }
    this.#database = reading.database;
    this.#horizon = reading.horizon;
    this.#survive = reading.survive;
    const { now } = reading;
    return Array.from(this.#rows.values(), (row) => ({
      ...row,
      seen_lately: row.connected || (row.last_seen !== null && row.last_seen > now - awayMs),
      holds_image: false,
    }));
  }

  /** False where what is known can't be brought up to date by it. */
  #take({ database, changed, hosts }: Reading): boolean {
    if (database !== this.#database) return false;
    for (const row of changed) this.#rows.set(row.id, known(row));
    return this.#rows.size === hosts;
  }
}

function known({ custom_traits, architecture, ...row }: Row): Known {
  return { ...row, ...natureFrom({ ...row, custom_traits, architecture }) };
}

/** One value, since a thousand rows of many columns cost the reader more than the database. */
async function readSince(tx: Tx, horizon: string): Promise<Reading> {
  const { rows } = await sql<Reading>`
    select pg_postmaster_start_time()::text || ' ' || (select oid from pg_database where datname = current_database()) as database,
      pg_snapshot_xmin(pg_current_snapshot())::text as horizon, extract(epoch from clock_timestamp())::float8 * 1000 as now,
      (select count(*)::integer from host) as hosts, (select survive from reserve_policy) as survive,
      coalesce((select json_agg(each) from (
        select h.id, h.name, h.availability_zone, h.disabled_reason, h.disabled_by, h.connected, h.forced_down_by, ${natureColumns},
          h.vcpus, h.memory_mib, h.disk_gib, h.physical_networks,
          coalesce(h.facts #> '{machine,types}', '[]') as machine_types, h.facts #>> '{machine,cpuModel}' as cpu_model,
          coalesce((h.facts ->> 'cpuLimits')::boolean, false) as cpu_limits,
          coalesce(h.facts -> 'migrations', '[]') as migrations,
          extract(epoch from h.last_seen_at)::float8 * 1000 as last_seen, coalesce(u.vcpus, 0) as used_vcpus,
          coalesce(u.memory_mib, 0) as used_memory_mib, coalesce(u.disk_gib, 0) as used_disk_gib,
          case when k.vcpus + k.memory_mib + k.disk_gib > 0 then json_build_object('vcpus', k.vcpus, 'memory_mib', k.memory_mib, 'disk_gib', k.disk_gib) end as kept,
          case when y.host_id is not null and (h.maintenance ->> 'cause' = 'consolidation'
            or h.maintenance is null and coalesce(y.asked_at, y.off_at) is not null) then json_build_object('wakes', y.overdue_at is null, 'waking', y.desired = 'awake',
            'seconds', case when y.asked_at is null then 0 else coalesce(b.wake_seconds, ${usualWakeSeconds}) end) end as standby
        from host h left join host_usage u on u.host_id = h.id left join host_reserve k on k.host_id = h.id
          left join host_standby y on y.host_id = h.id left join host_bmc b on b.host_id = h.id
        where h.changed_in >= ${horizon}::xid8 or u.changed_in >= ${horizon}::xid8 or k.changed_in >= ${horizon}::xid8 or y.changed_in >= ${horizon}::xid8) each), '[]') as changed`.execute(
    tx,
  );
  return rows[0]!;
}

/** The hosts that hold each of these images. */
export async function imageHolders(tx: Tx, imageIds: Iterable<string>): Promise<Map<string, ReadonlySet<string>>> {
  const { rows } = await sql<{ image_id: string; hosts: string[] }>`
    select image_id, array_agg(host_id) as hosts from image_location where ${isOneOf(sql`image_id`, [...imageIds])}
    group by image_id`.execute(tx);
  return new Map(rows.map(({ image_id, hosts }) => [image_id, new Set(hosts)]));
}

/** Those of these server groups that there still are. To be asked under placement's lock: then nobody else gives their servers hosts. */
export async function placementGroups(tx: Tx, ids: Iterable<string>): Promise<Map<string, PlacementGroup>> {
  const { rows } = await sql<Omit<PlacementGroup, 'hosts'> & { id: string; hosts: Record<string, number> | null }>`
    select g.id, g.policy, coalesce(g.max_servers_per_host, 1) as max_servers_per_host,
      (select json_object_agg(host_id, servers) from (select host_id, count(*)::integer as servers from (
        select id as server_id, host_id from server where server_group_id = g.id and host_id is not null
        union select c.server_id, c.host_id from server_claim c join server s on s.id = c.server_id where s.server_group_id = g.id) there
        group by host_id) each) as hosts
    from server_group g where g.id = any(${[...ids]}::uuid[])`.execute(tx);
  return new Map(
    rows.map(({ id, hosts, ...group }) => [id, { ...group, hosts: new Map(Object.entries(hosts ?? {})) }]),
  );
}
