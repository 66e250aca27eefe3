/** Statements whose texts never change: PostgreSQL keeps their plans, and nothing is built at each call. */
import { CompiledQuery } from 'kysely';
import type { Queryable } from '../kit/database/database.ts';

export async function run<Row>(db: Queryable, text: string, parameters: readonly unknown[]): Promise<Row[]> {
  const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(text, [...parameters]));
  return rows;
}

/** JSON texts for a `jsonb[]`. */
export const jsonOrNull = (value: unknown): string | null => (value == null ? null : JSON.stringify(value));
