/** A database of two members, real ones: a primary that is killed, frozen or cut off, and a standby that is promoted in its place. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { type HostId, newId, newOrderedId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { registerHost } from '../../control/host/index.ts';
import { ChangeFeed } from '../../control/kit/change-log/changes.ts';
import { sessionLimits } from '../../control/kit/database/connection.ts';
import { cloudActor, Database, isDatabaseUnavailable } from '../../control/kit/database/database.ts';
import { settleIncarnation } from '../../control/kit/database/incarnation.ts';
import { connect } from '../../control/kit/database/members.ts';
import { migrate } from '../../control/kit/database/migrate.ts';
import { ReplicatedPostgres } from '../support/replicated-postgres.ts';
import { until } from '../support/until.ts';

const databaseOf = (postgres: ReplicatedPostgres) => {
  const database = new Database({ url: new Secret(postgres.url), lookMs: 200 });
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
};

const add = (database: Database, n: number) =>
  database.transaction(cloudActor, async (tx) => void (await sql`insert into thing values (${n})`.execute(tx)));

/** Adds one number after the other; those whose commit was answered. */
function adding(database: Database) {
  const answered: number[] = [];
  let going = true;
  const unclean: unknown[] = [];
  const work = async (from: number) => {
    for (let n = from; going; n += 2) {
      try {
        await add(database, n);
        answered.push(n);
      } catch (error) {
        if (!isDatabaseUnavailable(error)) unclean.push(error);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    }
  };
  const works = [work(0), work(1)];
  const stop = async () => {
    going = false;
    await Promise.all(works);
    assert.deepEqual(unclean, [], 'each was added, or refused as by a database that is away');
  };
  return { answered, stop };
}

const there = async (database: Database) => {
  const { rows } = await sql<{ n: number }>`select n from thing`.execute(database.query);
  return new Set(rows.map(({ n }) => n));
};

test('a promoted replica keeps the incarnation, and what was answered; who works goes on with it by itself', async (t) => {
  using postgres = await ReplicatedPostgres.start({ synchronous: true });
  await migrate({ url: new Secret(postgres.url) });
  await using database = databaseOf(postgres);
  await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(database.query);
  const { id } = await settleIncarnation(database);
  await sql`create table thing (n int)`.execute(database.query);
  const { answered, stop } = adding(database);
  await until('some to be there', () => answered.length > 100);
  postgres.kill('one');
  const killed = performance.now();
  await postgres.promote();
  const before = answered.length;
  await until('more to be added', () => answered.length > before + 50, { timeoutMs: 30_000 });
  t.diagnostic(`${Math.round(performance.now() - killed)} ms after the kill, the promotion included`);
  await stop();
  const kept = await there(database);
  assert.deepEqual(
    answered.filter((n) => !kept.has(n)),
    [],
  );
  const found = await settleIncarnation(database);
  assert.deepEqual([found.begun, found.id], [false, id]);
  // A connection that begins now finds it too.
  const client = await connect({ url: new Secret(postgres.url), applicationName: 'test' });
  assert.equal((await client.query('select pg_is_in_recovery() as standby')).rows[0].standby, false);
  await client.end();
});

test('a primary that is frozen is left as soon as another is promoted, and not gone back to when it goes on', async (t) => {
  using postgres = await ReplicatedPostgres.start({ synchronous: true });
  await using database = databaseOf(postgres);
  await sql`create table thing (n int)`.execute(database.query);
  let moved = 0;
  database.onMoved(() => moved++);
  const { answered, stop } = adding(database);
  await until('some to be there', () => answered.length > 100);
  postgres.freeze('one');
  const frozen = performance.now();
  await postgres.promote();
  const before = answered.length;
  await until('more to be added', () => answered.length > before + 50, { timeoutMs: 30_000 });
  const took = performance.now() - frozen;
  t.diagnostic(`${Math.round(took)} ms after the freeze, the promotion included`);
  assert.ok(moved > 0 && took < sessionLimits.answerMs, `${took} ms`);
  postgres.thaw('one');
  const after = answered.length;
  await until('more after the thaw', () => answered.length > after + 50, { timeoutMs: 30_000 });
  await stop();
  const kept = await there(database);
  assert.deepEqual(
    answered.filter((n) => !kept.has(n)),
    [],
  );
});

test('what no standby has got is not answered as done, though PostgreSQL answers so where the wait for it is cancelled', async () => {
  using postgres = await ReplicatedPostgres.start({ synchronous: true });
  await using database = databaseOf(postgres);
  await sql`create table thing (n int)`.execute(database.query);
  await add(database, 1);
  postgres.cutOff();
  const cancelled = async (work: Promise<unknown>) => {
    const refused = assert.rejects(work, (error) => isDatabaseUnavailable(error));
    const cancel = sql`select pg_cancel_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'`;
    await until('it to wait', async () => (await cancel.execute(database.query)).rows.length > 0);
    await refused;
  };
  await cancelled(add(database, 2));
  await cancelled(sql`insert into thing values (3)`.execute(database.query));
  assert.deepEqual(await there(database), new Set([1, 2, 3]), 'as the primary has it');
  postgres.kill('one');
  await postgres.promote();
  await until('the standby to answer', async () => (await there(database).catch(() => new Set())).has(1));
  assert.deepEqual(await there(database), new Set([1]));
});

test('a standby that had not got all begins another history: what follows from the lost tail is looked at anew, and no change of the new one is missed', async () => {
  using postgres = await ReplicatedPostgres.start({ synchronous: false });
  const url = new Secret(postgres.url);
  await migrate({ url });
  await using database = databaseOf(postgres);
  await sql`insert into cloud (id, region) values (${newId()}, 'here')`.execute(database.query);
  const { id } = await settleIncarnation(database);
  const feed = new ChangeFeed({ database, url, log: pino({ level: 'silent' }) });
  await feed.start();
  const seen: string[] = [];
  let turns = 0;
  feed.subscribe((changes) => void seen.push(...changes.map(({ body }) => String(body.name))));
  feed.onTurn(() => turns++);
  const register = (name: string) => registerHost(database, { id: newOrderedId<HostId>(), name });
  try {
    await register('kept');
    await until('it to be seen', () => seen.includes('kept'));
    const there = async (name: string) => {
      const standby = await connect({ url: new Secret(postgres.urlOf('two')), applicationName: 'test' });
      const { rowCount } = await standby.query('select from host where name = $1', [name]);
      await standby.end();
      return rowCount === 1;
    };
    await until('the standby to have it', () => there('kept'));
    postgres.cutOff();
    // So many that transactions of the new history have the numbers of these.
    for (let n = 0; n < 20; n++) await register(`lost ${n}`);
    await until('the tail to be seen', () => seen.includes('lost 19'));
    postgres.kill('one');
    await postgres.promote();
    await until('one of the new history to be made', () =>
      register('new').then(
        () => true,
        () => false,
      ),
    );
    await until('it to be seen', () => seen.includes('new'));
    assert.deepEqual(
      seen.filter((name) => !name.startsWith('lost')),
      ['kept', 'new'],
    );
    assert.equal(turns, 1);
    const now = await settleIncarnation(database);
    assert.notEqual(now.id, id);
    assert.match(now.reason, /replica took over that had not got all/);
  } finally {
    await feed.stop();
  }
});
