import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { patienceMs, until } from '../../../test/support/until.ts';
import { cloudActor, type Database } from '../database/database.ts';
import { currentIncarnation, renewIncarnation, settleIncarnation } from '../database/incarnation.ts';
import { type TestDatabase, testDatabase, testProject, untilFinal } from '../database/testing.ts';
import {
  ChangeFeed,
  currentPosition,
  firstPosition,
  formatPosition,
  type Position,
  parsePosition,
  readChanges,
} from './changes.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

const insertDomain = `insert into domain (id, name) values ($1, $2)`;

test('a reader that follows the sequence loses a row that commits late; the snapshot-horizon reader does not', async () => {
  const slow = new pg.Client({ connectionString: db.url.reveal() });
  const fast = new pg.Client({ connectionString: db.url.reveal() });
  await Promise.all([slow.connect(), fast.connect()]);
  const start = await currentPosition(db.database.query);
  const [early, late] = [newId(), newId()];

  await slow.query('begin');
  await slow.query(insertDomain, [early, 'takes the lower sequence, commits last']);
  await fast.query(insertDomain, [late, 'takes the higher sequence, commits first']);

  const bySequence = async (after: number) =>
    (await fast.query('select sequence, resource_id from change where sequence > $1 order by sequence', [after])).rows;
  const naiveFirst = await bySequence(0);
  const ours = await readChanges(db.database.query, { after: start, limit: 100 });
  assert.deepEqual(ours.changes, [], 'nothing is final while an older transaction may still commit');
  assert.equal(ours.more, true, 'and the reader says that something waits');

  await slow.query('commit');
  const naiveSecond = await bySequence(Number(naiveFirst.at(-1).sequence));
  const naive = [...naiveFirst, ...naiveSecond].map((row) => row.resource_id);
  assert.ok(!naive.includes(early), 'the naive reader never sees the row that committed late');

  const readRest = () => readChanges(db.database.query, { after: ours.position, limit: 100 });
  // Transactions in other databases of the server, such as those of other tests, hold the horizon back too.
  await until('the horizon to pass', async () => !(await readRest()).more);
  const rest = await readRest();
  assert.deepEqual(
    rest.changes.map((change) => change.resource_id),
    [early, late],
  );
  await Promise.all([slow.end(), fast.end()]);
});

