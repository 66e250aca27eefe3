/** Segments of networks, as Neutron's extensions `segment` and `multi-provider` have them. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const hostId = newId();

before(async () => {
  await sql`insert into host (id, name, physical_networks) values (${hostId}, 'h', '{red,blue}')`.execute(
    api.database.query,
  );
});

const vlan = (physical: string, tag: number) => ({
  'provider:network_type': 'vlan',
  'provider:physical_network': physical,
  'provider:segmentation_id': tag,
});
const one = (network_id: string, over: object) => ({ segment: { network_id, network_type: 'vlan', ...over } });
const red = (tag: number) => ({ physical_network: 'red', segmentation_id: tag });
const blue = (tag: number) => ({ physical_network: 'blue', segmentation_id: tag });
const segmentsOf = async (network: string) =>
  (await admin.get(`/segments?network_id=${network}&sort_key=segmentation_id`)).body.segments as Record<
    string,
    unknown
  >[];

test('a network has one segment from the beginning, which its provider attributes say', async () => {
  const id = await newNetwork(admin, vlan('red', 1));
  const [first, ...none] = await segmentsOf(id);
  assert.equal(none.length, 0);
  const { id: _, created_at: __, updated_at: ___, ...rest } = first!;
  assert.deepEqual(rest, {
    ...{ network_id: id, name: null, description: '', revision_number: 1 },
    ...{ network_type: 'vlan', physical_network: 'red', segmentation_id: 1 },
  });
  const { network } = (await admin.get(`/networks/${id}`)).body;
  assert.equal('segments' in network, false);
  const [tunnel] = await segmentsOf(await newNetwork(admin));
  assert.equal(tunnel!.network_type, 'geneve');
  assert.ok(Number(tunnel!.segmentation_id) > 0);
});

test('a network of several segments shows them in place of its provider attributes, and to administrators only', async () => {
  const me = testCaller();
  const segments = [vlan('red', 10), vlan('blue', 11)];
  const made = await admin.post('/networks', { network: { segments, shared: true } });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.deepEqual(made.body.network.segments, segments);
  assert.equal('provider:network_type' in made.body.network, false);
  assert.equal(made.body.network.mtu, 1500);
  const { network } = (await api.as(me).get(`/networks/${made.body.network.id}`)).body;
  assert.equal('segments' in network || 'provider:network_type' in network, false);
  refused(await api.as(me).post('/networks', { network: { segments } }), 403, 'PolicyNotAuthorized');
  refused(await api.as(me).post('/segments', one(network.id, red(12))), 403, 'PolicyNotAuthorized');
  assert.deepEqual((await api.as(me).get('/segments')).body.segments, []);
  const [first] = await segmentsOf(network.id);
  refused(await api.as(me).get(`/segments/${first!.id}`), 404, 'SegmentNotFound');
});

test('segments are named and described, and what carries them stays as it is', async () => {
  const network = await newNetwork(admin, vlan('red', 20));
  const { segment } = (await admin.post('/segments', one(network, { ...blue(21), name: '架 2 🏔' }))).body;
  assert.deepEqual([segment.name, segment.description, segment.revision_number], ['架 2 🏔', '', 1]);
  const changed = await admin.put(`/segments/${segment.id}`, { segment: { name: null, description: 'rack' } });
  assert.deepEqual(
    [changed.body.segment.name, changed.body.segment.description, changed.body.segment.revision_number],
    [null, 'rack', 2],
  );
  refused(await admin.put(`/segments/${segment.id}`, { segment: { segmentation_id: 22 } }), 400, 'HTTPBadRequest');
  assert.deepEqual(
    (await admin.get(`/segments?physical_network=blue&segmentation_id=21`)).body.segments.map(
      (row: { id: string }) => row.id,
    ),
    [segment.id],
  );
  refused(await admin.put(`/segments/${newId()}`, { segment: { name: 'x' } }), 404, 'SegmentNotFound');
});

test('what is carried already, or can not be carried together, is refused and nothing is half-made', async () => {
  const network = await newNetwork(admin, vlan('red', 30));
  refused(await admin.post('/segments', one(network, red(30))), 400, 'InvalidInput');
  await newNetwork(admin, vlan('blue', 31));
  refused(await admin.post('/segments', one(network, blue(31))), 409, 'VlanIdInUse');
  refused(
    await admin.post('/segments', one(network, { physical_network: 'green', segmentation_id: 1 })),
    400,
    'InvalidInput',
  );
  refused(await admin.post('/segments', one(network, { network_type: 'geneve' })), 400, 'InvalidInput');
  refused(await admin.post('/segments', one(network, { network_type: 'carrier pigeon' })), 400, 'InvalidInput');
  refused(await admin.post('/segments', one(newId(), blue(32))), 404, 'NetworkNotFound');
  refused(await admin.post('/segments', { segment: { network_id: network } }), 400, 'HTTPBadRequest');
  const many = { segments: [one(network, blue(33)).segment, one(network, red(34)).segment] };
  refused(await admin.post('/segments', many), 400, 'InvalidInput');
  assert.equal((await segmentsOf(network)).length, 1);
  const make = (over: object) => admin.post('/networks', { network: over });
  refused(await make({ segments: [vlan('red', 35), vlan('red', 35)] }), 400, 'SegmentsContainDuplicateEntry');
  refused(
    await make({ segments: [vlan('red', 35)], ...vlan('blue', 36) }),
    400,
    'SegmentsSetInConjunctionWithProviders',
  );
  refused(await make({ segments: [{ 'provider:segmentation_id': 3 }] }), 400, 'InvalidInput');
  refused(await make({ segments: [{ 'provider:colour': 'red' }] }), 400, 'HTTPBadRequest');
  refused(await make({ segments: [vlan('red', 37), vlan('blue', 38)], 'router:external': true }), 400, 'InvalidInput');
  refused(await admin.put(`/networks/${network}`, { network: { segments: [vlan('red', 39)] } }), 400, 'InvalidInput');
});

test('several segments of tunnels are carried together, each with a number of its own', async () => {
  const network = await newNetwork(admin);
  const made = await admin.post('/segments', one(network, { network_type: 'geneve', segmentation_id: 20_550 }));
  assert.equal(made.status, 201, JSON.stringify(made.body));
  refused(
    await admin.post('/segments', one(network, { network_type: 'geneve', segmentation_id: 20_550 })),
    409,
    'TunnelIdInUse',
  );
  assert.equal((await admin.get(`/networks/${network}`)).body.network.segments.length, 2);
  assert.equal((await admin.delete(`/segments/${made.body.segment.id}`)).status, 204);
  assert.equal((await admin.get(`/networks/${network}`)).body.network['provider:network_type'], 'geneve');
});

test('the next segment takes the place of a first one that goes; the last one stays, and goes with its network', async () => {
  const network = await newNetwork(admin, { segments: [vlan('red', 40), vlan('blue', 41)] });
  const [first, second] = await segmentsOf(network);
  assert.equal((await admin.delete(`/segments/${first!.id}`)).status, 204);
  const shown = (await admin.get(`/networks/${network}`)).body.network;
  assert.deepEqual([shown['provider:physical_network'], shown['provider:segmentation_id']], ['blue', 41]);
  refused(await admin.delete(`/segments/${second!.id}`), 409, 'SegmentInUse');
  refused(await admin.delete(`/segments/${first!.id}`), 404, 'SegmentNotFound');
  await newNetwork(admin, vlan('red', 40));
  assert.equal((await admin.delete(`/networks/${network}`)).status, 204);
  assert.deepEqual(await segmentsOf(network), []);
});

test('a segment whose hosts have ports of the network is kept', async () => {
  const network = await newNetwork(admin, { segments: [vlan('red', 50), vlan('blue', 51)] });
  const [first, second] = await segmentsOf(network);
  const { port } = (await admin.post('/ports', { port: { network_id: network } })).body;
  await sql`insert into host (id, name, physical_networks) values (${newId()}, 'red alone', '{red}')`.execute(
    api.database.query,
  );
  await sql`update port set host_id = (select id from host where name = 'red alone') where id = ${port.id}`.execute(
    api.database.query,
  );
  const refusal = await admin.delete(`/segments/${first!.id}`);
  refused(refusal, 409, 'SegmentInUse');
  assert.match(refusal.body.NeutronError.message, new RegExp(port.id));
  assert.equal((await admin.delete(`/segments/${second!.id}`)).status, 204);
});

test('a router is on no network whose segments are in different places', async () => {
  const network = await newNetwork(admin, vlan('red', 60));
  const subnet = await newSubnet(admin, network, '10.60.0.0/24');
  const { router } = (await admin.post('/routers', { router: {} })).body;
  const { segment } = (await admin.post('/segments', one(network, blue(61)))).body;
  refused(
    await admin.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id }),
    409,
    'RouterOnSegments',
  );
  await admin.delete(`/segments/${segment.id}`);
  assert.equal((await admin.put(`/routers/${router.id}/add_router_interface`, { subnet_id: subnet.id })).status, 200);
  refused(await admin.post('/segments', one(network, blue(61))), 409, 'SegmentsOfNetworkWithRouter');
});

/** A routed network: a segment for each of the two racks, with a subnet each. */
async function routed(tag: number) {
  const network = await newNetwork(admin, { segments: [vlan('red', tag), vlan('blue', tag)], shared: true });
  const found = await segmentsOf(network);
  const of = (physical: string) => String(found.find((each) => each.physical_network === physical)!.id);
  const segments = { red: of('red'), blue: of('blue') };
  const subnet = async (name: 'red' | 'blue', cidr: string) =>
    (await newSubnet(admin, network, cidr, { segment_id: segments[name] })).id;
  const subnets = { red: await subnet('red', `10.${tag}.1.0/24`), blue: await subnet('blue', `10.${tag}.2.0/24`) };
  return { network, segments, subnets };
}

