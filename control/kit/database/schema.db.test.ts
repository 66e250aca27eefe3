/** The tables as Kysely sees them (tables.ts of each resource) have exactly the columns that the migrations make. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { sql } from 'kysely';
import { testDatabase } from './testing.ts';

const control = new URL('../../', import.meta.url).pathname;

/** Fields of every `interface Name { … }` in a source file; nested braces belong to a field's type. */
function interfaces(source: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const match of source.matchAll(/interface (\w+)(?: extends [^{]+)? \{\n([\s\S]*?)\n\}/g)) {
    found.set(
      match[1]!,
      [...match[2]!.matchAll(/^ {2}'?(\w+)'?\??:/gm)].map((field) => field[1]!),
    );
  }
  return found;
}

/** Table name to columns, from each `interface …Tables { table: TableType }`. */
function describedTables(): Map<string, string[]> {
  const tables = new Map<string, string[]>();
  for (const file of [...globSync(`${control}**/tables.ts`), `${control}kit/database/schema.ts`]) {
    const source = readFileSync(file, 'utf8');
    const fields = interfaces(source);
    for (const [, body] of source.matchAll(/interface \w+Tables \{\n([\s\S]*?)\n\}/g)) {
      for (const [, table, type] of body!.matchAll(/^ {2}'?(\w+)'?: (\w+);/gm))
        tables.set(table!, fields.get(type!) ?? []);
    }
  }
  return tables;
}

test('each table described for Kysely has the columns that the migrations make, no more and no less', async () => {
  await using db = await testDatabase();
  const { rows } = await sql<{ table_name: string; columns: string[] }>`
    select table_name, array_agg(column_name::text order by column_name) as columns
    from information_schema.columns where table_schema = 'public' group by table_name`.execute(db.database.query);
  const actual = new Map(rows.map((row) => [row.table_name, row.columns]));
  const described = describedTables();
  assert.ok(described.size > 20, 'the descriptions are found');
  for (const [table, columns] of described) {
    assert.deepEqual([...columns].sort(), actual.get(table)?.sort(), `table ${table}`);
  }
});
