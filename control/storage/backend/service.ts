/**
 * Pools of hosts as those who run the cloud see and steer them: `host@pool` is what takes volumes. Zones are for everyone, all else is the
 * administrators'. Closing a pool keeps new volumes away and touches none that is there.
 */
import { sql } from 'kysely';
import { parseId } from '../../../contract/ids.ts';
import { actorOf, type Caller, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { notFound } from '../../kit/refusal.ts';
import { hostExportsSql, type PoolFigures, poolFigures, unmetSpecs } from '../pool/index.ts';

export interface BackendRow extends PoolFigures {
  /** `host@pool`. */
  backend: string;
  /** When its host was heard of last. */
  seen_at: Date;
}

/** Whether it is there and open, without what is in it. */
export type BackendState = Pick<
  BackendRow,
  | ('backend' | 'name' | 'tier' | 'kind' | 'exports' | 'availability_zone' | 'connected' | 'problem' | 'disabled')
  | ('disabled_reason' | 'seen_at')
>;

export interface ProjectOnBackend {
  project_id: string;
  volumes: number;
  volume_gib: number;
  snapshots: number;
  snapshot_gib: number;
}

/** Of `host h`. */
const seenAt = sql<Date>`case when h.connected then now() else coalesce(h.last_seen_at, h.created_at) end`;

export class BackendService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Where volumes may be made, and whether a pool there takes some now. Without any host there is still the zone that the first one will be in. */
  async zones(): Promise<{ name: string; available: boolean }[]> {
    const { rows } = await sql<{ name: string; available: boolean }>`
      select h.availability_zone as name,
        bool_or(h.enabled and h.connected and not h.forced_down and p.id is not null and not p.disabled and p.problem is null) as available
      from host h left join storage_pool p on p.host_id = h.id
      group by h.availability_zone order by h.availability_zone`.execute(this.#database.query);
    return rows.length > 0 ? rows : [{ name: 'nova', available: false }];
  }

  /**
   * @param options.type only those that a volume of this type could lie in, by its name or id
   * @throws CloudError `forbidden`, `not_found` for a type that is none
   */
  async list(caller: Caller, { type }: { type?: string } = {}): Promise<BackendRow[]> {
    requireAdmin(caller, 'list storage backends');
    const specs = type === undefined ? {} : await this.#specsOf(type);
    return (await this.#read(null)).filter((pool) => unmetSpecs(specs, pool).length === 0);
  }

  /** Of all. What is in each is added up from all layers of the cloud: monitoring, which asks often, asks this. @throws CloudError `forbidden` */
  async states(caller: Caller): Promise<BackendState[]> {
    requireAdmin(caller, 'list storage backends');
    const { rows } =
      await sql<BackendState>`select h.name || '@' || p.name as backend, p.name, p.tier, p.kind, ${hostExportsSql} as exports,
        h.availability_zone, h.connected, p.problem, p.disabled, p.disabled_reason, ${seenAt} as seen_at
      from storage_pool p join host h on h.id = p.host_id order by h.name, p.name`.execute(this.#database.query);
    return rows;
  }

  /** Of all pools, or of those of these ids. */
  async #read(poolIds: readonly string[] | null): Promise<BackendRow[]> {
    const [figures, { rows: seen }] = await Promise.all([
      poolFigures(this.#database.query, poolIds),
      sql<{
        id: string;
        at: Date;
      }>`select id, ${seenAt} as at from host h`.execute(this.#database.query),
    ]);
    const lastSeen = new Map(seen.map(({ id, at }) => [id, at]));
    return figures.map((pool) => ({
      ...pool,
      backend: `${pool.host_name}@${pool.name}`,
      seen_at: lastSeen.get(pool.host_id) ?? pool.updated_at,
    }));
  }

  /** @throws CloudError `forbidden`, `not_found` */
  async get(caller: Caller, backend: string): Promise<BackendRow> {
    requireAdmin(caller, 'show a storage backend');
    const { rows } = await sql<{ id: string }>`select p.id from storage_pool p join host h on h.id = p.host_id
      where h.name || '@' || p.name = ${backend}`.execute(this.#database.query);
    const [found] = rows[0] ? await this.#read([rows[0].id]) : [];
    if (!found) throw notFound('storage_backend', backend);
    return found;
  }

  /** What the projects have there. */
  async projects(caller: Caller, backend: string): Promise<ProjectOnBackend[]> {
    const { id } = await this.get(caller, backend);
    const { rows } = await sql<ProjectOnBackend>`
      select project_id, sum(volumes)::integer as volumes, sum(volume_gib)::float8 as volume_gib,
        sum(snapshots)::integer as snapshots, sum(snapshot_gib)::float8 as snapshot_gib
      from (
        select project_id, 1 as volumes, size_gib as volume_gib, 0 as snapshots, 0 as snapshot_gib
        from volume where pool_id = ${id} and desired_presence = 'present'
        union all select s.project_id, 0, 0, 1, s.size_gib
        from volume_snapshot s join volume v on v.id = s.volume_id
        where v.pool_id = ${id} and s.desired_presence = 'present') taken
      group by project_id order by project_id`.execute(this.#database.query);
    return rows;
  }

  /** Whether new volumes may lie there. @throws CloudError `forbidden`, `not_found` */
  async setEnabled(caller: Caller, backend: string, state: { enabled: boolean; reason: string | null }): Promise<void> {
    const { id } = await this.get(caller, backend);
    await this.#database.transaction(actorOf(caller), async (tx) => {
      await sql`update storage_pool set disabled = ${!state.enabled}, disabled_reason = ${state.enabled ? null : state.reason},
        generation = generation + 1, updated_at = now() where id = ${id}`.execute(tx);
    });
  }

  async #specsOf(type: string): Promise<Record<string, string>> {
    const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
      where id = ${parseId(type) ?? null}::uuid or name = ${type} order by name = ${type} limit 1`.execute(
      this.#database.query,
    );
    if (!rows[0]) throw notFound('volume_type', type);
    return rows[0].extra_specs;
  }
}
