import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { network } from '../../network/network/resource.ts';
import { cloudActor, type Queryable, type Tx, withCommit } from './database.ts';
import { type TestDatabase, testDatabase, testProject } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
  await sql`create table note (text text primary key)`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

const notes = async (): Promise<string[]> =>
  (await sql<{ text: string }>`select text from note order by text`.execute(db.database.query)).rows.map(
    ({ text }) => text,
  );
const write = (tx: Tx, text: string) => sql`insert into note values (${text})`.execute(tx);

test('statements that are asked for together run in order, each seeing the one before', async () => {
  const counts = await db.database.transaction(cloudActor, (tx) =>
    Promise.all([
      write(tx, 'a'),
      sql<{ n: number }>`select count(*) as n from note`.execute(tx),
      write(tx, 'b'),
      sql<{ n: number }>`select count(*) as n from note`.execute(tx),
    ]),
  );
  assert.deepEqual([counts[1].rows[0]!.n, counts[3].rows[0]!.n], [1, 2]);
  assert.deepEqual(await notes(), ['a', 'b']);
});

test('where one of several statements fails nothing of the transaction stays', async () => {
  await assert.rejects(
    db.database.transaction(cloudActor, (tx) => Promise.all([write(tx, 'c'), write(tx, 'a'), write(tx, 'd')])),
    /duplicate key/,
  );
  assert.deepEqual(await notes(), ['a', 'b']);
});

test('what a part of a failed transaction still asks for does not run outside of it', async () => {
  let later: Promise<unknown> | undefined;
  let go: () => void = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  await assert.rejects(
    db.database.transaction(cloudActor, async (tx) => {
      later = gate.then(() => write(tx, 'stray'));
      throw new Error('given up');
    }),
    /given up/,
  );
  go();
  await assert.rejects(later!, /the transaction has ended/);
  assert.deepEqual(await notes(), ['a', 'b']);
});

test('quota is counted after its lock is held, so that of many one by one only as many pass as fit', async () => {
  const { checkQuota } = await import('../quota/quota.ts');
  const projectId = await testProject(db.database);
  await sql`insert into quota (id, project_id, resource, maximum) values (gen_random_uuid(), ${projectId}, 'networks', 3)`.execute(
    db.database.query,
  );
  const outcomes = await Promise.allSettled(
    Array.from({ length: 8 }, (_, index) =>
      db.database.transaction(cloudActor, async (tx) => {
        await checkQuota(tx, projectId, network.usage, { networks: 1 });
        await sql`insert into network (id, project_id, name) values (gen_random_uuid(), ${projectId}, ${`n${index}`})`.execute(
          tx,
        );
      }),
    ),
  );
  assert.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 3);
});

test('a transaction in which a statement failed is no success, even where whoever asked made nothing of it', async () => {
  const swallowed = db.database.transaction(cloudActor, async (tx) => {
    await write(tx, 'swallowed');
    await sql`select 1 / 0`.execute(tx).catch(() => {});
    return 'done';
  });
  await assert.rejects(swallowed, { code: '22012' });
  assert.ok(!(await notes()).includes('swallowed'));
});

test('a last write that goes with the commit is there, and where it fails the transaction fails with its error', async () => {
  const counted = await db.database.transaction(cloudActor, async (tx) => {
    await write(tx, 'last');
    return withCommit(sql<{ n: number }>`select count(*) as n from note where text = 'last'`.execute(tx));
  });
  assert.equal(counted.rows[0]!.n, 1);
  assert.ok((await notes()).includes('last'));
  const failed = db.database.transaction(cloudActor, async (tx) => {
    await write(tx, 'undone');
    return withCommit(Promise.all([write(tx, 'last'), write(tx, 'after')]));
  });
  await assert.rejects(failed, { code: '23505' });
  assert.deepEqual(
    (await notes()).filter((text) => text === 'undone' || text === 'after'),
    [],
  );
});

test('what is asked for in one turn goes to the database in one write', async () => {
  const client = await db.database.pool.connect();
  try {
    const { stream } = (client as unknown as { connection: { stream: Socket } }).connection;
    let writes = 0;
    const { _writev, _write } = stream;
    const counted = <A extends unknown[]>(plain: (...args: A) => unknown) =>
      function (this: Socket, ...args: A) {
        writes++;
        return plain.apply(this, args);
      };
    Object.assign(stream, { _writev: counted(_writev!), _write: counted(_write) });
    const answers = await Promise.all([1, 2, 3].map((n) => client.query('select $1::int as n', [n])));
    Object.assign(stream, { _writev, _write });
    assert.deepEqual(
      answers.map(({ rows }) => rows[0].n),
      [1, 2, 3],
    );
    assert.equal(writes, 1);
  } finally {
    client.release();
  }
});

test('reads that belong together are planned once where that is asked for, also those of a list', async () => {
  await sql`analyze domain`.execute(db.database.query);
  const named = (n: number) =>
    sql`select 'planned once' from domain where id = any(${Array.from({ length: n }, () => newId())}::uuid[])`;
  const plans = sql<{ custom: number; generic: number }>`select custom_plans as custom, generic_plans as generic
    from pg_prepared_statements where statement like '%planned once%any%'`;
  for (const n of [2, 3, 2, 3]) {
    await db.database.together((one) => Promise.all([named(n).execute(one), named(n).execute(one)]), {
      plannedOnce: true,
    });
  }
  const { rows } = await db.database.together((one) => plans.execute(one), { plannedOnce: true });
  assert.deepEqual(rows, [{ custom: 0, generic: 7 }]);
});

test('reads that belong together share a connection, and one that fails leaves it to the next', async () => {
  const pid = (db: Queryable) => sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(db);
  const answers = await db.database.together((one) => Promise.all([pid(one), pid(one), pid(one)]));
  assert.equal(new Set(answers.map(({ rows }) => rows[0]!.pid)).size, 1);
  const failed = db.database.together((one) => Promise.all([pid(one), sql`select 1 / 0`.execute(one), pid(one)]));
  await assert.rejects(failed, { code: '22012' });
  assert.equal((await db.database.together(pid)).rows.length, 1);
});

test('who refers to a row that has gone since it was read reads again; what is never there is an error', async () => {
  const { query } = db.database;
  await sql`create table reader (id int primary key)`.execute(query);
  await sql`create table remark (reader_id int not null references reader)`.execute(query);
  await sql`insert into reader values (1)`.execute(query);
  const seen: number[] = [];
  const remark = () =>
    db.database.transaction(cloudActor, async (tx) => {
      const { rows } = await sql`select from reader`.execute(tx);
      seen.push(rows.length);
      if (rows.length === 0) return 'nobody';
      await sql`delete from reader`.execute(query);
      await sql`insert into remark values (1)`.execute(tx);
      return 'remarked';
    });
  assert.deepEqual([await remark(), seen], ['nobody', [1, 0]]);
  let tries = 0;
  const wrong = db.database.transaction(cloudActor, (tx) => {
    tries++;
    return sql`insert into remark values (2)`.execute(tx);
  });
  await assert.rejects(wrong, /foreign key/);
  assert.equal(tries, 2);
});
