/**
 * `column = any(list)`, as PostgreSQL plans it best. Of a list it knows no length when it makes a plan for any values, and reckons with
 * ten: that plan looks dearer than one for the very list, so it plans anew at each call, which takes longer than the statement where
 * there is but one id. And one it is, as a rule: the question for one is a text of its own.
 */
import { type RawBuilder, sql } from 'kysely';

export function isOneOf(
  column: RawBuilder<unknown>,
  values: readonly string[],
  type: 'uuid' | 'text' | 'inet' = 'uuid',
): RawBuilder<unknown> {
  const cast = sql.raw(type);
  return values.length === 1 ? sql`${column} = ${values[0]}::${cast}` : sql`${column} = any(${[...values]}::${cast}[])`;
}

/** Lists side by side as rows of a table, for `from`: `unnest`, where one row is planned as one. */
export function rowsOf(
  ...columns: readonly { values: readonly unknown[]; type: 'uuid' | 'boolean' | 'text' }[]
): RawBuilder<unknown> {
  const one = columns[0]!.values.length === 1;
  const each = columns.map(({ values, type }) =>
    one ? sql`${values[0]}::${sql.raw(type)}` : sql`${[...values]}::${sql.raw(type)}[]`,
  );
  return one ? sql`(values (${sql.join(each)}))` : sql`unnest(${sql.join(each)})`;
}
