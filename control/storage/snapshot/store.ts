/** The snapshot's SQL: rows in and out, lists by one statement with the rights in its WHERE. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { behindMarker, Conditions, isId } from '../../kit/conditions.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { onePerKey } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import {
  contains,
  contentIsFinalSql,
  type Reach,
  type StorageFault,
  snapshotStatusSql,
  snapshotTaskSql,
  type TimeComparison,
  timeConditions,
} from '../volume/index.ts';
import type { ListedSnapshot } from './snapshot.ts';

const from = sql`volume_snapshot s join volume v on v.id = s.volume_id`;
const columns = sql`s.*, ${snapshotTaskSql} as task`;
const within = (reach: Reach) => (reach === 'all' ? sql`true` : sql`s.project_id = ${reach.projectId}::uuid`);

/** @throws CloudError `not_found`, also for what is out of reach */
export async function findSnapshot(db: Queryable, reach: Reach, id: string): Promise<ListedSnapshot> {
  const known = parseId(id);
  const { rows } = known
    ? await sql<ListedSnapshot>`select ${columns} from ${from} where s.id = ${known} and ${within(reach)}`.execute(db)
    : { rows: [] };
  if (!rows[0]) throw notFound('volume_snapshot', id);
  return rows[0];
}

/**
 * Its volume's row is locked too, first: whoever changes the volume as a whole holds that, and its snapshots with it.
 * @throws CloudError `not_found`, also for what is out of reach
 */
export async function lockSnapshot(tx: Tx, reach: Reach, id: string): Promise<ListedSnapshot> {
  const known = parseId(id);
  if (!known) throw notFound('volume_snapshot', id);
  const [, , snapshot] = await Promise.all([
    sql`select from volume where id = (select volume_id from volume_snapshot where id = ${known}) for update`.execute(
      tx,
    ),
    sql`select from volume_snapshot where id = ${known} for update`.execute(tx),
    findSnapshot(tx, reach, known),
  ]);
  return snapshot;
}

/** For whoever writes down that it was so once. */
export async function isContentFinal(db: Queryable, id: string): Promise<boolean> {
  const { rows } = await sql`select from ${from} join volume_layer l on l.id = s.layer_id
    where s.id = ${id} and ${contentIsFinalSql}`.execute(db);
  return rows.length > 0;
}

export async function noteSnapshot(
  tx: Tx,
  id: string,
  notes: {
    name?: string;
    description?: string | null;
    metadata?: Record<string, string>;
    fault?: StorageFault | null;
  },
): Promise<void> {
  const { metadata, fault, ...plain } = notes;
  await tx
    .updateTable('volume_snapshot')
    .set({
      ...plain,
      ...(metadata && { metadata: json(metadata) }),
      ...(fault !== undefined && { fault: fault && json(fault), generation: sql`generation + 1` }),
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .execute();
}

const snapshotSortKeys = {
  id: sql`s.id`,
  created_at: sql`s.created_at`,
  updated_at: sql`s.updated_at`,
  name: sql`s.name`,
  description: sql`coalesce(s.description, '')`,
  status: snapshotStatusSql,
  size: sql`s.size_gib`,
  volume_id: sql`s.volume_id`,
  project_id: sql`s.project_id`,
  user_id: sql`s.user_id`,
} as const;
export type SnapshotSortKey = keyof typeof snapshotSortKeys;

export interface SnapshotFilter {
  ids?: string[];
  projectId?: string;
  userId?: string;
  volumeId?: string;
  name?: string;
  nameLike?: string;
  description?: string;
  descriptionLike?: string;
  status?: string;
  statusLike?: string;
  metadata?: Record<string, string>;
  zone?: string;
  size?: number;
  consumesQuota?: boolean;
  createdAt?: { is: TimeComparison; at: Date }[];
  updatedAt?: { is: TimeComparison; at: Date }[];
  /** Nothing can match: what was asked for is nowhere. */
  never?: boolean;
}

export interface SnapshotPage {
  filter: SnapshotFilter;
  sort?: readonly { key: SnapshotSortKey; descending: boolean }[];
  limit: number;
  offset?: number;
  marker?: string;
}

function conditions(reach: Reach, f: SnapshotFilter): RawBuilder<unknown>[] {
  const { all, when } = new Conditions(within(reach));
  if (f.never) all.push(sql`false`);
  when(f.ids, (v) => sql`s.id = any(${v.flatMap((id) => parseId(id) ?? [])}::uuid[])`);
  when(f.projectId, isId(sql`s.project_id`));
  when(f.userId, isId(sql`s.user_id`));
  when(f.volumeId, isId(sql`s.volume_id`));
  when(f.name, (v) => sql`s.name = ${v}`);
  when(f.nameLike, (v) => sql`s.name like ${contains(v)}`);
  when(f.description, (v) => sql`coalesce(s.description, '') = ${v}`);
  when(f.descriptionLike, (v) => sql`s.description like ${contains(v)}`);
  when(f.status, (v) => sql`${snapshotStatusSql} = ${v}`);
  when(f.statusLike, (v) => sql`${snapshotStatusSql} like ${contains(v)}`);
  when(f.metadata, (v) => sql`s.metadata @> ${JSON.stringify(v)}::jsonb`);
  when(
    f.zone,
    (v) => sql`coalesce((select availability_zone from host where id = v.host_id), v.availability_zone, 'nova') = ${v}`,
  );
  when(f.size, (v) => sql`s.size_gib = ${v}`);
  when(f.consumesQuota, (v) => sql`s.consumes_quota = ${v}`);
  all.push(...timeConditions(sql`s.created_at`, f.createdAt), ...timeConditions(sql`s.updated_at`, f.updatedAt));
  return all;
}

/** @throws CloudError `not_found` for a marker that is no snapshot of the reach */
export async function listSnapshots(db: Queryable, reach: Reach, page: SnapshotPage): Promise<ListedSnapshot[]> {
  const where = conditions(reach, page.filter);
  const asked: NonNullable<SnapshotPage['sort']> = page.sort ?? [{ key: 'created_at', descending: true }];
  const sort = onePerKey(asked, ({ key }) => key);
  if (!sort.some(({ key }) => key === 'id')) sort.push({ key: 'id', descending: sort[0]?.descending ?? true });
  const keys = sort.map(({ key, descending }) => ({ by: snapshotSortKeys[key], descending }));
  if (page.marker !== undefined) {
    const id = parseId(page.marker);
    const row = (values: RawBuilder<unknown>) =>
      sql<Record<string, string>>`select ${values} from ${from} where s.id = ${id} and ${within(reach)}`;
    const behind = id && (await behindMarker(db, keys, row));
    if (!behind) throw new CloudError('not_found', 'snapshot_marker_not_found', { id: page.marker });
    where.push(behind);
  }
  const order = keys.map(({ by, descending }) => sql`${by} ${descending ? sql`desc` : sql`asc`}`);
  const { rows } = await sql<ListedSnapshot>`select ${columns} from ${from} where ${sql.join(where, sql` and `)}
    order by ${sql.join(order)} limit ${page.limit} offset ${page.offset ?? 0}`.execute(db);
  return rows;
}

/** How many there are, whatever the page. */
export async function countSnapshots(db: Queryable, reach: Reach, filter: SnapshotFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${from}
    where ${sql.join(conditions(reach, filter), sql` and `)}`.execute(db);
  return rows[0]!.count;
}
