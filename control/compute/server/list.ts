/**
 * Lists of servers: one statement, with the caller's rights in its WHERE and keyset paging. Servers that are gone
 * are read from the change log, where their last row stands.
 */

import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { behindMarker, Conditions } from '../../kit/conditions.ts';
import { type Queryable, sqlState } from '../../kit/database/database.ts';
import { endOfSecond, onePerKey } from '../../kit/listing.ts';
import { safePattern } from './pattern.ts';
import type { ListedServer } from './server.ts';
import type { ServerStatus, TaskState, VmState } from './states.ts';
import { powerStateSql, statusSql, taskStateSql, vmStateSql } from './states-sql.ts';
import { listedRow, type Reach, reachCondition } from './store.ts';

/** Fields that callers may filter by a regular expression, as Nova lets them. */
const patternFields = {
  name: sql`s.name`,
  description: sql`coalesce(s.description, '')`,
  hostname: sql`s.hostname`,
  key_name: sql`coalesce(s.key_name, '')`,
  availability_zone: sql`coalesce(h.availability_zone, s.availability_zone, '')`,
  node: sql`coalesce(h.name, '')`,
  reservation_id: sql`s.reservation_id`,
  locked_by: sql`coalesce(s.locked_by, '')`,
  access_ipv4: sql`coalesce(host(s.access_ipv4), '')`,
  access_ipv6: sql`coalesce(host(s.access_ipv6), '')`,
  // The same for all servers, or nobody's.
  root_device_name: sql`'/dev/vda'::text`,
  kernel_id: sql`''::text`,
  ramdisk_id: sql`''::text`,
} as const;

const sortKeys = {
  id: sql`s.id`,
  created_at: sql`s.created_at`,
  updated_at: sql`s.updated_at`,
  launched_at: sql`coalesce(s.launched_at, '-infinity')`,
  name: sql`s.name`,
  description: sql`coalesce(s.description, '')`,
  hostname: sql`s.hostname`,
  host: sql`coalesce(h.name, '')`,
  availability_zone: sql`coalesce(h.availability_zone, s.availability_zone, '')`,
  key_name: sql`coalesce(s.key_name, '')`,
  image: sql`coalesce(s.image_id::text, '')`,
  flavor: sql`s.flavor_id`,
  launch_index: sql`s.launch_index`,
  project_id: sql`s.project_id`,
  user_id: sql`s.user_id`,
  config_drive: sql`s.config_drive`,
  locked: sql`s.locked`,
  vm_state: vmStateSql,
  task_state: sql`coalesce(${taskStateSql}, '')`,
  power_state: powerStateSql,
} as const;

export type SortKey = keyof typeof sortKeys;

export interface ServerFilter {
  /** 'present': those that are; 'deleted': those that are gone; 'both': for changes-since. */
  which?: 'present' | 'deleted' | 'both';
  ids?: string[];
  projectId?: string;
  userId?: string;
  imageId?: string;
  /** The flavor's id as callers see it. */
  flavor?: string;
  hostName?: string;
  statuses?: ServerStatus[];
  vmStates?: VmState[];
  taskStates?: Exclude<TaskState, null>[];
  powerState?: number;
  patterns?: Partial<Record<keyof typeof patternFields, string>>;
  /** Regular expressions on any fixed address. */
  ipv4?: string;
  ipv6?: string;
  changesSince?: Date;
  changesBefore?: Date;
  createdAt?: Date;
  launchedAt?: Date;
  terminatedAt?: Date;
  /** In percent, as the dialect shows it. */
  progress?: number;
  diskConfig?: 'AUTO' | 'MANUAL';
  /** Whether those that can be restored are among what is, or among what is deleted. */
  softDeleted?: boolean;
  launchIndex?: number;
  configDrive?: boolean;
  locked?: boolean;
  tags?: string[];
  tagsAny?: string[];
  notTags?: string[];
  notTagsAny?: string[];
  sort?: { key: SortKey; direction: 'asc' | 'desc' }[];
  marker?: string;
  limit?: number;
}

/**
 * Servers that are, that were, or both: as rows of one shape. Whose and since when is said inside each part, in the columns of its
 * own indexes: what a list reads is what is asked for.
 */
function source(reach: Reach, filter: ServerFilter): RawBuilder<unknown> {
  const { changesSince: since, which = 'present' } = filter;
  const present = (soft: RawBuilder<unknown>) => sql`select server.*, null::timestamptz as deleted_at from server
    where ${since ? sql`updated_at >= ${since}` : sql`true`} and ${soft}`;
  const gone = sql`select r.*, c.at as deleted_at from change c,
    lateral jsonb_populate_record(null::server, c.body) r
    where c.resource_type = 'server' and c.action = 'deleted' and ${since ? sql`c.at >= ${since}` : sql`true`}
      and ${reach === 'all' ? sql`true` : sql`c.project_id = ${reach.projectId}::uuid`}`;
  // What can be restored is shown to those who ask for what is deleted, or for its state.
  if (which === 'deleted' && filter.softDeleted === false) return gone;
  if (which === 'deleted') return sql`${gone} union all ${present(sql`soft_deleted_at is not null`)}`;
  if (which === 'both') return sql`${present(sql`true`)} union all ${gone}`;
  return present(asksForSoftDeleted(filter) ? sql`true` : sql`soft_deleted_at is null`);
}

const asksForSoftDeleted = ({ softDeleted, statuses, vmStates }: ServerFilter): boolean =>
  softDeleted === true || statuses?.includes('SOFT_DELETED') === true || vmStates?.includes('soft-delete') === true;

