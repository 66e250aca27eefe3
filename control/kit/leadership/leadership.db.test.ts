/** One of several leads, whatever happens to the one that did: stopped, dead, frozen, cut off without a packet. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { newId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { until } from '../../../test/support/until.ts';
import { Wire } from '../../../test/support/wire.ts';
import { sessionLimits } from '../database/connection.ts';
import { cloudActor, Database } from '../database/database.ts';
import { type TestDatabase, testDatabase } from '../database/testing.ts';
import { fence, Leadership, type LeaseTiming } from './index.ts';

const timing: LeaseTiming = { leaseMs: 1200, marginMs: 400, renewMs: 200, retryMs: 50 };
let db: TestDatabase;
before(async () => {
  db = await testDatabase();
});
after(() => db[Symbol.asyncDispose]());

class Candidate implements AsyncDisposable {
  readonly said: string[] = [];
  readonly leadership: Leadership;

  constructor(role: string, database: Database = db.database, holder: string = newId()) {
    const onGain = (epoch: number) => this.said.push(`gained ${epoch}`);
    const onLose = () => this.said.push('lost');
    this.leadership = new Leadership({ database, role, holder, onGain, onLose, timing });
    this.leadership.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.leadership.stop();
  }
}

test('who comes back under the name of a holder that died need not wait for the end of its lease', async () => {
  const holder = newId();
  await sql`insert into lease (role, holder, epoch, expires_at) values ('again', ${holder}, 7, now() + interval '1 hour')`.execute(
    db.database.query,
  );
  await using another = new Candidate('again');
  await using a = new Candidate('again', db.database, holder);
  await until('a leads', () => a.leadership.held, { timeoutMs: timing.leaseMs / 2 });
  assert.deepEqual([a.said, another.said], [['gained 8'], []]);
});

test('one of two leads; when it stops the other leads at once, under the next epoch', async () => {
  await using a = new Candidate('stop');
  await until('a leads', () => a.leadership.held);
  await using b = new Candidate('stop');
  const { rows } = await sql<{ renewed: Date }>`select expires_at as renewed from lease where role = 'stop'`.execute(
    db.database.query,
  );
  await until('a renews', async () => {
    const { rows: now } = await sql<{
      renewed: Date;
    }>`select expires_at as renewed from lease where role = 'stop'`.execute(db.database.query);
    return now[0]!.renewed > rows[0]!.renewed;
  });
  assert.equal(b.leadership.held, false);
  await a.leadership.stop();
  await until('b leads', () => b.leadership.held, { timeoutMs: timing.leaseMs / 2 });
  assert.deepEqual([a.said, b.said], [['gained 1', 'lost'], ['gained 2']]);
});

test('a fenced transaction keeps others from the role while it runs, not the holder from its renewal', async () => {
  await using a = new Candidate('fence');
  await until('a leads', () => a.leadership.held);
  const lease = { role: 'fence', epoch: a.leadership.epoch! };
  const expiry = async () =>
    (await sql<{ at: Date }>`select expires_at as at from lease where role = 'fence'`.execute(db.database.query))
      .rows[0]!.at;
  const gain = sql`update lease set epoch = epoch + 1, holder = ${newId()} where role = 'fence'`;
  let gained: Promise<unknown> = Promise.resolve();
  let [committed, order] = [false, ''];
  await db.database.transaction(cloudActor, async (tx) => {
    await fence(tx, lease);
    const before = await expiry();
    await until('a renews', async () => (await expiry()) > before);
    gained = gain.execute(db.database.query).then(() => {
      order = committed ? 'after' : 'before';
    });
    await until('it waits', async () => {
      const { rows } = await sql`select from pg_locks where not granted and locktype = 'transactionid'`.execute(
        db.database.query,
      );
      return rows.length > 0;
    });
    committed = true;
  });
  await gained;
  assert.equal(order, 'after');
  await assert.rejects(
    db.database.transaction(cloudActor, (tx) => fence(tx, lease)),
    { code: 'conflict' },
  );
  await until('a has lost it', () => !a.leadership.held);
});

test('who was busy past the end of its lease knows it at the next question, before any timer has told', async () => {
  await using a = new Candidate('busy');
  await until('a leads', () => a.leadership.held);
  const end = performance.now() + timing.leaseMs - timing.marginMs;
  while (performance.now() < end);
  assert.deepEqual([a.leadership.held, a.leadership.epoch, a.said], [false, undefined, ['gained 1']]);
});

test('cut off without a packet, the holder ends by its own clock before another can begin', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'lease-'));
  const { host, port, user, database: name } = new pg.Client({ connectionString: db.url.reveal() });
  const wire = await Wire.open(join(directory, '.s.PGSQL.5432'), { path: join(host, `.s.PGSQL.${port}`) });
  const url = new Secret(`postgres://${user}@localhost/${name}?host=${encodeURIComponent(directory)}`);
  const database = new Database({ url });
  try {
    await using a = new Candidate('cut', database);
    await until('a leads', () => a.leadership.held);
    await using b = new Candidate('cut');
    wire.silent = true;
    await until('a to end', () => a.said.at(-1) === 'lost');
    assert.equal(b.leadership.held, false, 'the margin lies between them');
    await until('b leads', () => b.leadership.held);
    wire.silent = false;
    wire.drop();
    await b.leadership.stop();
    await until('a leads again', () => a.leadership.held);
    assert.deepEqual(a.said, ['gained 1', 'lost', 'gained 3']);
  } finally {
    wire.cut();
    await database.close();
    rmSync(directory, { recursive: true });
  }
});

const limits = { ...sessionLimits, idleInTransactionMs: 300 };
/** A process that writes its epoch into a table as fast as it can, as long as it holds the role. */
const holder = (url: string) => `
  import { sql } from 'kysely';
  import { Secret } from '${import.meta.resolve('../../../contract/secret.ts')}';
  import { cloudActor, Database } from '${import.meta.resolve('../database/database.ts')}';
  import { fence, Leadership } from '${import.meta.resolve('./leadership.ts')}';
  const database = new Database({ url: new Secret(${JSON.stringify(url)}), limits: ${JSON.stringify(limits)} });
  const say = (word) => console.log(word);
  const leadership = new Leadership({ database, role: 'freeze', holder: crypto.randomUUID(), timing: ${JSON.stringify(timing)},
    onGain: (epoch) => say('gained ' + epoch), onLose: () => say('lost') });
  leadership.start();
  for (;;) {
    const { epoch } = leadership;
    // Between the question and the write lies time; what is written under the fence has none.
    const write = (tx) => fence(tx, { role: 'freeze', epoch }).then(() => sql\`insert into written (epoch) values (\${epoch})\`.execute(tx));
    if (epoch) await database.transaction(cloudActor, write).catch((error) => say(error.code));
    else await new Promise((resolve) => setTimeout(resolve, 5));
  }`;

