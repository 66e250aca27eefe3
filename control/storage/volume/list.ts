/** Lists of volumes: one statement, with the caller's rights in its WHERE and keyset paging. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { behindMarker, Conditions, isId } from '../../kit/conditions.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { onePerKey } from '../../kit/listing.ts';
import { migrationStatusSql, volumeStatusSql } from './states-sql.ts';
import { type Reach, reachCondition, volumeColumns, volumeFrom } from './store.ts';
import { defaultZone, type ListedVolume } from './volume.ts';

const zone = sql`coalesce(h.availability_zone, v.availability_zone, ${sql.lit(defaultZone)})`;

const volumeSortKeys = {
  id: sql`v.id`,
  created_at: sql`v.created_at`,
  updated_at: sql`v.updated_at`,
  launched_at: sql`coalesce(v.launched_at, '-infinity')`,
  name: sql`v.name`,
  description: sql`coalesce(v.description, '')`,
  size: sql`v.size_gib`,
  status: volumeStatusSql,
  bootable: sql`v.bootable`,
  host: sql`coalesce(h.name, '')`,
  availability_zone: zone,
  volume_type_id: sql`v.volume_type_id`,
  project_id: sql`v.project_id`,
  user_id: sql`v.user_id`,
} as const;
export type VolumeSortKey = keyof typeof volumeSortKeys;

export type TimeComparison = 'gt' | 'gte' | 'lt' | 'lte' | 'eq' | 'neq';

export interface VolumeFilter {
  ids?: string[];
  projectId?: string;
  userId?: string;
  name?: string;
  nameLike?: string;
  description?: string;
  descriptionLike?: string;
  status?: string;
  statusLike?: string;
  size?: number;
  bootable?: boolean;
  zone?: string;
  zoneLike?: string;
  metadata?: Record<string, string>;
  imageMetadata?: Record<string, string>;
  volumeTypeId?: string;
  groupId?: string;
  snapshotId?: string;
  sourceVolumeId?: string;
  /** As administrators see it: host, or host@pool… */
  hostName?: string;
  consumesQuota?: boolean;
  createdAt?: { is: TimeComparison; at: Date }[];
  updatedAt?: { is: TimeComparison; at: Date }[];
  migrationStatus?: string;
}

export interface VolumePage {
  filter: VolumeFilter;
  sort?: readonly { key: VolumeSortKey; descending: boolean }[];
  limit: number;
  offset?: number;
  marker?: string;
}

const operators: Readonly<Record<TimeComparison, RawBuilder<unknown>>> = {
  ...{ gt: sql`>`, gte: sql`>=`, lt: sql`<`, lte: sql`<=`, eq: sql`=`, neq: sql`<>` },
};

/** As LIKE, with the caller's own % and _ for themselves. */
export const contains = (text: string): string => `%${text.replace(/[\\%_]/g, '\\$&')}%`;

/** Of a column of a listing: has one of the values in it. */
export const containsAny =
  (text: RawBuilder<unknown>) =>
  (values: readonly string[]): RawBuilder<unknown> =>
    sql`${text} like any(${values.map(contains)}::text[])`;

/** Conditions on a time; callers say whole seconds, or more. */
export const timeConditions = (
  column: RawBuilder<unknown>,
  tests: readonly { is: TimeComparison; at: Date }[] = [],
): RawBuilder<unknown>[] => tests.map(({ is, at }) => sql`${column} ${operators[is]} ${at}`);

