/** Minimum bandwidth is promised out of what a server's host gives, in the transaction that decides, and is given back with what it was for. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, PortId, ServerId } from '../../../contract/ids.ts';
import { recordBandwidths } from '../../host/store.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { NetworkService } from '../../network/network/service.ts';
import type { QosDirection } from '../../network/qos-policy/rule.ts';
import { QosPolicyService } from '../../network/qos-policy/service.ts';
import { TrunkService } from '../../network/trunk/service.ts';
import { testPool } from '../../storage/testing.ts';
import * as actions from './actions/index.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let policies: QosPolicyService;
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  policies = new QosPolicyService(db);
  flavor = await cloud.addFlavor();
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
  host = await cloud.addHost({ vcpus: 1000, memoryMiB: 10_000_000 });
  await gives(host, 10_000, 4000);
});
after(() => db[Symbol.asyncDispose]());

const gives = (hostId: HostId, egressKbps: number, ingressKbps: number) =>
  recordBandwidths(db.database.query, hostId, [{ physicalNetwork: null, egressKbps, ingressKbps }]);

/** A policy with a minimum for one direction, or both. */
async function policyOf(minima: Partial<Record<QosDirection, number>>): Promise<string> {
  const [policy] = await policies.create(cloud.admin, [{ shared: true }]);
  for (const [direction, min_kbps] of Object.entries(minima) as [QosDirection, number][]) {
    await policies.createRules(cloud.admin, policy!.id, 'minimum_bandwidth', [{ direction, min_kbps }]);
  }
  return policy!.id;
}

const ruleOf = async (policy: string) => (await policies.read(cloud.admin, policy)).rules[0]!;

async function port(policy: string | null): Promise<PortId> {
  const wish = { network_id: cloud.networkId, qos_policy_id: policy };
  const [made] = await cloud.ports.create(cloud.member, [wish]);
  return made!.id as PortId;
}

const server = (...ports: PortId[]): Promise<ServerId> => cloud.serverWith(flavor, ports);

async function promised(hostId = host): Promise<[number, number]> {
  const { rows } = await sql<{
    used: [number, number];
  }>`select json_build_array(used_egress_kbps, used_ingress_kbps) as used
    from host_bandwidth where host_id = ${hostId} and physical_network = ''`.execute(db.database.query);
  return rows[0]?.used ?? [0, 0];
}

async function hostOf(id: ServerId): Promise<string | null> {
  const { rows } = await sql<{ host_id: string | null }>`select host_id from server where id = ${id}`.execute(
    db.database.query,
  );
  return rows[0]!.host_id;
}

async function gone(...ids: ServerId[]): Promise<void> {
  for (const id of ids) await cloud.service.delete(cloud.member, id);
  await cloud.obey(host);
  for (const id of ids) await cloud.controller.reconcile(id);
}

const exceeded = { code: 'conflict', reason: 'bandwidth_exceeded' };

test('of many servers at once exactly so many are placed as the host can promise, and the others are told why', async () => {
  const policy = await policyOf({ egress: 3000 });
  const ids = await Promise.all(Array.from({ length: 8 }, async () => server(await port(policy))));
  const places = await Promise.all(ids.map(hostOf));
  assert.equal(places.filter((place) => place === host).length, 3);
  assert.deepEqual(await promised(), [9000, 0]);
  const refused = ids[places.indexOf(null)]!;
  const { rows } = await sql<{ explanation: { message: string; fix: string }; inputs: { request: unknown } }>`
    select explanation, inputs from decision where resource_id = ${refused}`.execute(db.database.query);
  assert.match(rows[0]!.explanation.message, /has too little bandwidth left to promise/);
  assert.match(rows[0]!.explanation.fix, /a lower minimum bandwidth/);
  assert.deepEqual((rows[0]!.inputs.request as { bandwidth: unknown }).bandwidth, [
    { physical_network: '', egress_kbps: 3000, ingress_kbps: 0 },
  ]);
  const other = await server(await port(null));
  assert.equal(await hostOf(other), host, 'who is promised nothing finds room');
  await gone(...ids, other);
  assert.deepEqual(await promised(), [0, 0]);
});