function conditions(reach: Reach, f: ServerFilter): RawBuilder<unknown>[] {
  const { all, when } = new Conditions(reachCondition(reach));
  when(f.ids, (v) => sql`s.id = any(${v}::uuid[])`);
  when(f.projectId, (v) => sql`s.project_id = ${v}::uuid`);
  when(f.userId, (v) => sql`s.user_id = ${v}::uuid`);
  when(f.imageId, (v) => sql`s.image_id = ${v}::uuid`);
  when(f.flavor, (v) => sql`s.flavor ->> 'id' = ${v}`);
  when(f.hostName, (v) => sql`h.name = ${v}`);
  when(f.statuses, (v) => sql`${statusSql} = any(${v}::text[])`);
  when(f.vmStates, (v) => sql`${vmStateSql} = any(${v}::text[])`);
  when(f.taskStates, (v) => sql`${taskStateSql} = any(${v}::text[])`);
  when(f.powerState, (v) => sql`${powerStateSql} = ${v}`);
  when(f.changesSince, (v) => sql`coalesce(s.deleted_at, s.updated_at) >= ${v}`);
  when(f.changesBefore, (v) => sql`coalesce(s.deleted_at, s.updated_at) < ${endOfSecond(v)}`);
  const inSecond = (column: string, time: Date | undefined) =>
    when(time, (v) => sql`date_trunc('second', ${sql.ref(column)}) = date_trunc('second', ${v}::timestamptz)`);
  inSecond('s.created_at', f.createdAt);
  inSecond('s.launched_at', f.launchedAt);
  inSecond('s.deleted_at', f.terminatedAt);
  when(f.progress, (v) => sql`case ${statusSql} when 'ACTIVE' then 100 else 0 end = ${v}`);
  when(f.diskConfig, (v) => sql`s.disk_config = ${v}`);
  when(f.launchIndex, (v) => sql`s.launch_index = ${v}`);
  when(f.configDrive, (v) => sql`s.config_drive = ${v}`);
  when(f.locked, (v) => sql`s.locked = ${v}`);
  when(f.tags, (v) => sql`s.tags @> ${v}::text[]`);
  when(f.tagsAny, (v) => sql`s.tags && ${v}::text[]`);
  when(f.notTags, (v) => sql`not s.tags @> ${v}::text[]`);
  when(f.notTagsAny, (v) => sql`not s.tags && ${v}::text[]`);
  for (const [field, pattern] of Object.entries(f.patterns ?? {})) {
    all.push(sql`${patternFields[field as keyof typeof patternFields]} ~ ${safePattern(pattern)}`);
  }
  const address = (pattern: string, family: 4 | 6) => sql`exists (select from server_port sp
    join port_ip a on a.port_id = sp.port_id
    where sp.server_id = s.id and family(a.ip) = ${family} and host(a.ip) ~ ${safePattern(pattern)})`;
  when(f.ipv4, (v) => address(v, 4));
  when(f.ipv6, (v) => address(v, 6));
  return all;
}

const columns = sql`${listedRow}, s.deleted_at`;

/** @throws CloudError `invalid` for an unknown marker or a broken regular expression */
export const listServers = (db: Queryable, reach: Reach, filter: ServerFilter): Promise<ListedServer[]> =>
  readPage(db, { reach, filter, columns });

/** Of the same servers what they are called: the rest of a row takes longer to read than to find. */
export const listServerNames = (db: Queryable, reach: Reach, filter: ServerFilter): Promise<NamedServer[]> =>
  readPage(db, { reach, filter, columns: sql`s.id, s.name` });

export type NamedServer = Pick<ListedServer, 'id' | 'name'>;

async function readPage<Row>(
  db: Queryable,
  { reach, filter, columns }: { reach: Reach; filter: ServerFilter; columns: RawBuilder<unknown> },
): Promise<Row[]> {
  const from = sql`(${source(reach, filter)}) s left join host h on h.id = s.host_id`;
  const where = conditions(reach, filter);
  const sort = onePerKey(filter.sort ?? [], ({ key }) => key);
  // Ids are made in time's order: newest first, Nova's default, is the index's own order.
  if (!sort.some(({ key }) => key === 'id')) {
    sort.push({ key: 'id', direction: sort[0]?.direction ?? 'desc' });
  }
  const keys = sort.map(({ key, direction }) => ({ by: sortKeys[key], descending: direction === 'desc' }));
  if (filter.marker !== undefined) {
    const { marker } = filter;
    const row = (values: RawBuilder<unknown>) => sql<Record<string, string>>`select ${values} from ${from}
    where s.id = ${marker}::uuid and ${reachCondition(reach)}`;
    const behind = await behindMarker(db, keys, row);
    if (!behind) throw new CloudError('invalid', 'marker_not_found', { marker });
    where.push(behind);
  }
  const order = keys.map(({ by, descending }) => sql`${by} ${descending ? sql`desc` : sql`asc`}`);
  try {
    const { rows } = await sql<Row>`select * from (select ${columns} from ${from}
      where ${sql.join(where, sql` and `)} order by ${sql.join(order)} ${roughly(filter.limit)}) page
      limit ${filter.limit ?? null}::bigint`.execute(db);
    return rows;
  } catch (error) {
    if (sqlState(error) === '2201B') throw new CloudError('invalid', 'pattern_malformed', {}, { cause: error });
    throw error;
  }
}

/**
 * A limit that is only told with each call is reckoned with as a tenth of all rows: a plan for any limit looks dearer than one for the
 * very number, and PostgreSQL plans anew at each call, for longer than it reads. So the text has a limit too, of so few numbers that there
 * are few texts.
 */
const roughly = (limit: number | undefined) =>
  limit === undefined ? sql`` : sql`limit ${sql.lit(2 ** Math.ceil(Math.log2(Math.max(limit, 1))))}`;
