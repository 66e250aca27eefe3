import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
let outside: string;

before(async () => {
  outside = (await admin.post('/networks', { network: { name: oddName, 'router:external': true } })).body.network.id;
  await admin.post('/subnets', {
    subnet: { network_id: outside, cidr: '203.0.112.0/22', ip_version: 4, enable_dhcp: false },
  });
});

/** A router with a network inside, a guest's port there, and a floating IP. */
async function ground(me: Me) {
  const network = await newNetwork(me);
  const subnet = (
    await newSubnet(me, network, '10.0.0.0/24', { allocation_pools: [{ start: '10.0.0.2', end: '10.0.0.99' }] })
  ).id as string;
  const gateway = { network_id: outside };
  const router = (await me.post('/routers', { router: { name: oddName, external_gateway_info: gateway } })).body.router
    .id as string;
  await me.put(`/routers/${router}/add_router_interface`, { subnet_id: subnet });
  const newPort = async () => (await me.post('/ports', { port: { network_id: network } })).body.port;
  const newFloatingIp = async (over: object = {}) =>
    (await me.post('/floatingips', { floatingip: { floating_network_id: outside, ...over } })).body.floatingip;
  const floatingIp = await newFloatingIp();
  const at = `/floatingips/${floatingIp.id}/port_forwardings`;
  const port = await newPort();
  const wish = (over: object = {}) => ({
    port_forwarding: { protocol: 'tcp', internal_port_id: port.id, external_port: 2222, internal_port: 22, ...over },
  });
  return { network, subnet, router, newPort, newFloatingIp, floatingIp, at, port, wish };
}

test('a port of a floating IP leads to a port inside; it is found, changed and removed below its floating IP, which shows it', async () => {
  const me = api.as(testCaller());
  const { at, port, wish, floatingIp, router } = await ground(me);
  const made = await me.post(at, wish({ description: oddName }));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id, ...shown } = made.body.port_forwarding;
  const fixedIp = port.fixed_ips[0].ip_address;
  assert.deepEqual(shown, {
    protocol: 'tcp',
    internal_port_id: port.id,
    internal_ip_address: fixedIp,
    external_port: 2222,
    external_port_range: '2222:2222',
    internal_port: 22,
    internal_port_range: '22:22',
    description: oddName,
  });
  const now = (await me.get(`/floatingips/${floatingIp.id}`)).body.floatingip;
  assert.deepEqual([now.status, now.router_id, now.port_id], ['ACTIVE', router, null]);
  assert.equal(now.revision_number, floatingIp.revision_number + 1);
  assert.deepEqual(now.port_forwardings, [
    {
      id,
      protocol: 'tcp',
      internal_port_id: port.id,
      internal_ip_address: fixedIp,
      internal_port: 22,
      external_port: 2222,
    },
  ]);
  assert.equal((await me.get(`/floatingips?router_id=${router}&status=ACTIVE`)).body.floatingips.length, 1);
  const changed = await me.put(`${at}/${id}`, { port_forwarding: { external_port: 2223, protocol: 'UDP' } });
  assert.deepEqual(
    [
      changed.body.port_forwarding.external_port,
      changed.body.port_forwarding.protocol,
      changed.body.port_forwarding.internal_port,
    ],
    [2223, 'udp', 22],
  );
  const found = async (query: string) => (await me.get(`${at}?${query}`)).body.port_forwardings.length;
  assert.equal(await found('protocol=udp&external_port=2223'), 1);
  assert.equal(await found(`internal_port_id=${port.id}&external_port_range=2223:2223`), 1);
  assert.equal(await found('protocol=tcp'), 0);
  refused(await me.get(`${at}?internal_port=22`), 400, 'HTTPBadRequest');
  assert.equal((await me.delete(`${at}/${id}`)).status, 204);
  refused(await me.get(`${at}/${id}`), 404, 'PortForwardingNotFound');
  const loose = (await me.get(`/floatingips/${floatingIp.id}`)).body.floatingip;
  assert.deepEqual([loose.status, loose.router_id, loose.port_forwardings], ['DOWN', null, []]);
});

test('ranges lead port by port, or all to one; many are made at once, in pages', async () => {
  const me = api.as(testCaller());
  const { at, port, wish } = await ground(me);
  const range = { external_port: undefined, internal_port: undefined };
  const one = wish({ ...range, external_port_range: '8000:8009', internal_port_range: '9000:9009' }).port_forwarding;
  const all = wish({ ...range, protocol: 'udp', external_port_range: '8000:8009', internal_port: 53 }).port_forwarding;
  const made = await me.post(at, { port_forwardings: [one, all] });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const [first, second] = made.body.port_forwardings;
  assert.deepEqual(
    [first.external_port, first.external_port_range, first.internal_port, first.internal_port_range],
    [null, '8000:8009', null, '9000:9009'],
  );
  assert.deepEqual([second.external_port, second.internal_port, second.internal_port_range], [null, 53, '53:53']);
  const page = await me.get(`${at}?limit=1&sort_key=protocol`);
  assert.equal(page.body.port_forwardings[0].id, first.id);
  assert.match(page.body.port_forwardings_links[0].href, new RegExp(`${at}\\?`));
  refused(
    await me.post(at, wish({ ...range, external_port_range: '1:3', internal_port_range: '1:2' })),
    400,
    'BadRequest',
  );
  refused(await me.post(at, wish({ ...range, external_port_range: '3:1', internal_port: 1 })), 400, 'HTTPBadRequest');
  refused(await me.post(at, wish({ external_port: 65536 })), 400, 'HTTPBadRequest');
  refused(await me.post(at, wish({ external_port: undefined })), 400, 'BadRequest');
  refused(await me.post(at, wish({ protocol: 'icmp' })), 400, 'HTTPBadRequest');
  refused(
    await me.post(at, wish({ ...range, external_port_range: '20000:24095', internal_port: 7 })),
    400,
    'BadRequest',
  );
  // All or none: the second meets the first.
  const both = [{ ...one, external_port_range: '1:10', internal_port_range: '1:10' }];
  refused(
    await me.post(at, { port_forwardings: [...both, { ...both[0], internal_port_range: '2:11' }] }),
    400,
    'BadRequest',
  );
  assert.equal((await me.get(`${at}?internal_port_id=${port.id}`)).body.port_forwardings.length, 2);
});

