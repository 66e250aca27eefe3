/** History has a life: its size is bounded, what is over goes, what runs stays, and the readers of the log hear what they missed. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { resources } from '../../resources.ts';
import { currentPosition, firstPosition, readChanges } from '../change-log/changes.ts';
import { cloudActor, type Database } from '../database/database.ts';
import { testDatabase, testProject, untilFinal } from '../database/testing.ts';
import { beginOperation } from '../operation/operations.ts';
import { HistoryKeeper } from './index.ts';
import { dayMs, historyTables, makePart, partsOf, partsToMake } from './parts.ts';

const log = pino({ level: 'silent' });
const keeperOf = (database: Database) =>
  new HistoryKeeper({ database, log, resources, retention: { changeLogDays: 7, operationDays: 30 } });
const start = new Date('2026-01-05T00:00:00Z');
const day = (n: number) => new Date(start.getTime() + n * dayMs);

/** A day's rows of a busy cloud, as the triggers and services would have written them then. */
async function liveOneDay(database: Database, n: number, rows: number): Promise<void> {
  const each = sql`make_interval(secs => 86400.0 * n / ${rows})`;
  await sql`insert into change (at, resource_type, resource_id, action, body)
    select ${day(n)}::timestamptz + ${each}, 'server', gen_random_uuid(), 'updated', jsonb_build_object('text', repeat(md5(n::text), 15))
    from generate_series(0, ${rows - 1}) n`.execute(database.query);
  const hex = sql`lpad(to_hex((extract(epoch from ${day(n)}::timestamptz + ${each}) * 1000)::bigint), 12, '0')`;
  const id = sql`(overlay(overlay(${hex} || '7000' || '8' || right(md5(n::text), 15) placing '' from 33) placing '' from 33))::uuid`;
  await sql`insert into operation (id, resource_type, resource_id, verb, generation, state, owner, deadline, finished_at)
    select ${id}, 'server', gen_random_uuid(), 'start', 1, 'succeeded', 'control', now(), now()
    from generate_series(0, ${rows - 1}) n where n % 10 = 0`.execute(database.query);
  await sql`insert into decision (id, resource_type, resource_id, kind, outcome, inputs, explanation)
    select ${id}, 'server', gen_random_uuid(), 'placement', 'placed', '{}', '{}'
    from generate_series(0, ${rows - 1}) n where n % 10 = 0`.execute(database.query);
}

async function size(database: Database): Promise<number> {
  const { rows } = await sql<{ bytes: number }>`select sum(pg_total_relation_size(oid)) as bytes from pg_class
    where relkind = 'r' and relname ~ '^(change|operation|decision)_'`.execute(database.query);
  return rows[0]!.bytes;
}

test('three weeks of load take no more room than the first', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const keeper = keeperOf(database);
  const sizes: number[] = [];
  for (let n = 0; n < 22; n++) {
    await keeper.look(day(n));
    await liveOneDay(database, n, 1000);
    sizes.push(await size(database));
  }
  assert.ok(sizes[6]! > 3 * sizes[0]!, 'the load is seen');
  // Operations are kept for a month here: a tenth of the rows, so that they do not cover up what the log does.
  assert.ok(sizes[21]! < 1.6 * sizes[9]!, sizes.join(' '));
  const { rows } = await sql<{ n: number; rest: number }>`select count(*) as n, (select count(*) from change_default
    where resource_type = 'server') as rest from change where resource_type = 'server'`.execute(database.query);
  assert.ok(rows[0]!.n >= 7000 && rows[0]!.n <= 10_000, `${rows[0]!.n} rows are kept`);
  assert.equal(rows[0]!.rest, 0);
});

test('a control process whose clock is a year ahead drops nothing', async (t) => {
  await using db = await testDatabase();
  const { database } = db;
  const keeper = keeperOf(database);
  await keeper.look();
  await testProject(database);
  await untilFinal(database.query);
  const before = await partsOf(database.query, historyTables[0]!);
  const { changes } = await readChanges(database.query, { after: await firstPosition(database.query), limit: 100 });
  assert.ok(changes.length > 0);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 365 * dayMs });
  await keeper.look();
  t.mock.timers.reset();
  assert.deepEqual(await partsOf(database.query, historyTables[0]!), before);
  const after = await readChanges(database.query, { after: await firstPosition(database.query), limit: 100 });
  assert.equal(after.changes.length, changes.length);
});

