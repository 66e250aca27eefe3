/** Lists of images: filters, rights, order and page in one statement, with keyset paging. */

import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import { parseId } from '../../contract/ids.ts';
import { type Caller, isAdmin } from '../kit/caller.ts';
import type { Queryable } from '../kit/database/database.ts';
import type { ImageRow } from './tables.ts';
import type { MemberStatus, Visibility } from './values.ts';

export type Comparison = 'gt' | 'gte' | 'lt' | 'lte' | 'eq' | 'neq';
export type SortKey =
  | 'name'
  | 'status'
  | 'container_format'
  | 'disk_format'
  | 'size'
  | 'id'
  | 'created_at'
  | 'updated_at';

export interface ImageFilter {
  ids?: string[];
  names?: string[];
  statuses?: string[];
  containerFormats?: string[];
  diskFormats?: string[];
  /** Undefined: what a project works with (its own, public, and accepted); 'all': also the community's. */
  visibility?: Visibility | 'all';
  /** Of images that others share with the caller. */
  memberStatus: MemberStatus | 'all';
  /** A project's id, or the text that an image has instead. */
  owner?: string;
  /** All of them. */
  tags?: string[];
  size?: number;
  sizeMin?: number;
  sizeMax?: number;
  minDiskGib?: number;
  minMemoryMib?: number;
  protected?: boolean;
  hidden: boolean;
  md5?: string;
  /** SHA-512, or SHA-256 of an image that has no other. */
  hash?: string;
  createdAt?: { is: Comparison; at: Date };
  updatedAt?: { is: Comparison; at: Date };
  properties?: Record<string, string>;
}

export interface ImageListOptions {
  filter: ImageFilter;
  sort: readonly { key: SortKey; descending: boolean }[];
  limit: number;
  /** The last image of the page before. */
  marker?: string;
}

type Condition = RawBuilder<unknown>;

/** The images that a caller can name: one's own, public, community, and shared with one. */
export function visibleTo(caller: Caller): Condition {
  if (isAdmin(caller)) return sql`desired_presence = 'present'`;
  return sql`desired_presence = 'present' and (project_id = ${caller.projectId} or visibility in ('public', 'community')
    or (visibility = 'shared' and ${sharedWith(caller, 'all')}))`;
}

const sharedWith = (caller: Caller, status: MemberStatus | 'all'): Condition =>
  sql`exists (select from image_member m where m.image_id = image.id and m.project_id = ${caller.projectId}
    ${status === 'all' ? sql`` : sql`and m.status = ${status}`})`;

/** The images that a list shows. */
function listedTo(caller: Caller, filter: ImageFilter): Condition {
  const { visibility } = filter;
  const own = sql`project_id = ${caller.projectId}`;
  const shared = sql`(visibility = 'shared' and ${sharedWith(caller, filter.memberStatus)})`;
  if (isAdmin(caller)) {
    return visibility === undefined || visibility === 'all'
      ? sql`desired_presence = 'present'`
      : sql`desired_presence = 'present' and visibility = ${visibility}`;
  }
  const right = () => {
    switch (visibility) {
      case undefined:
        return sql`(${own} or visibility = 'public' or ${shared})`;
      case 'all':
        return sql`(${own} or visibility in ('public', 'community') or ${shared})`;
      case 'public':
      case 'community':
        return sql`visibility = ${visibility}`;
      case 'private':
        return sql`(visibility = 'private' and ${own})`;
      case 'shared':
        return sql`((visibility = 'shared' and ${own}) or ${shared})`;
    }
  };
  return sql`desired_presence = 'present' and ${right()}`;
}

const operators: Readonly<Record<Comparison, Condition>> = {
  gt: sql`>`,
  gte: sql`>=`,
  lt: sql`<`,
  lte: sql`<=`,
  eq: sql`=`,
  neq: sql`<>`,
};

