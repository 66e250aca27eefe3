/** Parts of a list's WHERE, for lists with a statement of their own: what its caller named, and what is behind the last row of the page before. Other lists are listing.ts's. */
import { type RawBuilder, sql } from 'kysely';
import { parseId } from '../../contract/ids.ts';
import type { Queryable } from './database/database.ts';

/** What was named is a condition, what was not is none. */
export class Conditions {
  readonly all: RawBuilder<unknown>[];

  constructor(...first: RawBuilder<unknown>[]) {
    this.all = first;
  }

  readonly when = <T>(value: T | undefined, condition: (value: T) => RawBuilder<unknown>): void => {
    if (value !== undefined) this.all.push(condition(value));
  };
}

/** An id that is none matches nothing. */
export const isId =
  (column: RawBuilder<unknown>) =>
  (text: string): RawBuilder<unknown> => {
    const id = parseId(text);
    return id ? sql`${column} = ${id}::uuid` : sql`false`;
  };

interface SortedBy {
  by: RawBuilder<unknown>;
  descending: boolean;
}

/**
 * Rows behind the marker's, for any mix of directions. Of its row are read, as text, what the list is sorted by.
 * @returns undefined where there is no such row
 */
export async function behindMarker(
  db: Queryable,
  sort: readonly SortedBy[],
  rowWith: (values: RawBuilder<unknown>) => RawBuilder<Record<string, string>>,
): Promise<RawBuilder<unknown> | undefined> {
  const values = sort.map(({ by }, i) => sql`(${by})::text as ${sql.ref(`k${i}`)}`);
  const { rows } = await rowWith(sql.join(values)).execute(db);
  const [row] = rows;
  return row && keysetBehind(sort.map((key, i) => ({ ...key, at: row[`k${i}`] })));
}

/** (a, b) behind the marker's, each key in its own direction. */
function keysetBehind(keys: readonly (SortedBy & { at: unknown })[]): RawBuilder<unknown> {
  const alternatives = keys.map((_, i) => {
    const parts = keys.slice(0, i + 1).map(({ by, descending, at }, j) => {
      if (j < i) return sql`${by} = ${at}`;
      return descending ? sql`${by} < ${at}` : sql`${by} > ${at}`;
    });
    return sql`(${sql.join(parts, sql` and `)})`;
  });
  return sql`(${sql.join(alternatives, sql` or `)})`;
}
