import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const newPool = async (prefixes: string[], over: object = {}) =>
  (await admin.post('/subnetpools', { subnetpool: { name: 'p', prefixes, is_default: true, ...over } })).body
    .subnetpool;

before(async () => {
  const caller = testCaller();
  const me = api.as(caller);
  const path = `/auto-allocated-topology/${caller.projectId}`;
  const refuse = async (why: RegExp) => {
    refused(await me.get(`${path}?fields=dry-run`), 409, 'AutoAllocationFailure', why);
    refused(await me.get(path), 409, 'AutoAllocationFailure', why);
    assert.deepEqual((await me.get('/networks?router:external=False')).body.networks, [], 'nothing half-made');
  };
  await refuse(/^Deployment error: No default router:external network\.$/);
  const network_id = await newNetwork(admin, { 'router:external': true, is_default: true });
  await newSubnet(admin, network_id, '203.0.113.0/24', { enable_dhcp: false });
  await newSubnet(admin, network_id, '2001:db8:ffff::/64', { enable_dhcp: false });
  await refuse(/No default subnetpools defined/);
  await newPool(['10.0.0.0/8'], { default_prefixlen: 26 });
  await newPool(['2001:db8::/40']);
});

test('a topology is made by being asked for, dual stack, with a way out, and stays the same one', async () => {
  const caller = testCaller();
  const me = api.as(caller);
  const path = `/auto-allocated-topology/${caller.projectId}`;
  const dry = (await me.get(`${path}?fields=dry-run`)).body.auto_allocated_topology;
  assert.deepEqual([dry.id, dry.project_id], ['dry-run=pass', caller.projectId]);
  assert.deepEqual((await me.get('/routers')).body.routers, []);
  const [one, two] = await Promise.all([me.get(path), me.get('/auto-allocated-topology/None')]);
  assert.equal(one.status, 200, JSON.stringify(one.body));
  assert.deepEqual(one.body, two.body, 'of two who ask at once both get the same');
  const { id } = one.body.auto_allocated_topology;
  const { network } = (await me.get(`/networks/${id}`)).body;
  assert.deepEqual([network.name, network.admin_state_up, network.subnets.length], ['auto_allocated_network', true, 2]);
  const { subnets } = (await me.get(`/subnets?network_id=${id}&sort_key=ip_version`)).body;
  assert.deepEqual(
    subnets.map((subnet: Record<string, unknown>) => [subnet.name, subnet.ipv6_address_mode]),
    [
      ['auto_allocated_subnet_v4', null],
      ['auto_allocated_subnet_v6', 'slaac'],
    ],
  );
  assert.match(subnets[0].cidr, /\/26$/);
  const { routers } = (await me.get('/routers')).body;
  assert.equal(routers.length, 1);
  assert.equal(routers[0].external_gateway_info.external_fixed_ips.length, 2);
  const interfaces = (await me.get(`/ports?device_id=${routers[0].id}&network_id=${id}`)).body.ports;
  assert.equal(interfaces.flatMap((port: { fixed_ips: unknown[] }) => port.fixed_ips).length, 2);
  refused(await me.get(`${path}?fields=id`), 400, 'HTTPBadRequest');
});

test('it goes whole, not while somebody is on it, and another one may follow', async () => {
  const caller = testCaller();
  const me = api.as(caller);
  const path = `/auto-allocated-topology/${caller.projectId}`;
  const { id: network_id } = (await me.get(path)).body.auto_allocated_topology;
  const { port } = (await me.post('/ports', { port: { network_id } })).body;
  refused(await me.delete(path), 409, 'NetworkInUse');
  assert.equal((await me.get('/routers')).body.routers.length, 1, 'all of it is there still');
  await me.delete(`/ports/${port.id}`);
  assert.equal((await me.delete(path)).status, 204);
  assert.deepEqual((await me.get('/networks?router:external=False')).body.networks, []);
  assert.deepEqual((await me.get('/routers')).body.routers, []);
  assert.equal((await me.delete(path)).status, 204, 'what is not there is gone');
  assert.notEqual((await me.get(path)).body.auto_allocated_topology.id, network_id);
});

test('a part that was deleted by hand is no hindrance', async () => {
  const caller = testCaller();
  const me = api.as(caller);
  const path = `/auto-allocated-topology/${caller.projectId}`;
  const { id } = (await me.get(path)).body.auto_allocated_topology;
  const [router] = (await me.get('/routers')).body.routers;
  for (const subnet_id of (await me.get(`/networks/${id}`)).body.network.subnets) {
    assert.equal((await me.put(`/routers/${router.id}/remove_router_interface`, { subnet_id })).status, 200);
  }
  assert.equal((await me.delete(`/routers/${router.id}`)).status, 204);
  assert.equal((await me.get(path)).body.auto_allocated_topology.id, id);
  assert.equal((await me.delete(path)).status, 204);
});

test("another project's is an administrator's to ask for; who may only read makes none, and quota holds", async () => {
  const [caller, reader] = [testCaller(), testCaller(['reader'])];
  const path = `/auto-allocated-topology/${caller.projectId}`;
  await api.as(caller).get('/networks');
  refused(await api.as(testCaller()).get(path), 403, 'PolicyNotAuthorized');
  refused(await api.as(reader).get('/auto-allocated-topology/None'), 403, 'PolicyNotAuthorized');
  refused(await api.as(reader).delete('/auto-allocated-topology/None'), 403, 'PolicyNotAuthorized');
  refused(await api.as(testCaller()).delete(path), 403, 'PolicyNotAuthorized');
  refused(await admin.get('/auto-allocated-topology/no-project'), 404, 'HTTPNotFound');
  await admin.put(`/quotas/${caller.projectId}`, { quota: { router: 0 } });
  refused(await api.as(caller).get(path), 409, 'OverQuota');
  assert.deepEqual((await api.as(caller).get('/networks?router:external=False')).body.networks, []);
  await admin.put(`/quotas/${caller.projectId}`, { quota: { router: 1 } });
  const { id } = (await admin.get(path)).body.auto_allocated_topology;
  assert.equal((await api.as(caller).get(`/networks/${id}`)).status, 200);
});