function conditions(filter: ImageFilter): Condition[] {
  const found: Condition[] = [sql`hidden = ${filter.hidden}`];
  const among = (column: string, values: readonly string[] | undefined) => {
    if (values) found.push(sql`${sql.ref(column)} = any(${[...values]}::text[])`);
  };
  if (filter.ids) found.push(sql`id = any(${filter.ids.flatMap((id) => parseId(id) ?? [])}::uuid[])`);
  among('name', filter.names);
  among('status', filter.statuses);
  among('container_format', filter.containerFormats);
  among('disk_format', filter.diskFormats);
  if (filter.owner !== undefined) {
    const id = parseId(filter.owner);
    found.push(sql`(foreign_owner = ${filter.owner}${id ? sql` or project_id = ${id}` : sql``})`);
  }
  if (filter.tags) found.push(sql`tags @> ${filter.tags}::text[]`);
  if (filter.size !== undefined) found.push(sql`size_bytes = ${filter.size}`);
  if (filter.sizeMin !== undefined) found.push(sql`size_bytes >= ${filter.sizeMin}`);
  if (filter.sizeMax !== undefined) found.push(sql`size_bytes <= ${filter.sizeMax}`);
  if (filter.minDiskGib !== undefined) found.push(sql`min_disk_gib = ${filter.minDiskGib}::bigint`);
  if (filter.minMemoryMib !== undefined) found.push(sql`min_memory_mib = ${filter.minMemoryMib}::bigint`);
  if (filter.protected !== undefined) found.push(sql`protected = ${filter.protected}`);
  if (filter.md5 !== undefined) found.push(sql`md5 = ${filter.md5}`);
  if (filter.hash !== undefined) found.push(sql`coalesce(sha512, sha256) = ${filter.hash}`);
  for (const [column, test] of [
    ['created_at', filter.createdAt],
    ['updated_at', filter.updatedAt],
  ] as const) {
    // Callers see whole seconds, so they compare whole seconds.
    if (test) found.push(sql`date_trunc('second', ${sql.ref(column)}) ${operators[test.is]} ${test.at}`);
  }
  if (filter.properties && Object.keys(filter.properties).length > 0) {
    found.push(sql`owner_properties @> ${JSON.stringify(filter.properties)}::jsonb`);
  }
  return found;
}

/** Never null, so that keyset comparison holds. */
const sortValues: Readonly<Record<SortKey, Condition>> = {
  name: sql`coalesce(name, '')`,
  status: sql`status`,
  container_format: sql`coalesce(container_format, '')`,
  disk_format: sql`coalesce(disk_format, '')`,
  size: sql`coalesce(size_bytes, -1)`,
  id: sql`id`,
  created_at: sql`created_at`,
  updated_at: sql`updated_at`,
};

/** (a, b) behind the marker's, each key in its own direction: a > x or (a = x and b > y) … */
function behind(sort: ImageListOptions['sort'], marker: string): Condition {
  const steps = sort.map(({ key, descending }, index) => {
    const at = (k: SortKey) => sql`(select ${sortValues[k]} from image where id = ${marker})`;
    const equal = sort.slice(0, index).map((before) => sql`${sortValues[before.key]} = ${at(before.key)}`);
    return sql`(${sql.join([...equal, sql`${sortValues[key]} ${descending ? sql`<` : sql`>`} ${at(key)}`], sql` and `)})`;
  });
  return sql`(${sql.join(steps, sql` or `)})`;
}

/** @throws CloudError `invalid` when the marker is no image that the caller sees */
export async function listImages(db: Queryable, caller: Caller, options: ImageListOptions): Promise<ImageRow[]> {
  const sort = [...options.sort];
  if (!sort.some(({ key }) => key === 'id')) sort.push({ key: 'id', descending: sort.at(-1)?.descending ?? true });
  const where = [listedTo(caller, options.filter), ...conditions(options.filter)];
  if (options.marker !== undefined) {
    const marker = parseId(options.marker);
    const known =
      marker &&
      (await sql`select from image where id = ${marker} and ${visibleTo(caller)}`.execute(db)).rows.length > 0;
    if (!known) throw new CloudError('invalid', 'marker_not_found', { marker: options.marker });
    where.push(behind(sort, marker));
  }
  const order = sort.map(({ key, descending }) => sql`${sortValues[key]} ${descending ? sql`desc` : sql`asc`}`);
  const { rows } = await sql<ImageRow>`select * from image where ${sql.join(where, sql` and `)}
    order by ${sql.join(order)} limit ${options.limit}`.execute(db);
  return rows;
}
