import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { oddName, testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Me, newNetwork, newSubnet, refused, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());

const newPort = async (me: Me, network?: string) =>
  (await me.post('/ports', { port: { network_id: network ?? (await newNetwork(me)) } })).body.port;
const vlan = (port: { id: string }, segmentation_id: number) => ({
  ...{ port_id: port.id, segmentation_type: 'vlan', segmentation_id },
});
const newTrunk = async (me: Me, port_id: string, ...sub_ports: object[]) =>
  (await me.post('/trunks', { trunk: { name: oddName, port_id, sub_ports } })).body.trunk;

test('a trunk is made with subports, which gain and lose it, and its port tells of them', async () => {
  const me = api.as(testCaller());
  const [parent, one, two] = [await newPort(me), await newPort(me), await newPort(me)];
  const trunk = await newTrunk(me, parent.id, vlan(one, 100));
  assert.deepEqual(
    [trunk.name, trunk.port_id, trunk.status, trunk.admin_state_up, trunk.sub_ports],
    [oddName, parent.id, 'DOWN', true, [vlan(one, 100)]],
  );
  const held = (await me.get(`/ports/${one.id}`)).body.port;
  assert.deepEqual([held.device_id, held.device_owner], [trunk.id, 'trunk:subport']);
  const more = await me.put(`/trunks/${trunk.id}/add_subports`, { sub_ports: [vlan(two, 7)] });
  assert.deepEqual(
    [more.status, more.body.sub_ports, more.body.revision_number],
    [200, [vlan(two, 7), vlan(one, 100)], 2],
  );
  assert.deepEqual((await me.get(`/trunks/${trunk.id}/get_subports`)).body.sub_ports, more.body.sub_ports);
  assert.deepEqual((await me.get(`/ports/${parent.id}`)).body.port.trunk_details, {
    trunk_id: trunk.id,
    sub_ports: [
      { ...vlan(two, 7), mac_address: two.mac_address },
      { ...vlan(one, 100), mac_address: one.mac_address },
    ],
  });
  const less = await me.put(`/trunks/${trunk.id}/remove_subports`, { sub_ports: [{ port_id: one.id }] });
  assert.deepEqual(less.body.sub_ports, [vlan(two, 7)]);
  assert.equal((await me.get(`/ports/${one.id}`)).body.port.device_owner, '');
  refused(
    await me.put(`/trunks/${trunk.id}/remove_subports`, { sub_ports: [{ port_id: one.id }] }),
    404,
    'SubPortNotFound',
  );
  assert.equal((await me.get(`/trunks?port_id=${parent.id}&fields=id`)).body.trunks[0].id, trunk.id);
  assert.equal((await me.delete(`/trunks/${trunk.id}`)).status, 204);
  assert.equal((await me.get(`/ports/${two.id}`)).body.port.device_id, '');
  assert.equal((await me.get(`/ports/${parent.id}`)).body.port.trunk_details, undefined);
});

test('a port is in one trunk, once, and a tag too', async () => {
  const [me, other] = [api.as(testCaller()), api.as(testCaller())];
  const [parent, one, two] = [await newPort(me), await newPort(me), await newPort(me)];
  const trunk = await newTrunk(me, parent.id, vlan(one, 100));
  const add = (...sub_ports: object[]) => me.put(`/trunks/${trunk.id}/add_subports`, { sub_ports });
  refused(await add({ port_id: newId(), segmentation_type: 'vlan' }), 400, 'InvalidInput');
  refused(await add({ port_id: newId(), segmentation_id: 5 }), 400, 'InvalidInput');
  refused(await me.post('/trunks', { trunk: { port_id: parent.id } }), 409, 'ParentPortInUse');
  refused(await me.post('/trunks', { trunk: { port_id: one.id } }), 409, 'TrunkPortInUse');
  refused(await add(vlan(one, 101)), 409, 'TrunkPortInUse');
  refused(await add(vlan(parent, 101)), 409, 'ParentPortInUse');
  refused(await add(vlan(two, 100)), 409, 'DuplicateSubPort');
  refused(await add(vlan(two, 5), vlan(two, 6)), 400, 'InvalidInput');
  refused(await add(vlan(two, 4095)), 400, 'InvalidInput');
  refused(await add({ ...vlan(two, 5), segmentation_type: 'vxlan' }), 400, 'InvalidInput', /vxlan/);
  refused(await add({ port_id: two.id }), 400, 'InvalidInput', /missing segmentation/);
  refused(await add(vlan({ id: newId() }, 5)), 404, 'PortNotFound');
  refused(await add(vlan(await newPort(other), 5)), 404, 'PortNotFound');
  const used = await newPort(me);
  await me.put(`/ports/${used.id}`, { port: { device_id: 'of somebody' } });
  refused(await add(vlan(used, 5)), 409, 'PortInUse');
  // None of a request where one is refused.
  refused(await add(vlan(two, 5), vlan(used, 6)), 409, 'PortInUse');
  assert.equal((await me.get(`/trunks/${trunk.id}`)).body.trunk.sub_ports.length, 1);
  refused(await other.get(`/trunks/${trunk.id}`), 404, 'TrunkNotFound');
});

