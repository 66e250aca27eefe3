/** The backup's SQL: rows in and out, and what is shown of one. The status is derived here and nowhere else; nobody writes it. */
import { type Selectable, sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { parseId } from '../../../contract/ids.ts';
import { type Caller, isAdmin, requireProject } from '../../kit/caller.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import { countRows, type Listing, type ListQuery, listRows, readRow } from '../../kit/listing.ts';
import { notFound } from '../../kit/refusal.ts';
import { containsAny, type StorageFault } from '../volume/index.ts';
import type { BackupTable } from './tables.ts';

/** cinder/objects/fields.py, BackupStatus, but for what a backup here never is. */
export type BackupStatus = 'creating' | 'available' | 'restoring' | 'deleting' | 'error';

export type BackupRow = Selectable<BackupTable>;

export interface ListedBackup extends BackupRow {
  status: BackupStatus;
  /** Others hold only what differs from it. */
  has_dependents: boolean;
}

/** A volume is being made of it, or given its content. */
const restoring = sql`exists (select from volume v where v.desired_task ->> 'backup_id' = t.id::text
  and v.desired_task ->> 'kind' = 'restore')`;

const status = sql<string>`(case when t.desired_presence = 'absent' then 'deleting'
  when t.fault is not null then coalesce(t.fault ->> 'status', 'error')
  when t.ready_at is null then 'creating' when ${restoring} then 'restoring' else 'available' end)`;

const listing: Listing<ListedBackup> = {
  noun: 'backup',
  select: sql`t.*, ${status} as status, exists (select from backup c where c.parent_id = t.id and c.desired_presence = 'present') as has_dependents`,
  from: sql`backup t`,
  columns: {
    id: { kind: 'uuid', sortable: true },
    project_id: { kind: 'uuid', sortable: true },
    user_id: { kind: 'uuid', sortable: true },
    volume_id: { kind: 'uuid', sortable: true },
    name: { kind: 'text', sortable: true },
    name_like: { kind: 'text', matches: containsAny(sql`t.name`) },
    size_gib: { kind: 'integer', sortable: true },
    status: { kind: 'text', expression: status },
    status_like: { kind: 'text', matches: containsAny(status) },
    data_at: { kind: 'time', sortable: true },
    created_at: { kind: 'time', sortable: true },
    updated_at: { kind: 'time', sortable: true },
  },
  visible: (caller) =>
    isAdmin(caller) ? sql`true` : sql`t.project_id = ${requireProject(caller, 'see backups')}::uuid`,
};

export const listBackups = (db: Queryable, caller: Caller, query: ListQuery): Promise<ListedBackup[]> =>
  listRows(db, caller, listing, query);

export const countBackups = (db: Queryable, caller: Caller, query: ListQuery): Promise<number> =>
  countRows(db, caller, listing, query);

/** @throws CloudError `not_found`, also for one that is hidden from the caller */
export async function findBackup(db: Queryable, caller: Caller, id: string): Promise<ListedBackup> {
  const known = parseId(id);
  if (known === undefined) throw notFound('backup', id);
  return readRow(db, caller, listing, known);
}

/** The same with its row locked: whoever lets another one build on it, or restores it, waits, and so do we for them. */
export async function lockBackup(tx: Tx, caller: Caller, id: string): Promise<ListedBackup> {
  const known = parseId(id);
  if (known !== undefined) await sql`select from backup where id = ${known} for update`.execute(tx);
  return findBackup(tx, caller, id);
}

/** @throws CloudError `invalid`, as Cinder's InvalidBackup */
export function requireBackupStatus(backup: ListedBackup, wanted: readonly BackupStatus[]): void {
  const { id, status: is } = backup;
  if (!wanted.includes(is)) throw new CloudError('invalid', 'backup_status_unfit', { id, status: is, wanted });
}

export async function insertBackup(
  tx: Tx,
  {
    volume,
    metadata,
    ...row
  }: Omit<BackupRow, 'generation' | 'desired_presence' | 'fault' | 'created_at' | 'updated_at'>,
): Promise<void> {
  await tx
    .insertInto('backup')
    .values({ ...row, volume: json(volume), metadata: json(metadata) })
    .execute();
}

/** @returns the new generation */
export async function changeBackup(
  tx: Tx,
  id: string,
  {
    fault,
    absent,
    made,
  }: { fault?: StorageFault | null; absent?: true; made?: { size_bytes: number; sha256: string } },
): Promise<number> {
  const { generation } = await tx
    .updateTable('backup')
    .set({
      ...(fault !== undefined && { fault: fault && json(fault) }),
      ...(absent && { desired_presence: 'absent' as const }),
      ...(made && { file_bytes: made.size_bytes, sha256: made.sha256, ready_at: sql<Date>`now()` }),
      generation: sql`generation + 1`,
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return generation;
}

/** What people write on it. */
export async function noteBackup(
  tx: Tx,
  id: string,
  { metadata, ...plain }: { name?: string; description?: string | null; metadata?: Record<string, string> },
): Promise<void> {
  await tx
    .updateTable('backup')
    .set({ ...plain, ...(metadata && { metadata: json(metadata) }), updated_at: sql`now()` })
    .where('id', '=', id)
    .execute();
}
