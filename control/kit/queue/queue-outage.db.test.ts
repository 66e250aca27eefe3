/** The work queue over a database that goes away and comes back. An unhandled rejection anywhere fails these tests. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import pino from 'pino';
import { newId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { partOf } from '../../../test/support/part-of.ts';
import { until } from '../../../test/support/until.ts';
import { Wire } from '../../../test/support/wire.ts';
import { cloudActor, Database } from '../database/database.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { PatientPool } from './patient-pool.ts';
import { enqueue, type Reconcile, WorkQueue } from './queue.ts';

const applicationName = 'the queue under test';
const log = pino({ level: 'silent' });
let db: TestDatabase;
let directory: string;
before(async () => {
  db = await testDatabase();
  directory = mkdtempSync(join(tmpdir(), 'queue-'));
});
after(async () => {
  rmSync(directory, { recursive: true });
  await db[Symbol.asyncDispose]();
});

/** A queue whose way to the database can be cut. */
class Rig implements AsyncDisposable {
  readonly database: Database;
  readonly queue: WorkQueue;
  readonly #target: { path: string };
  #wire: Wire | undefined;

  constructor() {
    const { host, port, user, database } = new pg.Client({ connectionString: db.url.reveal() });
    this.#target = { path: join(host, `.s.PGSQL.${port}`) };
    const url = new Secret(`postgres://${user}@localhost/${database}?host=${encodeURIComponent(directory)}`);
    this.database = new Database({ url, applicationName, idleMs: 100 });
    this.queue = new WorkQueue({ database: this.database, log });
  }

  get wire(): Wire {
    return this.#wire!;
  }

  async comeBack(): Promise<void> {
    this.#wire = await Wire.open(join(directory, '.s.PGSQL.5432'), this.#target);
  }

  goAway(): void {
    this.wire.cut();
  }

  async start(tasks: Record<string, Reconcile>): Promise<this> {
    await this.comeBack();
    await this.queue.start(tasks);
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue.stop();
    await this.database.close();
    this.goAway();
  }
}

