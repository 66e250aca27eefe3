/** The migrations together give exactly the schema in schema.sql, which people read. Refresh: npm run golden. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { testDatabase } from './testing.ts';

const file = new URL('./schema.sql', import.meta.url);

test('the migrations give the schema that is checked in', async () => {
  await using db = await testDatabase();
  const arguments_ = [
    '--schema-only',
    '--no-owner',
    '--no-privileges',
    '--exclude-schema=graphile_worker',
    db.url.reveal(),
  ];
  const dump = execFileSync('pg_dump', arguments_, { encoding: 'utf8' })
    // Comments name the versions of server and client; \restrict carries a random word.
    .split('\n')
    .filter((line) => !/^(--|\\|SET |SELECT pg_catalog)/.test(line))
    .join('\n')
    .replace(/\n{2,}/g, '\n\n')
    .trim();
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, `${dump}\n`);
  assert.equal(`${dump}\n`, readFileSync(file, 'utf8'));
});
