import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { Secret } from '../../contract/secret.ts';
import { testDatabase } from '../kit/database/testing.ts';
import { bootstrapIdentity } from './bootstrap.ts';
import { cheapPasswords } from './testing.ts';

test('a cloud is set up once, whoever comes first and however often', async () => {
  await using db = await testDatabase();
  const run = (password: string) =>
    bootstrapIdentity(db.database, { adminPassword: new Secret(password), passwords: cheapPasswords() });
  await Promise.all([run('one'), run('two'), run('three')]);
  const look = async () =>
    (
      await sql<Record<string, unknown>>`select (select json_agg(to_jsonb(d)) from domain d) as domains,
        (select json_agg(to_jsonb(p)) from project p) as projects, (select json_agg(to_jsonb(u)) from "user" u) as users,
        (select json_agg(to_jsonb(p)) from user_password p) as passwords, (select json_agg(to_jsonb(a)) from role_assignment a) as assignments,
        (select json_agg(name order by name) from role) as roles, (select count(*) from role_implication) as implications`.execute(
        db.database.query,
      )
    ).rows[0]!;
  const first = await look();
  for (const [what, number] of Object.entries({ domains: 1, projects: 1, users: 1, passwords: 1, assignments: 2 })) {
    assert.equal((first[what] as unknown[]).length, number, what);
  }
  assert.deepEqual(first.roles, ['admin', 'manager', 'member', 'reader', 'service']);
  assert.equal(first.implications, 3);
  await run('another');
  assert.deepEqual(await look(), first);
});

test('what administrators changed afterwards stays', async () => {
  await using db = await testDatabase();
  const run = () => bootstrapIdentity(db.database, { adminPassword: new Secret('p'), passwords: cheapPasswords() });
  await run();
  await sql`update domain set name = '小屋'`.execute(db.database.query);
  await sql`delete from "user"`.execute(db.database.query);
  await run();
  const { rows } = await sql`select from "user"`.execute(db.database.query);
  assert.equal(rows.length, 0);
});
