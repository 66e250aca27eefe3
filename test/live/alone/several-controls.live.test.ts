/**
 * Three control processes on one PostgreSQL, as real processes, under load that goes to each in turn: one is killed, the one that has the hosts
 * then is frozen for longer than its leases and goes on. Hosts find another by themselves, a watch goes on with its token, and in
 * the end nothing is lost, doubled or open. Hosts, guests and OVN are simulated: no root is needed.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { Secret } from '../../../contract/secret.ts';
import { formatPosition, parsePosition, readChanges } from '../../../control/kit/change-log/changes.ts';
import { Database } from '../../../control/kit/database/database.ts';
import { untilFinal } from '../../../control/kit/database/testing.ts';
import { ChangeWatcher } from '../../support/change-watcher.ts';
import { type CloudProcesses, startCloudProcesses } from '../../support/cloud-processes.ts';
import { type Answer, OpenStack } from '../../support/openstack.ts';
import { makeTenancy, serverBody, type Tenancy } from '../../support/tenancy.ts';
import { until } from '../../support/until.ts';

const hosts = 3;
/** A client's patience: what a frozen control has locked is free after five seconds (SessionLimits.idleInTransactionMs). */
const answerMs = 12_000;

/** What was asked for, and how it went. */
interface Life {
  name: string;
  /** Requests to make it, the answer of some of which nobody heard. */
  asked: number;
  accepted: string[];
  /** That it be deleted was accepted. */
  ended: boolean;
}

