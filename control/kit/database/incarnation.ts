/**
 * The database's incarnation: the name of one history of it. Resume tokens and hosts carry it, so that nobody takes what
 * another history said for what this one says. Owns the cloud row's `incarnation…` columns; nothing else may update that row.
 *
 * A new one begins where control finds, at its start, that the row is a copy: each row version in PostgreSQL knows the
 * transaction that wrote it, and that transaction, the database's oid and the cluster's system identifier are written into the row. A dump
 * that was restored, wherever, was written by another transaction. A replica that was promoted has all three unchanged and is the
 * same incarnation. A data directory that was copied back has them too: that comes out when a host remembers what this
 * database has never said, see control/kit/change-log/witness.ts.
 *
 * A new incarnation costs watchers a fresh list and hosts a comparison, and erases nothing; where it is doubtful, begin one.
 */
import { sql } from 'kysely';
import { cloudActor, type Database, type Queryable, type Tx } from './database.ts';
import { rebaseChanges } from './rebase-changes.ts';

export interface Incarnation {
  /** A UUID. */
  id: string;
  /** When it began, and why: words for an administrator. */
  at: Date;
  reason: string;
}

/** The cluster, the database in it, and the transaction that wrote the row (32 bits of it, as the row itself keeps them). */
const place = (transaction: ReturnType<typeof sql>) => sql<string>`
  (select system_identifier::text from pg_control_system()) || '/' ||
  (select oid::text from pg_database where datname = current_database()) || '/' || ${transaction}::text`;

/** The present incarnation, as it is written; {@link settleIncarnation} at control's start has made it true. */
export async function currentIncarnation(db: Queryable): Promise<Incarnation> {
  const { rows } = await sql<Incarnation>`
    select incarnation as id, incarnation_at as at, incarnation_reason as reason from cloud`.execute(db);
  return rows[0]!;
}

/** Looks whether the cloud row is where it was written, and begins a new incarnation where not. Safe to repeat, and cheap. */
export async function settleIncarnation(database: Database): Promise<Incarnation & { begun: boolean }> {
  const { rows: present } = await sql<Incarnation & { settled: boolean }>`
    select incarnation as id, incarnation_at as at, incarnation_reason as reason,
      incarnation_place = ${place(sql`cloud.xmin`)} as settled from cloud`.execute(database.query);
  const [{ settled, ...incarnation }] = present as [Incarnation & { settled: boolean }];
  if (settled) return { ...incarnation, begun: false };
  return database.transaction(cloudActor, async (tx) => {
    const { rows } = await sql<{ written: string; actual: string }>`
      select incarnation_place as written, ${place(sql`cloud.xmin`)} as actual from cloud for update`.execute(tx);
    const { written, actual } = rows[0]!;
    if (written === actual) return { ...(await currentIncarnation(tx)), begun: false };
    await rebaseChanges(tx);
    return { ...(await begin(tx, written === '' ? 'the database is new' : 'the database is a copy')), begun: true };
  });
}

/**
 * Begins a new incarnation because `seen` has been proven not to be the database's own history any more. Where another
 * control process has begun one since, that one counts.
 */
export async function renewIncarnation(database: Database, seen: string, reason: string): Promise<Incarnation> {
  return database.transaction(cloudActor, async (tx) => {
    await sql`select from cloud for update`.execute(tx);
    const current = await currentIncarnation(tx);
    return current.id === seen ? begin(tx, reason) : current;
  });
}

/** An administrator has decided on what this incarnation did not account for. Safe to repeat. */
export async function accountIncarnation(tx: Tx): Promise<void> {
  await sql`insert into accounted_incarnation (incarnation) select incarnation from cloud on conflict do nothing`.execute(
    tx,
  );
}

/** The present incarnation, and whether {@link accountIncarnation} was called for it; undefined before a cloud is made. */
export async function accountOf(db: Queryable): Promise<{ incarnation: string; accounted: boolean } | undefined> {
  const { rows } = await sql<{ incarnation: string; accounted: boolean }>`select incarnation,
    exists (select from accounted_incarnation a where a.incarnation = cloud.incarnation) as accounted from cloud`.execute(
    db,
  );
  return rows[0];
}

async function begin(tx: Tx, reason: string): Promise<Incarnation> {
  const { rows } = await sql<Incarnation>`
    update cloud set incarnation = gen_random_uuid(), incarnation_at = now(), incarnation_reason = ${reason},
      incarnation_place = ${place(sql`pg_current_xact_id()::xid`)}
    returning incarnation as id, incarnation_at as at, incarnation_reason as reason`.execute(tx);
  return rows[0]!;
}
