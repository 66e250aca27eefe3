import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
/** The external network and its subnets. */
const outside = { id: '', four: '', six: '' };

before(async () => {
  outside.id = (await admin.post('/networks', { network: { name: oddName, 'router:external': true } })).body.network.id;
  const subnet = async (cidr: string, ip_version: number, over: object = {}) =>
    (
      await admin.post('/subnets', {
        subnet: { network_id: outside.id, cidr, ip_version, enable_dhcp: false, ...over },
      })
    ).body.subnet.id;
  // Addresses are taken at random: those that the tests choose lie beside the pool, where nobody has them by chance.
  outside.four = await subnet('203.0.113.0/24', 4, {
    allocation_pools: [{ start: '203.0.113.100', end: '203.0.113.250' }],
  });
  outside.six = await subnet('2001:db8:ffff::/64', 6);
});

/** A subnet, in a network of its own unless one is named. */
const ownSubnet = async (me: Me, cidr: string, over: { network_id?: string; [attribute: string]: unknown } = {}) =>
  newSubnet(me, over.network_id ?? (await newNetwork(me)), cidr, over);

const newRouter = async (me: Me, over: object = {}) =>
  (await me.post('/routers', { router: { name: oddName, ...over } })).body.router;

const withGateway = () => ({ external_gateway_info: { network_id: outside.id } });

test('a router gets a gateway with an address of each version, changes it and loses it', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me, withGateway());
  assert.equal(router.external_gateway_info.network_id, outside.id);
  assert.equal(router.external_gateway_info.enable_snat, true);
  assert.equal(router.external_gateway_info.external_fixed_ips.length, 2);
  refused(
    await me.put(`/routers/${router.id}`, {
      router: { external_gateway_info: { network_id: outside.id, enable_snat: false } },
    }),
    403,
    'PolicyNotAuthorized',
  );
  const moved = await admin.put(`/routers/${router.id}`, {
    router: {
      external_gateway_info: {
        network_id: outside.id,
        enable_snat: false,
        external_fixed_ips: [{ subnet_id: outside.four, ip_address: '203.0.113.77' }],
      },
    },
  });
  assert.deepEqual(moved.body.router.external_gateway_info, {
    network_id: outside.id,
    enable_snat: false,
    external_fixed_ips: [{ subnet_id: outside.four, ip_address: '203.0.113.77' }],
    qos_policy_id: null,
  });
  refused(
    await admin.post('/routers', {
      router: {
        external_gateway_info: { network_id: outside.id, external_fixed_ips: [{ ip_address: '203.0.113.77' }] },
      },
    }),
    409,
    'IpAddressInUse',
  );
  assert.deepEqual((await me.get('/ports')).body.ports, [], 'a gateway port is not the project’s');
  const without = await me.put(`/routers/${router.id}`, { router: { external_gateway_info: {} } });
  assert.equal(without.body.router.external_gateway_info, null);
  const inner = await ownSubnet(me, '10.0.0.0/24');
  refused(await newGateway(me, inner.network_id), 400, 'BadRequest', /not an external network/);
  refused(await newGateway(me, newId()), 404, 'NetworkNotFound');
  assert.equal((await me.delete(`/routers/${router.id}`)).status, 204);
});

const newGateway = (me: Me, network_id: string) =>
  me.post('/routers', { router: { external_gateway_info: { network_id } } });

