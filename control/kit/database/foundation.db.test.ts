import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { network } from '../../network/network/resource.ts';
import { beginOperation, endOperations, passOperation } from '../operation/operations.ts';
import { enqueue, WorkQueue } from '../queue/queue.ts';
import { checkQuota } from '../quota/quota.ts';
import { cloudActor } from './database.ts';
import { migrate } from './migrate.ts';
import { type TestDatabase, testDatabase, testProject } from './testing.ts';

let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

const log = pino({ level: 'silent' });

test('migrations run twice change nothing the second time', async () => {
  assert.deepEqual(await migrate({ url: db.url }), []);
});

test('a migration that this version does not know stops the start', async () => {
  await using other = await testDatabase();
  await sql`insert into migration (name, sha256) values ('9999-from-the-future', 'x')`.execute(other.database.query);
  await assert.rejects(migrate({ url: other.url }), { code: 'conflict', message: /9999-from-the-future/ });
});

test('a transaction whose work fails leaves nothing, and its connection is clean for the next one', async () => {
  const id = newId();
  const work = db.database.transaction(cloudActor, async (tx) => {
    await sql`insert into domain (id, name) values (${id}, 'half-made')`.execute(tx);
    throw new Error('in the middle');
  });
  await assert.rejects(work, /in the middle/);
  const { rows } = await sql`select from domain where id = ${id}`.execute(db.database.query);
  assert.equal(rows.length, 0);
  await db.database.transaction(cloudActor, (tx) => sql`select 1`.execute(tx));
});

test('a deadlock is run again and both transactions succeed', async () => {
  const [a, b] = [newId(), newId()];
  await sql`insert into domain (id, name) values (${a}, 'lock a'), (${b}, 'lock b')`.execute(db.database.query);
  let attempts = 0;
  let firstMet: () => void;
  const met = new Promise<void>((resolve) => {
    firstMet = resolve;
  });
  let holding = 0;
  const lockBoth = (first: string, second: string) =>
    db.database.transaction(cloudActor, async (tx) => {
      attempts++;
      await sql`update domain set description = description || 'x' where id = ${first}`.execute(tx);
      if (++holding === 2) firstMet();
      await met;
      await sql`update domain set description = description || 'x' where id = ${second}`.execute(tx);
    });
  await Promise.all([lockBoth(a, b), lockBoth(b, a)]);
  // The victim may meet the other one again before that one has both rows, and be chosen once more.
  assert.ok(attempts >= 3, 'one of the two was chosen as the victim and ran again');
  const { rows } = await sql<{ description: string }>`select description from domain where id in (${a}, ${b})`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [{ description: 'xx' }, { description: 'xx' }]);
});

test('a request id that could leave its SQL literal is refused', async () => {
  const actor = { actorId: null, requestId: `x', true); drop table change; --` };
  await assert.rejects(
    db.database.transaction(actor, async () => {}),
    { code: 'invalid' },
  );
});

const operation = async (resourceId: string) =>
  (
    await db.database.query
      .selectFrom('operation')
      .selectAll()
      .where('resource_id', '=', resourceId)
      .orderBy('id')
      .execute()
  ).map(({ verb, state, owner, waiting_for, error_code }) => ({ verb, state, owner, waiting_for, error_code }));

test('an operation says who has the next step and what it waits for, until an observation closes it', async () => {
  const resourceId = newId();
  const begin = (verb: string, generation: number) =>
    db.database.transaction(cloudActor, (tx) =>
      beginOperation(tx, cloudActor, {
        ...{ projectId: null, resourceType: 'server', resourceId, verb, generation },
        ...{ owner: 'control' as const, waitingFor: 'placement', deadlineMs: 60_000 },
      }),
    );
  await begin('create', 1);
  await passOperation(db.database.query, resourceId, { owner: 'host h', waitingFor: 'the guest to run' });
  assert.deepEqual(await operation(resourceId), [
    { verb: 'create', state: 'running', owner: 'host h', waiting_for: 'the guest to run', error_code: null },
  ]);
  await begin('delete', 2);
  await endOperations(db.database.query, resourceId, 1, { state: 'succeeded' });
  const rows = await operation(resourceId);
  assert.deepEqual(
    rows.map((row) => [row.verb, row.state, row.error_code]),
    [
      ['create', 'failed', 'conflict'],
      ['delete', 'running', null],
    ],
    'the later wish superseded the earlier one; an observation of generation 1 does not close generation 2',
  );
  await endOperations(db.database.query, resourceId, 2, { state: 'succeeded' });
  await endOperations(db.database.query, resourceId, 2, { state: 'failed', code: 'internal', message: 'late' });
  assert.equal((await operation(resourceId))[1]?.state, 'succeeded', 'closed once, closed for good');
});

test('wishes to look at one resource are one job, and a job that fails runs again', async () => {
  const queue = new WorkQueue({ database: db.database, log });
  const id = newId();
  const looked: string[] = [];
  await db.database.transaction(cloudActor, async (tx) => {
    for (let i = 0; i < 5; i++) await enqueue(tx, 'look', id);
  });
  await db.database
    .transaction(cloudActor, (tx) => enqueue(tx, 'look', 'rolled back').then(() => Promise.reject(new Error('no'))))
    .catch(() => {});
  const again = Promise.withResolvers<void>();
  await queue.start({
    look: async (resource) => {
      looked.push(resource);
      if (looked.length === 1) {
        // A wish that arrives while the job runs is a job of its own: the running one may have read too early.
        await enqueue(db.database.query, 'look', resource);
        return;
      }
      again.resolve();
    },
  });
  await again.promise;
  await queue.stop();
  assert.deepEqual(looked, [id, id]);
});

test('concurrent creations can not exceed a quota together', async () => {
  const projectId = await testProject(db.database);
  await sql`insert into quota (id, project_id, resource, maximum) values (${newId()}, ${projectId}, 'networks', 3)`.execute(
    db.database.query,
  );
  const create = () =>
    db.database.transaction(cloudActor, async (tx) => {
      await checkQuota(tx, projectId, network.usage, { networks: 1 });
      await sql`insert into network (id, project_id) values (${newId()}, ${projectId})`.execute(tx);
    });
  const results = await Promise.allSettled(Array.from({ length: 8 }, create));
  assert.equal(results.filter((r) => r.status === 'fulfilled').length, 3);
  const refused = results.find((r) => r.status === 'rejected');
  assert.deepEqual(refused?.reason.fields, { resource: 'networks', limit: 3, used: 3, wanted: 1 });
});
