import assert from 'node:assert/strict';
import { test } from 'node:test';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { proxied } from './ndp-proxies-testing.ts';
import { newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

test('a guest of a router that has them gets one, for its first address there or the one that is asked for', async () => {
  const { router, port, ip, make, newPort } = await proxied(admin);
  const made = await make({ name: oddName });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id, project_id, tenant_id, created_at, updated_at, ...shown } = made.body.ndp_proxy;
  assert.deepEqual(shown, {
    ...{ name: oddName, description: '', router_id: router, port_id: port, ip_address: ip, revision_number: 1 },
  });
  refused(await make(), 409, 'NDPProxyInUse');
  refused(await make({ ip_address: 'fd00::dead' }), 400, 'InvalidAddress', /not belong to the port/);
  const changed = await admin.put(`/ndp_proxies/${id}`, { ndp_proxy: { name: 'x', description: 'y' } });
  assert.deepEqual([changed.body.ndp_proxy.name, changed.body.ndp_proxy.revision_number], ['x', 2]);
  refused(await admin.put(`/ndp_proxies/${id}`, { ndp_proxy: { ip_address: ip } }), 400, 'HTTPBadRequest');
  const other = await newPort();
  assert.equal((await make({ port_id: other })).status, 201);
  assert.equal((await admin.delete(`/ports/${other}`)).status, 204, 'it keeps no port');
  assert.equal((await admin.get(`/ndp_proxies?router_id=${router}`)).body.ndp_proxies.length, 1);
  assert.equal((await admin.delete(`/ndp_proxies/${id}`)).status, 204);
  refused(await admin.get(`/ndp_proxies/${id}`), 404, 'NDPProxyNotFound');
});

test('what the proxies rest on stays: gateway, interface; and who has them is asked first', async () => {
  const { outside, router, subnet_id, make } = await proxied(admin);
  const change = (over: object) => admin.put(`/routers/${router}`, { router: over });
  assert.equal((await change({ enable_ndp_proxy: false })).body.router.enable_ndp_proxy, false);
  refused(await make(), 409, 'RouterNDPProxyNotEnable');
  assert.equal((await change({ enable_ndp_proxy: true })).status, 200);
  const { id } = (await make()).body.ndp_proxy;
  refused(await change({ external_gateway_info: null }), 409, 'RouterGatewayInUseByNDPProxy');
  const remove = () => admin.put(`/routers/${router}/remove_router_interface`, { subnet_id });
  refused(await remove(), 409, 'RouterInterfaceInUseByNDPProxy');
  refused(await change({ external_gateway_info: null, enable_ndp_proxy: true }), 409, 'RouterGatewayNotValid');
  await admin.delete(`/ndp_proxies/${id}`);
  assert.equal((await change({ external_gateway_info: null })).body.router.enable_ndp_proxy, false);
  refused(await change({ enable_ndp_proxy: true }), 409, 'RouterGatewayNotValid');
  assert.equal((await change({ external_gateway_info: { network_id: outside } })).status, 200);
  assert.equal((await remove()).status, 200);
});

test('what a router has no way to, of another address scope or of another project, is refused', async () => {
  const { outside, router, inside, port, make } = await proxied(admin);
  const far = await newNetwork(admin);
  await newSubnet(admin, far, 'fd00:ffff::/64');
  const { id: port_id } = (await admin.post('/ports', { port: { network_id: far } })).body.port;
  refused(await make({ port_id }), 409, 'PortUnreachableRouter');
  const scopeless = await newNetwork(admin);
  const { id: subnet_id } = await newSubnet(admin, scopeless, 'fd00:fffe::/64');
  await admin.put(`/routers/${router}/add_router_interface`, { subnet_id });
  const near = (await admin.post('/ports', { port: { network_id: scopeless } })).body.port.id;
  refused(await make({ port_id: near }), 409, 'AddressScopeConflict');
  const four = await newNetwork(admin);
  const v4 = await newSubnet(admin, four, '10.0.0.0/24');
  await admin.put(`/routers/${router}/add_router_interface`, { subnet_id: v4.id });
  const old = (await admin.post('/ports', { port: { network_id: four } })).body.port.id;
  refused(await make({ port_id: old }), 400, 'BadRequest', /one IPv6 address at least/);
  const me = api.as(testCaller());
  refused(await me.post('/ndp_proxies', { ndp_proxy: { router_id: router, port_id: port } }), 404, 'RouterNotFound');
  const gateway = { external_gateway_info: { network_id: inside }, enable_ndp_proxy: true };
  assert.equal((await me.post('/routers', { router: gateway })).status, 404);
  refused(await me.post('/routers', { router: { enable_ndp_proxy: true } }), 409, 'RouterGatewayNotValid');
  const plain = await newNetwork(admin, { 'router:external': true });
  await newSubnet(admin, plain, '203.0.113.0/24');
  const without = { external_gateway_info: { network_id: plain }, enable_ndp_proxy: true };
  refused(await admin.post('/routers', { router: without }), 409, 'RouterGatewayNotValid');
  const turned = { external_gateway_info: { network_id: plain } };
  refused(await admin.put(`/routers/${router}`, { router: turned }), 409, 'RouterIPv6GatewayInUse');
  assert.equal((await admin.get(`/routers/${router}`)).body.router.external_gateway_info.network_id, outside);
});