test('interfaces come by subnet and by port and go again', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me);
  const one = await ownSubnet(me, '10.0.0.0/24');
  const two = await ownSubnet(me, '10.0.1.0/24');
  const add = (body: object) => me.put(`/routers/${router.id}/add_router_interface`, body);
  const remove = (body: object) => me.put(`/routers/${router.id}/remove_router_interface`, body);
  const added = await add({ subnet_id: one.id });
  assert.deepEqual(
    [added.status, added.body.id, added.body.subnet_ids, added.body.network_id],
    [200, router.id, [one.id], one.network_id],
  );
  const port = (await me.get(`/ports/${added.body.port_id}`)).body.port;
  assert.deepEqual(
    [port.device_owner, port.device_id, port.fixed_ips[0].ip_address, port.status],
    ['network:router_interface', router.id, '10.0.0.1', 'ACTIVE'],
  );
  refused(await add({ subnet_id: one.id }), 400, 'BadRequest', /already has a port/);
  const own = (await me.post('/ports', { port: { network_id: two.network_id } })).body.port;
  assert.equal((await add({ port_id: own.id })).status, 200);
  refused(await add({ port_id: own.id }), 409, 'PortInUse');
  assert.equal((await me.get(`/ports?device_id=${router.id}`)).body.ports.length, 2);
  refused(await me.delete(`/routers/${router.id}`), 409, 'RouterInUse');
  refused(await me.delete(`/ports/${port.id}`), 409, 'ServicePortInUse');
  refused(await me.delete(`/subnets/${one.id}`), 409, 'SubnetInUse');
  refused(await me.put(`/subnets/${one.id}`, { subnet: { gateway_ip: '10.0.0.9' } }), 409, 'GatewayIpInUse');
  assert.equal((await remove({ subnet_id: one.id })).body.port_id, port.id);
  refused(await me.get(`/ports/${port.id}`), 404, 'PortNotFound');
  refused(await remove({ subnet_id: one.id }), 404, 'RouterInterfaceNotFoundForSubnet');
  refused(await remove({ port_id: own.id, subnet_id: one.id }), 400, 'SubnetMismatchForPort');
  assert.equal((await remove({ port_id: own.id })).status, 200);
  refused(await remove({ port_id: own.id }), 404, 'RouterInterfaceNotFound');
  refused(await add({}), 400, 'BadRequest');
  refused(await add({ subnet_id: one.id, port_id: own.id }), 400, 'BadRequest');
  refused(await add({ subnet_id: 'x' }), 400, 'HTTPBadRequest');
  assert.equal((await me.delete(`/routers/${router.id}`)).status, 204);
});

test('a router takes no two subnets that overlap, and none without a gateway', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me, withGateway());
  const add = (subnet_id: string) => me.put(`/routers/${router.id}/add_router_interface`, { subnet_id });
  assert.equal((await add((await ownSubnet(me, '10.0.0.0/16')).id)).status, 200);
  refused(await add((await ownSubnet(me, '10.0.5.0/24')).id), 400, 'BadRequest', /overlaps/);
  refused(await add((await ownSubnet(me, '203.0.113.0/28')).id), 400, 'BadRequest', /overlaps/);
  refused(await add((await ownSubnet(me, '10.7.0.0/24', { gateway_ip: null })).id), 400, 'BadRequest', /gateway/);
  refused(await add(newId()), 404, 'SubnetNotFound');
});

test('a router with NAT64 takes nothing that overlaps with what it keeps for itself', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me, { ...withGateway(), nat64: true });
  const add = async (to: string, subnet_id: string) => me.put(`/routers/${to}/add_router_interface`, { subnet_id });
  for (const cidr of ['fd64:ff9b:1::/64', '100.127.8.0/24', '192.0.0.0/24']) {
    const answer = await add(router.id, (await ownSubnet(me, cidr)).id);
    refused(answer, 400, 'BadRequest');
    assert.match(answer.body.NeutronError.message, /, which a router with nat64 keeps for itself/);
  }
  const plain = await newRouter(me);
  assert.equal((await add(plain.id, (await ownSubnet(me, '100.127.0.0/16')).id)).status, 200);
  const answer = await me.put(`/routers/${plain.id}`, { router: { nat64: true } });
  refused(answer, 400, 'BadRequest');
  assert.match(answer.body.NeutronError.message, /100\.127\.0\.0\/16 .* overlaps with 100\.127\.0\.0\/20/);
  assert.equal((await me.get(`/routers/${plain.id}`)).body.router.nat64, false);

  const far = (await admin.post('/networks', { network: { 'router:external': true } })).body.network.id;
  await newSubnet(admin, far, '100.64.0.0/10', { enable_dhcp: false });
  const gateway = { external_gateway_info: { network_id: far } };
  refused(await me.put(`/routers/${router.id}`, { router: gateway }), 400, 'BadRequest');
  refused(await me.post('/routers', { router: { ...gateway, nat64: true } }), 400, 'BadRequest');
  const gateways = { router: { external_gateways: [{ network_id: far }] } };
  refused(await me.put(`/routers/${router.id}/add_external_gateways`, gateways), 400, 'BadRequest');
});

