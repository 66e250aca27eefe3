/** Bad days of a cloud: each tried on the whole of it, with real control and real hosts, and an end in good order. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { formatPosition, parsePosition, readChanges } from '../../control/kit/change-log/changes.ts';
import { untilFinal } from '../../control/kit/database/testing.ts';
import { enqueue } from '../../control/kit/queue/queue.ts';
import { ChangeWatcher } from '../support/change-watcher.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import {
  assertInOrder,
  createServer,
  deleteServer,
  makeTenancy,
  reaches,
  serverBody,
  statusOf,
  type Tenancy,
} from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 3, postgres: 'own' });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const createAll = (count: number, name: string): Promise<ServerId[]> =>
  Promise.all(Array.from({ length: count }, (_, index) => createServer(tenancy, `${name} ${index}`)));

async function clear(ids: readonly ServerId[]): Promise<void> {
  await Promise.all(ids.map((id) => deleteServer(cloud, tenancy, id)));
  for (const id of ids) await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}

async function hostOf(id: ServerId): Promise<SimulatedHost> {
  const { rows } = await sql<{ host_id: string }>`select host_id from server where id = ${id}`.execute(
    cloud.database.query,
  );
  return cloud.host(rows[0]!.host_id);
}

/** As if the time that an operation may take had passed. */
async function deadlinePasses(id: ServerId): Promise<void> {
  await sql`update operation set deadline = now() where resource_id = ${id} and state = 'running'`.execute(
    cloud.database.query,
  );
  await enqueue(cloud.database.query, 'server', id);
}

const connected = (count: number) =>
  cloud.until(`${count} hosts to be connected`, async () => (await cloud.connectedHosts()) === count);

test('a slow host gets there', async () => {
  for (const host of cloud.hosts) host.delayMs = 100;
  const id = await createServer(tenancy, 'slow');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  for (const host of cloud.hosts) host.delayMs = 0;
  await clear([id]);
});

test('while a host is gone, servers are created elsewhere', async () => {
  const first = await createServer(tenancy, 'first');
  await reaches(cloud, tenancy, first, 'ACTIVE');
  const gone = await hostOf(first);
  gone.kill();
  await connected(2);
  const second = await createServer(tenancy, 'second');
  // The host that is gone holds the image; nobody else has its bytes yet.
  await cloud.until('the second to be placed', async () => {
    const { rows } = await sql<{ host_id: string | null }>`select host_id from server where id = ${second}`.execute(
      cloud.database.query,
    );
    return rows[0]!.host_id !== null;
  });
  assert.notEqual((await hostOf(second)).id, gone.id);
  await gone.start();
  await reaches(cloud, tenancy, second, 'ACTIVE');
  await reaches(cloud, tenancy, first, 'ACTIVE');
  await assertInOrder(cloud, [first, second]);
  await clear([first, second]);
});

test('without any host a create ends in ERROR and says why', async () => {
  for (const host of cloud.hosts) host.kill();
  await connected(0);
  const waiting = await createServer(tenancy, 'nowhere yet');
  await cloud.until('the create to wait for a host', async () =>
    (await waitingFor(waiting)).includes('away for the moment'),
  );
  // Hosts that have been away for longer are not waited for.
  await sql`update host set last_seen_at = now() - interval '5 minutes'`.execute(cloud.database.query);
  await reaches(cloud, tenancy, waiting, 'ERROR');
  const id = await createServer(tenancy, 'nowhere');
  await reaches(cloud, tenancy, id, 'ERROR');
  const { server } = await tenancy.client.must('GET', 'compute', `/servers/${id}`);
  assert.match(server.fault.message, /^No valid host was found\. .*\w/);
  for (const host of cloud.hosts) await host.start();
  await connected(3);
  await clear([waiting, id]);
});

test('a delete finishes though the host is gone, and the host loses its guest when it is back', async () => {
  const id = await createServer(tenancy, 'deleted meanwhile');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  const host = await hostOf(id);
  host.kill();
  await connected(2);
  await deleteServer(cloud, tenancy, id);
  await cloud.until('the delete to wait for the host', async () => (await waitingFor(id)).includes('come back'));
  await deadlinePasses(id);
  await reaches(cloud, tenancy, id, 'gone');
  assert.equal(host.machine.qemus.guests.length, 1, 'the old guest still runs');
  await host.start();
  await assertInOrder(cloud, []);
});

