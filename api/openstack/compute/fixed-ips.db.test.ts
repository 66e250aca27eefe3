/** Addresses that servers are given and lose by Nova's actions of before 2.44: the network's own, seen wherever its others are. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
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

const act = (id: string, body: object, version = 43) =>
  api.call(api.cloud.member, 'POST', `/servers/${id}/action`, { body, version });
const add = (id: string) => act(id, { addFixedIp: { networkId: api.cloud.networkId } });
const remove = (id: string, address: string) => act(id, { removeFixedIp: { address } });
async function addresses(id: string): Promise<string[]> {
  const { body } = await api.call(api.cloud.member, 'GET', `/servers/${id}`);
  const networks: { addr: string; 'OS-EXT-IPS:type': string }[][] = Object.values(body.server.addresses);
  return networks.flat().map(({ addr }) => addr);
}
const document = async (id: ServerId) =>
  (await api.cloud.side.desiredServers(api.cloud.database.query, { serverIds: [id] }))[0]!;
const told = async (id: ServerId) => (await document(id)).ports.flatMap(({ fixedIps }) => fixedIps.map(({ ip }) => ip));

test('another address is the network’s, on the port that is there, and told to the server’s host; it goes again', async () => {
  const id = await active();
  const [first] = await addresses(id);
  const before = await document(id);
  assert.equal((await add(id)).status, 202);
  const both = await addresses(id);
  assert.deepEqual([both.length, both[0]], [2, first]);
  assert.deepEqual((await told(id)).sort(), [...both].sort());
  const after = await document(id);
  assert.deepEqual([after.ports.length, after.stamp === before.stamp], [1, false]);
  const { rows } = await sql<{
    ip: string;
  }>`select host(ip) as ip from port_ip where port_id = ${after.ports[0]!.id}`.execute(api.cloud.database.query);
  assert.deepEqual(rows.map(({ ip }) => ip).sort(), [...both].sort());
  const { body } = await api.call(api.cloud.member, 'GET', `/servers/${id}`);
  assert.deepEqual([body.server.status, body.server['OS-EXT-STS:task_state']], ['ACTIVE', null]);
  assert.equal((await remove(id, both[1]!)).status, 202);
  assert.deepEqual([await addresses(id), await told(id)], [[first], [first]]);
});

test('many at once get as many addresses, each its own, and no more than a port may have', async () => {
  const servers = await Promise.all([active(), active()]);
  const answers = await Promise.all(servers.flatMap((id) => Array.from({ length: 8 }, () => add(id))));
  const taken = answers.filter(({ status }) => status === 202).length;
  assert.ok(answers.every(({ status }) => status === 202 || status === 400));
  const all = (await Promise.all(servers.map(addresses))).flat();
  assert.deepEqual([all.length, new Set(all).size], [2 + taken, all.length]);
});

test('what can not be is refused, and changes nothing', async () => {
  const [id, other] = await Promise.all([active(), active()]);
  const [before, [others]] = [await addresses(id), await addresses(other)];
  const { networkId } = api.cloud;
  for (const [status, body, version] of [
    [404, { addFixedIp: { networkId: newId() } }],
    [404, { addFixedIp: { networkId: '小屋' } }],
    [404, { addFixedIp: { networkId: 1 } }],
    [400, { addFixedIp: { networkId: 'x'.repeat(37) } }],
    [400, { addFixedIp: { networkId: '' } }],
    [400, { addFixedIp: { networkId, address: '10.0.0.9' } }],
    [400, { addFixedIp: null }],
    [404, { addFixedIp: { networkId } }, 44],
    [400, { removeFixedIp: { address: others } }],
    [400, { removeFixedIp: { address: '192.0.2.1' } }],
    [400, { removeFixedIp: { address: 'x' } }],
    [400, { removeFixedIp: {} }],
    [404, { removeFixedIp: { address: before[0] } }, 44],
  ] as const) {
    const answer = await act(id, body, version);
    assert.equal(answer.status, status, `${JSON.stringify(body)}: ${JSON.stringify(answer.body)}`);
  }
  assert.deepEqual(await addresses(id), before);
  await act(id, { lock: null });
  assert.equal((await add(id)).status, 409);
  assert.equal((await add(newId())).status, 404);
});
