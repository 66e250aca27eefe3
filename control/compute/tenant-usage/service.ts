/** Who used how much in a time. Reads only; see README.md. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type Caller, isAdmin, requireAdmin } from '../../kit/caller.ts';
import type { Database, Queryable } from '../../kit/database/database.ts';
import { type ServerState, stateColumns, type VmState, vmState } from '../server/index.ts';

export interface ServerUsage {
  id: string;
  name: string;
  project_id: string;
  flavor_name: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  state: VmState | 'terminated';
  started_at: Date;
  ended_at: Date | null;
  /** Within the time that was asked about. */
  hours: number;
}

export interface UsageQuery {
  from: Date;
  to: Date;
  /** A server's id. */
  marker?: string;
  limit: number;
}

export class TenantUsageService {
  readonly #database: Database;

  constructor(options: { database: Database }) {
    this.#database = options.database;
  }

  /** Of all projects, by project and server. @throws CloudError `forbidden`; `invalid` for an unknown marker */
  async list(caller: Caller, query: UsageQuery): Promise<ServerUsage[]> {
    requireAdmin(caller, 'list the usage of all projects');
    return usage(this.#database.query, null, query);
  }

  /** Of one project: the caller's own, or any for administrators. */
  async show(caller: Caller, projectId: string, query: UsageQuery): Promise<ServerUsage[]> {
    if (!isAdmin(caller) && caller.projectId !== projectId) requireAdmin(caller, 'show another project’s usage');
    return usage(this.#database.query, projectId, query);
  }
}

type Row = Omit<ServerUsage, 'state' | 'hours'> & ServerState;

async function usage(db: Queryable, projectId: string | null, query: UsageQuery): Promise<ServerUsage[]> {
  const { from, to, marker, limit } = query;
  const own = (column: string) => (projectId === null ? sql`true` : sql`${sql.ref(column)} = ${projectId}::uuid`);
  const present = sql`select server.*, null::timestamptz as deleted_at from server
    where ${own('project_id')} and launched_at < ${to}`;
  const deleted = sql`select r.*, c.at as deleted_at from change c, lateral jsonb_populate_record(null::server, c.body) r
    where c.resource_type = 'server' and c.action = 'deleted' and c.at > ${from} and ${own('c.project_id')}
      and r.launched_at < ${to}`;
  let after = sql`true`;
  if (marker !== undefined) {
    const of = sql<{
      project_id: string;
    }>`select project_id from (${present} and id = ${marker}::uuid union all ${deleted} and r.id = ${marker}::uuid) s`;
    const last = (await of.execute(db)).rows[0];
    if (!last) throw new CloudError('invalid', 'marker_not_found', { marker });
    // The first condition is the index's, which the second one is not.
    after = sql`s.project_id >= ${last.project_id}::uuid and (s.project_id > ${last.project_id}::uuid or s.id > ${marker}::uuid)`;
  }
  // By project first: answers are grouped so, and clients take the last server of the last group for the marker. By page of each, since an index has the first column, and sorts project by project.
  const page = (of: RawBuilder<unknown>) =>
    sql`(select * from (${of}) s where ${after} order by s.project_id, s.id limit ${limit})`;
  const { rows } =
    await sql<Row>`select ${stateColumns}, s.id, s.name, s.project_id, s.flavor ->> 'name' as flavor_name,
      s.vcpus, s.memory_mib, s.disk_gib + coalesce((s.flavor ->> 'ephemeral_gib')::bigint, 0) as disk_gib,
      s.launched_at as started_at, s.deleted_at as ended_at
    from (${page(present)} union all ${page(deleted)}) s order by s.project_id, s.id limit ${limit}`.execute(db);
  return rows.map((row) => ({
    ...{ id: row.id, name: row.name, project_id: row.project_id, flavor_name: row.flavor_name, vcpus: row.vcpus },
    ...{ memory_mib: row.memory_mib, disk_gib: row.disk_gib, started_at: row.started_at, ended_at: row.ended_at },
    state: row.ended_at ? 'terminated' : vmState(row, false),
    hours: hoursWithin(row, query),
  }));
}

function hoursWithin({ started_at, ended_at }: Pick<ServerUsage, 'started_at' | 'ended_at'>, { from, to }: UsageQuery) {
  const start = Math.max(started_at.getTime(), from.getTime());
  const end = Math.min(ended_at?.getTime() ?? Number.POSITIVE_INFINITY, to.getTime());
  return Math.max(0, end - start) / 3_600_000;
}
