/** What a client sees of a server that is shelved and comes back; each microversion takes what its Nova takes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { HostId, ServerId } from '../../../../contract/ids.ts';
import { type ComputeApi, computeApi } from '../testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost({ name: 'west-1', vcpus: 16, zone: 'west' });
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

const act = async (id: string, body: object, version = 1, caller = api.cloud.member) => {
  const { status, body: told } = await api.call(caller, 'POST', `/servers/${id}/action`, { body, version });
  const [fault] = Object.values((told ?? {}) as Record<string, { message: string }>);
  return [status, fault?.message];
};
const shown = async (id: string) => {
  const { server } = (await api.call(api.cloud.admin, 'GET', `/servers/${id}`)).body;
  const of = (name: string) => server[`OS-EXT-${name}`];
  return [server.status, of('STS:vm_state'), of('STS:task_state'), of('STS:power_state'), of('SRV-ATTR:host')];
};

async function offloaded(): Promise<ServerId> {
  const { ids } = await api.cloud.service.create(
    api.cloud.member,
    api.cloud.wish({ flavor, availabilityZone: 'west' }),
  );
  const id = ids[0]!;
  await api.cloud.controller.reconcile(id);
  await api.cloud.obey(host);
  assert.deepEqual(await act(id, { shelve: null }), [202, undefined]);
  await api.cloud.obey(host);
  await api.cloud.obey(host);
  await api.cloud.controller.reconcile(id);
  return id;
}

test('a shelved server has no host, is listed as such, and its image bears its name', async () => {
  const id = await offloaded();
  assert.deepEqual(await shown(id), ['SHELVED_OFFLOADED', 'shelved_offloaded', null, 4, null]);
  const { servers } = (await api.call(api.cloud.member, 'GET', '/servers?status=SHELVED_OFFLOADED')).body;
  assert.deepEqual(
    servers.map((server: { id: string }) => server.id),
    [id],
  );
  const conflict = (call: string) => [409, `Cannot '${call}' instance ${id} while it is in vm_state shelved_offloaded`];
  for (const [name, call] of [
    ['shelve', 'shelve'],
    ['os-start', 'start'],
    ['pause', 'pause'],
  ] as const) {
    assert.deepEqual(await act(id, { [name]: null }), conflict(call));
  }
  assert.deepEqual(await act(id, { shelveOffload: null }, 1, api.cloud.admin), conflict('shelveOffload'));
  assert.equal((await act(id, { shelveOffload: null }))[0], 403);
  assert.deepEqual(await act(id, { unshelve: null }), [202, undefined]);
  assert.deepEqual((await shown(id)).slice(0, 3), ['SHELVED_OFFLOADED', 'shelved_offloaded', 'unshelving']);
  await api.cloud.controller.reconcile(id);
  await api.cloud.obey(host);
  assert.deepEqual(await shown(id), ['ACTIVE', 'active', null, 1, 'west-1']);
});

test('a zone may be named from 2.77 on, a host or no zone from 2.91 on, and neither is read before', async () => {
  const id = await offloaded();
  const { admin } = api.cloud;
  const tried: [number, unknown, number][] = [
    [77, {}, 400],
    [77, { availability_zone: null }, 400],
    [77, { host: 'west-1' }, 400],
    [90, { availability_zone: 'nowhere' }, 400],
    [91, { availability_zone: 'west', host: 'nobody' }, 400],
    [91, { availability_zone: 7 }, 400],
    [91, { zone: 'west' }, 400],
    [91, 'west', 400],
  ];
  for (const [version, unshelve, status] of tried) {
    const [found, message] = await act(id, { unshelve }, version, admin);
    assert.equal(found, status, `${version} ${JSON.stringify(unshelve)}: ${message}`);
  }
  await api.cloud.addHost({ name: 'east-1', zone: 'east' });
  const contrary = { unshelve: { availability_zone: 'east', host: 'west-1' } };
  assert.deepEqual(await act(id, contrary, 91, admin), [409, 'Host "west-1" is not in the availability zone "east".']);
  assert.equal((await act(id, { unshelve: { host: 'west-1' } }, 91))[0], 403);
  assert.deepEqual(await act(id, { unshelve: { availability_zone: null, host: 'west-1' } }, 91, admin), [
    202,
    undefined,
  ]);
  await api.cloud.controller.reconcile(id);
  await api.cloud.obey(host);
  assert.deepEqual((await shown(id)).slice(-1), ['west-1']);
});

test('before 2.77 what comes with an unshelve is not looked at', async () => {
  const id = await offloaded();
  assert.deepEqual(await act(id, { unshelve: { availability_zone: 'nowhere' } }, 76), [202, undefined]);
});
