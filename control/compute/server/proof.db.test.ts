/** The placement proof over real rows: tunnels that hosts say are broken, for a server that goes somewhere, one that is on its way, and who asks. */
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { sql } from 'kysely';
import type { ObservedServer } from '../../../contract/host/index.ts';
import { type HostId, newId, type PortId, type ServerId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { recordBandwidths } from '../../host/store.ts';
import { recordTunnels } from '../../host/tunnels.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { QosPolicyService } from '../../network/qos-policy/service.ts';
import { ReachabilityAssertionService } from '../../network/reachability-assertion/index.ts';
import { testCaller } from '../../network/testing.ts';
import * as actions from './actions/index.ts';
import { placeMove, releaseClaim } from './moving.ts';
import { proveServer } from './proof.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let flavor: string;
let zone: string;
let source: HostId;
let target: HostId;
let peer: HostId;
let id: ServerId;
let zones = 0;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  flavor = await cloud.addFlavor();
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());
beforeEach(async () => {
  await sql`delete from reachability_assertion`.execute(db.database.query);
  zone = `zone ${zones++}`;
  source = await cloud.addHost({ zone, vcpus: 4, name: `${zone} source` });
  id = await made();
  await cloud.obey(source);
  target = await cloud.addHost({ zone, vcpus: 8, name: `${zone} target` });
  peer = await cloud.addHost({ zone: `${zone} apart`, name: `${zone} peer` });
  await made(`${zone} apart`);
});

/** With a port on the network that all have. */
async function made(where = zone): Promise<ServerId> {
  const [port] = await cloud.ports.create(cloud.member, [{ network_id: cloud.networkId }]);
  const wish = cloud.wish({ flavor, ports: [{ portId: port!.id as PortId }], availabilityZone: where });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await cloud.controller.reconcile(ids[0]!);
  return ids[0]!;
}

const say = (of: HostId, ...silent: HostId[]) =>
  recordTunnels(db.database.query, of, {
    ...{ peers: 9, tried: 9, oldestMs: 1000, faults: silent.length },
    broken: silent.map((hostId) => ({ hostId, address: '10.9.0.9', fault: 'narrow' })),
  });
const prove = (host: string) => proveServer(db.database, cloud.admin, { id, host });
const broken = async (host: string) => (await prove(host)).checks.flatMap(({ check, ok }) => (ok ? [] : check));
const move = () => db.database.transaction(cloudActor, (tx) => placeMove(tx, { serverId: id }));

test('a tunnel that is broken to a host where its network is, by either one’s word, is named, and mended it is not', async () => {
  assert.deepEqual(await broken(`${zone} target`), []);
  for (const [of, to] of [
    [target, peer],
    [peer, target],
  ] as const) {
    await say(of, to);
    assert.deepEqual(await broken(target), ['tunnel_broken']);
    const found = await move();
    assert.deepEqual([found.host, found.refusals.tunnel_broken], [null, 1]);
    await say(of);
    assert.deepEqual(await broken(target), []);
  }
  // What was said before one of them came back is not known to be so now.
  await say(peer, target);
  const connected = (ago: string) =>
    sql`update host set connected_at = now() - ${ago}::interval where id = ${target}`.execute(db.database.query);
  await connected('0 seconds');
  assert.deepEqual(await broken(target), []);
  await connected('1 minute');
  assert.deepEqual(await broken(target), ['tunnel_broken']);
  await say(peer);
  assert.equal((await move()).host?.id, target);
  const { rows } = await sql<{ at: string }>`select inputs ->> 'proved_at' as at from decision where resource_id = ${id}
    order by id desc limit 1`.execute(db.database.query);
  assert.match(rows[0]!.at, /^\d+$/, 'its record says up to which transaction it looked');
});

test('a tunnel to a host that is away, or that has nothing of its networks, is in nobody’s way', async () => {
  const stranger = await cloud.addHost({ zone: `${zone} apart` });
  await say(target, stranger);
  assert.deepEqual(await broken(target), []);
  await say(target, peer);
  await sql`update host set connected = false where id = ${peer}`.execute(db.database.query);
  assert.deepEqual(await broken(target), []);
});

test('a new server goes nowhere where its tunnels are broken, and says why', async () => {
  await say(target, peer);
  const wide = await cloud.addFlavor({ vcpus: 5 });
  const [port] = await cloud.ports.create(cloud.member, [{ network_id: cloud.networkId }]);
  const wish = cloud.wish({ flavor: wide, ports: [{ portId: port!.id as PortId }], availabilityZone: zone });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await cloud.controller.reconcile(ids[0]!);
  const { host_id, fault } = await cloud.service.get(cloud.admin, ids[0]!);
  assert.equal(host_id, null);
  assert.match(fault!.message, /no tunnel that carries whole frames/);
});

test('the host on which it is has room for it, as if it were not there', async () => {
  const full = await prove(source);
  assert.deepEqual([full.holds, full.host?.id], [true, source]);
  assert.equal(full.tunnels, null, 'it has said nothing of them');
  await say(source);
  assert.equal((await prove(source)).tunnels?.tried, 9);
});

