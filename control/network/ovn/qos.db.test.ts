import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { testDatabase } from '../../kit/database/testing.ts';
import { HostSet } from './intent/gateway.ts';
import { expand, loadModel } from './load.ts';
import { unit } from './units.ts';
import { Touched, touch } from './wakes.ts';

test('a rule that changes touches whatever keeps to its policy, and nothing else', async () => {
  await using db = await testDatabase();
  const cloud = new TestCloud(db.database);
  const policy = await cloud.insert('qos_policy', { id: newId(), project_id: cloud.project });
  const other = await cloud.insert('qos_policy', { id: newId(), project_id: cloud.project });
  const rule = { kind: 'bandwidth_limit', direction: 'ingress', max_kbps: 7, max_burst_kbps: 0 };
  await cloud.insert('qos_rule', { id: newId(), qos_policy_id: policy, ...rule });
  const [plain, bound, external] = [
    await cloud.network(),
    await cloud.network({ qos_policy_id: policy }),
    await cloud.external(),
  ];
  const outside = await cloud.subnet(external, '203.0.113.0/24', { gateway_ip: '203.0.113.254', enable_dhcp: false });
  await cloud.port(plain, []);
  const own = await cloud.port(plain, [], { qos_policy_id: policy });
  const ofNetwork = await cloud.port(bound, []);
  await cloud.port(bound, [], { qos_policy_id: other });
  const routers = [await cloud.router({ gateway_qos_policy_id: policy }), await cloud.router(), await cloud.router()];
  const service = await cloud.interface(routers[0]!, bound, []);
  const inside = await cloud.subnet(plain, '10.0.0.0/24');
  const guest = await cloud.port(plain, [{ subnet: inside, ip: '10.0.0.7' }]);
  const floating = await cloud.floatingIp(
    { network: external, subnet: outside, ip: '203.0.113.7' },
    { port: guest, ip: '10.0.0.7', router: routers[1]! },
  );
  await cloud.run(sql`update floating_ip set qos_policy_id = ${policy} where id = ${floating}`);
  const inParts = await cloud.forwardedIp({ network: external, subnet: outside, ip: '203.0.113.8' });
  await cloud.run(sql`update floating_ip set qos_policy_id = ${policy} where id = ${inParts}`);
  await cloud.portForwarding(inParts, { port: guest, ip: '10.0.0.7', router: routers[2]! }, 'tcp', ['80', '8080']);
  const touched = new Touched();
  touch(touched, {
    resource_type: 'qos_rule',
    resource_id: newId(),
    action: 'updated',
    body: { qos_policy_id: policy },
  });
  const units = await expand(db.database.query, touched);
  const wanted = [unit('port', own), unit('port', ofNetwork), ...routers.map((id) => unit('router', id))];
  // An interface of a router on a network with a policy is looked at for nothing: it keeps to none.
  assert.deepEqual(units, new Set([...wanted, unit('port', service)]));
  const given = new Touched();
  const body = { router_id: null, qos_policy_id: policy };
  touch(given, { resource_type: 'floating_ip', resource_id: inParts, action: 'updated', body });
  assert.deepEqual(await expand(db.database.query, given), new Set([unit('router', routers[2]!)]));
  const model = await loadModel(db.database.query, [...units], new HostSet([]));
  const rates = (id: string) => model.ports.get(id)!.qos_rules.map(({ max_kbps }) => max_kbps);
  assert.deepEqual([own, ofNetwork, service].map(rates), [[7], [7], []]);
  assert.equal(model.routers.get(routers[0]!)!.gateway_qos_rules[0]!.max_kbps, 7);
  assert.equal(model.floatingIps.get(floating)!.qos_rules[0]!.max_kbps, 7);
  assert.equal(model.portForwardingsOf(routers[2]!)[0]!.qos_rules[0]!.max_kbps, 7);
});