test('the feed delivers every change once and in order while transactions commit and roll back concurrently', async () => {
  const feed = new ChangeFeed({ database: db.database, url: db.url, log: pino({ level: 'silent' }) });
  await feed.start();
  const seen: string[] = [];
  feed.subscribe((changes) => {
    for (const change of changes) seen.push(change.resource_id);
  });
  const committed = new Set<string>();
  await Promise.all(
    Array.from({ length: 8 }, async (_, worker) => {
      for (let i = 0; i < 10; i++) {
        const id = newId();
        const fails = (worker + i) % 4 === 0;
        await db.database
          .transaction(cloudActor, async (tx) => {
            await sql`insert into domain (id, name) values (${id}, ${`d-${worker}-${i} 小屋 🏔 "x"; drop`})`.execute(tx);
            if (fails) throw new Error('rolled back');
            committed.add(id);
          })
          .catch(() => {});
      }
    }),
  );
  const deadline = Date.now() + patienceMs;
  while (seen.length < committed.size && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  await feed.stop();
  assert.equal(seen.length, committed.size);
  assert.deepEqual(new Set(seen), committed);
});

test('an update that changes nothing but updated_at writes no change', async () => {
  const id = newId();
  await sql`insert into domain (id, name) values (${id}, 'same')`.execute(db.database.query);
  await untilFinal(db.database.query);
  const from = await currentPosition(db.database.query);
  await sql`update domain set updated_at = now() + interval '1 s' where id = ${id}`.execute(db.database.query);
  await untilFinal(db.database.query);
  assert.deepEqual((await readChanges(db.database.query, { after: from, limit: 10 })).changes, []);
});

test('a change of nothing but what was seen says so, and one of anything else beside it does not', async () => {
  const [network, port] = [newId(), newId()];
  const projectId = await testProject(db.database);
  const query = db.database.query;
  await sql`insert into network (id, project_id, name) values (${network}, ${projectId}, 'n')`.execute(query);
  const from = await currentPosition(query);
  await sql`insert into port (id, project_id, network_id, mac) values (${port}, ${projectId}, ${network}, 'fa:16:3e:00:00:01')`.execute(
    query,
  );
  const set = (columns: string) => sql`update port set ${sql.raw(columns)} where id = ${port}`.execute(query);
  await set('observed_up = true, updated_at = now()');
  await set("observed_up = false, name = 'x'");
  await set("name = 'y'");
  await sql`delete from port where id = ${port}`.execute(query);
  const read = () => readChanges(query, { after: from, limit: 10, resourceTypes: ['port'] });
  await until('all to be final', async () => (await read()).changes.length === 5);
  assert.deepEqual(
    (await read()).changes.map(({ action, observed_only }) => [action, observed_only]),
    [
      ['created', false],
      ['updated', true],
      ['updated', false],
      ['updated', false],
      ['deleted', false],
    ],
  );
});

test('a change carries who made it and at whose request', async () => {
  const [id, actorId] = [newId(), newId()];
  await untilFinal(db.database.query);
  const from = await currentPosition(db.database.query);
  await db.database.transaction({ actorId, requestId: 'req-1' }, (tx) =>
    sql`insert into domain (id, name) values (${id}, 'signed')`.execute(tx),
  );
  const read = async () => (await readChanges(db.database.query, { after: from, limit: 10 })).changes[0];
  await until('it to be final', async () => (await read()) !== undefined);
  const change = await read();
  assert.equal(change?.actor_id, actorId);
  assert.equal(change?.request_id, 'req-1');
});

test('a resume token survives a round trip and a forged one is refused', () => {
  const text = '0123456789ab.18446744073709551615.7';
  assert.equal(formatPosition(parsePosition(text)), text);
  for (const forged of ['7; drop table change', '1.2.3.4', 'x.1.2', '0123456789abc.1.2']) {
    assert.throws(() => parsePosition(forged), { code: 'invalid' }, forged);
  }
});

const add = async (database: Database, name: string): Promise<string> => {
  const id = newId();
  await database.transaction(cloudActor, (tx) =>
    sql`insert into domain (id, name) values (${id}, ${name})`.execute(tx),
  );
  return id;
};

test('a position behind which changes are gone, of another incarnation or of the future is expired, with a place to carry on', async () => {
  await using own = await testDatabase();
  const { query } = own.database;
  await prepareCloud(own.database);
  const start = await currentPosition(query);
  await add(own.database, 'one');
  await sql`update change_floor set transaction_id = pg_current_xact_id(), sequence = 1000`.execute(query);
  const read = (after: Position) => readChanges(query, { after, limit: 10 });
  await assert.rejects(read(start), { code: 'expired' });
  // Transactions in other databases of the server hold the horizon back.
  let end = start;
  await until('the horizon to pass', async () => {
    end = await currentPosition(query);
    return read(end).then(
      () => true,
      () => false,
    );
  });
  await assert.rejects(read({ ...end, transactionId: end.transactionId + 1_000_000n }), { code: 'expired' });
  await renewIncarnation(own.database, (await currentIncarnation(query)).id, 'for this test');
  const refused = await read(end).then(
    () => assert.fail('it was read'),
    (error) => error,
  );
  assert.equal(refused.code, 'expired');
  await read(parsePosition(refused.fields.resume));
  await read(await firstPosition(query));
});

test('what a dump brought from another cluster is final, in its old order, and nobody waits for it', async () => {
  await using own = await testDatabase();
  const { database } = own;
  const ids = [await add(database, 'a'), await add(database, 'b')];
  // As restored from a cluster that had come far: its ids are of the future here.
  await sql`update change set transaction_id = (9000000000 - sequence)::text::xid8`.execute(database.query);
  await prepareCloud(database);
  assert.equal((await settleIncarnation(database)).begun, true);
  const resourceTypes = ['domain'];
  const page = await readChanges(database.query, {
    after: await firstPosition(database.query),
    limit: 10,
    resourceTypes,
  });
  assert.deepEqual(
    page.changes.map((change) => change.resource_id),
    ids,
  );
  const feed = new ChangeFeed({ database, url: own.url, log: pino({ level: 'silent' }) });
  await feed.start();
  const seen: string[] = [];
  feed.subscribe((changes) => seen.push(...changes.map((change) => change.resource_id)));
  const later = await add(database, 'c');
  await until('the new one to be seen', () => seen.includes(later));
  assert.deepEqual(seen, [later]);
  await feed.stop();
  const rest = await readChanges(database.query, { after: page.position, limit: 10, resourceTypes });
  assert.deepEqual(
    rest.changes.map((change) => change.resource_id),
    [later],
  );
  await until(
    'nothing to wait',
    async () => !(await readChanges(database.query, { after: rest.position, limit: 1 })).more,
  );
});

test('the feed goes through a new incarnation without losing a change', async () => {
  await using own = await testDatabase();
  const { database } = own;
  await prepareCloud(database);
  await settleIncarnation(database);
  const feed = new ChangeFeed({ database, url: own.url, log: pino({ level: 'silent' }) });
  await feed.start();
  const seen: string[] = [];
  feed.subscribe((changes) => seen.push(...changes.map((change) => change.resource_id)));
  const made: string[] = [];
  for (const name of ['a', 'b', 'c']) {
    made.push(await add(database, name));
    await renewIncarnation(database, (await currentIncarnation(database.query)).id, 'for this test');
  }
  await until('all to be seen', () => seen.length >= 3);
  assert.deepEqual(seen, made);
  await feed.stop();
});

test('the feed reads a long log by a plan that is made once, not at each change', async () => {
  await using own = await testDatabase();
  const { database } = own;
  await sql`insert into change (resource_type, resource_id, action, generation, body)
    select 'domain', gen_random_uuid(), 'created', 1, '{}' from generate_series(1, 2000)`.execute(database.query);
  await sql`analyze change`.execute(database.query);
  const feed = new ChangeFeed({ database, url: own.url, log: pino({ level: 'silent' }) });
  await feed.start();
  const seen: string[] = [];
  feed.subscribe((changes) => seen.push(...changes.map((change) => change.resource_id)));
  for (const name of ['a', 'b', 'c']) {
    const made = await add(database, name);
    await until('it to be seen', () => seen.includes(made));
  }
  await feed.stop();
  const { rows } = await sql<{
    custom: number;
    generic: number;
  }>`select custom_plans as custom, generic_plans as generic
    from pg_prepared_statements where statement like '%horizon%'`.execute(database.plannedOnce);
  assert.equal(rows[0]!.custom, 0);
  assert.ok(rows[0]!.generic >= 2);
});

const prepareCloud = (database: Database) =>
  sql`insert into cloud (id, region) values (${newId()}, 'test')`.execute(database.query);
