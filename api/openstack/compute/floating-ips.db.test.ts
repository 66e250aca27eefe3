/** What Nova handed on to the network service: networks, floating IPs and their association. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { callerOf, oddName } from '../../../control/compute/server/testing.ts';
import { testProject } from '../../../control/kit/database/testing.ts';
import { openNetwork } from '../../../control/network/open.ts';
import { type ComputeApi, computeApi } from './testing.ts';

let api: ComputeApi;
/** The pool: an external network with a router to the project's. */
let pool: string;
before(async () => {
  api = await computeApi();
  const { database } = api.db;
  const { admin, networkId } = api.cloud;
  const network = openNetwork({ database });
  pool = (await network.networks.create(admin, [{ name: 'outside', external: true }]))[0]!.id;
  const subnet = { network_id: pool, cidr: '203.0.113.0/29', ip_version: 4, enable_dhcp: false } as const;
  await network.subnets.create(admin, [subnet]);
  const router = await network.routers.create(admin, { name: 'r', gateway: { network_id: pool } });
  const { rows } = await sql<{ id: string }>`select id from subnet where network_id = ${networkId}`.execute(
    database.query,
  );
  await network.routers.addInterface(admin, router.id, { subnet_id: rows[0]!.id });
});
after(() => api[Symbol.asyncDispose]());

const member = (method: string, path: string, body?: unknown, version = 35) =>
  api.call(api.cloud.member, method, path, { version, ...(body !== undefined && { body }) });

test('networks have the two members that are left of Nova’s own, until 2.35', async () => {
  const { networkId } = api.cloud;
  const { networks } = (await member('GET', '/os-networks')).body;
  const own = networks.find(({ id }: { id: string }) => id === networkId);
  assert.deepEqual([own.label, own.cidr, own.dns2, own.vlan], [oddName, null, null, undefined]);
  const shown = await api.call(api.cloud.admin, 'GET', `/os-networks/${networkId}`);
  assert.deepEqual([shown.body.network.label, shown.body.network.vlan], [oddName, null]);
  assert.deepEqual((await member('GET', `/os-tenant-networks/${networkId}`)).body, {
    network: { id: networkId, label: oddName, cidr: 'None' },
  });
  assert.ok((await member('GET', '/os-tenant-networks')).body.networks.length >= 1);
  const other = callerOf(await testProject(api.db.database));
  for (const path of ['/os-networks', '/os-tenant-networks']) {
    for (const id of [newId(), 'x']) assert.equal((await member('GET', `${path}/${id}`)).status, 404);
    assert.equal((await api.call(other, 'GET', `${path}/${networkId}`)).status, 404);
    assert.equal((await member('GET', path, undefined, 36)).status, 404);
  }
});

test('a floating IP is taken from a pool by name or id, told, and released', async () => {
  assert.deepEqual((await member('GET', '/os-floating-ip-pools')).body, { floating_ip_pools: [{ name: 'outside' }] });
  for (const wish of [{ pool: 'outside' }, { pool }, { pool: null }, {}, null]) {
    const made = await member('POST', '/os-floating-ips', wish);
    assert.equal(made.status, 200, JSON.stringify(made.body));
    const { id, ip, ...rest } = made.body.floating_ip;
    assert.match(ip, /^203\.0\.113\./);
    assert.deepEqual(rest, { pool: 'outside', fixed_ip: null, instance_id: null });
    assert.deepEqual((await member('GET', '/os-floating-ips')).body, { floating_ips: [made.body.floating_ip] });
    assert.deepEqual((await member('GET', `/os-floating-ips/${id}`)).body, made.body);
    assert.equal((await member('DELETE', `/os-floating-ips/${id}`)).status, 202);
    assert.equal((await member('DELETE', `/os-floating-ips/${id}`)).status, 404);
  }
  assert.equal((await member('POST', '/os-floating-ips', { pool: 'nowhere' })).status, 404);
  assert.equal((await member('GET', '/os-floating-ips/x')).status, 404);
  assert.equal((await member('GET', '/os-floating-ips', undefined, 36)).status, 404);
});

test('a pool without addresses has no more', async () => {
  const ids: string[] = [];
  for (let n = 0; n < 8; n++) {
    const { status, body } = await member('POST', '/os-floating-ips', { pool: 'outside' });
    if (status === 200) ids.push(body.floating_ip.id);
    else assert.deepEqual([status, body.itemNotFound.message], [404, 'No more floating IPs in pool outside.']);
  }
  assert.ok(ids.length > 0 && ids.length < 8);
  for (const id of ids) assert.equal((await member('DELETE', `/os-floating-ips/${id}`)).status, 202);
});

test('a server gets a floating IP by its address, no second one, and loses it', async () => {
  const flavor = await api.cloud.addFlavor();
  const { ids } = await api.cloud.service.create(api.cloud.member, api.cloud.wish({ flavor }));
  const act = (body: object, version = 43) => member('POST', `/servers/${ids[0]}/action`, body, version);
  const take = async () => (await member('POST', '/os-floating-ips', { pool })).body.floating_ip;
  const [one, second] = [await take(), await take()];
  assert.equal((await act({ addFloatingIp: { address: '0.0.0.0' } })).status, 404);
  assert.equal((await act({ removeFloatingIp: { address: '0.0.0.0' } })).status, 404);
  assert.equal((await act({ addFloatingIp: { address: '' } })).status, 400);
  assert.equal((await act({ addFloatingIp: { address: one.ip, fixed_address: '10.9.9.9' } })).status, 400);
  assert.equal((await act({ removeFloatingIp: { address: one.ip } })).status, 409);
  const added = await act({ addFloatingIp: { address: one.ip } });
  assert.equal(added.status, 202, JSON.stringify(added.body));
  const shown = (await member('GET', `/os-floating-ips/${one.id}`)).body.floating_ip;
  assert.equal(shown.instance_id, ids[0]);
  assert.match(shown.fixed_ip, /^10\.0\./);
  assert.equal((await act({ addFloatingIp: { address: second.ip } })).status, 400);
  assert.equal((await act({ removeFloatingIp: { address: one.ip } })).status, 202);
  assert.equal((await act({ removeFloatingIp: { address: one.ip } })).status, 409);
  assert.equal((await act({ addFloatingIp: { address: one.ip } }, 44)).status, 404);
});