test('routes of a router with NAT64 may be wider than what it keeps for itself, and not lead into it', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me, { nat64: true });
  assert.equal(router.external_gateway_info, null);
  const { id: subnet_id } = await ownSubnet(me, 'fd00:9::/64');
  assert.equal((await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id })).status, 200);
  const routes = (destination: string) => ({ router: { routes: [{ destination, nexthop: 'fd00:9::9' }] } });
  assert.equal((await me.put(`/routers/${router.id}`, routes('fd00::/8'))).status, 200);
  refused(await me.put(`/routers/${router.id}`, routes('fd64:ff9b:1::/96')), 400, 'BadRequest');
  refused(await me.put(`/routers/${router.id}/add_extraroutes`, routes('fd64:ff9b:1::7/128')), 400, 'BadRequest');
  assert.equal((await me.put(`/routers/${router.id}`, { router: { nat64: false } })).status, 200);
  assert.equal((await me.put(`/routers/${router.id}`, routes('fd64:ff9b:1::/96'))).status, 200);
  refused(await me.put(`/routers/${router.id}`, { router: { nat64: true } }), 400, 'BadRequest');
});

test('IPv6 prefixes of one network share the router’s port there', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me);
  const modes = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
  const one = await ownSubnet(me, '2001:db8:1::/64', modes);
  const two = await ownSubnet(me, '2001:db8:2::/64', { ...modes, network_id: one.network_id });
  const add = async (id: string) =>
    (await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: id })).body;
  const first = await add(one.id);
  assert.equal((await add(two.id)).port_id, first.port_id);
  assert.deepEqual(
    (await me.get(`/ports/${first.port_id}`)).body.port.fixed_ips.map((ip: { ip_address: string }) => ip.ip_address),
    ['2001:db8:1::1', '2001:db8:2::1'],
  );
  await me.put(`/routers/${router.id}/remove_router_interface`, { subnet_id: one.id });
  assert.equal((await me.get(`/ports/${first.port_id}`)).body.port.fixed_ips.length, 1);
});

