/** A whole simulated cloud: a host that shall be empty is emptied, whoever dies meanwhile, and what does not go is named. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { SimulatedCloud } from '../support/simulated-cloud.ts';
import { assertInOrder, createServer, deleteServer, makeTenancy, reaches, type Tenancy } from '../support/tenancy.ts';

let cloud: SimulatedCloud;
let tenancy: Tenancy;
before(async () => {
  cloud = await SimulatedCloud.start({ hosts: 2, hooks: { draining: { everyMs: 50, againMs: 200 } } });
  tenancy = await makeTenancy(cloud);
});
after(() => cloud[Symbol.asyncDispose]());

const call = (method: 'GET' | 'PUT' | 'DELETE', host: string, body?: object) =>
  tenancy.client.raw(method, tenancy.client.nativeUrl(`/hosts/${encodeURIComponent(host)}/maintenance`), body);
const begin = async (host: string, reason: string | null = null) =>
  (await call('PUT', host, { maintenance: { reason } })).body.maintenance;
const show = async (host: string) => (await call('GET', host)).body.maintenance;
const hostOf = async (id: ServerId): Promise<string> =>
  (await tenancy.client.must('GET', 'compute', `/servers/${id}`)).server['OS-EXT-SRV-ATTR:host'];
const act = (id: ServerId, body: object) => tenancy.client.must('POST', 'compute', `/servers/${id}/action`, body);

async function serversOn(host: string, count: number): Promise<ServerId[]> {
  const other = cloud.hosts.find(({ name }) => name !== host)!.name;
  await tenancy.client.must('PUT', 'compute', '/os-services/disable', { host: other, binary: 'nova-compute' });
  const ids: ServerId[] = [];
  for (let n = 0; n < count; n++) ids.push(await createServer(tenancy, `小屋 ${n}`));
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  await tenancy.client.must('PUT', 'compute', '/os-services/enable', { host: other, binary: 'nova-compute' });
  return ids;
}
async function removed(ids: readonly ServerId[]): Promise<void> {
  for (const id of ids) await deleteServer(cloud, tenancy, id);
  for (const id of ids) await reaches(cloud, tenancy, id, 'gone');
  await assertInOrder(cloud, []);
}
/** In a word, with what is left where that is not what was waited for. */
const becomes = (host: string, state: string) =>
  cloud.until(`${host} to be ${state}`, async () => {
    const found = await show(host);
    return found?.state === state;
  });

test('servers leave a host that shall be empty, running ones live and the others cold, and nothing is left there; then it takes servers again', async () => {
  const [here, there] = cloud.hosts.map(({ name }) => name) as [string, string];
  const ids = await serversOn(here, 4);
  await act(ids[0]!, { 'os-stop': null });
  await reaches(cloud, tenancy, ids[0]!, 'SHUTOFF');
  await act(ids[1]!, { pause: null });
  await reaches(cloud, tenancy, ids[1]!, 'PAUSED');
  const begun = await begin(here, 'new disks');
  assert.deepEqual([begun.host, begun.cause, begun.reason, begun.left], [here, 'administrator', 'new disks', 4]);
  const { services } = await tenancy.client.must('GET', 'compute', `/os-services?host=${here}`);
  assert.deepEqual([services[0].status, services[0].disabled_reason], ['disabled', 'maintenance: new disks']);
  await becomes(here, 'drained');
  const { moved, left, servers } = await show(here);
  assert.deepEqual([moved, left, servers], [4, 0, []]);
  for (const [n, status] of ['SHUTOFF', 'PAUSED', 'ACTIVE', 'ACTIVE'].entries()) {
    await reaches(cloud, tenancy, ids[n]!, status);
    assert.equal(await hostOf(ids[n]!), there);
  }
  const kinds = await tenancy.client.must('GET', 'compute', `/os-migrations?instance_uuid=${ids[0]}`);
  assert.deepEqual(
    kinds.migrations.map(({ status }: { status: string }) => status),
    ['confirmed'],
  );
  const opening = await tenancy.client.call('PUT', 'compute', '/os-services/enable', {
    host: here,
    binary: 'nova-compute',
  });
  assert.equal(opening.status, 409, JSON.stringify(opening.body));
  assert.equal((await call('DELETE', here)).status, 204);
  assert.equal(await show(here), null);
  const after = await tenancy.client.must('GET', 'compute', `/os-services?host=${here}`);
  assert.deepEqual([after.services[0].status, after.services[0].disabled_reason], ['enabled', null]);
  await act(ids[0]!, { 'os-start': null });
  await act(ids[1]!, { unpause: null });
  for (const id of ids) await reaches(cloud, tenancy, id, 'ACTIVE');
  await assertInOrder(cloud, ids);
  await removed(ids);
});

test('whichever step control dies at, the host is emptied by the one that comes after it', async () => {
  const here = cloud.hosts[0]!.name;
  const ids = await serversOn(here, 2);
  await begin(here);
  for (const step of ['listen', 'mirror', 'record-take-over']) {
    const seen = cloud.hosts.map((host) => host.steps.length);
    await cloud.until(
      `step ${step}, or the end`,
      async () =>
        cloud.hosts.some((host, index) => host.steps.slice(seen[index]).some((name) => name.includes(step))) ||
        (await show(here)).state === 'drained',
    );
    cloud.control.kill();
    await cloud.startControl();
  }
  await becomes(here, 'drained');
  await assertInOrder(cloud, ids);
  await call('DELETE', here);
  await removed(ids);
});

test('what does not go is named with what would let it, goes when that is done, and nothing else waits for it', async () => {
  const [here, there] = cloud.hosts.map(({ name }) => name) as [string, string];
  const ids = await serversOn(here, 2);
  await act(ids[0]!, { suspend: null });
  await reaches(cloud, tenancy, ids[0]!, 'SUSPENDED');
  await begin(here);
  await becomes(here, 'blocked');
  const { servers } = await show(here);
  assert.deepEqual(
    servers.map(({ id, state, why }: Record<string, { cure: string }>) => [id, state, why!.cure]),
    [[ids[0], 'stuck', 'resume it, or shelve it']],
  );
  assert.equal(await hostOf(ids[1]!), there);
  await act(ids[0]!, { resume: null });
  await becomes(here, 'drained');
  assert.equal(await hostOf(ids[0]!), there);
  await call('DELETE', here);
  await removed(ids);
});

test('a server that no other host takes is named with why, and stays as it is', async () => {
  const [here, there] = cloud.hosts.map(({ name }) => name) as [string, string];
  const ids = await serversOn(here, 1);
  await tenancy.client.must('PUT', 'compute', '/os-services/disable', { host: there, binary: 'nova-compute' });
  await begin(here);
  await becomes(here, 'blocked');
  const [stuck] = (await show(here)).servers;
  assert.equal(stuck.why.reason, 'no_other_host');
  await reaches(cloud, tenancy, ids[0]!, 'ACTIVE');
  await tenancy.client.must('PUT', 'compute', '/os-services/enable', { host: there, binary: 'nova-compute' });
  await becomes(here, 'drained');
  await call('DELETE', here);
  await removed(ids);
});
