import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../database/database.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { enqueue } from './queue.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

/** Minutes into the year 2100; 0: at once. */
const at = (minutes: number) => (minutes === 0 ? {} : { at: new Date(Date.UTC(2100, 0, 1, 0, minutes)) });

interface Job {
  key: string | null;
  /** In the minutes of `at`. */
  due: number;
  running: boolean;
  /** It may be tried again. */
  alive: boolean;
}

async function jobs(id: string): Promise<Job[]> {
  const { rows } = await sql<Job>`select key, locked_at is not null as running, attempts < max_attempts as alive,
      case when run_at <= now() then 0 else extract(epoch from run_at - timestamptz '2100-01-01Z')::integer / 60 end as due
    from graphile_worker._private_jobs where payload ->> 'id' = ${id} order by id`.execute(db.database.query);
  return rows;
}

/** As graphile-worker takes a job. */
const take = (id: string, query = db.database.query) =>
  sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker', attempts = attempts + 1
    where key = ${`look:${id}`}`.execute(query);

const someoneWaits = () =>
  until('a statement to wait for a lock', async () => {
    const { rows } = await sql`select from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(db.database.query);
    return rows.length > 0;
  });

test('of several wishes for one resource the earliest counts, in whichever order they come', async () => {
  for (const order of [
    [60, 600, 90],
    [600, 60, 90],
    [90, 600, 60],
  ]) {
    const id = newId();
    for (const minutes of order) await enqueue(db.database.query, 'look', id, at(minutes));
    assert.deepEqual(await jobs(id), [{ key: `look:${id}`, due: 60, running: false, alive: true }]);
    await enqueue(db.database.query, 'look', id);
    assert.deepEqual(await jobs(id), [{ key: `look:${id}`, due: 0, running: false, alive: true }]);
  }
});

test('a wish for later does not put off the next attempt of a job that failed, and gives a hopeless one new attempts', async () => {
  const id = newId();
  await enqueue(db.database.query, 'look', id);
  await sql`update graphile_worker._private_jobs set attempts = max_attempts, run_at = timestamptz '2100-01-01T00:05Z',
    last_error = 'x' where key = ${`look:${id}`}`.execute(db.database.query);
  await enqueue(db.database.query, 'look', id, at(600));
  assert.deepEqual(await jobs(id), [{ key: `look:${id}`, due: 5, running: false, alive: true }]);
});

test('a wish while its job runs is a job of its own, and the one that runs may still fail and try again', async () => {
  const id = newId();
  await enqueue(db.database.query, 'look', id);
  await take(id);
  await enqueue(db.database.query, 'look', id, at(600));
  assert.deepEqual(await jobs(id), [
    { key: null, due: 0, running: true, alive: true },
    { key: `look:${id}`, due: 600, running: false, alive: true },
  ]);
  await enqueue(db.database.query, 'look', id);
  assert.equal((await jobs(id))[1]!.due, 0, 'and a later wish to look at once moves it');
});

test('of wishes in transactions side by side the earliest counts too', async () => {
  for (const [first, second] of [
    [0, 600],
    [600, 0],
  ]) {
    const id = newId();
    const begun = Promise.withResolvers<void>();
    const end = Promise.withResolvers<void>();
    const one = db.database.transaction(cloudActor, async (tx) => {
      await enqueue(tx, 'look', id, at(first!));
      begun.resolve();
      await end.promise;
    });
    await begun.promise;
    const other = enqueue(db.database.query, 'look', id, at(second!));
    await someoneWaits();
    end.resolve();
    await Promise.all([one, other]);
    assert.deepEqual(await jobs(id), [{ key: `look:${id}`, due: 0, running: false, alive: true }]);
  }
});

test('a wish that meets a worker in the act of taking the job is not lost', async () => {
  const id = newId();
  await enqueue(db.database.query, 'look', id);
  const taken = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  const worker = db.database.transaction(cloudActor, async (tx) => {
    await take(id, tx);
    taken.resolve();
    await end.promise;
  });
  await taken.promise;
  const wish = enqueue(db.database.query, 'look', id);
  await someoneWaits();
  end.resolve();
  await Promise.all([worker, wish]);
  assert.deepEqual(
    (await jobs(id)).map(({ key, running }) => [key, running]),
    [
      [null, true],
      [`look:${id}`, false],
    ],
  );
});

test('many wishes from all sides at once leave one job, due at the earliest time', async () => {
  const id = newId();
  await Promise.all(
    Array.from({ length: 40 }, (_, n) => enqueue(db.database.query, 'look', id, at(30 + (n % 7) * 30))),
  );
  assert.deepEqual(await jobs(id), [{ key: `look:${id}`, due: 30, running: false, alive: true }]);
});