test('a holder that was frozen (SIGSTOP) writes nothing under its old lease when it goes on', async () => {
  await sql`create table written (at timestamptz not null default clock_timestamp(), epoch bigint not null)`.execute(
    db.database.query,
  );
  const child = spawn(process.execPath, ['--input-type=module', '--eval', holder(db.url.reveal())], {
    cwd: import.meta.dirname,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const said = linesOf(child);
    const count = async () => (await sql`select from written`.execute(db.database.query)).rows.length;
    await until('it writes', async () => (await count()) > 10);
    child.kill('SIGSTOP');
    await using other = new Candidate('freeze');
    await until('the other leads', () => other.leadership.held);
    const before = await count();
    child.kill('SIGCONT');
    await until('it says so', () => said.includes('lost'));
    assert.equal(await count(), before);
    await other.leadership.stop();
    await until('it leads again', () => said.includes('gained 3'));
    await until('it writes again', async () => (await count()) > before);
    const { rows } = await sql<{ epoch: number }>`select distinct epoch from written order by epoch`.execute(
      db.database.query,
    );
    assert.deepEqual(
      rows.map((row) => row.epoch),
      [1, 3],
    );
  } finally {
    child.kill('SIGKILL');
  }
});

function linesOf(child: ChildProcess): string[] {
  const lines: string[] = [];
  createInterface(child.stdout!).on('line', (line) => lines.push(line));
  return lines;
}
