import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../database/database.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { ChangeFeed, currentPosition, formatPosition, parsePosition, readChanges } from './changes.ts';

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
  const deadline = Date.now() + 5000;
  while (seen.length < committed.size && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  await feed.stop();
  assert.equal(seen.length, committed.size);
  assert.deepEqual(new Set(seen), committed);
});

test('an update that changes nothing but updated_at writes no change', async () => {
  const id = newId();
  await sql`insert into domain (id, name) values (${id}, 'same')`.execute(db.database.query);
  const from = await currentPosition(db.database.query);
  await sql`update domain set updated_at = now() + interval '1 s' where id = ${id}`.execute(db.database.query);
  assert.deepEqual((await readChanges(db.database.query, { after: from, limit: 10 })).changes, []);
});

test('a change carries who made it and at whose request', async () => {
  const [id, actorId] = [newId(), newId()];
  const from = await currentPosition(db.database.query);
  await db.database.transaction({ actorId, requestId: 'req-1' }, (tx) =>
    sql`insert into domain (id, name) values (${id}, 'signed')`.execute(tx),
  );
  const [change] = (await readChanges(db.database.query, { after: from, limit: 10 })).changes;
  assert.equal(change?.actor_id, actorId);
  assert.equal(change?.request_id, 'req-1');
});

test('a resume token survives a round trip and a forged one is refused', () => {
  assert.equal(formatPosition(parsePosition('18446744073709551615.7')), '18446744073709551615.7');
  assert.throws(() => parsePosition('7; drop table change'), { code: 'invalid' });
});