test('a watcher whose place is older than what is kept is told; one that followed reads on', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const keeper = keeperOf(database);
  await keeper.look(day(0));
  const early = await firstPosition(database.query);
  await liveOneDay(database, 0, 10);
  const resourceTypes = ['server'];
  const { rows: last } = await sql<{
    xid: string;
  }>`select max(transaction_id::text::bigint)::text as xid from change`.execute(database.query);
  // A place is final only behind all open transactions of the cluster, and other tests have some.
  let followed = early;
  await until('what was written to be final', async () => {
    followed = await currentPosition(database.query);
    return followed.transactionId > BigInt(last[0]!.xid);
  });
  await keeper.look(day(20));
  await assert.rejects(readChanges(database.query, { after: early, limit: 10 }), { code: 'expired' });
  const page = await readChanges(database.query, { after: followed, limit: 10, resourceTypes });
  assert.deepEqual(page.changes, []);
  assert.deepEqual(
    (await readChanges(database.query, { after: await firstPosition(database.query), limit: 10, resourceTypes }))
      .changes,
    [],
  );
});

test('an operation that runs stays, however old; what is over around it goes', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const keeper = keeperOf(database);
  const now = new Date();
  const later = (days: number) => new Date(now.getTime() + days * dayMs);
  await keeper.look(now);
  const begin = () =>
    database.transaction(cloudActor, (tx) =>
      beginOperation(tx, cloudActor, {
        ...{ projectId: null, resourceType: 'server', resourceId: newId(), verb: 'create', generation: 1 },
        ...{ owner: 'control' as const, waitingFor: 'x', deadlineMs: 1000 },
      }),
    );
  const [over, running] = [await begin(), await begin()];
  await sql`update operation set state = 'succeeded', finished_at = now() where id = ${over}`.execute(database.query);
  const ids = async () =>
    (await sql<{ id: string }>`select id from operation`.execute(database.query)).rows.map((row) => row.id);
  await keeper.look(later(60));
  assert.deepEqual(await ids(), [running]);
  await sql`update operation set state = 'succeeded', finished_at = now()`.execute(database.query);
  await keeper.look(later(61));
  assert.deepEqual(await ids(), []);
});

test('what came while there was no part for it is taken into one, and nothing is lost', async () => {
  await using db = await testDatabase();
  const { database } = db;
  await liveOneDay(database, 0, 100);
  await liveOneDay(database, 1, 100);
  const count = async (table: string) =>
    (
      await sql<{ n: number }>`select count(*) as n from ${sql.table(table)} where resource_type = 'server'`.execute(
        database.query,
      )
    ).rows[0]!.n;
  await keeperOf(database).look(day(1));
  assert.equal(await count('change'), 200);
  assert.equal(await count('change_default'), 100);
  const [part] = await partsOf(database.query, historyTables[0]!);
  assert.equal(await count(part!.name), 100);
});

test('what is written while a part is being made for it waits, and does not fail', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const [part] = partsToMake(historyTables[0]!, [], day(0), 7);
  let written: Promise<void> = Promise.resolve();
  await database.transaction(cloudActor, async (tx) => {
    await makePart(tx, historyTables[0]!, part!);
    written = liveOneDay(database, 0, 10);
    await until('the writer waits', async () => {
      const { rows } = await sql`select from pg_locks where not granted and locktype = 'relation'
        and database = (select oid from pg_database where datname = current_database())`.execute(tx);
      return rows.length > 0;
    });
  });
  await written;
  const { rows } = await sql`select from ${sql.table(part!.name)}`.execute(database.query);
  assert.equal(rows.length, 10);
});

test('parts are made without a gap, also when the setting changes', () => {
  const [change] = historyTables;
  const first = partsToMake(change!, [], day(0), 7);
  const more = partsToMake(change!, first, day(3), 60);
  const all = [...first, ...more];
  assert.deepEqual(
    all.slice(1).map(({ from }) => from),
    all.slice(0, -1).map(({ to }) => to),
  );
  assert.ok(all.at(-1)!.to.getTime() > day(4).getTime());
  assert.deepEqual(partsToMake(change!, all, day(3), 60), []);
});

