/** What either side leaves behind when it dies without a word is over within seconds. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { Secret } from '../../../contract/secret.ts';
import { until } from '../../../test/support/until.ts';
import type { SessionLimits } from './connection.ts';
import { cloudActor, Database, isDatabaseUnavailable, sqlState } from './database.ts';
import { connect } from './members.ts';
import { type TestDatabase, testDatabase } from './testing.ts';

const limits: SessionLimits = {
  idleInTransactionMs: 300,
  lockMs: 600,
  statementMs: 900,
  answerMs: 1200,
  connectMs: 1200,
};
let db: TestDatabase;
before(async () => {
  db = await testDatabase();
  await sql`create table thing (id int primary key, n int not null default 0)`.execute(db.database.query);
  await sql`insert into thing (id) values (1)`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

const limited = (url = db.url): Database & AsyncDisposable => {
  const database = new Database({ url, limits });
  return Object.assign(database, { [Symbol.asyncDispose]: () => database.close() });
};

test('every session has its limits, whatever made it', async () => {
  const names = ['idle_in_transaction_session_timeout', 'lock_timeout', 'statement_timeout'];
  const ask = `select name, setting from pg_settings where name = any('{${names}}') order by name`;
  const expected = ['5000', '10000', '15000'];
  const settings = ({ rows }: { rows: { setting: string }[] }) => rows.map((row) => row.setting);
  const client = await connect({ url: db.url, applicationName: 'test' });
  assert.deepEqual(settings(await client.query(ask)), expected);
  await client.end();
  assert.deepEqual(settings(await db.database.pool.query(ask)), expected);
  const urgent = await sql<{ setting: string }>`${sql.raw(ask)}`.execute(db.database.urgent);
  assert.deepEqual(settings(urgent), ['1000', '1000', '2000']);
});

test('no session compiles its statements, though the server would', async () => {
  const admin = new pg.Client({ connectionString: db.url.reveal() });
  await admin.connect();
  const jit = async (query: Promise<{ rows: { jit: string }[] }>) => (await query).rows[0]!.jit;
  await admin.query(`do $$ begin execute format('alter database %I set jit = on', current_database()); end $$`);
  await admin.end();
  const client = await connect({ url: db.url, applicationName: 'test' });
  assert.equal(await jit(client.query('show jit')), 'off');
  await client.end();
  await using database = limited();
  assert.equal(await jit(database.pool.query('show jit')), 'off');
  assert.equal(await jit(sql<{ jit: string }>`show jit`.execute(database.urgent)), 'off');
});

test('who waits too long for the project that it is to decide about is told that the database is too slow now', async () => {
  const project = '0190c0de-0000-7000-8000-000000000001';
  const change = sql.raw(`do $$ begin
    if current_setting('bothy.deciding', true) is distinct from '${project}' then
      raise exception 'to be decided' using errcode = 'BY001', detail = '${project}';
    end if;
  end $$`);
  await using database = limited();
  let decided = 0;
  database.decideBeforeCommit(async () => void decided++);
  const run = () => database.transaction(cloudActor, async (tx) => void (await change.execute(tx)));
  const holder = await connect({ url: db.url, applicationName: 'test' });
  await holder.query(`select pg_advisory_lock(hashtextextended('reachability ${project}', 0))`);
  await assert.rejects(run(), (error) => isDatabaseUnavailable(error) && sqlState(error) === '55P03');
  await holder.end();
  await run();
  assert.equal(decided, 1);
});

test('options of the administrator’s own URL stay', async () => {
  const text = db.url.reveal();
  const url = new Secret(`${text}${text.includes('?') ? '&' : '?'}options=${encodeURIComponent('-c work_mem=7MB')}`);
  const client = await connect({ url, applicationName: 'test' });
  const { rows } = await client.query(`select current_setting('work_mem') as mem`);
  assert.deepEqual(rows, [{ mem: '7MB' }]);
  await client.end();
});

test('the locks of a process that was frozen in a transaction are free within the limit', async () => {
  const child = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { sql } from 'kysely';
      import { Secret } from '${import.meta.resolve('../../../contract/secret.ts')}';
      import { cloudActor, Database } from '${import.meta.resolve('./database.ts')}';
      const database = new Database({ url: new Secret(${JSON.stringify(db.url.reveal())}), limits: ${JSON.stringify(limits)} });
      const frozen = database.transaction(cloudActor, async (tx) => {
        await sql\`update thing set n = n + 100\`.execute(tx);
        process.kill(process.pid, 'SIGSTOP');
        await sql\`select 1\`.execute(tx);
      });
      frozen.then(() => console.log('committed'), (error) => console.log(error.code)).finally(() => process.exit());`,
    ],
    { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    await until(
      'it holds the row',
      async () => (await sql`select from thing for update skip locked`.execute(db.database.query)).rows.length === 0,
    );
    await using database = limited();
    await database.transaction(cloudActor, (tx) => sql`update thing set n = n + 1`.execute(tx));
    child.kill('SIGCONT');
    const [said] = await once(child.stdout, 'data');
    assert.notEqual(String(said).trim(), 'committed');
    const { rows } = await sql`select n from thing`.execute(db.database.query);
    assert.deepEqual(rows, [{ n: 1 }]);
  } finally {
    child.kill('SIGKILL');
  }
});

test('who waits too long for a lock, or asks too much, is told that the database can not serve now', async () => {
  await using database = limited();
  const client = new pg.Client({ connectionString: db.url.reveal() });
  await client.connect();
  await client.query('begin; update thing set n = n');
  for (const statement of [sql`update thing set n = 7`, sql`select pg_sleep(60)`]) {
    await assert.rejects(statement.execute(database.query), isDatabaseUnavailable);
  }
  await client.end();
});

test('where there is no way to the database, or nobody knows its name, it can not serve now', async () => {
  for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'EAI_AGAIN'])
    assert.ok(isDatabaseUnavailable(Object.assign(new Error(`connect ${code}`), { code })), code);
  // Nobody has that name (RFC 6761).
  const nameless = new Database({ url: new Secret('postgres://bothy@nobody.invalid/bothy'), applicationName: 'test' });
  await assert.rejects(sql`select 1`.execute(nameless.query), isDatabaseUnavailable);
  await nameless.close();
});

/** A relay on a TCP port that can fall silent: nothing passes, nobody is told. */
async function relay() {
  const { host, port } = new pg.Client({ connectionString: db.url.reveal() });
  const state = { silent: false, made: 0 };
  const sockets = new Set<net.Socket>();
  const server = net.createServer((near) => {
    state.made++;
    const far = host.startsWith('/') ? net.connect(`${host}/.s.PGSQL.${port}`) : net.connect(port, host);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from);
      from.on('data', (data) => state.silent || to.write(data));
      from.on('error', () => {});
      from.on('close', () => state.silent || to.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port: own } = server.address() as net.AddressInfo;
  const { user, database } = new pg.Client({ connectionString: db.url.reveal() });
  return {
    state,
    url: new Secret(`postgres://${user}@127.0.0.1:${own}/${database}`),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

test('a primary that vanished without a packet fails what waits on it within the limit, and the pool goes on with new connections', async () => {
  await using way = await relay();
  await using database = limited(way.url);
  await sql`select 1`.execute(database.query);
  way.state.silent = true;
  const started = performance.now();
  const lost = [
    sql`select 1`.execute(database.query),
    database.transaction(cloudActor, (tx) => sql`update thing set n = n`.execute(tx)),
  ];
  const outcomes = await Promise.allSettled(lost);
  assert.ok(performance.now() - started < 3 * limits.answerMs);
  for (const outcome of outcomes) {
    assert.ok(outcome.status === 'rejected' && isDatabaseUnavailable(outcome.reason), JSON.stringify(outcome));
  }
  way.state.silent = false;
  const { made } = way.state;
  assert.deepEqual((await sql`select 1 as one`.execute(database.query)).rows, [{ one: 1 }]);
  assert.ok(way.state.made > made);
});

test('an answer that is long but keeps coming is no silence', async () => {
  await using way = await relay();
  const client = await connect({
    url: way.url,
    applicationName: 'test',
    limits: { ...limits, statementMs: 0, answerMs: 400 },
  });
  // A row of 64 KiB each 30 ms: what PostgreSQL gathers before it sends is less than that.
  const { rows } = await client.query(
    `select repeat(n::text, 65536) as text, pg_sleep(0.03) from generate_series(1, 40) n`,
  );
  assert.equal(rows.length, 40);
  await client.end();
});

test('a session that the database ends for a trouble of its own, such as a full disk, says that it cannot serve, not that we are wrong', () => {
  const said = (severity: string, code: string) =>
    Object.assign(new pg.DatabaseError('could not write init file', 0, 'error'), { severity, code });
  assert.equal(isDatabaseUnavailable(said('FATAL', 'XX000')), true);
  assert.equal(isDatabaseUnavailable(said('ERROR', 'XX000')), false);
  assert.equal(isDatabaseUnavailable(said('FATAL', '28P01')), false, 'a wrong password is ours');
});
