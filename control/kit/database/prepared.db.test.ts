import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { cloudActor, Database } from './database.ts';
import { type TestDatabase, testDatabase } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

const prepared = async (database: Database): Promise<string[]> =>
  (
    await sql<{ statement: string }>`select statement from pg_prepared_statements order by statement`.execute(
      database.query,
    )
  ).rows.map((row) => row.statement);

test('a text is prepared when it comes the second time', async () => {
  await using database = single();
  const ask = (value: number) => sql`select ${value}::int as once`.execute(database.query);
  await ask(1);
  assert.deepEqual(await prepared(database), []);
  await ask(2);
  assert.deepEqual((await ask(3)).rows, [{ once: 3 }]);
  assert.deepEqual(await prepared(database), ['select $1::int as once']);
});

test('a transaction whose plan went stale by a migration is run again', async () => {
  await using database = single();
  await sql`create table stale (id int)`.execute(database.query);
  await sql`insert into stale values (7)`.execute(database.query);
  const read = () =>
    database.transaction(cloudActor, async (tx) => (await sql`select * from stale where id = ${7}`.execute(tx)).rows);
  for (let n = 0; n < 3; n++) assert.deepEqual(await read(), [{ id: 7 }]);
  await sql`alter table stale add column more text`.execute(db.database.query);
  assert.deepEqual(await read(), [{ id: 7, more: null }]);
  assert.deepEqual(await read(), [{ id: 7, more: null }]);
});

test('a single statement whose plan went stale is asked again, and nobody hears of it', async () => {
  await using database = single();
  await sql`create table stale2 (id int)`.execute(database.query);
  const read = () => sql`select * from stale2 where id = ${7}`.execute(database.query);
  for (let n = 0; n < 3; n++) await read();
  await sql`alter table stale2 add column more text`.execute(db.database.query);
  assert.deepEqual((await read()).rows, []);
});

test('PostgreSQL describes the columns of a prepared statement once, and its answers stay as they were', async () => {
  await using database = single();
  const described = { count: 0 };
  database.pool.on('connect', (client) => {
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter };
    connection.on('rowDescription', () => described.count++);
  });
  const ask = (value: number | null) =>
    sql`select ${value}::int as number, '{a}'::text[] as list where ${value}::int is distinct from 0`.execute(
      database.query,
    );
  for (const value of [1, 2, 0]) await ask(value);
  const before = described.count;
  assert.deepEqual((await ask(3)).rows, [{ number: 3, list: ['a'] }]);
  assert.deepEqual((await ask(0)).rows, []);
  assert.deepEqual((await ask(null)).rows, [{ number: null, list: ['a'] }]);
  assert.equal(described.count, before);
});

test('a prepared statement that fails, or answers without rows, is none the worse for it the next time', async () => {
  await using database = single();
  await sql`create table described (id int primary key)`.execute(database.query);
  const insert = (id: number) => sql`insert into described values (${id})`.execute(database.query);
  for (const id of [1, 2, 3]) assert.equal((await insert(id)).numAffectedRows, 1n);
  await assert.rejects(insert(3), /duplicate key/);
  assert.equal((await insert(4)).numAffectedRows, 1n);
  const half = (id: number) => sql<{ half: number }>`select 12 / ${id}::int as half`.execute(database.query);
  await half(1);
  for (let n = 0; n < 2; n++) {
    await assert.rejects(half(0), /division by zero/);
    assert.deepEqual((await half(2)).rows, [{ half: 6 }]);
  }
});

/** One connection, so that every statement meets the same session. */
function single(): Database & AsyncDisposable {
  const database = new Database({ url: db.url, maxConnections: 1 });
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
}