test('a day after its deletion nothing that was a project’s is left, nor who a deleted user was', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const keeper = keeperOf(database);
  const [projectId, kept] = [await testProject(database), await testProject(database)];
  const [userId, other] = [newId(), newId()];
  const domain = '00000000-0000-7000-8000-000000000000';
  for (const id of [userId, other]) {
    await sql`insert into "user" (id, domain_id, name, email) values (${id}, ${domain}, ${`Ada ${id}`}, 'ada@example.org')`.execute(
      database.query,
    );
    await sql`insert into key_pair (id, user_id, name, public_key, fingerprint)
      values (${newId()}, ${id}, 'k', ${`ssh-ed25519 AAAA ada-${id}`}, '')`.execute(database.query);
    await sql`insert into credential (id, user_id, type, sealed) values (${newId()}, ${id}, 'totp', '')`.execute(
      database.query,
    );
  }
  await sql`insert into trust (id, trustor_user_id, trustee_user_id, origin_user_id, impersonation, role_ids)
    values (${newId()}, ${other}, ${userId}, ${other}, false, '{}')`.execute(database.query);
  for (const id of [projectId, kept]) {
    await database.transaction({ actorId: userId, requestId: null }, async (tx) => {
      await sql`insert into network (id, project_id, name) values (${newId()}, ${id}, 'secret plans')`.execute(tx);
      await sql`delete from network where project_id = ${id}`.execute(tx);
    });
    await sql`insert into decision (id, project_id, resource_type, resource_id, kind, outcome, inputs, explanation)
      values (${newId()}, ${id}, 'server', ${newId()}, 'placement', 'placed', '{}', '{}')`.execute(database.query);
  }
  await sql`delete from key_pair where user_id = ${userId}`.execute(database.query);
  await sql`delete from "user" where id = ${userId}`.execute(database.query);
  await sql`delete from project where id = ${projectId}`.execute(database.query);
  const left = async (id: string, name: string) => {
    const { rows } = await sql<{
      n: number;
    }>`select (select count(*) from change where project_id = ${id}::uuid or body::text like ${`%${name}%`})
      + (select count(*) from decision where project_id = ${id}::uuid) as n`.execute(database.query);
    return rows[0]!.n;
  };
  await keeper.look(new Date());
  assert.ok((await left(projectId, userId)) > 5, 'not at once: whoever watches must have read it');
  await keeper.look(new Date(Date.now() + 2 * dayMs));
  assert.equal(await left(projectId, userId), 0);
  assert.ok((await left(kept, other)) >= 5);
  assert.equal((await sql`select from forgotten`.execute(database.query)).rows.length, 0);
});

test('every resource that is a user’s says by which columns, so that it is forgotten with the user', async () => {
  await using db = await testDatabase();
  const { rows } = await sql<{ noun: string; columns: string[] }>`select c.relname as noun,
      array_agg(a.attname::text order by a.attnum) as columns
    from pg_constraint f join pg_class c on c.oid = f.conrelid
      join pg_attribute a on a.attrelid = c.oid and a.attnum = any(f.conkey)
    where f.contype = 'f' and f.confrelid = '"user"'::regclass and exists (select from pg_trigger t
      join pg_proc p on p.oid = t.tgfoid where t.tgrelid = c.oid and p.proname = 'append_change')
    group by c.relname`.execute(db.database.query);
  const described = resources.flatMap(({ noun, aboutUser }) =>
    aboutUser && noun !== 'user' ? [[noun, aboutUser]] : [],
  );
  const made = rows.map(({ noun, columns }) => [noun, columns]);
  assert.deepEqual(new Map(described as [string, string[]][]), new Map(made as [string, string[]][]));
});

test('progress of a step is no event; that another step began is one', async () => {
  await using db = await testDatabase();
  const { database } = db;
  const projectId = await testProject(database);
  const id = newId();
  await sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id)
    values (${id}, ${projectId}, ${newId()}, 's', 's', ${newId()}, '{}', 1, 1, 1, 'r')`.execute(database.query);
  const changes = async () =>
    (await sql`select from change where resource_id = ${id}`.execute(database.query)).rows.length;
  assert.equal(await changes(), 1);
  await sql`update server set observed_step = 'fetching image, 1 of 9 MiB', observed_at = now()`.execute(
    database.query,
  );
  assert.equal(await changes(), 1);
  await sql`update server set observed_step = 'fetching image, 2 of 9 MiB', observed_state = 'building'`.execute(
    database.query,
  );
  const { rows } = await sql<{ step: string }>`select body ->> 'observed_step' as step from change
    where resource_id = ${id} and action = 'updated'`.execute(database.query);
  assert.deepEqual(rows, [{ step: 'fetching image, 2 of 9 MiB' }]);
});

test('the keeper works by itself, in one of several processes', async () => {
  await using db = await testDatabase();
  const keepers = [keeperOf(db.database), keeperOf(db.database)];
  for (const keeper of keepers) keeper.start();
  for (const table of historyTables) {
    await until(`parts of ${table.name}`, async () => (await partsOf(db.database.query, table)).length > 0);
  }
  for (const keeper of keepers) await keeper.stop();
});