test('a host that is not there, and any host for who is no administrator, is not found', async () => {
  await assert.rejects(prove('no such host'), { code: 'not_found' });
  await assert.rejects(proveServer(db.database, cloud.member, { id, host: target }), { code: 'not_found' });
  assert.equal((await proveServer(db.database, cloud.member, { id })).host?.id, target);
});

async function document(host: HostId) {
  const all = await cloud.side.desiredServers(db.database.query, { hostId: host });
  return all.find((one) => one.id === id)!;
}
async function ready(): Promise<void> {
  const { incoming, epoch, generation } = await document(target);
  const place = { address: '10.0.0.2', disksPort: 49152, disks: ['root'], memoryPort: 49153 };
  const observed: ObservedServer = {
    ...{ id, epoch, generation, rebootCount: 0, state: 'building', step: null, error: null, startedAt: null },
    incoming: { id: incoming!.id, state: 'ready', error: null, target: place },
  };
  await cloud.side.recordReports(target, [observed]);
}
async function copying(): Promise<void> {
  const { outgoing, epoch, generation } = await document(source);
  const observed: ObservedServer = {
    ...{ id, epoch, generation, rebootCount: 0, state: 'running', step: null, error: null, startedAt: null },
    outgoing: { id: outgoing!.id, state: 'copying', disks: { total: 2, copied: 1 }, error: null },
  };
  await cloud.side.recordReports(source, [observed]);
}
const migration = async () =>
  (
    await sql<{ phase: string; error: { message: string } | null }>`
      select phase, error from server_migration m where server_id = ${id} order by id desc limit 1`.execute(
      db.database.query,
    )
  ).rows[0]!;
const migrate = () => cloud.service.act(cloud.admin, id, actions.liveMigrate, { host: null, copyDisks: true });

test('what breaks before the source was told of the target, or while it copies, calls the migration off with the one reason', async () => {
  await migrate();
  await say(target, peer);
  await ready();
  assert.equal((await migration()).phase, 'cancelling');
  assert.match((await migration()).error!.message, /the host has no tunnel that carries whole frames/);
  assert.equal((await document(source)).outgoing?.target, null, 'the source was never told where to');
});

test('while it copies too; what has nothing to do with it, or is well again, does not', async () => {
  await migrate();
  await ready();
  await copying();
  await sql`update host set enabled = false where id = ${target}`.execute(db.database.query);
  await copying();
  assert.equal((await migration()).phase, 'copying', 'closed for new ones is not in its way');
  await sql`update host set facts = jsonb_set(facts, '{machine,types}', '[]') where id = ${target}`.execute(
    db.database.query,
  );
  await copying();
  assert.deepEqual(
    [(await migration()).phase, (await migration()).error?.message],
    ['cancelling', 'What was proven of the other host holds no more: the host does not have the machine type.'],
  );
});

const gives = (hostId: HostId) =>
  recordBandwidths(db.database.query, hostId, [{ physicalNetwork: null, egressKbps: 10_000, ingressKbps: 10_000 }]);
async function promised(hostId: HostId): Promise<number> {
  const { rows } = await sql<{ used: number }>`select used_egress_kbps::integer as used from host_bandwidth
    where host_id = ${hostId} and physical_network = ''`.execute(db.database.query);
  return rows[0]?.used ?? 0;
}

test('a server that is to move has its minimum bandwidth there from the decision on, and gives it back either way', async () => {
  await gives(source);
  await gives(target);
  const policies = new QosPolicyService(db);
  const [policy] = await policies.create(cloud.admin, [{ shared: true }]);
  await policies.createRules(cloud.admin, policy!.id, 'minimum_bandwidth', [{ direction: 'egress', min_kbps: 6000 }]);
  await sql`update port set qos_policy_id = ${policy!.id} where id in (select port_id from server_port where server_id = ${id})`.execute(
    db.database.query,
  );
  const both = async () => [await promised(source), await promised(target)];
  assert.deepEqual(await both(), [6000, 0]);
  assert.equal((await move()).host?.id, target);
  assert.deepEqual(await both(), [6000, 6000]);
  assert.equal((await move()).host?.id, target, 'asked again it is claimed once');
  assert.deepEqual(await both(), [6000, 6000]);
  await db.database.transaction(cloudActor, (tx) => releaseClaim(tx, id));
  assert.deepEqual(await both(), [6000, 0]);
  await migrate();
  await ready();
  assert.deepEqual(await both(), [6000, 6000]);
  const { incoming, epoch, generation } = await document(target);
  await cloud.side.recordReports(target, [
    {
      ...{ id, epoch, generation, rebootCount: 0, state: 'running', step: null, error: null, startedAt: null },
      incoming: { id: incoming!.id, state: 'taken_over', error: null },
    },
  ]);
  assert.deepEqual(await both(), [0, 6000], 'the claim has become what its ports are promised');
});

