/** A migration notes its beginning, its course and its end here, in the transactions of whoever decides. SQL, nothing else. */
import { randomBytes } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import type { Queryable, Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { json } from '../../kit/database/schema.ts';
import type { Migration, MigrationError, MigrationPatch } from './hear.ts';
import type { MigrationCause, MigrationEnd, MigrationKind } from './tables.ts';

export interface NewMigration {
  projectId: string;
  userId: string;
  serverId: string;
  /** The server's generation that asks for it. */
  generation: number;
  hostId: string | null;
  oldFlavorId: string;
  newFlavorId: string;
}

/** A resize on its own host. */
export async function beginMigration(tx: Tx, made: NewMigration): Promise<void> {
  await sql`insert into server_migration (id, project_id, user_id, server_id, server_generation, host_id, old_flavor_id, new_flavor_id)
    values (${newId()}, ${made.projectId}, ${made.userId}, ${made.serverId}, ${made.generation}, ${made.hostId},
      ${made.oldFlavorId}, ${made.newFlavorId})`.execute(tx);
}

/** Of the one that the server is in on its own host. */
export async function endMigration(
  tx: Tx,
  serverId: string,
  generation: number,
  ended: 'confirmed' | 'reverted',
): Promise<void> {
  await sql`update server_migration set ended = ${ended}, updated_at = now()
    where server_id = ${serverId} and server_generation = ${generation} and ended is null`.execute(tx);
}

/** Above all that were ever promised to a host; `s` is the server. */
export const nextEpoch = sql<number>`(greatest(s.epoch,
  coalesce((select max(p.target_epoch) from server_migration p where p.server_id = s.id), 0)) + 1)`;

export interface NewMove extends NewMigration {
  kind: Exclude<MigrationKind, 'evacuation'>;
  targetId: string;
  /** What the server shall be there; null: what it is. */
  size: object | null;
  /** Null: a person asked for it. */
  cause: MigrationCause | null;
}

/** The target has a document from now on. @returns its id */
export async function beginMove(tx: Tx, made: NewMove): Promise<string> {
  const id = newId();
  await sql`with begun as (
      insert into server_migration (id, project_id, user_id, server_id, server_generation, kind, host_id, target_host_id, target_epoch,
        other_host_id, other_epoch, other_size, phase, cause, old_flavor_id, new_flavor_id)
      select ${id}::uuid, s.project_id, ${made.userId}, s.id, ${made.generation}, ${made.kind}, s.host_id, ${made.targetId}::uuid, e.epoch,
        ${made.targetId}::uuid, e.epoch, ${made.size && json(made.size)}::jsonb, 'preparing', ${made.cause}::text, ${made.oldFlavorId}, ${made.newFlavorId}
      from server s cross join lateral (select ${nextEpoch} as epoch) e where s.id = ${made.serverId})
    insert into server_migration_key (migration_id, key, proved_at)
    values (${id}::uuid, ${randomBytes(32).toString('hex')}, pg_snapshot_xmin(pg_current_snapshot()))`.execute(tx);
  return id;
}

const columns = sql`m.id, m.server_id, m.kind, m.phase, m.host_id, m.target_host_id, m.other_host_id, m.other_epoch, m.target, m.source_state,
  m.target_state, m.progress, m.reached, m.downtime_ms, m.error`;

/** By server, those that are under way or whose disks are kept. */
export async function migrationsOf(db: Queryable, serverIds: readonly string[]): Promise<Map<string, Migration>> {
  if (serverIds.length === 0) return new Map();
  const { rows } = await sql<Migration>`select ${columns} from server_migration m
    where m.phase <> 'ended' and ${isOneOf(sql`m.server_id`, serverIds)}`.execute(db);
  return new Map(rows.map((row) => [row.server_id, row]));
}

/** How long it may stand still before it is given up. */
export const stallMs = 10 * 60_000;
const extendMs = 60_000;

/** What hosts have said. As long as it comes further, the operation has time. */
export async function recordHeard(
  tx: Tx,
  patches: readonly (MigrationPatch & { waiting_for: string })[],
): Promise<void> {
  if (patches.length === 0) return;
  await sql`with heard as (
      select * from jsonb_to_recordset(${json(patches)}::jsonb) as h(id uuid, phase text, target jsonb, source_state text, target_state text,
        progress jsonb, reached bigint, downtime_ms bigint, error jsonb, waiting_for text)),
    passed as (
      update operation o set waiting_for = h.waiting_for, updated_at = now(),
        deadline = case when h.reached > m.reached then greatest(o.deadline, now() + ${stallMs} * interval '1 millisecond') else o.deadline end
      from heard h join server_migration m on m.id = h.id where o.resource_id = m.server_id and o.state = 'running'
        and o.generation = m.server_generation
        and (o.waiting_for is distinct from h.waiting_for or h.reached > m.reached
          and o.deadline < now() + ${stallMs - extendMs} * interval '1 millisecond'))
    update server_migration m set phase = h.phase, target = nullif(h.target, 'null'), source_state = h.source_state,
      target_state = h.target_state, progress = nullif(h.progress, 'null'), reached = h.reached, downtime_ms = h.downtime_ms,
      reached_at = case when h.reached > m.reached then now() else m.reached_at end, error = nullif(h.error, 'null'), updated_at = now()
    from heard h where m.id = h.id`.execute(tx);
}

/** Nobody but the owner has a document any more. */
export async function endMove(
  tx: Tx,
  id: string,
  { ended, error = null }: { ended: MigrationEnd; error?: MigrationError | null },
): Promise<void> {
  await sql`with forgotten as (delete from server_migration_key where migration_id = ${id})
    update server_migration set phase = 'ended', ended = ${ended}, other_host_id = null, target = null,
      error = coalesce(error, ${error && json(error)}::jsonb), updated_at = now() where id = ${id}`.execute(tx);
}

/** The target is the owner; the source keeps the disks, under the epoch that it had. */
export async function keepAtSource(
  tx: Tx,
  id: string,
  { epoch, size }: { epoch: number; size: RawBuilder<unknown> },
): Promise<void> {
  await sql`with forgotten as (delete from server_migration_key where migration_id = ${id})
    update server_migration set phase = 'moved', other_host_id = host_id, other_epoch = ${epoch}, other_size = ${size}, target = null,
      updated_at = now() where id = ${id}`.execute(tx);
}

/** It is called off, or goes back. Undefined: it is not so far, or not any more. */
export async function turnMove(
  tx: Tx,
  serverId: string,
  {
    to,
    from,
    error = null,
  }: {
    to: 'cancelling' | 'reverting' | 'moved';
    from: readonly Migration['phase'][];
    error?: MigrationError | null;
  },
): Promise<string | undefined> {
  const { rows } = await sql<{
    id: string;
  }>`update server_migration set phase = ${to}, error = coalesce(error, ${error && json(error)}::jsonb),
      updated_at = now() where server_id = ${serverId} and phase = any(${[...from]}::text[]) returning id`.execute(tx);
  return rows[0]?.id;
}

/** Of one that ended before its source had said how long the guest stood still. */
export async function recordDowntime(db: Queryable, hostId: string, id: string, downtimeMs: number): Promise<void> {
  await sql`update server_migration set downtime_ms = ${downtimeMs} where id = ${id} and host_id = ${hostId}
    and downtime_ms is null`.execute(db);
}
