/**
 * Control and PostgreSQL as real processes that are frozen (SIGSTOP) under load, for longer than a lease, and go on: nothing is lost,
 * nothing is done twice, and while one control stands still another projects. Hosts, guests and OVN are simulated: no root is needed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { childrenByParent, withDescendants } from '../../../cli/supervisor/process-table.ts';
import { OvsdbClient } from '../../../protocols/ovsdb/index.ts';
import { type CloudProcesses, startCloudProcesses } from '../../support/cloud-processes.ts';
import { type Answer, OpenStack } from '../../support/openstack.ts';
import { makeTenancy, serverBody, type Tenancy } from '../../support/tenancy.ts';
import { until } from '../../support/until.ts';

/** `leaseMs` of control/kit/leadership, as control processes have it. */
const leaseMs = 6000;
const servers = 8;

describe('frozen processes', { concurrency: 1 }, () => {
  let cloud: CloudProcesses;
  let another: { publicUrl: string };
  let tenancy: Tenancy;
  let client: OpenStack;
  let database: pg.Client;
  let northbound: OvsdbClient;

  before(
    async () => {
      cloud = await startCloudProcesses({ hosts: 2 });
      another = await cloud.startAnother();
      client = new OpenStack({ authUrl: `${cloud.publicUrl}/identity/v3`, caFile: cloud.caFile });
      await client.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
      tenancy = await makeTenancy({ client: async () => client });
      database = new pg.Client({ connectionString: cloud.databaseUrl });
      await database.connect();
      const monitor = { Logical_Switch: ['name'], Logical_Switch_Port: ['name', 'type', 'up'] };
      northbound = new OvsdbClient({ target: cloud.northbound, database: 'OVN_Northbound', monitor }).start();
      await until('a copy of the northbound database', () => northbound.replica.complete);
    },
    { timeout: 120_000 },
  );
  after(async () => {
    client?.close();
    await northbound?.stop();
    await database?.end();
    await cloud?.[Symbol.asyncDispose]();
  });

  const leader = async () => {
    const { rows } = await database.query(
      "select holder, epoch from lease where role = 'network projection' and expires_at > clock_timestamp()",
    );
    return rows[0] as { holder: string; epoch: string } | undefined;
  };

  const names = (table: string) => [...northbound.replica.rows(table).values()].map((row) => row.name);

  /** By way of a control that is not frozen; answers when it stands in the northbound database. */
  const projected = async (publicUrl: string, name: string, timeoutMs: number) => {
    const answer = await client.raw('POST', `${publicUrl}/network/v2.0/networks`, { network: { name } });
    assert.equal(answer.status, 201, JSON.stringify(answer.body));
    const { id } = answer.body.network;
    await until(`${name} to be projected`, () => names('Logical_Switch').some((found) => String(found).includes(id)), {
      timeoutMs,
    });
  };

  /** Many at once, each with one answer, or none where the process that should give it is away. */
  const begin = (prefix: string) =>
    Array.from({ length: servers }, (_, index) =>
      client
        .call('POST', 'compute', '/servers', serverBody(tenancy, `${prefix}-${index}`))
        .catch((error: Error) => error),
    );

  /** Each accepted server runs, once; each refused one is not there; then all are deleted and nothing stays. */
  const inOrder = async (prefix: string, answers: (Answer | Error)[]) => {
    const accepted = answers.flatMap((answer) => ('status' in answer && answer.status === 202 ? [answer.body] : []));
    const list = async () =>
      (await client.must('GET', 'compute', `/servers/detail?name=^${prefix}-`)).servers as {
        id: string;
        status: string;
      }[];
    await until(
      'all to run',
      async () => {
        const found = await list();
        return found.length >= accepted.length && found.every(({ status }) => status === 'ACTIVE');
      },
      { timeoutMs: 60_000 },
    );
    const found = await list();
    const ids = new Set(found.map(({ id }) => id));
    for (const { server } of accepted) assert.ok(ids.has(server.id), `${server.id} is lost`);
    // An answer that was lost on its way leaves it open whether the server was made; never two for one request.
    assert.ok(found.length <= answers.length, `${found.length} servers for ${answers.length} requests`);
    const { rows } = await database.query(
      'select port_id as id, server_id from server_port where server_id = any($1)',
      [[...ids]],
    );
    assert.equal(rows.length, found.length, 'each has one port');
    // A simulated guest does not wait for its row as a real one waits for its network.
    const rowsOf = (id: string) => names('Logical_Switch_Port').filter((name) => name === id).length;
    await until('the northbound database to have all ports', () => rows.every(({ id }) => rowsOf(id) > 0), {
      timeoutMs: 15_000,
    });
    for (const { id } of rows) assert.equal(rowsOf(id), 1, `port ${id}`);
    for (const id of ids) await client.call('DELETE', 'compute', `/servers/${id}`);
    await until('all to be gone', async () => (await list()).length === 0, { timeoutMs: 30_000 });
    const guestPorts = () =>
      [...northbound.replica.rows('Logical_Switch_Port').values()].filter((row) => row.type === '');
    await until('their ports to be gone', () => guestPorts().length === 0, { timeoutMs: 10_000 });
    const open = async () => (await database.query("select from operation where state = 'running'")).rowCount;
    await until('no operation to be open', async () => (await open()) === 0, { timeoutMs: 10_000 });
  };

  test('a control that is frozen under load is followed by another within seconds; when it goes on, nothing is lost or twice', {
    timeout: 180_000,
  }, async (t) => {
    await until('somebody projects', async () => (await leader()) !== undefined, { timeoutMs: 10_000 });
    await projected(cloud.publicUrl, 'before', 10_000);
    const first = await leader();
    const answers = begin('control');
    const accepted = await Promise.race(answers);
    assert.ok('status' in accepted && accepted.status === 202);
    process.kill(cloud.pid('control'), 'SIGSTOP');
    const frozen = performance.now();
    try {
      await until('the other to lead', async () => ![undefined, first!.epoch].includes((await leader())?.epoch), {
        timeoutMs: 2 * leaseMs,
      });
      await projected(another.publicUrl, 'meanwhile', 5000);
      t.diagnostic(`projection went on ${Math.round(performance.now() - frozen)} ms after the control was frozen`);
      assert.ok(performance.now() - frozen > leaseMs / 2, 'it was the one that led');
    } finally {
      process.kill(cloud.pid('control'), 'SIGCONT');
    }
    const second = await leader();
    await projected(cloud.publicUrl, 'after', 10_000);
    await inOrder('control', await Promise.all(answers));
    assert.deepEqual(await leader(), second, 'the one that was frozen took nothing back');
  });

  test('PostgreSQL frozen under load, with all its backends, goes on: every accepted server runs, once, and the projection too', {
    timeout: 180_000,
  }, async (t) => {
    const answers = begin('postgres');
    await Promise.race(answers);
    const processes = withDescendants(cloud.pid('postgres'), childrenByParent());
    for (const pid of processes) process.kill(pid, 'SIGSTOP');
    const frozen = performance.now();
    try {
      // Nothing can be asked of it: what is waited for is time, more than any lease has.
      await until('every lease to be over', () => performance.now() - frozen > leaseMs + 2000, {
        timeoutMs: 2 * leaseMs,
      });
    } finally {
      for (const pid of processes) process.kill(pid, 'SIGCONT');
    }
    const thawed = performance.now();
    await until('the API to answer', async () => (await client.call('GET', 'compute', '/servers')).status === 200, {
      timeoutMs: 10_000,
    });
    await projected(cloud.publicUrl, 'after PostgreSQL', 15_000);
    t.diagnostic(`API and projection went on ${Math.round(performance.now() - thawed)} ms after PostgreSQL did`);
    await inOrder('postgres', await Promise.all(answers));
  });
});