test('a server that got another owner meanwhile ends on its old host, whose reports count no more', async () => {
  const id = await createServer(tenancy, 'moved');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  const old = await hostOf(id);
  const other = cloud.hosts.find((host) => host !== old)!;
  old.kill();
  await connected(2);
  // As fencing and a restart elsewhere will do it: a new owner under a new epoch.
  await sql`with moved as (update server set host_id = ${other.id}, epoch = epoch + 1, generation = generation + 1 where id = ${id})
    update port set host_id = ${other.id} where id in (select port_id from server_port where server_id = ${id})`.execute(
    cloud.database.query,
  );
  await old.start();
  await cloud.until('the old guest to end', () => old.machine.qemus.guests.length === 0);
  await cloud.until('the new one to run', () => other.machine.qemus.guests.length === 1);
  await assertInOrder(cloud, [id]);
  const served = sql`select count(*) as n from server
    where id = ${id} and observed_state = 'running' and observed_generation = generation`;
  await cloud.until("the new owner's report to count", async () => (await cloud.count(served)) === 1);
  await clear([id]);
});

test('without control hosts keep their guests, and what happened meanwhile is known after', async () => {
  const [stays, ends] = (await createAll(2, 'lonely')) as [ServerId, ServerId];
  await reaches(cloud, tenancy, stays, 'ACTIVE');
  await reaches(cloud, tenancy, ends, 'ACTIVE');
  const pid = (await hostOf(stays)).machine.qemus.guest(stays)!.pid;
  const other = await hostOf(ends);
  cloud.control.kill();
  other.machine.qemus.guest(ends)!.powerOff();
  await cloud.until('the guest to be off', () => other.machine.qemus.guest(ends) === undefined);
  await cloud.startControl();
  await reaches(cloud, tenancy, ends, 'SHUTOFF');
  await reaches(cloud, tenancy, stays, 'ACTIVE');
  assert.equal((await hostOf(stays)).machine.qemus.guest(stays)!.pid, pid, 'the same QEMU');
  await clear([stays, ends]);
});

