/** The cloud's clock: the database's. A process's own may be hours from it, and from another process's. */
import { sql } from 'kysely';
import type { Queryable } from './database.ts';

/** In a transaction: when that began. */
export async function databaseNow(db: Queryable): Promise<Date> {
  const { rows } = await sql<{ now: Date }>`select now() as now`.execute(db);
  return rows[0]!.now;
}