test('routes lead to neighbours only, and hold the interface that they rest on', async () => {
  const me = api.as(testCaller());
  const router = await newRouter(me);
  const subnet = await ownSubnet(me, '10.0.0.0/24');
  await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  const put = (routes: object[]) => me.put(`/routers/${router.id}`, { router: { routes } });
  const route = { destination: '10.9.0.0/16', nexthop: '10.0.0.9' };
  assert.deepEqual((await put([route])).body.router.routes, [route]);
  refused(await put([{ ...route, nexthop: '10.1.0.9' }]), 400, 'InvalidRoutes', /not connected/);
  refused(await put([{ ...route, nexthop: '10.0.0.1' }]), 400, 'InvalidRoutes', /used by router/);
  refused(await put([route, route]), 400, 'InvalidRoutes', /duplicate/);
  refused(
    await me.put(`/routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id }),
    409,
    'RouterInterfaceInUseByRoute',
  );
  const more = { destination: '10.8.0.0/16', nexthop: '10.0.0.8' };
  const added = await me.put(`/routers/${router.id}/add_extraroutes`, { router: { routes: [more, route] } });
  assert.deepEqual(added.body.router.routes, [route, more]);
  const removed = await me.put(`/routers/${router.id}/remove_extraroutes`, { router: { routes: [route] } });
  assert.deepEqual(removed.body.router.routes, [more]);
});

test('a floating IP is taken, associated, moved, loosened and given back', async () => {
  const me = api.as(testCaller());
  const subnet = await ownSubnet(me, '10.0.0.0/24');
  const router = await newRouter(me, withGateway());
  await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  const port = (await me.post('/ports', { port: { network_id: subnet.network_id, name: oddName } })).body.port;
  const { floatingip } = (
    await me.post('/floatingips', { floatingip: { floating_network_id: outside.id, description: oddName } })
  ).body;
  assert.deepEqual([floatingip.status, floatingip.port_id, floatingip.router_id], ['DOWN', null, null]);
  assert.match(floatingip.floating_ip_address, /^203\.0\.113\./);
  const path = `/floatingips/${floatingip.id}`;
  const put = (change: object) => me.put(path, { floatingip: change });
  const on = (await put({ port_id: port.id })).body.floatingip;
  assert.deepEqual(
    [on.status, on.port_id, on.fixed_ip_address, on.router_id, on.port_details.name],
    ['ACTIVE', port.id, port.fixed_ips[0].ip_address, router.id, oddName],
  );
  assert.equal((await me.get(`/floatingips?floating_ip_address=${on.floating_ip_address}`)).body.floatingips.length, 1);
  assert.equal((await me.get(`/floatingips?port_id=${port.id}&status=ACTIVE`)).body.floatingips.length, 1);
  refused(
    await me.post('/floatingips', { floatingip: { floating_network_id: outside.id, port_id: port.id } }),
    409,
    'FloatingIPPortAlreadyAssociated',
  );
  refused(
    await me.put(`/routers/${router.id}/remove_router_interface`, { subnet_id: subnet.id }),
    409,
    'RouterInterfaceInUseByFloatingIP',
  );
  refused(
    await me.put(`/routers/${router.id}`, { router: { external_gateway_info: null } }),
    409,
    'RouterExternalGatewayInUseByFloatingIp',
  );
  const another = port.fixed_ips[0].ip_address === '10.0.0.99' ? '10.0.0.98' : '10.0.0.99';
  refused(await me.put(`/ports/${port.id}`, { port: { fixed_ips: [{ ip_address: another }] } }), 400, 'BadRequest');
  assert.equal((await put({ description: '' })).body.floatingip.port_id, port.id);
  assert.equal((await put({ port_id: null })).body.floatingip.status, 'DOWN');
  await put({ port_id: port.id });
  assert.equal((await put({})).body.floatingip.port_id, null, 'nothing at all looses it, as with Neutron');
  await put({ port_id: port.id });
  await me.delete(`/ports/${port.id}`);
  const loose = (await me.get(path)).body.floatingip;
  assert.deepEqual([loose.port_id, loose.fixed_ip_address, loose.router_id, loose.status], [null, null, null, 'DOWN']);
  assert.equal((await me.delete(path)).status, 204);
  refused(await me.get(path), 404, 'FloatingIPNotFound');
});

test('a floating IP that leads nowhere is refused', async () => {
  const me = api.as(testCaller());
  const subnet = await ownSubnet(me, '10.0.0.0/24');
  const port = (await me.post('/ports', { port: { network_id: subnet.network_id } })).body.port;
  const make = (over: object, by = me) =>
    by.post('/floatingips', { floatingip: { floating_network_id: outside.id, ...over } });
  refused(await make({ port_id: port.id }), 404, 'ExternalGatewayForFloatingIPNotFound');
  refused(await make({ floating_network_id: subnet.network_id }), 400, 'BadRequest', /not a valid external network/);
  refused(await make({ floating_network_id: subnet.network_id, port_id: port.id }), 400, 'BadRequest');
  refused(await make({ floating_network_id: newId() }), 404, 'NetworkNotFound');
  refused(await make({ port_id: newId() }), 404, 'PortNotFound');
  const tenant = testCaller();
  refused(await make({ port_id: port.id }, api.as(tenant)), 404, 'PortNotFound');
  const guest = { network_id: subnet.network_id, project_id: tenant.projectId };
  const seen = (await admin.post('/ports', { port: guest })).body.port;
  refused(await make({ port_id: seen.id }), 400, 'BadRequest', /owned by a different project/);
  refused(await make({ fixed_ip_address: '10.0.0.9' }), 400, 'BadRequest');
  refused(await make({ floating_ip_address: '203.0.113.9' }), 403, 'PolicyNotAuthorized');
  refused(await make({ subnet_id: outside.six }), 400, 'ExternalIpAddressExhausted');
  const chosen = await make({ floating_ip_address: '203.0.113.9' }, admin);
  assert.equal(chosen.body.floatingip.floating_ip_address, '203.0.113.9');
  refused(await make({ floating_ip_address: '203.0.113.9' }, admin), 409, 'IpAddressInUse');
  refused(await make({ floating_ip_address: '10.0.0.9' }, admin), 400, 'InvalidIpForNetwork');
  const router = await newRouter(me, withGateway());
  await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  const fixed_ips = [{ subnet_id: subnet.id }, { subnet_id: subnet.id }];
  const two = (await me.post('/ports', { port: { network_id: subnet.network_id, fixed_ips } })).body.port;
  refused(await make({ port_id: two.id }), 400, 'BadRequest', /multiple fixed IPv4/);
  const ip = two.fixed_ips[1].ip_address;
  assert.equal((await make({ port_id: two.id, fixed_ip_address: ip })).body.floatingip.fixed_ip_address, ip);
});

test('floating IPs that lead nowhere go with their network, others keep it', async () => {
  const { id } = (await admin.post('/networks', { network: { 'router:external': true } })).body.network;
  await admin.post('/subnets', { subnet: { network_id: id, cidr: '198.51.100.0/24', ip_version: 4 } });
  const me = api.as(testCaller());
  const make = async (over = {}) =>
    `/floatingips/${(await me.post('/floatingips', { floatingip: { floating_network_id: id, ...over } })).body.floatingip.id}`;
  const loose = await make();
  const subnet = await ownSubnet(me, '10.0.0.0/24');
  const router = await newRouter(me, { external_gateway_info: { network_id: id } });
  await me.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id });
  const { port } = (await me.post('/ports', { port: { network_id: subnet.network_id } })).body;
  const kept = await make({ port_id: port.id });
  refused(await admin.delete(`/networks/${id}`), 409, 'NetworkInUse');
  assert.equal((await me.get(loose)).status, 200, 'what is refused undoes nothing');
  await me.put(kept, { floatingip: { port_id: null } });
  refused(await admin.delete(`/networks/${id}`), 409, 'NetworkInUse', /ports still in use/);
  await me.put(`/routers/${router.id}`, { router: { external_gateway_info: null } });
  assert.equal((await admin.delete(`/networks/${id}`)).status, 204);
  for (const path of [loose, kept]) refused(await me.get(path), 404, 'FloatingIPNotFound');
});

test('a floating IP leads to a router behind another router, and comes loose with what it leads to', async () => {
  const me = api.as(testCaller());
  const four = await ownSubnet(me, '10.0.0.0/24');
  const six = await ownSubnet(me, 'fd00:7::/64', { network_id: four.network_id, ip_version: 6 });
  const above = await newRouter(me, withGateway());
  await me.put(`/routers/${above.id}/add_router_interface`, { subnet_id: four.id });
  const behind = await newRouter(me);
  const floating = { floating_network_id: outside.id };
  const path = `/floatingips/${(await me.post('/floatingips', { floatingip: floating })).body.floatingip.id}`;
  for (const removed of ['subnet_id', 'port_id']) {
    const fixed_ips = [{ subnet_id: four.id }, { subnet_id: six.id }];
    const { port } = (await me.post('/ports', { port: { network_id: four.network_id, fixed_ips } })).body;
    await me.put(`/routers/${behind.id}/add_router_interface`, { port_id: port.id });
    const on = await me.put(path, { floatingip: { port_id: port.id } });
    assert.equal(on.body.floatingip?.router_id, above.id, JSON.stringify(on.body));
    const by = removed === 'port_id' ? { port_id: port.id } : { subnet_id: four.id };
    assert.equal((await me.put(`/routers/${behind.id}/remove_router_interface`, by)).status, 200);
    const { floatingip } = (await me.get(path)).body;
    assert.deepEqual([floatingip.port_id, floatingip.fixed_ip_address, floatingip.router_id], [null, null, null]);
    if (removed === 'subnet_id') await me.put(`/routers/${behind.id}/remove_router_interface`, { subnet_id: six.id });
  }
  const held = (await admin.get(`/ports?device_owner=network:floatingip&network_id=${outside.id}`)).body.ports[0];
  const own = { floatingip: { ...floating, port_id: held.id } };
  refused(await admin.post('/floatingips', own), 400, 'BadRequest', /unable to be assigned a floating IP/);
});

test('of many who want the last floating IPs as many get one as there are', async () => {
  const external = (await admin.post('/networks', { network: { 'router:external': true } })).body.network.id;
  await ownSubnet(admin, '198.51.100.0/29', { network_id: external, enable_dhcp: false });
  const answers = await Promise.all(
    Array.from({ length: 9 }, () =>
      api.as(testCaller()).post('/floatingips', { floatingip: { floating_network_id: external } }),
    ),
  );
  const given = answers.filter(({ status }) => status === 201).map(({ body }) => body.floatingip.floating_ip_address);
  assert.equal(new Set(given).size, 5);
  for (const answer of answers.filter(({ status }) => status !== 201))
    refused(answer, 409, 'IpAddressGenerationFailure');
});

test('how a router is spread over hosts is shown to administrators and changed by them', async () => {
  const [me, admin] = [api.as(testCaller()), api.as(testAdmin())];
  refused(await me.post('/routers', { router: { distributed: true } }), 403, 'PolicyNotAuthorized');
  const { router } = (await me.post('/routers', { router: {} })).body;
  assert.deepEqual([router.distributed, router.ha], [undefined, undefined]);
  refused(await me.put(`/routers/${router.id}`, { router: { ha: false } }), 403, 'PolicyNotAuthorized');
  refused(await me.get('/routers?ha=true'), 400, 'HTTPBadRequest');
  const seen = (await admin.get(`/routers/${router.id}`)).body.router;
  assert.deepEqual([seen.distributed, seen.ha], [true, true]);
  const change = { distributed: false, ha: false };
  refused(await admin.put(`/routers/${router.id}`, { router: change }), 400, 'BadRequest', /active routers/);
  const changed = await admin.put(`/routers/${router.id}`, { router: { ...change, admin_state_up: false } });
  assert.deepEqual([changed.body.router.distributed, changed.body.router.ha], [false, false]);
  assert.equal((await admin.get(`/routers?distributed=false&id=${router.id}`)).body.routers.length, 1);
  const up = await admin.put(`/routers/${router.id}`, { router: { distributed: false, admin_state_up: true } });
  assert.equal(up.status, 200, 'what stays as it is is no change');
  refused(await admin.put(`/routers/${router.id}`, { router: { distributed: true } }), 400, 'BadRequest');
  for (const admin_state_up of [false, true]) await admin.put(`/routers/${router.id}`, { router: { admin_state_up } });
  assert.equal((await admin.get(`/routers/${router.id}`)).body.router.distributed, false);
  const [made] = (await admin.post('/routers', { routers: [{ distributed: false, admin_state_up: true }] })).body
    .routers;
  assert.equal(made.distributed, false);
});
