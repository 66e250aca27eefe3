import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const outside = { a: '', b: '', c: '', same: '' };
const chosen = { a: '203.0.113.9', b: '198.51.100.9', c: '192.0.2.9' };

before(async () => {
  for (const [name, prefix] of [
    ['a', '203.0.113'],
    ['b', '198.51.100'],
    ['c', '192.0.2'],
    ['same', '203.0.113'],
  ] as const) {
    outside[name] = await newNetwork(admin, { 'router:external': true });
    // Addresses that tests choose lie outside the pool.
    await newSubnet(admin, outside[name], `${prefix}.0/24`, {
      ...{ enable_dhcp: false, gateway_ip: `${prefix}.1` },
      allocation_pools: [{ start: `${prefix}.100`, end: `${prefix}.250` }],
    });
  }
});

type On = keyof typeof outside;
const gateway = (on: On, ip?: string) => ({
  network_id: outside[on],
  ...(ip && { external_fixed_ips: [{ ip_address: ip }] }),
});
const verb = (me: Me, id: string, name: string, external_gateways: object[]) =>
  me.put(`/routers/${id}/${name}_external_gateways`, { router: { external_gateways } });

/** Which networks a router has gateways on, the first one first; that one is the `external_gateway_info` too. */
function on({ status, body }: Answer): string {
  assert.equal(status, 200, JSON.stringify(body));
  const { external_gateways: gateways, external_gateway_info: info } = body.router;
  assert.equal(gateways[0]?.network_id, info?.network_id);
  assert.deepEqual(gateways[0]?.external_fixed_ips, info?.external_fixed_ips);
  const names = Object.entries(outside);
  return gateways.map((one: { network_id: string }) => names.find(([, id]) => id === one.network_id)![0]).join('');
}
const newRouter = async (me: Me, over: object = {}): Promise<string> =>
  (await me.post('/routers', { router: over })).body.router.id;

test('gateways are added, the first of them as the router’s one of old, and removed; the next takes the first one’s place', async () => {
  const me = api.as(testCaller());
  const id = await newRouter(me);
  assert.equal(on(await verb(me, id, 'add', [gateway('a'), gateway('b')])), 'ab');
  assert.equal(on(await verb(me, id, 'add', [gateway('c')])), 'abc');
  assert.equal(on(await verb(me, id, 'remove', [gateway('b')])), 'ac');
  assert.equal(on(await verb(me, id, 'remove', [gateway('a')])), 'c');
  assert.equal(on(await verb(me, id, 'add', [])), 'c');
  assert.equal(on(await me.put(`/routers/${id}`, { router: { external_gateway_info: null } })), '');
  assert.equal(on(await verb(me, id, 'add', [gateway('b'), gateway('a')])), 'ba');
  assert.equal((await me.delete(`/routers/${id}`)).status, 204);
  for (const network of [outside.a, outside.b]) {
    const left = await admin.get(`/ports?network_id=${network}&device_owner=network:router_gateway`);
    assert.deepEqual(left.body.ports, []);
  }
});

test('gateways are brought to a list: what is not in it goes, and the order says which is first', async () => {
  const id = await newRouter(admin, { external_gateway_info: gateway('a', chosen.a) });
  const both = await verb(admin, id, 'update', [gateway('b', chosen.b), gateway('a')]);
  assert.equal(on(both), 'ba');
  const addresses = (answer: Answer) =>
    answer.body.router.external_gateways.map((one: { external_fixed_ips: { ip_address: string }[] }) =>
      one.external_fixed_ips.map(({ ip_address }) => ip_address).join(),
    );
  assert.deepEqual(addresses(both), [chosen.b, chosen.a], 'the one that stays keeps its address');
  const swapped = await verb(admin, id, 'update', [gateway('a'), gateway('b'), gateway('c', chosen.c)]);
  assert.equal(on(swapped), 'abc');
  assert.deepEqual(addresses(swapped), [chosen.a, chosen.b, chosen.c]);
  const moved = await verb(admin, id, 'update', [gateway('a', '203.0.113.8'), gateway('c', '192.0.2.8')]);
  assert.equal(on(moved), 'ac');
  assert.deepEqual(addresses(moved), ['203.0.113.8', '192.0.2.8']);
  assert.equal(on(await admin.put(`/routers/${id}`, { router: { external_gateway_info: gateway('c') } })), 'c');
  assert.equal(on(await verb(admin, id, 'update', [])), '');
});

