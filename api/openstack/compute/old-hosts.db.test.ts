import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let hostId: string;
before(async () => {
  api = await computeApi();
  hostId = await api.cloud.addHost({ name: 'machine', zone: 'east' });
});
after(() => api[Symbol.asyncDispose]());

const admin = (method: string, path: string, body?: unknown, version = 42) =>
  api.call(api.cloud.admin, method, path, { version, ...(body !== undefined && { body }) });

test('hosts are listed and shown with what each project has there, until 2.42', async () => {
  const one = { host_name: 'machine', service: 'compute', zone: 'east' };
  assert.deepEqual((await admin('GET', '/os-hosts')).body, { hosts: [one] });
  assert.deepEqual((await admin('GET', '/os-hosts?zone=west')).body, { hosts: [] });
  const flavor = await api.cloud.addFlavor({ vcpus: 2, memoryMiB: 1024, diskGiB: 3 });
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  await api.cloud.controller.reconcile(ids[0]!);
  const line = (project: string, cpu: number, memory_mb: number, disk_gb: number) => ({
    resource: { host: 'machine', project, cpu, memory_mb, disk_gb },
  });
  assert.deepEqual((await admin('GET', '/os-hosts/machine')).body, {
    host: [
      line('(total)', 1, 33792, 1000),
      line('(used_now)', 2, 1024, 3),
      line('(used_max)', 2, 1024, 3),
      line(api.cloud.projectId, 2, 1024, 3),
    ],
  });
  assert.equal((await admin('GET', '/os-hosts', undefined, 43)).status, 404);
});

test('a host is opened and closed; what no driver of Nova’s can do is said so, and nothing is done', async () => {
  const enabled = async () => {
    const { rows } = await sql<{ enabled: boolean }>`select enabled from host where id = ${hostId}`.execute(
      api.db.database.query,
    );
    return rows[0]!.enabled;
  };
  assert.deepEqual((await admin('PUT', '/os-hosts/machine', { status: 'Disable' })).body, {
    ...{ host: 'machine', status: 'disabled' },
  });
  assert.equal(await enabled(), false);
  assert.deepEqual((await admin('GET', '/os-hosts')).body, { hosts: [] }, 'Nova leaves them out');
  for (const body of [{ status: 'enable', maintenance_mode: 'enable' }, { maintenance_mode: 'disable' }]) {
    assert.equal((await admin('PUT', '/os-hosts/machine', body)).status, 501);
  }
  assert.equal(await enabled(), false);
  assert.equal((await admin('PUT', '/os-hosts/machine', { status: 'enable' })).status, 200);
  for (const body of [{}, { status: 'open' }, { maintenance_mode: 'invalid' }, { status: 'enable', x: 1 }]) {
    assert.equal((await admin('PUT', '/os-hosts/machine', body)).status, 400);
  }
  for (const act of ['startup', 'shutdown', 'reboot']) {
    assert.equal((await admin('GET', `/os-hosts/machine/${act}`)).status, 501);
    assert.equal((await admin('GET', `/os-hosts/nothing/${act}`)).status, 404);
    assert.equal((await api.call(api.cloud.member, 'GET', `/os-hosts/machine/${act}`)).status, 403);
  }
  assert.equal((await admin('PUT', '/os-hosts/nothing', { status: 'enable', maintenance_mode: 'enable' })).status, 404);
  assert.equal((await admin('GET', '/os-hosts/nothing')).status, 404);
  assert.equal((await api.call(api.cloud.member, 'GET', '/os-hosts')).status, 403);
});

test('events of servers are refused: with the reason to those who may tell them', async () => {
  const event = { name: 'network-changed', server_uuid: api.cloud.projectId };
  const tell = (caller: typeof api.cloud.admin, events: unknown, version = 1) =>
    api.call(caller, 'POST', '/os-server-external-events', { version, body: { events } });
  assert.equal((await tell(api.cloud.member, [event])).status, 403);
  const service = { ...api.cloud.member, roles: new Set(['service']) };
  for (const caller of [service, api.cloud.admin]) {
    const { status, body } = await tell(caller, [event]);
    assert.equal(status, 400);
    assert.match(body.badRequest.message, /are taken from nobody: networks and volumes are of this cloud itself/);
  }
  const extended = { name: 'volume-extended', server_uuid: api.cloud.projectId, tag: 'x' };
  assert.match((await tell(service, [extended], 50)).body.badRequest.message, /Invalid input/);
  assert.match((await tell(service, [extended], 51)).body.badRequest.message, /taken from nobody/);
});

test('what Nova let go of is gone at every version, with and without a body, and says what it is no longer', async () => {
  const pages: [method: string, path: string, body?: unknown][] = [
    ['GET', '/os-agents'],
    ['GET', '/os-cells/capacities'],
    ['PUT', '/os-cells/here', { cell: {} }],
    ['GET', '/os-fping/x'],
    ['POST', '/os-networks', { network: {} }],
    ['GET', '/servers/x/os-virtual-interfaces'],
    ['POST', '/servers/x/consoles', { console: {} }],
  ];
  for (const [method, path, body] of pages) {
    for (const version of [1, 96]) {
      const answer = await admin(method, path, body, version);
      assert.deepEqual(
        [answer.status, answer.body.computeFault?.code],
        [410, 410],
        `${method} ${path} at 2.${version}`,
      );
    }
  }
  const metal = await admin('POST', '/os-baremetal-nodes', {}, 35);
  assert.deepEqual([metal.status, metal.body.badRequest?.message.includes('node-create')], [400, true]);
  assert.equal((await admin('POST', '/os-baremetal-nodes', {}, 36)).status, 404);
});
