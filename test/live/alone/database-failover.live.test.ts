/**
 * A whole cloud on a PostgreSQL of two members, as real processes: the primary is killed, frozen or loses its tail under load, and the standby is promoted. Hosts,
 * guests and OVN are simulated: no root is needed.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { Secret } from '../../../contract/secret.ts';
import { Database } from '../../../control/kit/database/database.ts';
import { startCloudProcesses } from '../../support/cloud-processes.ts';
import { OpenStack } from '../../support/openstack.ts';
import { ReplicatedPostgres } from '../../support/replicated-postgres.ts';
import { makeTenancy, serverBody } from '../../support/tenancy.ts';
import { until } from '../../support/until.ts';

async function cloudOn(t: TestContext, options: { synchronous: boolean }) {
  const stack = new AsyncDisposableStack();
  t.after(() => stack.disposeAsync());
  const postgres = stack.use(await ReplicatedPostgres.start(options));
  const cloud = stack.use(await startCloudProcesses({ hosts: 2, databaseUrl: postgres.url }));
  await cloud.startAnother();
  const database = new Database({ url: new Secret(postgres.url) });
  stack.defer(() => database.close());
  const client = new OpenStack({ authUrl: `${cloud.publicUrl}/identity/v3`, caFile: cloud.caFile });
  stack.defer(() => client.close());
  await client.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
  const tenancy = await makeTenancy({ client: async () => client });
  const quota_set = { instances: 1000, cores: 1000, ram: 10_000_000 };
  await client.must('PUT', 'compute', `/os-quota-sets/${client.projectId}`, { quota_set });
  await client.must('PUT', 'network', `/v2.0/quotas/${client.projectId}`, { quota: { port: 1000 } });

  const create = async (name: string): Promise<string | undefined> => {
    const answer = await client.call('POST', 'compute', '/servers', serverBody(tenancy, name)).catch(() => undefined);
    const seen = `${answer?.status} ${JSON.stringify(answer?.body)}`;
    assert.ok(!answer || answer.status === 202 || answer.status >= 503, seen);
    return answer?.status === 202 ? answer.body.server.id : undefined;
  };
  const statusOf = async (id: string) => {
    const answer = await client.call('GET', 'compute', `/servers/${id}`).catch(() => undefined);
    return answer?.status === 404 ? 'gone' : (answer?.body?.server?.status as string | undefined);
  };
  const runs = (id: string) => until(`${id} to run`, async () => (await statusOf(id)) === 'ACTIVE');
  const load = () => {
    const accepted: string[] = [];
    let going = true;
    const work = async (letter: string) => {
      for (let n = 0; going; n++) {
        const id = await create(`${letter}-${n}`);
        if (id) accepted.push(id);
        else await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const works = Promise.all(['a', 'b', 'c'].map(work));
    const stop = () => {
      going = false;
      return works;
    };
    return { accepted, stop };
  };
  /** This process finds out by a look of its own which member it is now, as each control does. */
  async function incarnation(): Promise<string> {
    let id: string | undefined;
    await until('the database to answer', async () => {
      const answer = sql<{ id: string }>`select incarnation as id from cloud`.execute(database.query);
      id = (await answer.catch(() => undefined))?.rows[0]?.id;
      return id !== undefined;
    });
    return id!;
  }
  return { postgres, database, create, statusOf, runs, load, incarnation };
}

for (const what of ['killed', 'frozen'] as const) {
  test(`a primary that is ${what} under load: what was accepted is there and runs after its standby was promoted`, {
    timeout: 240_000,
  }, async (t) => {
    const { postgres, statusOf, runs, load, incarnation } = await cloudOn(t, { synchronous: true });
    const before = await incarnation();
    const { accepted, stop } = load();
    await until('some to be accepted', () => accepted.length > 10);
    if (what === 'killed') postgres.kill('one');
    else postgres.freeze('one');
    const away = performance.now();
    await postgres.promote();
    const count = accepted.length;
    await until('more to be accepted', () => accepted.length > count + 5);
    t.diagnostic(`accepted again ${Math.round(performance.now() - away)} ms after it was ${what}`);
    if (what === 'frozen') postgres.thaw('one');
    const after = accepted.length;
    await until('more after that', () => accepted.length > after + 5);
    await stop();
    await Promise.all(accepted.map(runs));
    assert.deepEqual(
      await Promise.all(accepted.map(statusOf)),
      accepted.map(() => 'ACTIVE'),
    );
    assert.equal(await incarnation(), before);
    t.diagnostic(`${accepted.length} servers`);
  });
}

test('a standby that had not got all: guests of the lost tail run on, in quarantine, and the cloud goes on with the others', {
  timeout: 240_000,
}, async (t) => {
  const { postgres, database, create, statusOf, runs, incarnation } = await cloudOn(t, { synchronous: false });
  const before = await incarnation();
  const kept = (await create('kept'))!;
  await runs(kept);
  const standby = new Database({ url: new Secret(postgres.urlOf('two')) });
  await until('the standby to have it', async () => {
    const { rows } = await sql`select from server where id = ${kept} and observed_state = 'running'`.execute(
      standby.query,
    );
    return rows.length === 1;
  });
  await standby.close();
  postgres.cutOff();
  const lost = (await create('lost'))!;
  await runs(lost);
  postgres.kill('one');
  await postgres.promote();
  await until('the lost one to be unknown', async () => (await statusOf(lost)) === 'gone');
  interface Row {
    guest: boolean;
    reason: string;
  }
  const told = sql<Row>`select guest, reason from quarantined_server where server_id = ${lost}`;
  let rows: Row[] = [];
  await until('its host to have told of it', async () => {
    rows = (await told.execute(database.query).catch(() => ({ rows: [] }))).rows;
    return rows.length > 0;
  });
  assert.deepEqual(rows, [{ guest: true, reason: 'missing' }], 'its guest runs on');
  assert.notEqual(await incarnation(), before);
  assert.equal(await statusOf(kept), 'ACTIVE');
  const next = (await create('next'))!;
  await runs(next);
});
