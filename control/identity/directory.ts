/** What readers and writers of the directory have in common: pages, filters, names, refusals. */
import { type RawBuilder, sql } from 'kysely';
import { CloudError } from '../../contract/errors.ts';
import type { Queryable } from '../kit/database/database.ts';
import { defined } from '../kit/database/schema.ts';
import type { NamedNoun } from './reasons.ts';

/** Keyset paging over ids, which are in order of creation. No limit: everything, as Keystone's clients expect. */
export interface PageRequest {
  limit?: number;
  /** The last id of the page before. */
  marker?: string;
}

export interface Page<Row> {
  rows: Row[];
  /** Where the next page starts; null when this is the last. */
  next: string | null;
}

/** As in Keystone: where nothing has the marker's id, there is no place to go on from. @throws CloudError `not_found` */
export async function requireMarker(db: Queryable, table: string, { marker }: PageRequest): Promise<void> {
  if (marker === undefined) return;
  const { rows } = await sql`select from ${sql.table(table)} where id = ${marker}`.execute(db);
  if (rows.length === 0) throw new CloudError('not_found', 'marker_not_found', { marker });
}

/** A membership that a mapping gave ends by itself. */
const lasts = sql`(expires_at is null or expires_at > now())`;

/** The groups that a user is in now. */
export const groupsOf = (userId: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`(select group_id from user_group_member where user_id = ${userId} and ${lasts})`;

/** The users who are in a group now. */
export const membersOf = (groupId: string): RawBuilder<unknown> =>
  sql`(select user_id from user_group_member where group_id = ${groupId} and ${lasts})`;

/** Reads one row more than asked for to know whether there is a next page. */
export const pageEnd = (page: PageRequest) => (page.limit === undefined ? sql`` : sql`limit ${page.limit + 1}`);
export const pageStart = (page: PageRequest, column: string) =>
  page.marker === undefined ? sql`` : sql`and ${sql.ref(column)} > ${page.marker}`;

export function toPage<Row extends { id: string }>(rows: Row[], page: PageRequest): Page<Row> {
  if (page.limit === undefined || rows.length <= page.limit) return { rows, next: null };
  const kept = rows.slice(0, page.limit);
  return { rows: kept, next: kept.at(-1)!.id };
}

export const nameTaken = (noun: NamedNoun, name: string): CloudError =>
  new CloudError('conflict', 'name_taken', { noun, name });

/** Code points, as people and Keystone count them. @throws CloudError `invalid` */
export function checkName(noun: NamedNoun, name: string, maximum: number): void {
  if (name.trim() === '') throw new CloudError('invalid', 'name_empty', { noun });
  if ([...name].length > maximum) {
    throw new CloudError('invalid', 'name_too_long', { noun, maximum });
  }
}

/** All of these columns have these values; those without a value are not asked for. */
export function matching(columns: Readonly<Record<string, unknown>>): RawBuilder<unknown> {
  const parts = Object.entries(defined(columns)).map(([column, value]) =>
    value === null ? sql`${sql.ref(column)} is null` : sql`${sql.ref(column)} = ${value}`,
  );
  return sql.join([sql`true`, ...parts], sql` and `);
}
