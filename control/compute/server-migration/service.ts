/**
 * Migrations as administrators see them. What one is at follows from its row and from the operations of its server: nothing of it
 * is stored twice.
 */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import type { Database } from '../../kit/database/database.ts';
import { endOfSecond } from '../../kit/listing.ts';
import type { MigrationProgress } from './hear.ts';
import type { MigrationKind, MigrationPhase } from './tables.ts';

/** Nova's words, of each kind. */
export type MigrationStatus =
  | 'preparing'
  | 'running'
  | 'completed'
  | 'cancelled'
  | 'failed'
  | 'done'
  | 'pre-migrating'
  | 'post-migrating'
  | 'migrating'
  | 'finished'
  | 'confirming'
  | 'confirmed'
  | 'reverting'
  | 'reverted'
  | 'error';

export interface MigrationRow {
  id: string;
  number: number;
  project_id: string;
  user_id: string;
  server_id: string;
  kind: MigrationKind;
  /** Null: on its own host. */
  phase: MigrationPhase | null;
  progress: MigrationProgress | null;
  source_name: string | null;
  target_name: string | null;
  /** Its IP address is part of it. */
  target_url: string | null;
  /** Positions by age among the flavors that there are: what Nova's integers are like. */
  old_flavor_number: number | null;
  new_flavor_number: number | null;
  status: MigrationStatus;
  created_at: Date;
  updated_at: Date;
}

export interface MigrationFilter {
  projectId?: string;
  userId?: string;
  serverId?: string;
  /** The name of the source or the target. */
  host?: string;
  source?: string;
  kind?: string;
  /** Those that Nova counts as under way. */
  inProgress?: true;
  number?: number;
  status?: string;
  changesSince?: Date;
  changesBefore?: Date;
  /** An id. */
  marker?: string;
  limit?: number;
  newestFirst: boolean;
}

export class MigrationService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /**
   * Managers see those of their own project, where they name it; administrators all.
   * @throws CloudError `forbidden`; `invalid` for an unknown marker
   */
  async list(caller: Caller, filter: MigrationFilter): Promise<MigrationRow[]> {
    const own = filter.projectId !== undefined && filter.projectId === caller.projectId;
    if (!isAdmin(caller) && !(own && caller.roles.has('manager'))) requireAdmin(caller, 'list migrations');
    return this.#read(filter);
  }

  async #read(filter: MigrationFilter): Promise<MigrationRow[]> {
    const db = this.#database.query;
    const after = filter.marker === undefined ? undefined : await this.#position(filter.marker);
    const direction = sql.raw(filter.newestFirst ? 'desc' : 'asc');
    const when = <T>(value: T | undefined, condition: (value: T) => ReturnType<typeof sql>) =>
      value === undefined ? sql`` : sql`and ${condition(value)}`;
    const { rows } =
      await sql<MigrationRow>`select * from (${all(filter.inProgress || underWay.has(filter.status ?? '') ? sql`m.ended is null` : sql`true`)}) m where true
      ${when(filter.projectId, (v) => sql`project_id = ${v}::uuid`)}
      ${when(filter.userId, (v) => sql`user_id = ${v}::uuid`)}
      ${when(filter.serverId, (v) => sql`server_id = ${v}::uuid`)}
      ${when(filter.host, (v) => sql`(source_name = ${v} or target_name = ${v})`)}
      ${when(filter.source, (v) => sql`source_name = ${v}`)}
      ${when(filter.kind, (v) => sql`kind = ${v}`)}
      ${when(filter.number, (v) => sql`number = ${v}`)}
      ${when(filter.inProgress, () => sql`status in ('preparing', 'running')`)}
      ${when(filter.status, (v) => sql`status = ${v}`)}
      ${when(filter.changesSince, (v) => sql`updated_at >= ${v}`)}
      ${when(filter.changesBefore, (v) => sql`updated_at < ${endOfSecond(v)}`)}
      ${when(after, (v) => (filter.newestFirst ? sql`number < ${v}` : sql`number > ${v}`))}
      order by number ${direction} limit ${filter.limit ?? null}::bigint`.execute(db);
    return rows;
  }

  /** Of one server, of any state; for whoever has found that the caller may see the server. */
  async ofServer(
    serverId: string,
    filter: Pick<MigrationFilter, 'number' | 'kind' | 'inProgress'>,
  ): Promise<MigrationRow[]> {
    return this.#read({ ...filter, serverId, newestFirst: false });
  }

  async #position(marker: string): Promise<number> {
    const { rows } = await sql<{
      number: number;
    }>`select number from server_migration where id = ${marker}::uuid`.execute(this.#database.query);
    if (!rows[0]) throw new CloudError('invalid', 'marker_not_found', { marker });
    return rows[0].number;
  }
}

const flavorNumber = (column: string) => sql`(select count(*)::integer from flavor o where o.id <= f.id)
  from flavor f where f.id = m.${sql.raw(column)}`;

/** How far one on its own host is say the operation that began it and the one that ends it; history may have forgotten both, then they have succeeded. */
const statusSql = sql`case
    when m.kind = 'live-migration' then case when m.ended is not null then m.ended when m.phase = 'preparing' then 'preparing' else 'running' end
    when m.kind = 'evacuation' then case m.ended when 'completed' then 'done' when 'failed' then 'failed' else 'pre-migrating' end
    when m.ended in ('failed', 'cancelled') then 'error'
    when m.ended = 'confirmed' then case when ending.running then 'confirming' else 'confirmed' end
    when m.ended = 'reverted' then case when ending.running then 'reverting' else 'reverted' end
    when m.phase = 'preparing' then 'pre-migrating' when m.phase in ('copying', 'cancelling') then 'migrating'
    when m.phase = 'handing-over' then 'post-migrating' when m.phase = 'reverting' then 'reverting'
    when began.state = 'running' then case when m.phase = 'moved' then 'post-migrating' else 'migrating' end
    when began.state = 'failed' then 'error'
    else 'finished' end`;

/** What only one that has not ended can be: of a year of them those few are looked up (migration 1148). */
const underWay: ReadonlySet<string> = new Set(['preparing', 'running']);

/** A resize on its own host goes where it is. @param which of `server_migration m` */
const all = (
  which: RawBuilder<unknown>,
) => sql`select m.id, m.number, m.project_id, m.user_id, m.server_id, m.kind, m.phase, m.progress, h.name as source_name,
    coalesce(t.name, case when m.phase is null and m.kind = 'resize' then h.name end) as target_name,
    case when t.id is not null then t.facts ->> 'url' when m.phase is null then h.facts ->> 'url' end as target_url,
    (select ${flavorNumber('old_flavor_id')}) as old_flavor_number,
    (select ${flavorNumber('new_flavor_id')}) as new_flavor_number, ${statusSql} as status,
    m.created_at, greatest(m.updated_at, began.updated_at, ending.updated_at) as updated_at
  from server_migration m left join host h on h.id = m.host_id left join host t on t.id = m.target_host_id
  left join lateral (select state, updated_at from operation
    where resource_id = m.server_id and generation = m.server_generation and verb in ('resize', 'migrate', 'live-migration') limit 1) began on true
  left join lateral (select bool_or(state = 'running') as running, max(updated_at) as updated_at from operation
    where resource_id = m.server_id and generation > m.server_generation and m.ended is not null
      and verb = case m.ended when 'confirmed' then 'confirmResize' else 'revertResize' end) ending on true
  where ${which}`;
