import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { Database } from './database.ts';
import { currentIncarnation, renewIncarnation, settleIncarnation } from './incarnation.ts';
import { type TestDatabase, testDatabase } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  await sql`delete from cloud`.execute(db.database.query);
  await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(db.database.query);
});

const dump = (...options: string[]) =>
  execFileSync('pg_dump', ['--no-owner', ...options, db.url.reveal()], { encoding: 'utf8', maxBuffer: 2 ** 28 });
const restore = (url: string, text: string) =>
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', url], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });

test('a database keeps its incarnation over starts of control, vacuums and other writes', async () => {
  const first = await settleIncarnation(db.database);
  assert.equal(first.begun, true);
  for (const disturb of [sql`vacuum full cloud`, sql`vacuum (freeze) cloud`, sql`delete from change`]) {
    await disturb.execute(db.database.query);
    const again = await settleIncarnation(db.database);
    assert.deepEqual([again.begun, again.id], [false, first.id]);
  }
});

test('control processes that start together find one incarnation', async () => {
  const all = await Promise.all(Array.from({ length: 5 }, () => settleIncarnation(db.database)));
  assert.equal(new Set(all.map(({ id }) => id)).size, 1);
  assert.equal(all.filter(({ begun }) => begun).length, 1);
});

test('a dump restored into another database is another incarnation', async () => {
  const { id } = await settleIncarnation(db.database);
  await using other = await testDatabase();
  await sql`drop schema public cascade`.execute(other.database.query);
  await sql`drop schema graphile_worker cascade`.execute(other.database.query);
  await sql`create schema public`.execute(other.database.query);
  restore(other.url.reveal(), dump().replaceAll('CREATE SCHEMA public;', ''));
  const found = await settleIncarnation(other.database);
  assert.equal(found.begun, true);
  assert.notEqual(found.id, id);
});

test('a dump restored over the database it was made of is another incarnation, the data alone as well', async () => {
  const before = await settleIncarnation(db.database);
  restore(db.url.reveal(), dump('--clean', '--if-exists'));
  const whole = await settleIncarnation(db.database);
  assert.deepEqual([whole.begun, whole.id === before.id], [true, false]);
  const data = dump('--data-only', '--table=cloud');
  await sql`truncate cloud`.execute(db.database.query);
  restore(db.url.reveal(), data);
  const rows = await settleIncarnation(db.database);
  assert.deepEqual([rows.begun, rows.id === whole.id], [true, false]);
});

test('an incarnation that was proven wrong is replaced once, whoever proves it', async () => {
  const { id } = await settleIncarnation(db.database);
  const [a, b] = await Promise.all([1, 2].map(() => renewIncarnation(db.database, id, 'a host knows more')));
  assert.equal(a!.id, b!.id);
  assert.notEqual(a!.id, id);
  assert.equal((await currentIncarnation(db.database.query)).reason, 'a host knows more');
  assert.equal((await settleIncarnation(db.database)).begun, false);
});

test('a user of the database who is no superuser may look', async () => {
  const role = `bothy_plain_${newId().slice(-12)}`;
  await sql`create role ${sql.id(role)} in role pg_write_all_data, pg_read_all_data`.execute(db.database.query);
  await using plain = plainDatabase(role);
  await settleIncarnation(plain);
  assert.equal((await settleIncarnation(plain)).begun, false);
  await sql`drop role ${sql.id(role)}`.execute(db.database.query);
});

function plainDatabase(role: string): Database & AsyncDisposable {
  const url = db.url.reveal();
  const options = `options=${encodeURIComponent(`-c role=${role}`)}`;
  const database = new Database({ url: new Secret(`${url}${url.includes('?') ? '&' : '?'}${options}`) });
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
}