/** A network of the member's with a segment on each of two physical networks, and a guest on the first, at a host of its own. */
async function onSegments() {
  const own = new TestCloud(db.database, cloud.member.projectId!);
  const group = await own.securityGroup();
  await own.rule(group, {});
  const [red, blue] = [`red ${zone}`, `blue ${zone}`];
  const provider = { provider_network_type: 'flat', provider_physical_network: red };
  const network = await own.network({ mtu: 1500, ...provider });
  await own.insert('segment', {
    ...{ id: newId(), network_id: network, position: 1, network_type: 'flat', physical_network: blue },
  });
  const subnet = await own.subnet(network, '10.1.0.0/24', { gateway_ip: null });
  const other = await own.port(
    network,
    [{ subnet, ip: '10.1.0.11' }],
    { host_id: await own.host([red]), observed_up: true },
    [group],
  );
  const port = await own.port(network, [{ subnet, ip: '10.1.0.12' }], { device_owner: '' }, [group]);
  const carries = (host: HostId, ...names: string[]) =>
    sql`update host set physical_networks = ${names}::text[] where id = ${host}`.execute(db.database.query);
  await carries(source, red);
  await carries(target, blue);
  const open = (enabled: boolean) =>
    sql`update host set enabled = ${enabled} where id = ${target}`.execute(db.database.query);
  await open(false);
  const wish = cloud.wish({ flavor, ports: [{ portId: port as PortId }], availabilityZone: zone });
  const { ids } = await cloud.service.create(cloud.member, wish);
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(source);
  await open(true);
  return { own, server: ids[0]!, other, port, network, subnet, group, carries, red, blue };
}

const assertions = () => new ReachabilityAssertionService(db);

test('a reachability assertion that would not be true on a host is named, and refuses nothing', async () => {
  const { server, other, carries, red } = await onSegments();
  const wish = { kind: 'must', from: other, to: server, protocol: 'tcp', port: 80 } as const;
  const { id: asserted, state } = await assertions().create(cloud.member, { ...wish, name: '小屋' });
  const never = await assertions().create(cloud.member, { ...wish, kind: 'never', protocol: 'udp' });
  assert.deepEqual([state, never.state], ['holds', 'violated']);
  const there = await proveServer(db.database, cloud.admin, { id: server, host: target });
  assert.equal(there.holds, false);
  assert.deepEqual(
    there.checks.filter(({ ok }) => !ok).map(({ check }) => check),
    ['assertion_violated'],
  );
  assert.match(there.checks.find(({ ok }) => !ok)!.why!, /would not be true any more: 小屋/);
  assert.deepEqual([there.assertions!.concerned, there.assertions!.looked_at], [2, 1], 'one is untrue already');
  assert.deepEqual(
    there.assertions!.broken.map(({ id: broken, name, kind }) => [broken, name, kind]),
    [[asserted, '小屋', 'must']],
  );
  const moved = await db.database.transaction(cloudActor, (tx) => placeMove(tx, { serverId: server }));
  assert.equal(moved.host?.id, target, 'it is told, not refused');
  await carries(target, red);
  const same = await proveServer(db.database, cloud.admin, { id: server, host: target });
  assert.deepEqual([same.holds, same.assertions!.broken], [true, []]);
  assert.equal((await proveServer(db.database, cloud.admin, { id: server, host: source })).holds, true);
});

test('a local IP that leads nowhere on a host is known before the server is there', async () => {
  const { own, server, port, network, subnet, group, carries, red } = await onSegments();
  await carries(target, red);
  const beside = await own.port(network, [{ subnet, ip: '10.1.0.13' }], { host_id: source, observed_up: true }, [
    group,
  ]);
  const address = '10.1.0.99';
  const localIp = await own.localIp(network, { subnet, ip: address });
  await own.associate(localIp, network, { port: beside, ip: '10.1.0.13' });
  const { state } = await assertions().create(cloud.member, {
    ...{ kind: 'must', from: port, to: address, protocol: 'tcp', port: 80 },
  });
  assert.equal(state, 'holds');
  const { assertions: found } = await proveServer(db.database, cloud.admin, { id: server, host: target });
  assert.deepEqual([found!.looked_at, found!.broken.length], [1, 1]);
});

test('of a network of tunnels no host makes an assertion untrue, and nothing is read for it; others’ are nobody’s to see', async () => {
  const beside = await made();
  await assertions().create(cloud.member, { kind: 'never', from: beside, to: id, protocol: 'tcp', port: 80 });
  const { assertions: found, holds } = await proveServer(db.database, cloud.admin, { id, host: target });
  assert.deepEqual([holds, found], [true, { concerned: 1, looked_at: 0, broken: [] }]);
  assert.equal((await proveServer(db.database, cloud.member, { id })).assertions!.concerned, 1);
  const stranger = testCaller();
  await assert.rejects(proveServer(db.database, stranger, { id }), { code: 'not_found' });
});