test('PostgreSQL restarted under load: each request succeeds or is refused cleanly, and all converges', async () => {
  const made: ServerId[] = [];
  const unclean: string[] = [];
  let [done, refused] = [false, 0];
  const worker = async (name: string) => {
    for (let n = 0; !done; n++) {
      const answer = await tenancy.client.call('POST', 'compute', '/servers', serverBody(tenancy, `${name} ${n}`));
      if (answer.status === 202) made.push(answer.body.server.id);
      else if (answer.status === 503) refused++;
      else unclean.push(`POST ${answer.status} ${JSON.stringify(answer.body)}`);
      const list = await tenancy.client.call('GET', 'compute', '/servers/detail');
      if (![200, 503].includes(list.status)) unclean.push(`GET ${list.status} ${JSON.stringify(list.body)}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const workers = [worker('a'), worker('b')];
  await cloud.until('some servers', () => made.length >= 3);
  await cloud.postgres.stop();
  await cloud.until('some refusals', () => refused >= 2);
  await cloud.postgres.start();
  const before = made.length;
  await cloud.until('servers to be made again', () => made.length >= before + 2);
  done = true;
  await Promise.all(workers);
  assert.deepEqual(unclean, []);
  // A request whose answer was a refusal may have been decided all the same: the truth is in the database.
  const { servers } = await tenancy.client.must('GET', 'compute', '/servers');
  const ids = servers.map((server: { id: ServerId }) => server.id);
  for (const id of made) assert.ok(ids.includes(id), 'what was accepted is there');
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  await assertInOrder(cloud, ids);
  await clear(ids);
});

test('a northbound database that somebody emptied is rebuilt', async () => {
  const id = await createServer(tenancy, 'rebuilt');
  await reaches(cloud, tenancy, id, 'ACTIVE');
  await assertInOrder(cloud, [id]);
  const content = () =>
    ['Logical_Switch', 'Logical_Switch_Port', 'DHCP_Options', 'ACL', 'Port_Group'].map(
      (table) => cloud.northbound.rows(table).size,
    );
  const before = content();
  cloud.northbound.edit((tx) => {
    for (const table of ['Logical_Switch', 'Logical_Router', 'DHCP_Options', 'Port_Group', 'Address_Set'])
      tx.delete(table, []);
  });
  assert.equal(cloud.northbound.rows('Logical_Switch').size, 0);
  await cloud.until('it to be as before', () => content().join() === before.join());
  await assertInOrder(cloud, [id]);
  await clear([id]);
});

test('a watch of the change log goes on over a restart of control without gap or repetition', async () => {
  const watcher = new ChangeWatcher({ port: cloud.port, caFile: cloud.identity.ca, token: tenancy.client.token });
  watcher.connect();
  await cloud.until('the watch to begin', () => watcher.position !== undefined);
  // What the tests before left behind may still come in: it is counted out together with the position.
  const [start, earlier] = [watcher.position!, watcher.ids.length];
  const first = await createServer(tenancy, 'watched');
  await reaches(cloud, tenancy, first, 'ACTIVE');
  await cloud.replaceControl();
  const second = await createServer(tenancy, 'watched too');
  await reaches(cloud, tenancy, second, 'ACTIVE');
  await clear([first, second]);
  await untilFinal(cloud.database.query);
  const { changes } = await readChanges(cloud.database.query, {
    after: parsePosition(start),
    limit: 10_000,
    projectId: tenancy.client.projectId,
  });
  const expected = changes.map((change) => formatPosition(change.position));
  await cloud.until('all changes to come', () => watcher.ids.length - earlier >= expected.length);
  watcher.close();
  assert.ok(expected.length > 20 && watcher.connections >= 2);
  // A host may say more of servers that are gone while these are counted.
  assert.deepEqual(watcher.ids.slice(earlier).slice(0, expected.length), expected);
});

test('two control processes share the work, and one goes on alone', async () => {
  const beside = await cloud.startControl({ beside: true });
  const other = { ...tenancy, client: await cloud.client({ port: beside.port }) };
  const ids = await Promise.all([
    ...Array.from({ length: 4 }, (_, n) => createServer(tenancy, `left ${n}`)),
    ...Array.from({ length: 4 }, (_, n) => createServer(other, `right ${n}`)),
  ]);
  for (const id of ids) await reaches(cloud, other, id, 'ACTIVE');
  await assertInOrder(cloud, ids);
  for (const id of ids.slice(0, 4)) await deleteServer(cloud, other, id);
  beside.kill();
  for (const id of ids.slice(0, 4)) await reaches(cloud, tenancy, id, 'gone');
  await clear(ids.slice(4));
});

test('a quota holds when many ask at once', async () => {
  const path = `/os-quota-sets/${tenancy.client.projectId}`;
  await tenancy.client.must('PUT', 'compute', path, { quota_set: { instances: 4 } });
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      tenancy.client.call('POST', 'compute', '/servers', serverBody(tenancy, `q${n}`)),
    ),
  );
  const accepted = answers.filter(({ status }) => status === 202).map(({ body }) => body.server.id as ServerId);
  const refused = answers.filter(({ status }) => status === 403);
  assert.deepEqual([accepted.length, refused.length], [4, 6]);
  assert.match(refused[0]!.body.forbidden.message, /[Qq]uota exceeded/);
  await clear(accepted);
  await tenancy.client.must('PUT', 'compute', path, { quota_set: { instances: 100 } });
});

test('a create that is deleted at once leaves nothing, however far it came', async () => {
  for (const delayMs of [0, 5, 15, 30, 60]) {
    const id = await createServer(tenancy, `short ${delayMs}`);
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    await deleteServer(cloud, tenancy, id);
    await reaches(cloud, tenancy, id, 'gone');
    assert.equal(await statusOf(tenancy, id), 'gone');
  }
  await assertInOrder(cloud, []);
});

async function waitingFor(id: ServerId): Promise<string> {
  const { rows } = await sql<{ waiting_for: string | null }>`select waiting_for from operation
    where resource_id = ${id} and state = 'running'`.execute(cloud.database.query);
  return rows[0]?.waiting_for ?? '';
}

test('what no client should send is refused by every service, in its own form', async () => {
  const collections = {
    identity: '/v3/projects',
    image: '/v2/images',
    network: '/v2.0/networks',
    compute: '/servers',
  } as const;
  const form = {
    identity: /^\{"error":\{"code":\d+,/,
    image: /^"<html>/,
    network: /^\{"NeutronError":\{"type":/,
    compute: /^\{"\w+":\{"code":\d+,/,
  };
  const deep = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
  const bodies: [string, string, number][] = [
    ['malformed', '{"server": {', 400],
    ['a list', '[]', 400],
    ['nothing but null', 'null', 400],
    ['10 MB', JSON.stringify({ name: 'x'.repeat(10_000_000) }), 413],
    ['deep', deep(200_000), 400],
    [
      'deep below a name',
      `{"name":${deep(200_000)},"network":{"name":${deep(200_000)}},"server":${deep(90_000)}}`,
      400,
    ],
  ];
  for (const [service, path] of Object.entries(collections) as [keyof typeof collections, string][]) {
    for (const [what, body, status] of bodies) {
      const answer = await tenancy.client.call('POST', service, path, body);
      const text = JSON.stringify(answer.body);
      assert.equal(answer.status, status, `${what} for ${service}: ${text}`);
      assert.match(text, form[service], what);
    }
    for (const id of ['%ff', '%', '%zz', '%c3%28', 'nosuch']) {
      const answer = await tenancy.client.call('GET', service, `${path}/${id}`);
      assert.equal(answer.status, 404, `${service} ${id}: ${JSON.stringify(answer.body)}`);
      assert.match(JSON.stringify(answer.body), form[service]);
    }
  }
});