const backends = async () => {
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from pg_stat_activity
    where application_name = ${applicationName}`.execute(db.database.query);
  return rows[0]!.n;
};

const statements = Array.from({ length: 40 }, (_, n) => n + 1);

test('connections lost at any statement lose no wish and do not end the process', async () => {
  const looked = new Set<string>();
  await using rig = await new Rig().start({
    look: async (id) => {
      await sql`select 1`.execute(rig.database.query);
      looked.add(id);
    },
  });
  const wished: string[] = [];
  for (const statement of partOf(statements, 12)) {
    let sent = 0;
    const lost = new Promise<void>((resolve) => {
      rig.wire.onSent = () => {
        if (++sent !== statement) return;
        rig.wire.onSent = undefined;
        // By turns: only the connections; the database for a while; connections ended by PostgreSQL itself.
        if (statement % 3 === 0) rig.wire.drop();
        else if (statement % 3 === 1) rig.goAway();
        resolve();
      };
    });
    for (let n = 0; n < 6; n++) {
      const id = newId();
      wished.push(id);
      await enqueue(db.database.query, 'look', id);
    }
    await lost;
    if (statement % 3 === 1) await rig.comeBack();
    else if (statement % 3 === 2)
      await sql`select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = ${applicationName}`.execute(db.database.query);
  }
  await until('all wishes to be looked at', () => wished.every((id) => looked.has(id)));
  await until('no job to be left', async () => (await jobs()).length === 0);
});

test('a listening connection that is given back twice, as at a stop while it is lost, is given back once', async () => {
  const { pool } = new PatientPool(db.database.pool, { returned() {}, unended() {} });
  const release = await new Promise<() => void>((resolve, reject) => {
    pool.connect((error, _client, done) => (error ? reject(error) : resolve(done)));
  });
  release();
  release();
  assert.equal(db.database.pool.idleCount, db.database.pool.totalCount);
});

test('a listening connection that is asked for when the pool has ended is given back, too', async () => {
  const inner = new pg.Pool({ connectionString: db.url.reveal() });
  await inner.end();
  const { pool } = new PatientPool(inner, { returned() {}, unended() {} });
  const error = await new Promise((resolve) => {
    pool.connect((error, _client, done) => {
      done();
      resolve(error);
    });
  });
  assert.match(String(error), /after calling end/);
});

test('at rest the queue keeps two connections', async () => {
  await using _rig = await new Rig().start({ look: async () => {} });
  for (let n = 0; n < 20; n++) await enqueue(db.database.query, 'look', newId());
  await until('the connections to end', async () => (await jobs()).length === 0 && (await backends()) <= 2);
});

test('a job whose failure cannot be written down does not end the process', async () => {
  const failed = Promise.withResolvers<void>();
  const other = Promise.withResolvers<void>();
  await using _rig = await new Rig().start({
    look: async (id) => {
      if (id === 'other') return other.resolve();
      failed.resolve();
      // PostgreSQL has no NUL in its texts.
      throw new Error('a\0b');
    },
  });
  await enqueue(db.database.query, 'look', newId());
  await failed.promise;
  await enqueue(db.database.query, 'look', 'other');
  await other.promise;
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
});

test('what a dead process left is taken back as a new job, so that a late end of the old one takes nothing away', async () => {
  const id = newId();
  await enqueue(db.database.query, 'look', id);
  const [old] = await jobs();
  await sql`update graphile_worker._private_jobs set locked_at = now() - interval '2 minutes', locked_by = 'a dead one'`.execute(
    db.database.query,
  );
  await using _rig = await new Rig().start({ other: async () => {} });
  const [job] = await jobs();
  assert.notEqual(job!.id, old!.id);
  assert.deepEqual([job!.key, job!.locked_by], [`look:${id}`, null]);
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
});

test('when graphile-worker stops by itself another runner takes over', async () => {
  const looked = Promise.withResolvers<void>();
  await using rig = await new Rig().start({ look: async () => looked.resolve() });
  await until('it to listen', async () => (await listening()) > 0);
  await sql`select pg_notify('worker:migrate', '{"breaking": true, "migrationNumber": 99}')`.execute(db.database.query);
  await until('the runner to end', async () => (await listening()) === 0);
  // graphile-worker sets it on that notification.
  process.exitCode = undefined;
  await enqueue(db.database.query, 'look', newId());
  await looked.promise;
  assert.ok(await rig.database.reachable());
});

test('a connection lost while a queue that stops gives back what it holds does not end the process', async () => {
  const mayEnd = Promise.withResolvers<void>();
  await using rig = await new Rig().start({ look: () => mayEnd.promise });
  const locked = async (count: number) =>
    until(
      `${count} jobs to be taken`,
      async () => (await jobs()).filter((job) => job.locked_by !== null).length === count,
    );
  const wish = (count: number) =>
    db.database.transaction(cloudActor, async (tx) => {
      for (let n = 0; n < count; n++) await enqueue(tx, 'look', newId());
    });
  // One worker of eight stays free: what it asks for next brings more than it needs.
  await wish(7);
  await locked(7);
  await wish(8);
  await locked(15);
  rig.wire.onSent = () => rig.wire.drop();
  const stopped = rig.queue.stop();
  mayEnd.resolve();
  await stopped;
  await sql`delete from graphile_worker._private_jobs`.execute(db.database.query);
});

async function jobs() {
  const { rows } = await sql<{ id: number; key: string | null; locked_by: string | null }>`
    select id, key, locked_by from graphile_worker._private_jobs`.execute(db.database.query);
  return rows;
}

const listening = async () => {
  const { rows } = await sql<{ n: number }>`select count(*)::integer as n from pg_stat_activity
    where application_name = ${applicationName} and query like 'LISTEN%'`.execute(db.database.query);
  return rows[0]!.n;
};
