/** The migrations together give exactly the schema in schema.sql, which people read. Refresh: npm run golden. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { schemaOf, testDatabase } from './testing.ts';

const file = new URL('./schema.sql', import.meta.url);

test('the migrations give the schema that is checked in', async () => {
  await using db = await testDatabase();
  const dump = schemaOf(db.url);
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, dump);
  assert.equal(dump, readFileSync(file, 'utf8'));
});