describe('several control processes', { concurrency: 1 }, () => {
  let cloud: CloudProcesses;
  let database: Database;
  let tenancy: Tenancy;
  let watcher: ChangeWatcher;
  const controls: { name: string; url: string; serves: boolean }[] = [];

  before(
    async () => {
      cloud = await startCloudProcesses({ hosts });
      controls.push({ name: 'control', url: cloud.publicUrl, serves: true });
      for (const name of ['second', 'third']) {
        controls.push({ name, url: (await cloud.startAnother(name)).publicUrl, serves: true });
      }
      database = new Database({ url: new Secret(cloud.databaseUrl) });
      const client = new OpenStack({ authUrl: `${cloud.publicUrl}/identity/v3`, caFile: cloud.caFile });
      await client.login({ name: 'admin', password: cloud.adminPassword, project: 'admin' });
      tenancy = await makeTenancy({ client: async () => client });
      const path = `/os-quota-sets/${client.projectId}`;
      const quota_set = { instances: 1000, cores: 1000, ram: 10_000_000 };
      await client.must('PUT', 'compute', path, { quota_set });
      await client.must('PUT', 'network', `/v2.0/quotas/${client.projectId}`, { quota: { port: 1000 } });
      const port = () => Number(new URL(controls.find(({ serves }) => serves)!.url).port);
      watcher = new ChangeWatcher({ port, caFile: cloud.caFile, token: client.token });
      watcher.connect();
      await until('the watch to begin', () => watcher.position !== undefined);
    },
    { timeout: 120_000 },
  );
  after(async () => {
    watcher?.close();
    tenancy?.client.close();
    await database?.close();
    await cloud?.[Symbol.asyncDispose]();
  });

  let turn = 0;
  /** Of the next control, whichever; undefined where it does not answer. */
  const ask = async (method: string, path: string, body?: unknown, at?: string): Promise<Answer | undefined> => {
    const url = at ?? controls[turn++ % controls.length]!.url;
    const late = new Promise<undefined>((resolve) => {
      setTimeout(() => resolve(undefined), answerMs).unref();
    });
    const answer = tenancy.client.raw(method, `${url}/compute/v2.1${path}`, body).catch(() => undefined);
    return Promise.race([answer, late]);
  };

  /** Answers as soon as one control does. */
  const must = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    let answer: Answer | undefined;
    await until(`${method} ${path} to be answered`, async () => {
      answer = await ask(method, path, body);
      return answer !== undefined && answer.status < 500;
    });
    return answer!;
  };

  const lives: Life[] = [];
  let working = true;
  /** Makes servers and ends every second one, each request at the next control. */
  const worker = async (letter: string): Promise<void> => {
    for (let n = 0; working; n++) {
      const life: Life = { name: `${letter}-${n}`, asked: 0, accepted: [], ended: false };
      lives.push(life);
      await until(`${life.name} to be accepted`, async () => {
        life.asked++;
        const answer = await ask('POST', '/servers', serverBody(tenancy, life.name));
        assert.ok(!answer || [202, 503].includes(answer.status), `${answer?.status} ${JSON.stringify(answer?.body)}`);
        if (answer?.status === 202) life.accepted.push(answer.body.server.id);
        return answer?.status === 202;
      });
      if (n % 2 === 0) continue;
      const id = life.accepted[0]!;
      await until(`${life.name} to run`, async () => {
        const answer = await ask('GET', `/servers/${id}`);
        assert.notEqual(answer?.body?.server?.status, 'ERROR');
        return answer?.body?.server?.status === 'ACTIVE';
      });
      const { status } = await must('DELETE', `/servers/${id}`);
      assert.ok([204, 404].includes(status), `delete: ${status}`);
      life.ended = true;
    }
  };

  /** How long it takes from now until a server that this control is asked for runs. */
  const servesAfter = async (url: string, name: string): Promise<number> => {
    const began = performance.now();
    const life: Life = { name, asked: 1, accepted: [], ended: false };
    lives.push(life);
    const answer = await ask('POST', '/servers', serverBody(tenancy, name), url);
    assert.equal(answer?.status, 202, JSON.stringify(answer?.body));
    life.accepted.push(answer!.body.server.id);
    await until(`${name} to run`, async () => {
      const shown = await ask('GET', `/servers/${life.accepted[0]}`, undefined, url);
      return shown?.body.server.status === 'ACTIVE';
    });
    return Math.round(performance.now() - began);
  };

  /** All hosts have a stream to a control that vouches for them since this moment of the database's clock. */
  const hostsSeenSince = async (moment: Date): Promise<boolean> => {
    const { rows } = await sql<{ n: number }>`select count(*)::integer as n from host
      where connected and last_seen_at > ${moment}`.execute(database.query);
    return rows[0]!.n === hosts;
  };
  const now = async () =>
    (await sql<{ now: Date }>`select clock_timestamp() as now`.execute(database.query)).rows[0]!.now;

  const hostsFindAnother = async (since: Date): Promise<number> => {
    const began = performance.now();
    await until('all hosts to be seen by another', () => hostsSeenSince(since));
    return Math.round(performance.now() - began);
  };

  const leads = async () => {
    const { rows } = await sql<{ role: string; epoch: number }>`select role, epoch from lease order by role`.execute(
      database.query,
    );
    return new Map(rows.map(({ role, epoch }) => [role, epoch]));
  };

  test('one killed, one frozen and gone on, under load: nothing is lost, doubled or left open', {
    timeout: 300_000,
  }, async (t) => {
    const workers = ['a', 'b', 'c', 'd'].map(worker);
    const failed = Promise.all(workers);
    failed.catch(() => {});
    const say = (what: string) => t.diagnostic(`${what} (${lives.length} servers asked for)`);
    try {
      await until('all to be at work', () => lives.length > 12);
      const [first, second, third] = controls as [(typeof controls)[0], (typeof controls)[0], (typeof controls)[0]];

      let since = await now();
      process.kill(cloud.pid(first.name), 'SIGKILL');
      first.serves = false;
      say(`killed: hosts were with another after ${await hostsFindAnother(since)} ms`);
      say(`a server by the second runs after ${await servesAfter(second.url, 'after the kill')} ms`);

      await until('the hosts to be with the second', async () => {
        const { rows } = await sql<{
          n: number;
        }>`select count(*)::integer as n from control_process where seen_at > now() - interval '5 s'`.execute(
          database.query,
        );
        return rows[0]!.n === 2;
      });
      process.kill(cloud.pid(second.name), 'SIGSTOP');
      second.serves = false;
      watcher.leave();
      since = await now();
      try {
        say(`frozen: a server by the third runs after ${await servesAfter(third.url, 'while frozen')} ms`);
        say(`and all hosts are with it ${await hostsFindAnother(since)} ms later`);
        await until('it to be known as silent', async () => {
          const { rows } = await sql`select from control_process where seen_at < now() - interval '10 s'`.execute(
            database.query,
          );
          return rows.length > 0;
        });
        const before = await leads();
        process.kill(cloud.pid(second.name), 'SIGCONT');
        say(`gone on: it makes a server that runs after ${await servesAfter(second.url, 'after the thaw')} ms`);
        assert.deepEqual(await leads(), before, 'who was frozen has taken nothing back');
      } finally {
        process.kill(cloud.pid(second.name), 'SIGCONT');
      }
      const count = lives.length;
      await until('the load to have gone on', () => lives.length > count + 12);
    } finally {
      working = false;
    }
    await failed;
    await inOrder();
    say(`the watch took ${watcher.connections} connections`);
  });

  async function inOrder(): Promise<void> {
    const list = async () =>
      (await must('GET', '/servers/detail?limit=1000')).body.servers as { id: string; name: string; status: string }[];
    const ended = new Set(lives.flatMap(({ ended, accepted }) => (ended ? accepted : [])));
    let found = await list();
    await until('all to run that shall, and no other', async () => {
      found = await list();
      return found.every(({ id, status }) => status === 'ACTIVE' && !ended.has(id));
    });
    for (const { name, asked, accepted, ended } of lives) {
      const there = found.filter((server) => server.name === name);
      const deleted = ended ? 1 : 0;
      // A request whose answer nobody heard may have been decided all the same; none is decided twice.
      assert.ok(there.length + deleted <= asked, `${name}: ${there.length} for ${asked} requests`);
      for (const id of accepted.slice(deleted))
        assert.ok(
          there.some((server) => server.id === id),
          `${name} is lost`,
        );
    }
    const ids = new Set(found.map(({ id }) => id));
    for (const id of ids) await must('DELETE', `/servers/${id}`);
    await until('all to be gone', async () => (await list()).length === 0);
    const none = async (what: string, query: ReturnType<typeof sql>) =>
      until(`${what}: none`, async () => (await query.execute(database.query)).rows.length === 0);
    await none('operations that run', sql`select from operation where state = 'running'`);
    await none('jobs', sql`select from graphile_worker.jobs where task_identifier = 'server' and run_at <= now()`);
    await none('what hosts still have', sql`select from server_absence`);
    await none('servers in quarantine', sql`select from quarantined_server`);
    await none('ports of servers', sql`select from port where device_owner like 'compute:%'`);
    await watched();
  }

  async function watched(): Promise<void> {
    await untilFinal(database.query);
    const first = parsePosition(watcher.ids[0]!);
    const { changes } = await readChanges(database.query, {
      after: { ...first, sequence: first.sequence - 1 },
      limit: 100_000,
      projectId: tenancy.client.projectId,
    });
    const expected = changes.map((change) => formatPosition(change.position));
    await until('all changes to come', () => watcher.ids.length >= expected.length);
    assert.ok(expected.length > 100 && watcher.connections >= 3, `${expected.length}, ${watcher.connections}`);
    assert.deepEqual(watcher.ids.slice(0, expected.length), expected, 'without gap or repetition');
  }
});
