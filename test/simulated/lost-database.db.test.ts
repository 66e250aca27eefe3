/**
 * The database is lost, new, or goes back while guests run: no disk is erased, no guest ends, and after one command all of it can be
 * managed again.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ServerId } from '../../contract/ids.ts';
import { discard, listQuarantine, recover } from '../../control/compute/recovery/index.ts';
import { registerHost } from '../../control/host/index.ts';
import { currentIncarnation } from '../../control/kit/database/incarnation.ts';
import { partOf } from '../support/part-of.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import type { SimulatedHost } from '../support/simulated-host.ts';
import {
  assertInOrder,
  createServer,
  deleteServer,
  makeTenancy,
  reaches,
  statusOf,
  type Tenancy,
} from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2, postgres: 'own' });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const psql = (input: string, database = 'bothy') =>
  execFileSync('psql', ['-q', '-v', 'ON_ERROR_STOP=1', cloud.databaseUrl.replace('/bothy?', `/${database}?`)], {
    ...{ input, encoding: 'utf8', maxBuffer: 2 ** 28, stdio: ['pipe', 'pipe', 'inherit'] },
  });
const dump = () =>
  execFileSync('pg_dump', ['--clean', '--if-exists', cloud.databaseUrl], { encoding: 'utf8', maxBuffer: 2 ** 28 });
const emptyDatabase = () => psql('drop database bothy with (force);\ncreate database bothy;\n', 'postgres');

/** Guests and disks as they are; answers a check that they are the same ones still. */
function remember(ids: readonly ServerId[]): () => void {
  const look = () =>
    ids.map((id) => {
      const host = cloud.hosts.find((each) => each.machine.qemus.guest(id))!;
      assert.ok(host, `a guest of ${id} runs`);
      const disk = statSync(join(host.machine.dataDirectory, 'servers', id, 'disk.qcow2')).ino;
      return { id, host: host.name, pid: host.machine.qemus.guest(id)!.pid, disk };
    });
  const before = look();
  return () => assert.deepEqual(look(), before);
}

/** Control begins anew, on whatever the database is now; both hosts find it. */
async function controlReturns(): Promise<void> {
  if (cloud.controls.some(({ alive }) => alive)) cloud.control.kill();
  await cloud.startControl();
  for (const host of cloud.identity.hosts) await registerHost(cloud.database, host);
  await cloud.until('both hosts to be connected', async () => (await cloud.connectedHosts()) === 2);
  tenancy = { ...tenancy, client: await cloud.client() };
}

const quarantined = (count: number) =>
  cloud
    .until(`${count} servers to be quarantined`, async () => (await listQuarantine(cloud)).servers.length === count)
    .catch(async (error) => {
      const { servers } = await listQuarantine(cloud);
      const told = servers.map(({ server_id, reason, document }) => `${server_id} ${document?.name} ${reason}`);
      throw new Error(`${error.message}; there are: ${told.join(', ')}`);
    });

/** Everything that one does with servers, and they go. */
async function assertManageable(ids: readonly ServerId[]): Promise<void> {
  await quarantined(0);
  const act = (id: ServerId, body: object) => tenancy.client.must('POST', 'compute', `/servers/${id}/action`, body);
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  const tried = partOf(ids, 1);
  for (const [body, status] of [
    [{ 'os-stop': null }, 'SHUTOFF'],
    [{ 'os-start': null }, 'ACTIVE'],
    [{ reboot: { type: 'HARD' } }, 'ACTIVE'],
  ] as const) {
    for (const id of tried) await act(id, body);
    for (const id of tried) await reaches(cloud, tenancy, id, status);
  }
  await assertInOrder(cloud, ids);
  for (const id of ids) await deleteServer(cloud, tenancy, id);
  for (const id of ids) await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}

async function activeServers(...names: string[]): Promise<ServerId[]> {
  const ids = await Promise.all(names.map((name) => createServer(tenancy, name, { metadata: { Größe: '小屋 🏔' } })));
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  await cloud.until('the hosts to have said so', async () => {
    return (await cloud.count(sql`select count(*) as n from operation where state = 'running'`)) === 0;
  });
  return ids;
}

const addressesOf = async (id: ServerId) =>
  (await tenancy.client.must('GET', 'compute', `/servers/${id}`)).server.addresses;