test('no two forwardings have a port in common, outside or inside, in one protocol', async () => {
  const me = api.as(testCaller());
  const { at, wish, newFloatingIp, newPort } = await ground(me);
  const { id } = (await me.post(at, wish())).body.port_forwarding;
  const outsideToo = /external_port_range.*2222:2222 and 2222:2222/;
  refused(await me.post(at, wish({ internal_port: 23 })), 400, 'BadRequest', outsideToo);
  refused(await me.post(at, wish({ external_port: 1 })), 400, 'BadRequest', /internal_port_range/);
  const elsewhere = `/floatingips/${(await newFloatingIp()).id}/port_forwardings`;
  refused(await me.post(elsewhere, wish()), 400, 'BadRequest');
  assert.equal((await me.post(at, wish({ protocol: 'udp' }))).status, 201);
  const other = await newPort();
  const second = await me.post(at, wish({ internal_port_id: other.id, external_port: 2223 }));
  assert.equal(second.status, 201);
  const move = (over: object) => me.put(`${at}/${second.body.port_forwarding.id}`, { port_forwarding: over });
  refused(await move({ external_port: 2222 }), 400, 'BadRequest');
  refused(await move({ internal_ip_address: '10.0.0.250' }), 400, 'BadRequest');
  assert.equal((await me.put(`${at}/${id}`, { port_forwarding: { external_port: 2222 } })).status, 200);
});

test('a floating IP is either whole or in parts, and so is a port', async () => {
  const me = api.as(testCaller());
  const { at, floatingIp, port, wish, newFloatingIp, newPort, router, subnet } = await ground(me);
  const other = await newPort();
  const whole = await newFloatingIp({ port_id: other.id });
  refused(await me.post(`/floatingips/${whole.id}/port_forwardings`, wish()), 409, 'FloatingIPPortAlreadyAssociated');
  refused(await me.post(at, wish({ internal_port_id: other.id })), 409, 'PortHasBindingFloatingIP');
  await me.post(at, wish());
  const give = (id: string, to: string | null) => me.put(`/floatingips/${id}`, { floatingip: { port_id: to } });
  refused(await give(floatingIp.id, (await newPort()).id), 409, 'FipInUseByPortForwarding');
  assert.equal((await give(floatingIp.id, null)).status, 200);
  refused(await give((await newFloatingIp()).id, port.id), 400, 'PortHasPortForwarding');
  refused(await me.delete(`/floatingips/${floatingIp.id}`), 409, 'FipInUseByPortForwarding');
  refused(
    await me.put(`/routers/${router}/remove_router_interface`, { subnet_id: subnet }),
    409,
    'RouterInterfaceInUseByFloatingIP',
  );
  refused(
    await me.put(`/routers/${router}`, { router: { external_gateway_info: null } }),
    409,
    'RouterExternalGatewayInUseByFloatingIp',
  );
});

test('a forwarding goes with the address that it names', async () => {
  const me = api.as(testCaller());
  const { at, port, wish, subnet, newPort, floatingIp } = await ground(me);
  const left = async () => (await me.get(at)).body.port_forwardings.length;
  await me.post(at, wish());
  const second = await newPort();
  await me.post(at, wish({ internal_port_id: second.id, external_port: 1 }));
  await me.put(`/ports/${port.id}`, { port: { fixed_ips: [{ subnet_id: subnet, ip_address: '10.0.0.200' }] } });
  assert.equal(await left(), 1);
  await me.delete(`/ports/${second.id}`);
  assert.equal(await left(), 0);
  assert.equal((await me.delete(`/floatingips/${floatingIp.id}`)).status, 204);
});

test('what a router does not lead to is not forwarded to, and another project’s is not there', async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const { at, wish } = await ground(me);
  const apart = await newNetwork(me);
  const bare = (await me.post('/ports', { port: { network_id: apart } })).body.port.id;
  refused(await me.post(at, wish({ internal_port_id: bare })), 400, 'BadRequest');
  await newSubnet(me, apart, '10.9.0.0/24');
  const there = (await me.post('/ports', { port: { network_id: apart } })).body.port.id;
  refused(await me.post(at, wish({ internal_port_id: there })), 400, 'BadRequest', /not reachable/);
  refused(await me.post(at, wish({ internal_port_id: newId() })), 404, 'PortNotFound');
  const foreign = await ground(other);
  refused(await me.post(at, wish({ internal_port_id: foreign.port.id })), 404, 'PortNotFound');
  refused(await me.get(foreign.at), 404, 'FloatingIPNotFound');
  refused(await me.post(foreign.at, wish()), 404, 'FloatingIPNotFound');
  const own = (await me.post(at, wish())).body.port_forwarding.id;
  refused(await other.delete(`${foreign.at}/${own}`), 404, 'PortForwardingNotFound');
  // Of one floating IP all are behind one router.
  const behind = await ground(me);
  refused(
    await me.post(at, wish({ internal_port_id: behind.port.id, external_port: 5 })),
    400,
    'BadRequest',
    /had been set on router/,
  );
});
