/** The process that works on a job is killed outright. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { enqueue, WorkQueue } from './queue.ts';

const log = pino({ level: 'silent' });
let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

/** A process that takes every job and never ends one. */
const worker = (holder: string) => `
  import pino from 'pino';
  import { Secret } from '${import.meta.resolve('../../../contract/secret.ts')}';
  import { Database } from '${import.meta.resolve('../database/database.ts')}';
  import { WorkQueue } from '${import.meta.resolve('./queue.ts')}';
  const database = new Database({ url: new Secret(${JSON.stringify(db.url.reveal())}) });
  const queue = new WorkQueue({ database, log: pino({ level: 'silent' }), holder: ${JSON.stringify(holder)} });
  await queue.start({ look: (id) => (console.log(id), new Promise(() => {})) });`;

/** @param times that it is wished for: each while the job of the one before runs */
async function killedAtWork(holder: string, id: string, times = 1): Promise<void> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', worker(holder)], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    for (let n = 0; n < times; n++) {
      await enqueue(db.database.query, 'look', id);
      const [said] = await once(child.stdout, 'data');
      assert.equal(String(said).trim(), id);
    }
  } finally {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

const lockedBy = async () => {
  const { rows } = await sql<{ locked_by: string | null }>`select locked_by from graphile_worker._private_jobs`.execute(
    db.database.query,
  );
  return rows.map((row) => row.locked_by);
};

async function withQueue(
  holder: string,
  look: (id: string) => void,
  work: (queue: WorkQueue) => Promise<unknown>,
): Promise<void> {
  const queue = new WorkQueue({ database: db.database, log, holder });
  await queue.start({ look: async (id) => look(id) });
  try {
    await work(queue);
  } finally {
    await queue.stop();
  }
}

test('the next process of its name does at once what a killed one was at; others leave it that for a while', async () => {
  const [holder, id] = [newId(), newId()];
  await killedAtWork(holder, id);
  await withQueue(newId(), assert.fail, async () => {
    assert.equal((await lockedBy())[0]?.startsWith(`${holder} `), true, 'it might live');
  });
  const looked: string[] = [];
  await withQueue(
    holder,
    (each) => looked.push(each),
    () => until('the job to be done', async () => (await lockedBy()).length === 0, { timeoutMs: 10_000 }),
  );
  assert.deepEqual(looked, [id]);
});

test('another process does it as soon as the killed one is known to be silent', async () => {
  const [holder, id] = [newId(), newId()];
  await killedAtWork(holder, id);
  const looked: string[] = [];
  await withQueue(
    newId(),
    (each) => looked.push(each),
    async (queue) => {
      await queue.takeOver(holder);
      await until('the job to be done', async () => (await lockedBy()).length === 0, { timeoutMs: 10_000 });
    },
  );
  assert.deepEqual(looked, [id]);
});

test('what it was at several times, for one resource, is done once', async () => {
  const [holder, id] = [newId(), newId()];
  // As many kinds of work as a cloud has, as PostgreSQL knows by then: its plan hangs on that.
  await sql`insert into graphile_worker._private_tasks (identifier) select 'kind ' || n from generate_series(1, 40) n`.execute(
    db.database.query,
  );
  await sql`analyze graphile_worker._private_tasks`.execute(db.database.query);
  await killedAtWork(holder, id, 3);
  assert.equal((await lockedBy()).length, 3);
  const looked: string[] = [];
  await withQueue(
    holder,
    (each) => looked.push(each),
    () => until('the jobs to be done', async () => (await lockedBy()).length === 0, { timeoutMs: 10_000 }),
  );
  assert.deepEqual(looked, [id]);
});