test('an empty database: guests go on, control restarted meanwhile changes nothing, one command takes all up', async () => {
  const ids = await activeServers('one', 'zwei 🏔', 'three');
  const assertSame = remember(ids);
  const before = Object.values(await addressesOf(ids[1]!)).flat() as {
    addr: string;
    'OS-EXT-IPS-MAC:mac_addr': string;
  }[];
  cloud.control.kill();
  emptyDatabase();
  await controlReturns();
  await quarantined(3);
  await controlReturns();
  cloud.hosts[0]!.kill();
  await cloud.hosts[0]!.start();
  await controlReturns();
  await quarantined(3);
  assertSame();
  await cloud.until('the image to be told of too', async () => (await listQuarantine(cloud)).images.length > 0);
  const outcomes = await recover(cloud);
  assert.deepEqual(
    outcomes.filter(({ kind }) => kind === 'server').map(({ outcome, reason }) => [outcome, reason]),
    ids.map(() => ['remake', undefined]),
  );
  await quarantined(0);
  assertSame();
  const { server } = await tenancy.client.must('GET', 'compute', `/servers/${ids[1]}`);
  assert.deepEqual([server.name, server.metadata], ['zwei 🏔', { Größe: '小屋 🏔' }]);
  const after = Object.values(server.addresses).flat() as typeof before;
  assert.deepEqual(
    after.map((each) => [each.addr, each['OS-EXT-IPS-MAC:mac_addr']]),
    before.map((each) => [each.addr, each['OS-EXT-IPS-MAC:mac_addr']]),
  );
  // A host that has just come back tells of its images again, and until it has, they are not taken up: whoever asks again gets them.
  await cloud.until('the image to be taken up', async () => {
    await recover(cloud);
    const { status } = await tenancy.client.call('GET', 'image', `/v2/images/${tenancy.imageId}`);
    return status === 200;
  });
  const { status } = await tenancy.client.must('GET', 'image', `/v2/images/${tenancy.imageId}`);
  assert.equal(status, 'active');
  assert.deepEqual(await recover(cloud), [], 'nothing is left to do');
  await assertManageable(ids);
});

test('an older dump restored in place: what was made since, changed since, deleted since', async () => {
  tenancy = await makeTenancy(cloud);
  const [stays, changes, deleted] = (await activeServers('stays', 'changes', 'deleted')) as [
    ServerId,
    ServerId,
    ServerId,
  ];
  const text = dump();
  const [young] = (await activeServers('young')) as [ServerId];
  await tenancy.client.must('POST', 'compute', `/servers/${changes}/action`, { reboot: { type: 'HARD' } });
  await reaches(cloud, tenancy, changes, 'ACTIVE');
  await tenancy.client.must('PUT', 'compute', `/servers/${changes}`, { server: { name: 'has changed' } });
  await cloud.until('the host to have the new name', async () => {
    return (await cloud.count(sql`select count(*) as n from operation where state = 'running'`)) === 0;
  });
  await deleteServer(cloud, tenancy, deleted);
  await reaches(cloud, tenancy, deleted, 'gone');
  const assertSame = remember([stays, changes, young]);
  const { id: before } = await currentIncarnation(cloud.database.query);
  cloud.control.kill();
  psql(text);
  await controlReturns();
  assert.notEqual((await currentIncarnation(cloud.database.query)).id, before);
  // The host may not have heard yet that it may forget what was deleted: then it knows better than the dump.
  const wanted = [`${changes} older`, `${young} missing`].sort().join();
  await cloud.until('what the dump does not account for to be quarantined', async () => {
    const { servers } = await listQuarantine(cloud);
    const others = servers.filter(({ server_id }) => server_id !== deleted);
    return (
      others
        .map(({ server_id, reason }) => `${server_id} ${reason}`)
        .sort()
        .join() === wanted
    );
  });
  assertSame();
  // And the host that has it may tell of it later than the other of its own: then the command is run again.
  await cloud.until('everything to be taken up', async () => {
    await recover(cloud);
    return (await listQuarantine(cloud)).servers.length === 0;
  });
  assertSame();
  await cloud.until('the deleted one to be ERROR or gone, and not to begin with an empty disk', async () => {
    return ['ERROR', 'gone'].includes((await statusOf(tenancy, deleted)) ?? '');
  });
  assert.ok(cloud.hosts.every((host) => !host.machine.qemus.guest(deleted)));
  await deleteServer(cloud, tenancy, deleted);
  await reaches(cloud, tenancy, deleted, 'gone');
  await assertManageable([stays, changes, young]);
});

for (const known of [false, true]) {
  const dumped = known ? 'a dump that has it' : 'a dump that has it not';

  test(`a server that is half way to another host is taken up where all of it is, after ${dumped}`, async () => {
    const older = dump();
    const [id] = (await activeServers('half way')) as [ServerId];
    const text = known ? dump() : older;
    const { source, target, pid } = await sendAway(id, (way) => way.target, 'listen');
    cloud.control.kill();
    psql(text);
    await cloud.startControl();
    for (const host of cloud.identity.hosts) await registerHost(cloud.database, host);
    tenancy = { ...tenancy, client: await cloud.client() };
    await target.start();
    await cloud.until('what came of it to be told of as a part', async () => {
      return (await held(id)).some(({ host_name, way }) => host_name === target.name && way === 'arriving');
    });
    await takenUp(id);
    assert.equal(source.machine.qemus.guest(id)?.pid, pid, 'its guest never ended');
    await cloud.until('nothing to be left of it at the target', () => !target.machine.qemus.guest(id));
    await assertManageable([id]);
  });

  test(`a server that arrives while nobody knows of it is taken up where it arrived, after ${dumped}`, async () => {
    const older = dump();
    const [id] = (await activeServers('all the way')) as [ServerId];
    const text = known ? dump() : older;
    const { source, target } = await sendAway(id, (way) => way.source, 'mirror');
    cloud.control.kill();
    psql(text);
    await source.start();
    await controlReturns();
    await cloud.until('the source to have let go', async () => (await held(id)).some(({ way }) => way === 'left'));
    await takenUp(id);
    assert.ok(target.machine.qemus.guest(id), 'its guest goes on there');
    await cloud.until('nothing to be left of it at the source', () => !source.machine.qemus.guest(id));
    await assertManageable([id]);
  });
}