test('a port stays while a trunk has it, and becomes no router’s interface', async () => {
  const me = api.as(testCaller());
  const network = await newNetwork(me);
  await newSubnet(me, network, '10.0.0.0/24');
  const [parent, one] = [await newPort(me, network), await newPort(me)];
  const trunk = await newTrunk(me, parent.id, vlan(one, 100));
  refused(await me.delete(`/ports/${parent.id}`), 409, 'PortInUseAsTrunkParent');
  refused(await me.delete(`/ports/${one.id}`), 409, 'PortInUseAsSubPort');
  const router = (await me.post('/routers', { router: {} })).body.router.id;
  refused(
    await me.put(`/routers/${router}/add_router_interface`, { port_id: parent.id }),
    409,
    'PortInUseAsTrunkParent',
  );
  await me.put(`/trunks/${trunk.id}`, { trunk: { admin_state_up: false } });
  refused(await me.put(`/trunks/${trunk.id}/add_subports`, { sub_ports: [] }), 409, 'TrunkDisabled');
  refused(await me.delete(`/trunks/${trunk.id}`), 409, 'TrunkDisabled');
  await me.put(`/trunks/${trunk.id}`, { trunk: { admin_state_up: true } });
  await me.delete(`/trunks/${trunk.id}`);
  assert.equal((await me.delete(`/ports/${parent.id}`)).status, 204);
});

test('a subport may inherit the tag of its network, and its network’s MTU is at most the parent’s', async () => {
  const network = async (over: object) => newNetwork(admin, over);
  await sql`insert into host (id, name, physical_networks) values (${newId()}, 'h', '{physnet1}')`.execute(
    api.database.query,
  );
  const tagged = await network({
    ...{ 'provider:network_type': 'vlan', 'provider:physical_network': 'physnet1', 'provider:segmentation_id': 77 },
    mtu: 1400,
  });
  const parent = await newPort(admin);
  const inherit = (port: { id: string }) => ({ port_id: port.id, segmentation_type: 'inherit' });
  const trunk = await newTrunk(admin, parent.id, inherit(await newPort(admin, tagged)));
  assert.deepEqual(trunk.sub_ports[0].segmentation_id, 77);
  const add = (sub: object) => admin.put(`/trunks/${trunk.id}/add_subports`, { sub_ports: [sub] });
  refused(await add(inherit(await newPort(admin))), 400, 'InvalidInput', /geneve/);
  const small = await newTrunk(admin, (await newPort(admin, await network({ mtu: 1300 }))).id);
  refused(
    await admin.put(`/trunks/${small.id}/add_subports`, { sub_ports: [vlan(await newPort(admin), 5)] }),
    409,
    'SubPortMtuGreaterThanTrunkPortMtu',
  );
});

test('a subport is where the port is that carries it, and comes and goes with that', async () => {
  const me = api.as(testCaller());
  const [parent, one, two] = [await newPort(me), await newPort(me), await newPort(me)];
  const trunk = await newTrunk(me, parent.id, vlan(one, 100));
  const hostOf = async (port: { id: string }) => (await admin.get(`/ports/${port.id}`)).body.port['binding:host_id'];
  const bind = (name: string | null) => admin.put(`/ports/${parent.id}`, { port: { 'binding:host_id': name } });
  await bind('somewhere');
  assert.equal(await hostOf(one), 'somewhere');
  await me.put(`/trunks/${trunk.id}/add_subports`, { sub_ports: [vlan(two, 5)] });
  assert.equal(await hostOf(two), 'somewhere');
  await me.put(`/trunks/${trunk.id}/remove_subports`, { sub_ports: [{ port_id: two.id }] });
  assert.equal(await hostOf(two), '');
  await bind(null);
  assert.equal(await hostOf(one), '');
});