const addHost = (name: string, physical: string[]) =>
  sql`insert into host (id, name, physical_networks) values (${newId()}, ${name}, ${physical}::text[])`.execute(
    api.database.query,
  );
const idsOf = (port: { fixed_ips: { subnet_id: string }[] }) => port.fixed_ips.map(({ subnet_id }) => subnet_id);
const portOn = (network_id: string, over: object = {}) => admin.post('/ports', { port: { network_id, ...over } });

test('the subnets of a network are all of segments, or none is; only administrators see of which, and it stays', async () => {
  const { network, segments, subnets } = await routed(70);
  const shown = (await admin.get(`/subnets/${subnets.red}`)).body.subnet;
  assert.equal(shown.segment_id, segments.red);
  assert.deepEqual(
    (await admin.get(`/subnets?segment_id=${segments.blue}`)).body.subnets.map((row: { id: string }) => row.id),
    [subnets.blue],
  );
  const me = api.as(testCaller());
  assert.equal('segment_id' in (await me.get(`/subnets/${subnets.red}`)).body.subnet, false);
  const make = (over: object, on = network) =>
    admin.post('/subnets', { subnet: { network_id: on, ip_version: 4, cidr: '10.70.9.0/24', ...over } });
  refused(await make({}), 400, 'SubnetsNotAllAssociatedWithSegments');
  refused(await make({ segment_id: newId() }), 404, 'SegmentNotFound');
  const other = await newNetwork(admin, vlan('red', 71));
  const [only] = await segmentsOf(other);
  refused(await make({ segment_id: only!.id }), 400, 'NetworkIdsDontMatch');
  const tunnels = await newNetwork(admin);
  refused(await make({ segment_id: (await segmentsOf(tunnels))[0]!.id }, tunnels), 400, 'InvalidInput');
  const change = (id: string, segment_id: string | null) => admin.put(`/subnets/${id}`, { subnet: { segment_id } });
  refused(await change(subnets.red, segments.blue), 400, 'SubnetSegmentAssociationChangeNotAllowed');
  const { id: plain } = await newSubnet(admin, other, '10.71.0.0/24');
  refused(await make({ segment_id: only!.id }, other), 400, 'SubnetsNotAllAssociatedWithSegments');
  assert.equal((await change(plain, String(only!.id))).body.subnet.segment_id, only!.id);
  refused(await admin.delete(`/segments/${segments.red}`), 409, 'SegmentInUse');
  assert.equal((await admin.delete(`/networks/${network}`)).status, 204, 'a network takes both along');
});