test('one gateway a network, no networks that overlap, and nothing half-made', async () => {
  const me = api.as(testCaller());
  const id = await newRouter(me, { external_gateway_info: gateway('a') });
  const twice = /has one on network .*external_fixed_ips/;
  refused(await verb(me, id, 'add', [gateway('b'), gateway('a')]), 400, 'UnableToAddExtraGateways', twice);
  refused(await verb(me, id, 'update', [gateway('b'), gateway('b')]), 400, 'UnableToAddExtraGateways', twice);
  refused(await verb(me, id, 'add', [gateway('same')]), 400, 'BadRequest', /overlaps/);
  refused(await verb(me, id, 'remove', [gateway('b')]), 400, 'UnableToMatchGateways');
  refused(await verb(me, id, 'update', [gateway('a', chosen.a)]), 403, 'PolicyNotAuthorized');
  refused(await verb(admin, id, 'remove', [gateway('a', chosen.a)]), 400, 'UnableToMatchGateways');
  const inner = await newNetwork(me);
  refused(await verb(me, id, 'add', [{ network_id: inner }]), 400, 'BadRequest', /not an external network/);
  refused(
    await verb(admin, id, 'add', [{ ...gateway('b'), enable_snat: false }]),
    400,
    'UnableToAddExtraGateways',
    /holds for that/,
  );
  assert.equal(on(await me.get(`/routers/${id}`)), 'a');
  refused(await verb(api.as(testCaller()), id, 'add', [gateway('b')]), 404, 'RouterNotFound');
});

test('the first gateway stays first while floating IPs go by it; others come and go', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(me);
  const subnet = await newSubnet(me, network_id, '10.0.0.0/24');
  const id = await newRouter(me, { external_gateway_info: gateway('a') });
  assert.equal((await me.put(`/routers/${id}/add_router_interface`, { subnet_id: subnet.id })).status, 200);
  const port_id = (await me.post('/ports', { port: { network_id } })).body.port.id;
  const floating = (on: On) => me.post('/floatingips', { floatingip: { floating_network_id: outside[on], port_id } });
  assert.equal((await floating('a')).status, 201);
  assert.equal(on(await verb(me, id, 'add', [gateway('b')])), 'ab');
  refused(await floating('b'), 404, 'ExternalGatewayForFloatingIPNotFound');
  const inUse = 'RouterExternalGatewayInUseByFloatingIp';
  refused(await verb(me, id, 'remove', [gateway('a')]), 409, inUse);
  refused(await verb(me, id, 'update', [gateway('b'), gateway('a')]), 409, inUse);
  refused(await verb(me, id, 'update', []), 409, inUse);
  assert.equal(on(await verb(me, id, 'remove', [gateway('b')])), 'a');
});

test('default routes of all gateways count where administrators say so; next hops are not watched', async () => {
  const me = api.as(testCaller());
  const id = await newRouter(me);
  const set = (who: Me, body: object) => who.put(`/routers/${id}`, { router: body });
  refused(await set(me, { enable_default_route_ecmp: true }), 403, 'PolicyNotAuthorized');
  assert.equal((await set(admin, { enable_default_route_ecmp: true })).body.router.enable_default_route_ecmp, true);
  assert.equal((await set(me, { enable_default_route_bfd: false })).status, 200);
  refused(await set(admin, { enable_default_route_bfd: true }), 400, 'HTTPBadRequest', /not watched by BFD/);
});

test('a network that is left to its own project is not taken from a router that has a further gateway on it', async () => {
  const me = api.as(testCaller());
  const network_id = await newNetwork(admin, { 'router:external': true });
  const id = await newRouter(me, { external_gateway_info: gateway('a') });
  assert.equal((await verb(me, id, 'add', [{ network_id }])).status, 200);
  const closed = await admin.put(`/networks/${network_id}`, { network: { 'router:external': false } });
  assert.equal(closed.status, 409, JSON.stringify(closed.body));
});
