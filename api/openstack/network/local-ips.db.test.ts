import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

/** A network with a port on it. */
async function ground(me: Me) {
  const network_id = await newNetwork(me);
  const pools = { allocation_pools: [{ start: '10.0.0.2', end: '10.0.0.99' }] };
  const subnet = (await newSubnet(me, network_id, '10.0.0.0/24', pools)).id as string;
  const newPort = async (over: object = {}) => {
    const made = await me.post('/ports', { port: { network_id, ...over } });
    assert.equal(made.status, 201, JSON.stringify(made.body));
    return made.body.port;
  };
  const make = (over: object = {}) => me.post('/local_ips', { local_ip: { network_id, ...over } });
  return { network_id, subnet, newPort, make };
}

const two = (subnet: string) => ({
  fixed_ips: [{ subnet_id: subnet }, { subnet_id: subnet, ip_address: '10.0.0.200' }],
});

test('a local IP of a network has a port of its own, which nobody else touches and which goes along', async () => {
  const me = api.as(testCaller());
  const { network_id, make } = await ground(me);
  const made = await make({ name: oddName, description: oddName, local_ip_address: '10.0.0.150' });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const { id, local_port_id, project_id, created_at, updated_at, tenant_id, ...shown } = made.body.local_ip;
  assert.deepEqual(shown, {
    ...{ name: oddName, description: oddName, network_id, local_ip_address: '10.0.0.150', ip_mode: 'translate' },
    ...{ tags: [], revision_number: 1 },
  });
  assert.deepEqual([tenant_id, updated_at], [project_id, created_at]);
  const { port } = (await me.get(`/ports/${local_port_id}`)).body;
  assert.deepEqual([port.device_owner, port.device_id, port.status], ['network:local_ip', id, 'N/A']);
  refused(await me.delete(`/ports/${local_port_id}`), 409, 'ServicePortInUse');
  refused(await me.put(`/ports/${local_port_id}`, { port: { fixed_ips: [] } }), 409, 'ServicePortInUse');
  const changed = await me.put(`/local_ips/${id}`, { local_ip: { name: 'x' } });
  assert.deepEqual([changed.body.local_ip.name, changed.body.local_ip.revision_number], ['x', 2]);
  for (const fixed of ['local_ip_address', 'ip_mode', 'network_id', 'local_port_id'])
    refused(await me.put(`/local_ips/${id}`, { local_ip: { [fixed]: null } }), 400, 'HTTPBadRequest');
  refused(await me.delete(`/networks/${network_id}`), 409, 'NetworkInUse');
  assert.equal((await me.delete(`/local_ips/${id}`)).status, 204);
  refused(await me.get(`/local_ips/${id}`), 404, 'LocalIPNotFound');
  refused(await me.get(`/ports/${local_port_id}`), 404, 'PortNotFound');
});

test('a local IP may be the address of a port that is there, which then keeps it', async () => {
  const me = api.as(testCaller());
  const { subnet, newPort, make, network_id } = await ground(me);
  const port = await newPort(two(subnet));
  const ask = (over: object = {}) => me.post('/local_ips', { local_ip: { local_port_id: port.id, ...over } });
  refused(await ask(), 400, 'LocalIPNoRequestedIP', /has several IPs/);
  refused(await ask({ local_ip_address: '10.0.0.201' }), 400, 'LocalIPRequestedIPNotFound', /10\.0\.0\.201/);
  const made = await ask({ local_ip_address: '10.0.0.200', ip_mode: 'passthrough' });
  const { local_ip } = made.body;
  assert.deepEqual(
    [local_ip.network_id, local_ip.local_ip_address, local_ip.ip_mode],
    [network_id, '10.0.0.200', 'passthrough'],
  );
  refused(await ask({ local_ip_address: '10.0.0.200' }), 409, 'LocalIPInUse');
  const keep = (ip_address: string) => me.put(`/ports/${port.id}`, { port: { fixed_ips: [{ ip_address }] } });
  refused(await keep(port.fixed_ips[0].ip_address), 409, 'ServicePortInUse');
  assert.equal((await keep('10.0.0.200')).status, 200, 'other addresses it may lose');
  refused(await me.delete(`/ports/${port.id}`), 409, 'ServicePortInUse');
  assert.equal((await me.delete(`/local_ips/${local_ip.id}`)).status, 204);
  assert.equal((await me.delete(`/ports/${port.id}`)).status, 204, 'the port is not its own');
  refused(await me.post('/local_ips', { local_ip: {} }), 400, 'LocalIPPortOrNetworkRequired');
  refused(await make({ local_ip_address: 'fd00::1' }), 400, 'InvalidInput', /IPv4/);
  refused(await make({ ip_mode: 'bridge' }), 400, 'HTTPBadRequest');
});

