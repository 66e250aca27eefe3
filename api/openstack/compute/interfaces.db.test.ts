/** Interfaces that come and go, as a client sees it; in Nova's words. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type PortId, type ServerId } from '../../../contract/ids.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
let host: HostId;
let flavor: string;
before(async () => {
  api = await computeApi();
  host = await api.cloud.addHost();
  flavor = await api.cloud.addFlavor();
});
after(() => api[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  await api.cloud.controller.reconcile(ids[0]!);
  await api.cloud.obey(host);
  return ids[0]!;
}

const on = (caller: 'member' | 'admin', method: string, path: string, body?: object, version = 70) =>
  api.call(api.cloud[caller], method, path, { ...(body && { body }), version });
const attach = (id: string, wish: object, version?: number) =>
  on('member', 'POST', `/servers/${id}/os-interface`, { interfaceAttachment: wish }, version);
const list = async (id: string) => (await on('member', 'GET', `/servers/${id}/os-interface`)).body.interfaceAttachments;
const documentOf = async (id: ServerId) =>
  (await api.cloud.side.desiredServers(api.cloud.database.query, { serverIds: [id] }))[0]!;

async function lentPort(ip: string): Promise<PortId> {
  const port = await api.cloud.ports.create(api.cloud.member, [
    { network_id: api.cloud.networkId, fixed_ips: [{ ip }] } as never,
  ]);
  return port[0]!.id as PortId;
}

test('an interface on a network comes with its address and tag, into the lowest free place, and goes with its port', async () => {
  const id = await active();
  const wish = { net_id: api.cloud.networkId, fixed_ips: [{ ip_address: '10.0.9.9' }], tag: '小屋' };
  const { status, body } = await attach(id, wish);
  assert.equal(status, 200);
  const { port_id: port, ...shown } = body.interfaceAttachment;
  assert.deepEqual(
    shown.fixed_ips.map(({ ip_address }: { ip_address: string }) => ip_address),
    ['10.0.9.9'],
  );
  assert.deepEqual([shown.net_id, shown.tag], [api.cloud.networkId, '小屋']);
  const document = await documentOf(id);
  assert.deepEqual(
    document.ports.map(({ slot }) => slot),
    [0, 1],
  );
  const server = (await on('member', 'GET', `/servers/${id}`)).body.server;
  assert.deepEqual([server.status, server['OS-EXT-STS:task_state']], ['ACTIVE', null]);
  assert.equal(Object.values(server.addresses as Record<string, object[]>)[0]!.length, 2);
  await api.cloud.obey(host);
  const first = (await list(id))[0].port_id;
  assert.equal((await on('member', 'DELETE', `/servers/${id}/os-interface/${first}`)).status, 202);
  assert.deepEqual(
    (await list(id)).map((one: { port_id: string }) => one.port_id),
    [port],
  );
  assert.equal(
    (await api.cloud.ports.list(api.cloud.member, {} as never)).some((one) => one.id === first),
    false,
  );
  const third = (await attach(id, {})).body.interfaceAttachment.port_id;
  assert.deepEqual(
    (await documentOf(id)).ports.map(({ id: each, slot }) => [each, slot]),
    [
      [third, 0],
      [port, 1],
    ],
  );
  const actions = (await on('member', 'GET', `/servers/${id}/os-instance-actions`)).body.instanceActions;
  assert.deepEqual(actions.map(({ action }: { action: string }) => action).slice(0, 3), [
    'attach_interface',
    'detach_interface',
    'attach_interface',
  ]);
});

test('a port of the project is lent, and comes back free when it is detached', async () => {
  const [id, other] = [await active(), await active()];
  const port = await lentPort('10.0.9.20');
  assert.equal((await attach(id, { port_id: port })).status, 200);
  const taken = await attach(other, { port_id: port });
  assert.deepEqual([taken.status, Object.keys(taken.body)], [409, ['conflictingRequest']]);
  assert.equal((await on('member', 'DELETE', `/servers/${other}/os-interface/${port}`)).status, 404);
  assert.equal((await on('member', 'DELETE', `/servers/${id}/os-interface/${port}`)).status, 202);
  const { rows } = await sql`select device_id, host_id from port where id = ${port}`.execute(api.cloud.database.query);
  assert.deepEqual(rows, [{ device_id: '', host_id: null }]);
  assert.equal((await attach(other, { port_id: port })).status, 200);
});

test('what can not be attached is refused in Nova’s words, and nothing is made', async () => {
  const id = await active();
  const [net_id, port_id] = [api.cloud.networkId, newId()];
  await attach(id, { net_id, fixed_ips: [{ ip_address: '10.0.9.30' }] });
  const before = await list(id);
  for (const [status, wish, version] of [
    [400, { net_id, port_id }],
    [400, { port_id, fixed_ips: [{ ip_address: '10.0.9.9' }] }],
    [404, { port_id }],
    [404, { net_id: newId() }],
    [409, { net_id, fixed_ips: [{ ip_address: '10.0.9.30' }] }],
    [400, { net_id, fixed_ips: [{ ip_address: '192.0.2.1' }] }],
    [400, { net_id, fixed_ips: [] }],
    [400, { net_id: '小屋' }],
    [400, { net_id, tag: 'a' }, 48],
    [400, { net_id, tag: 'a,b' }],
    [400, { net_id, more: 1 }],
  ] as const) {
    const answer = await attach(id, wish, version);
    assert.equal(answer.status, status, `${JSON.stringify(wish)}: ${JSON.stringify(answer.body)}`);
  }
  for (const port of [newId(), '小屋', 'x'.repeat(200)]) {
    assert.equal((await on('member', 'DELETE', `/servers/${id}/os-interface/${encodeURIComponent(port)}`)).status, 404);
  }
  assert.deepEqual(await list(id), before);
  const anothers = await active();
  await api.call(api.cloud.member, 'POST', `/servers/${anothers}/action`, { body: { lock: null } });
  assert.equal((await attach(anothers, { net_id })).status, 409);
});

test('two that attach at once get two places', async () => {
  const id = await active();
  const answers = await Promise.all([1, 2, 3].map(() => attach(id, { net_id: api.cloud.networkId })));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200],
  );
  assert.deepEqual(
    (await documentOf(id)).ports.map(({ slot }) => slot),
    [0, 1, 2, 3],
  );
});