test('a port of a routed network waits for a host to have addresses, which are of the segment of that host', async () => {
  const { network, subnets } = await routed(72);
  for (const [name, physical] of [
    ['r', ['red']],
    ['b', ['blue']],
    ['both', ['red', 'blue']],
    ['none', []],
  ] as const) {
    await addHost(`${name}72`, [...physical]);
  }
  const { port } = (await portOn(network)).body;
  assert.deepEqual([port.ip_allocation, port.fixed_ips], ['deferred', []]);
  const bind = (id: string, host: string) => admin.put(`/ports/${id}`, { port: { 'binding:host_id': host } });
  const { port: bound } = (await bind(port.id, 'b72')).body;
  assert.deepEqual([bound.ip_allocation, idsOf(bound)], ['immediate', [subnets.blue]]);
  refused(await bind(port.id, 'r72'), 409, 'HostNotCompatibleWithFixedIps');
  const { port: red } = (await portOn(network, { 'binding:host_id': 'r72' })).body;
  assert.deepEqual(idsOf(red), [subnets.red]);
  refused(await portOn(network, { 'binding:host_id': 'none72' }), 409, 'HostNotConnectedToAnySegment');
  refused(await portOn(network, { 'binding:host_id': 'both72' }), 409, 'HostConnectedToMultipleSegments');
  const { port: asked } = (await portOn(network, { fixed_ips: [{ ip_address: '10.72.1.77' }] })).body;
  assert.deepEqual([asked.ip_allocation, idsOf(asked)], ['immediate', [subnets.red]]);
  const torn = [{ subnet_id: subnets.red }, { subnet_id: subnets.blue }];
  refused(await portOn(network, { fixed_ips: torn }), 409, 'FixedIpsElsewhere');
  refused(await portOn(network, { fixed_ips: [{ ip_address: '192.0.2.1' }] }), 400, 'InvalidIpForNetwork');
});