test('directions, ports of one server and networks with a policy count together, on the host that has the room', async () => {
  const wide = await cloud.addHost({ vcpus: 2 });
  await gives(wide, 20_000, 20_000);
  const [both, up] = [await policyOf({ egress: 5000, ingress: 2000 }), await policyOf({ egress: 6000 })];
  const id = await server(await port(both), await port(up));
  assert.equal(await hostOf(id), wide, '11,000 are more than the emptier host gives');
  assert.deepEqual(await promised(wide), [11_000, 2000]);
  await gives(wide, 0, 0);
  assert.deepEqual(await promised(wide), [11_000, 2000], 'what is promised stays');
  await sql`update host set enabled = false where id = ${wide}`.execute(db.database.query);
  const networks = new NetworkService(db);
  const plain = await server(await port(null));
  await networks.update(cloud.admin, cloud.networkId, { qos_policy_id: both });
  assert.deepEqual(await promised(), [5000, 2000]);
  await assert.rejects(
    networks.update(cloud.admin, cloud.networkId, { qos_policy_id: await policyOf({ ingress: 4001 }) }),
    exceeded,
  );
  await networks.update(cloud.admin, cloud.networkId, { qos_policy_id: null });
  assert.deepEqual(await promised(), [0, 0]);
  await gone(plain);
});

test('a rule or a policy of a port in use is refused where it promises more than is there', async () => {
  const policy = await policyOf({ egress: 4000 });
  const [one, two, free] = [await port(policy), await port(policy), await port(null)];
  const ids = [await server(one), await server(two), await server(free)];
  const rule = await ruleOf(policy);
  const change = (min_kbps: number) =>
    policies.updateRule(cloud.admin, policy, 'minimum_bandwidth', rule.id, { min_kbps });
  await assert.rejects(change(5001), exceeded);
  assert.equal((await ruleOf(policy)).min_kbps, 4000);
  await change(5000);
  assert.deepEqual(await promised(), [10_000, 0]);
  await assert.rejects(cloud.ports.update(cloud.member, free, { qos_policy_id: policy }), exceeded);
  await assert.rejects(
    policies.createRules(cloud.admin, policy, 'minimum_bandwidth', [{ direction: 'ingress', min_kbps: 2001 }]),
    exceeded,
  );
  await gives(host, 1000, 4000);
  await change(2000);
  await assert.rejects(change(2001), exceeded, 'a host that gives less makes no new promise');
  await gives(host, 10_000, 4000);
  await cloud.ports.update(cloud.member, one, { qos_policy_id: null });
  assert.deepEqual(await promised(), [2000, 0]);
  await policies.deleteRule(cloud.admin, policy, 'minimum_bandwidth', rule.id);
  assert.deepEqual(await promised(), [0, 0]);
  await gone(...ids);
});

test('a rule that comes while servers with its policy are placed is counted for all of them', async () => {
  const policy = await policyOf({});
  const ports = await Promise.all(Array.from({ length: 6 }, () => port(policy)));
  const [ids] = await Promise.all([
    Promise.all(ports.map((one) => server(one))),
    policies.createRules(cloud.admin, policy, 'minimum_bandwidth', [{ min_kbps: 1000 }]),
  ]);
  assert.deepEqual(await promised(), [6000, 0]);
  await gone(...ids);
});

test('an interface that comes is promised its bandwidth or refused, and what goes gives it back', async () => {
  const policy = await policyOf({ ingress: 3000 });
  const id = await server(await port(null));
  await cloud.obey(host);
  const attach = async (portId: PortId) =>
    cloud.service.act(cloud.member, id, actions.attachInterface, {
      request: { portId },
      tag: null,
      attached: () => {},
    });
  const [first, second] = [await port(policy), await port(policy)];
  await attach(first);
  await assert.rejects(attach(second), { code: 'invalid', reason: 'attach_bandwidth_exceeded' });
  const { rows } = await sql`select from port where id = ${second} and device_id <> ''`.execute(db.database.query);
  assert.equal(rows.length, 0, 'nothing half-made');
  await cloud.obey(host);
  const larger = await cloud.addFlavor({ vcpus: 2 });
  await cloud.service.act(cloud.member, id, actions.resize, { flavor: larger });
  assert.deepEqual(await promised(), [0, 3000], 'a resize keeps it');
  await cloud.obey(host);
  await cloud.service.act(cloud.member, id, actions.confirmResize);
  await cloud.obey(host);
  await cloud.service.act(cloud.member, id, actions.detachInterface, first);
  assert.deepEqual(await promised(), [0, 0]);
  await attach(second);
  assert.deepEqual(await promised(), [0, 3000]);
  await cloud.ports.delete(cloud.admin, second);
  assert.deepEqual(await promised(), [0, 0], 'a port that is deleted is promised nothing');
  await gone(id);
});