/** A live migration stands still, for the host process of one side has died after this step. */
async function sendAway(
  id: ServerId,
  side: (way: { source: SimulatedHost; target: SimulatedHost }) => SimulatedHost,
  step: string,
) {
  const source = cloud.hosts.find(({ machine }) => machine.qemus.guest(id))!;
  const target = cloud.hosts.find((host) => host !== source)!;
  const { pid } = source.machine.qemus.guest(id)!;
  const dies = side({ source, target });
  dies.dieAfter = step;
  const live = { 'os-migrateLive': { host: null, block_migration: 'auto' } };
  const headers = { 'openstack-api-version': 'compute 2.30' };
  await tenancy.client.call('POST', 'compute', `/servers/${id}/action`, live, headers);
  await cloud.until(`${dies.name} to have come to ${step} and died`, () => !dies.running);
  return { source, target, pid };
}

const held = async (id: ServerId) => (await listQuarantine(cloud)).servers.filter(({ server_id }) => server_id === id);

async function takenUp(id: ServerId): Promise<void> {
  await cloud.until('all to be taken up', async () => {
    await recover(cloud);
    return (await held(id)).length === 0;
  });
}

test('a data directory that was copied back is found out, and costs nothing', async () => {
  const [stays] = (await activeServers('stays')) as [ServerId];
  const directory = join(cloud.directory, 'postgres');
  const copy = `${directory}.copy`;
  cloud.control.kill();
  await cloud.postgres.stop();
  copyOf(directory, copy);
  await cloud.postgres.start();
  await controlReturns();
  const [young] = (await activeServers('young')) as [ServerId];
  // The row says when it began: later than a minute ago nobody's proof counts.
  const { id: before } = await currentIncarnation(cloud.database.query);
  const assertSame = remember([stays, young]);
  cloud.control.kill();
  await cloud.postgres.stop();
  rmSync(directory, { recursive: true });
  copyOf(copy, directory);
  await cloud.postgres.start();
  await ageIncarnation();
  await controlReturns();
  await quarantined(1);
  assert.notEqual((await currentIncarnation(cloud.database.query)).id, before);
  assert.match((await currentIncarnation(cloud.database.query)).reason, /went back/);
  assertSame();
  await recover(cloud);
  assertSame();
  await assertManageable([stays, young]);
});

/** With owners and modes. */
const copyOf = (from: string, to: string) => execFileSync('cp', ['-a', from, to]);

/** As if it had begun long ago, and by the one that may write that row. */
async function ageIncarnation(): Promise<void> {
  psql(`update cloud set incarnation_at = now() - interval '1 day',
    incarnation_place = regexp_replace(incarnation_place, '[^/]*$', pg_current_xact_id()::xid::text);\n`);
}

test('a recovery that is cut off after any step and run again comes to the same end', async () => {
  const ids = await activeServers('a', 'b', 'c');
  const assertSame = remember(ids);
  cloud.control.kill();
  emptyDatabase();
  await controlReturns();
  await quarantined(3);
  const steps: string[] = [];
  for (let cut = 1; ; cut++) {
    let taken = 0;
    const died = await recover({
      database: cloud.database,
      afterStep(step) {
        if (++taken < cut) return;
        steps.push(step);
        throw new Error('the process died');
      },
    }).then(
      () => false,
      (error: Error) => error.message === 'the process died',
    );
    assertSame();
    if (!died) break;
  }
  assert.ok(steps.length >= 2, `cut after ${steps.join(', ')}`);
  assertSame();
  await assertManageable(ids);
});

test('what is discarded is erased, what is not stays; a copy of a server that another host owns is left alone', async () => {
  tenancy = await makeTenancy(cloud);
  const [kept, unwanted] = (await activeServers('kept', 'unwanted')) as [ServerId, ServerId];
  cloud.control.kill();
  emptyDatabase();
  await controlReturns();
  await quarantined(2);
  const assertSame = remember([kept]);
  const outcomes = await discard(cloud, [unwanted]);
  assert.deepEqual(
    outcomes.map(({ id, outcome }) => [id, outcome]),
    [[unwanted, 'discarded']],
  );
  await quarantined(1);
  await cloud.until('the guest to end', () => cloud.hosts.every((host) => !host.machine.qemus.guest(unwanted)));
  assertSame();
  await recover(cloud);
  assertSame();
  await assertManageable([kept]);
});
