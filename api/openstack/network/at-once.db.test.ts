/** Two requests at the same moment, of which each is right alone: one of them is refused, or both hold together. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { sql } from 'kysely';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, newNetwork, newSubnet, testApi } from './testing.ts';

const api = await testApi();
const admin = api.as(testAdmin());
const me = api.as(testCaller());
let outside: string;
let network_id: string;
let subnet_id: string;

before(async () => {
  await sql`update quota set maximum = -1 where project_id is null`.execute(api.database.query);
  outside = await newNetwork(admin, { 'router:external': true });
  await newSubnet(admin, outside, '172.20.0.0/16', { enable_dhcp: false });
  network_id = await newNetwork(me);
  subnet_id = (await newSubnet(me, network_id, '10.0.0.0/16')).id;
});

const router = async () => {
  const gateway = { external_gateway_info: { network_id: outside } };
  const { id } = (await me.post('/routers', { router: gateway })).body.router;
  assert.equal((await me.put(`/routers/${id}/add_router_interface`, { subnet_id })).status, 200);
  return id;
};
const port = async () => (await me.post('/ports', { port: { network_id } })).body.port.id;
const floating = (more: object = {}) =>
  me.post('/floatingips', { floatingip: { floating_network_id: outside, ...more } });
const forward = (floatingIp: string, internal_port_id: string) =>
  me.post(`/floatingips/${floatingIp}/port_forwardings`, {
    port_forwarding: { protocol: 'tcp', internal_port_id, external_port: 80, internal_port: 80 },
  });

const rounds = 6;
/** Whichever of them is sent first. @returns in the order of the requests */
async function atOnce(round: number, ...requests: (() => Promise<Answer>)[]): Promise<number[]> {
  const turned = round % 2 === 0 ? requests : requests.toReversed();
  const answers = await Promise.all(turned.map((request) => request()));
  for (const { status, body } of answers) assert.ok(status < 500, JSON.stringify(body));
  const statuses = answers.map(({ status }) => status);
  return round % 2 === 0 ? statuses : statuses.toReversed();
}

test('a rule for a group that is deleted meanwhile is told that there is no such group', async () => {
  for (let round = 0; round < rounds; round++) {
    const { id } = (await me.post('/security-groups', { security_group: {} })).body.security_group;
    const rule = { security_group_id: id, direction: 'ingress' };
    const [made, gone] = await atOnce(
      round,
      () => me.post('/security-group-rules', { security_group_rule: rule }),
      () => me.delete(`/security-groups/${id}`),
    );
    assert.ok(gone === 204 && (made === 404 || made === 201), `${made} ${gone}`);
  }
});

test('a port has a floating IP of its own or forwarded ports, not both', async () => {
  await router();
  for (let round = 0; round < rounds; round++) {
    const [inside, parts] = [await port(), (await floating()).body.floatingip.id];
    const statuses = await atOnce(
      round,
      () => forward(parts, inside),
      () => floating({ port_id: inside }),
    );
    assert.equal(statuses.filter((status) => status === 201).length, 1, String(statuses));
  }
});

test('a floating IP and a forwarded port keep the interface that they are reached by, or are refused', async () => {
  for (let round = 0; round < rounds; round++) {
    const net = await newNetwork(me);
    const sub = (await newSubnet(me, net, '10.77.0.0/24')).id;
    const gateway = { external_gateway_info: { network_id: outside } };
    const { id } = (await me.post('/routers', { router: gateway })).body.router;
    await me.put(`/routers/${id}/add_router_interface`, { subnet_id: sub });
    const inside = (await me.post('/ports', { port: { network_id: net } })).body.port.id;
    const parts = (await floating()).body.floatingip.id;
    const [made, gone] = await atOnce(
      round,
      () => (round % 4 < 2 ? forward(parts, inside) : floating({ port_id: inside })),
      () => me.put(`/routers/${id}/remove_router_interface`, { subnet_id: sub }),
    );
    assert.ok((made === 201) !== (gone === 200), `${made} ${gone}`);
  }
});

test('a policy that is shared no more has nobody who keeps to it without a right', async () => {
  for (let round = 0; round < rounds; round++) {
    const { id } = (await admin.post('/qos/policies', { policy: { name: 'p', shared: true } })).body.policy;
    const mine = await port();
    await atOnce(
      round,
      () => me.put(`/ports/${mine}`, { port: { qos_policy_id: id } }),
      () => admin.put(`/qos/policies/${id}`, { policy: { shared: false } }),
    );
    const shared = (await admin.get(`/qos/policies/${id}`)).body.policy.shared;
    const kept = (await me.get(`/ports/${mine}`)).body.port.qos_policy_id;
    assert.ok(shared || kept === null, `${shared} ${kept}`);
  }
});