test('it leads to ports of its network, each found below it by its id, and goes only without them', async () => {
  const me = api.as(testCaller());
  const { subnet, newPort, make } = await ground(me);
  const { local_ip } = (await make()).body;
  const at = `/local_ips/${local_ip.id}/port_associations`;
  const ports = [await newPort(), await newPort(), await newPort(two(subnet))];
  const wish = (n: number, over: object = {}) => ({ fixed_port_id: ports[n].id, ...over });
  const made = await me.post(at, { port_association: wish(0) });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.port_association, {
    ...{ fixed_port_id: ports[0].id, fixed_ip: ports[0].fixed_ips[0].ip_address },
    ...{ local_ip_address: local_ip.local_ip_address, project_id: local_ip.project_id, tenant_id: local_ip.project_id },
  });
  refused(await me.post(at, { port_association: wish(0) }), 409, 'LocalIPAssociationInUse');
  refused(await me.post(at, { port_association: wish(2) }), 400, 'LocalIPNoRequestedIP');
  const many = { port_associations: [wish(1), wish(2, { fixed_ip: '10.0.0.200' })] };
  refused(
    await me.post(at, { port_associations: [wish(1), wish(2, { fixed_ip: '10.0.0.9' })] }),
    400,
    'LocalIPRequestedIPNotFound',
  );
  assert.equal((await me.post(at, many)).status, 201);
  const found = async (query: string) =>
    (await me.get(`${at}?${query}`)).body.port_associations.map((one: { fixed_ip: string }) => one.fixed_ip);
  assert.deepEqual(await found('fixed_ip=10.0.0.200'), ['10.0.0.200']);
  assert.deepEqual(await found(`fixed_port_id=${ports[1].id}`), [ports[1].fixed_ips[0].ip_address]);
  const [first] = await found('sort_key=fixed_port_id&limit=1');
  const { port_associations_links: links } = (await me.get(`${at}?sort_key=fixed_port_id&limit=1`)).body;
  assert.match(links[0].href, new RegExp(`${at}\\?`));
  assert.notEqual((await found(links[0].href.split('?')[1]))[0], first);
  assert.equal((await me.get(`${at}/${ports[1].id}`)).status, 200);
  await sql`update port set binding_host = 'machine' where id = ${ports[1].id}`.execute(api.database.query);
  assert.equal((await admin.get(`${at}/${ports[1].id}`)).body.port_association.host, 'machine');
  refused(await me.delete(`/local_ips/${local_ip.id}`), 409, 'LocalIPInUse', /still associated/);
  assert.equal((await me.delete(`/ports/${ports[2].id}`)).status, 204, 'an association keeps no port');
  for (const n of [0, 1]) assert.equal((await me.delete(`${at}/${ports[n].id}`)).status, 204);
  refused(await me.get(`${at}/${ports[0].id}`), 404, 'LocalIPAssociationNotFound');
  refused(await me.delete(`${at}/${ports[0].id}`), 404, 'LocalIPAssociationNotFound');
  assert.equal((await me.delete(`/local_ips/${local_ip.id}`)).status, 204);
});

test('what is no guest’s, on another network or another project’s is refused', async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const [mine, elsewhere, foreign] = [await ground(me), await ground(me), await ground(other)];
  const { local_ip } = (await mine.make()).body;
  const at = `/local_ips/${local_ip.id}/port_associations`;
  const lead = (fixed_port_id: string, who = me) => who.post(at, { port_association: { fixed_port_id } });
  refused(await lead((await elsewhere.newPort()).id), 400, 'InvalidInput', /not on the network/);
  refused(await lead((await foreign.newPort()).id), 400, 'BadRequest', /not found/);
  refused(await lead(newId()), 400, 'BadRequest', /not found/);
  refused(await lead(local_ip.local_port_id), 400, 'InvalidInput', /network:local_ip/);
  const { id: router } = (await me.post('/routers', { router: {} })).body.router;
  const { port_id } = (await me.put(`/routers/${router}/add_router_interface`, { subnet_id: mine.subnet })).body;
  refused(await lead(port_id), 400, 'InvalidInput', /network:router_interface/);
  refused(await me.post('/local_ips', { local_ip: { local_port_id: port_id } }), 400, 'InvalidInput');
  refused(await lead((await mine.newPort()).id, other), 404, 'LocalIPNotFound');
  refused(await other.get(at), 404, 'LocalIPNotFound');
  refused(await other.post('/local_ips', { local_ip: { network_id: mine.network_id } }), 404, 'NetworkNotFound');
  const six = await newNetwork(me);
  await newSubnet(me, six, 'fd00:1::/64');
  refused(await me.post('/local_ips', { local_ip: { network_id: six } }), 400, 'BadRequest', /any IPv4 subnet/);
  const small = await newNetwork(me);
  await newSubnet(me, small, '10.7.0.0/31', { gateway_ip: null, enable_dhcp: false });
  refused(await me.post('/local_ips', { local_ip: { network_id: small } }), 400, 'InvalidInput', /four addresses/);
});

test('a local IP counts as the port that it has', async () => {
  const me = api.as(testCaller());
  const { make } = await ground(me);
  const project = (await make()).body.local_ip.project_id;
  await admin.put(`/quotas/${project}`, { quota: { port: 1 } });
  refused(await make(), 409, 'OverQuota');
});