function conditions(reach: Reach, f: VolumeFilter): RawBuilder<unknown>[] {
  const { all, when } = new Conditions(reachCondition(reach));
  when(f.migrationStatus, (v) => sql`${migrationStatusSql} = ${v}`);
  when(f.ids, (v) => sql`v.id = any(${v.flatMap((id) => parseId(id) ?? [])}::uuid[])`);
  when(f.projectId, isId(sql`v.project_id`));
  when(f.userId, isId(sql`v.user_id`));
  when(f.volumeTypeId, isId(sql`v.volume_type_id`));
  when(f.groupId, isId(sql`v.group_id`));
  when(f.snapshotId, isId(sql`v.source_snapshot_id`));
  when(f.sourceVolumeId, isId(sql`v.source_volume_id`));
  when(f.name, (v) => sql`v.name = ${v}`);
  when(f.nameLike, (v) => sql`v.name like ${contains(v)}`);
  when(f.description, (v) => sql`coalesce(v.description, '') = ${v}`);
  when(f.descriptionLike, (v) => sql`v.description like ${contains(v)}`);
  when(f.status, (v) => sql`${volumeStatusSql} = ${v}`);
  when(f.statusLike, (v) => sql`${volumeStatusSql} like ${contains(v)}`);
  when(f.size, (v) => sql`v.size_gib = ${v}`);
  when(f.bootable, (v) => sql`v.bootable = ${v}`);
  when(f.zone, (v) => sql`${zone} = ${v}`);
  when(f.zoneLike, (v) => sql`${zone} like ${contains(v)}`);
  when(f.metadata, (v) => sql`v.metadata @> ${JSON.stringify(v)}::jsonb`);
  when(f.imageMetadata, (v) => sql`v.image_metadata @> ${JSON.stringify(v)}::jsonb`);
  when(
    f.hostName,
    (v) => sql`(h.name = ${v} or h.name || '@' || p.name = ${v} or h.name || '@' || p.name || '#' || p.name = ${v})`,
  );
  when(f.consumesQuota, (v) => sql`v.consumes_quota = ${v}`);
  all.push(...timeConditions(sql`v.created_at`, f.createdAt), ...timeConditions(sql`v.updated_at`, f.updatedAt));
  return all;
}

/** @throws CloudError `not_found` for a marker that is no volume of the reach */
export async function listVolumes(db: Queryable, reach: Reach, page: VolumePage): Promise<ListedVolume[]> {
  const where = conditions(reach, page.filter);
  const asked: NonNullable<VolumePage['sort']> = page.sort ?? [{ key: 'created_at', descending: true }];
  const sort = onePerKey(asked, ({ key }) => key);
  if (!sort.some(({ key }) => key === 'id')) sort.push({ key: 'id', descending: sort[0]?.descending ?? true });
  const keys = sort.map(({ key, descending }) => ({ by: volumeSortKeys[key], descending }));
  if (page.marker !== undefined) {
    const id = parseId(page.marker);
    const row = (values: RawBuilder<unknown>) => sql<Record<string, string>>`select ${values} from ${volumeFrom}
        where v.id = ${id} and ${reachCondition(reach)}`;
    const behind = id && (await behindMarker(db, keys, row));
    if (!behind) throw new CloudError('not_found', 'volume_marker_not_found', { id: page.marker });
    where.push(behind);
  }
  const order = keys.map(({ by, descending }) => sql`${by} ${descending ? sql`desc` : sql`asc`}`);
  const { rows } = await sql<ListedVolume>`select ${volumeColumns} from ${volumeFrom}
    where ${sql.join(where, sql` and `)} order by ${sql.join(order)} limit ${page.limit} offset ${page.offset ?? 0}`.execute(
    db,
  );
  return rows;
}

/** How many there are, whatever the page. */
export async function countVolumes(db: Queryable, reach: Reach, filter: VolumeFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${volumeFrom}
    where ${sql.join(conditions(reach, filter), sql` and `)}`.execute(db);
  return rows[0]!.count;
}

export interface VolumeSummary {
  count: number;
  size_gib: number;
  /** Each key with all of its values. */
  metadata: Record<string, string[]>;
}

export async function summarizeVolumes(db: Queryable, reach: Reach): Promise<VolumeSummary> {
  const { rows } = await sql<VolumeSummary>`select count(*) as count, coalesce(sum(v.size_gib), 0)::bigint as size_gib,
      coalesce((select jsonb_object_agg(key, vals) from (
        select m.key, jsonb_agg(distinct m.value) as vals from volume v, jsonb_each_text(v.metadata) m
        where ${reachCondition(reach)} group by m.key) each), '{}') as metadata
    from volume v where ${reachCondition(reach)}`.execute(db);
  return rows[0]!;
}