test('a server that is shelved away gives its promise back, and comes back only where there is room for it', async () => {
  const policy = await policyOf({ egress: 7000 });
  const id = await server(await port(policy));
  await cloud.obey(host);
  await cloud.service.act(cloud.member, id, actions.shelve);
  for (let n = 0; n < 2; n++) await cloud.obey(host);
  await cloud.controller.reconcile(id);
  assert.deepEqual([await hostOf(id), await promised()], [null, [0, 0]]);
  const other = await server(await port(policy));
  await cloud.service.act(cloud.member, id, actions.unshelve, { host: null });
  await cloud.controller.reconcile(id);
  assert.deepEqual([await hostOf(id), await promised()], [null, [7000, 0]]);
  await gone(id, other);
});

test('a port that a trunk carries is promised its bandwidth where the trunk is', async () => {
  const trunks = new TrunkService(db);
  const policy = await policyOf({ ingress: 3000 });
  const [parent, carried, late] = [await port(null), await port(policy), await port(policy)];
  const subport = (port_id: string, segmentation_id: number) => ({
    port_id,
    segmentation_type: 'vlan',
    segmentation_id,
  });
  const [trunk] = await trunks.create(cloud.member, [{ port_id: parent, sub_ports: [subport(carried, 7)] }]);
  const id = await server(parent);
  assert.deepEqual([await hostOf(id), await promised()], [host, [0, 3000]]);
  await assert.rejects(trunks.addSubports(cloud.member, trunk!.id, [subport(late, 8)]), exceeded);
  await trunks.removeSubports(cloud.member, trunk!.id, [carried]);
  assert.deepEqual(await promised(), [0, 0]);
  await trunks.addSubports(cloud.member, trunk!.id, [subport(late, 8)]);
  assert.deepEqual(await promised(), [0, 3000]);
  await gone(id);
  assert.deepEqual(await promised(), [0, 0]);
});

test('servers whose volumes are made with them go where the bandwidth is too', async () => {
  const [flash, policy] = [await cloud.addHost({ vcpus: 2 }), await policyOf({ egress: 10_001 })];
  for (const hostId of [host, flash]) await testPool(db.database, { hostId });
  const create = async () => {
    const volumes = [
      {
        source: 'image',
        id: cloud.imageId,
        sizeGib: 1,
        bootIndex: 0,
        tag: null,
        deleteOnTermination: true,
        type: null,
      },
    ];
    const ports = [{ portId: await port(policy) }];
    const { ids } = await cloud.service.create(
      cloud.member,
      cloud.wish({ flavor, ports, imageId: null, volumes } as object),
    );
    return ids[0]!;
  };
  const { fault } = await cloud.service.get(cloud.member, await create());
  assert.match(fault!.message, /has too little bandwidth left to promise/);
  await gives(flash, 20_000, 0);
  const id = await create();
  await cloud.controller.reconcile(id);
  assert.equal(await hostOf(id), flash);
});

test('what is promised is, after all that, what ports with a host were given', async () => {
  const { rows } = await sql`select from host_bandwidth u left join lateral (
      select sum(egress_kbps)::bigint as egress, sum(ingress_kbps)::bigint as ingress from port_bandwidth b
      where b.host_id = u.host_id and b.physical_network = u.physical_network) b on true
    where (used_egress_kbps, used_ingress_kbps) <> (coalesce(egress, 0), coalesce(ingress, 0))`.execute(
    db.database.query,
  );
  assert.equal(rows.length, 0);
});
