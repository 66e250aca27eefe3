/**
 * What a decision rests on stays as it is until the decision is written: one that reads is stopped between its reading and its writing, and
 * one that takes away what it read is sent after it.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { newId } from '../../contract/ids.ts';
import { until } from '../../test/support/until.ts';
import { actorOf } from '../kit/caller.ts';
import { betweenReadAndWrite } from '../kit/database/test-between.ts';
import { testDatabase, testProject } from '../kit/database/testing.ts';
import { FloatingIpService } from './floating-ip/service.ts';
import { NetworkService } from './network/service.ts';
import { openNetwork } from './open.ts';
import { RbacPolicyService } from './rbac-policy/service.ts';
import { RouterService } from './router/service.ts';
import { SecurityGroupService } from './security-group/service.ts';
import { SubnetService } from './subnet/service.ts';
import { testAdmin, testCaller, testNetwork } from './testing.ts';

const own = await testDatabase();
const { database } = own;
const between = await betweenReadAndWrite(own);
after(async () => {
  await between[Symbol.asyncDispose]();
  await own[Symbol.asyncDispose]();
});
const { ports } = openNetwork({ database });
const networks = new NetworkService({ database });
const policies = new RbacPolicyService({ database });
const routers = new RouterService({ database });
const subnets = new SubnetService({ database });
const groups = new SecurityGroupService({ database });
const floatingIps = new FloatingIpService({ database });
const owner = testAdmin();
const guest = testCaller();

before(async () => {
  await testProject(database, guest.projectId!);
  await sql`update quota set maximum = -1 where project_id is null`.execute(database.query);
});

const share = async (object_type: 'network' | 'security_group', object_id: string) => {
  const wish = { object_type, object_id, action: 'access_as_shared', target_project_id: guest.projectId } as const;
  return (await policies.create(owner, [wish]))[0]!.id;
};
const outsideNetwork = (cidr: string) => testNetwork(database, owner, [cidr], { external: true });

test('a port on a network that is shared no more is refused, or keeps it shared', async () => {
  const { id: network_id } = await testNetwork(database, owner, ['10.1.0.0/24']);
  const policy = await share('network', network_id);
  const outcomes = await between.run(
    'port',
    () => ports.create(guest, [{ network_id }]),
    () => policies.delete(owner, policy),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a port in a group that is shared no more is refused, or keeps it shared', async () => {
  const { id: network_id } = await testNetwork(database, guest, ['10.2.0.0/24']);
  const [group] = await groups.create(owner, [{ name: 'g' }]);
  const policy = await share('security_group', group!.id);
  const outcomes = await between.run(
    'port',
    () => ports.create(guest, [{ network_id, security_groups: [group!.id] }]),
    () => policies.delete(owner, policy),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a port that is put into a group that is shared no more is refused, or keeps it shared', async () => {
  const { id: network_id } = await testNetwork(database, guest, ['10.3.0.0/24']);
  const [group] = await groups.create(owner, [{ name: 'g' }]);
  const policy = await share('security_group', group!.id);
  const [port] = await ports.create(guest, [{ network_id }]);
  const outcomes = await between.run(
    'port_security_group',
    () => ports.update(guest, port!.id, { security_groups: [group!.id] }),
    () => policies.delete(owner, policy),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a gateway on a network that is external no more is refused, or keeps it external', async () => {
  const { id: network_id } = await outsideNetwork('172.16.1.0/24');
  const router = await routers.create(guest, {});
  const outcomes = await between.run(
    'port',
    () => routers.update(guest, router.id, { gateway: { network_id } }),
    () => networks.update(owner, network_id, { external: false }),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a floating IP of a network that is external no more is refused, or keeps it external', async () => {
  const { id: floating_network_id } = await outsideNetwork('172.16.2.0/24');
  const outcomes = await between.run(
    'port',
    () => floatingIps.create(guest, { floating_network_id }),
    () => networks.update(owner, floating_network_id, { external: false }),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

test('a port that is made while its network gets a subnet of which guests choose their addresses has such an address', async () => {
  const { id: network_id } = await testNetwork(database, guest, ['10.4.0.0/24']);
  const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' } as const;
  const made: { id: string }[] = [];
  const outcomes = await between.run(
    'port',
    async () => made.push(...(await ports.create(guest, [{ network_id }]))),
    () => subnets.create(guest, [{ network_id, cidr: 'fd00:4::/64', ip_version: 6, ...slaac }]),
  );
  assert.deepEqual(outcomes, ['done', 'done']);
  const { fixed_ips } = await ports.read(guest, made[0]!.id);
  assert.equal(fixed_ips.length, 2, JSON.stringify(fixed_ips));
});

test('a port that changes its MAC address while its network gets such a subnet has the address of the new one', async () => {
  const { id: network_id } = await testNetwork(database, guest, ['10.5.0.0/24']);
  const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' } as const;
  const [port] = await ports.create(guest, [{ network_id }]);
  const outcomes = await between.run(
    'port',
    () => ports.update(owner, port!.id, { mac: '02:00:00:00:00:05' }),
    () => subnets.create(guest, [{ network_id, cidr: 'fd00:5::/64', ip_version: 6, ...slaac }]),
  );
  assert.deepEqual(outcomes, ['done', 'done']);
  const { fixed_ips } = await ports.read(guest, port!.id);
  assert.match(JSON.stringify(fixed_ips), /fd00:5::ff:fe00:5/);
});

test('a router has its interface at the gateway that a subnet has, or the subnet keeps its gateway', async () => {
  const { subnetIds } = await testNetwork(database, guest, ['10.6.0.0/24']);
  const [subnet_id] = subnetIds as [string];
  const router = await routers.create(guest, {});
  const outcomes = await between.run(
    'port',
    () => routers.addInterface(guest, router.id, { subnet_id }),
    () => subnets.update(guest, subnet_id, { gateway_ip: '10.6.0.9', allocation_pools: [] }),
  );
  assert.deepEqual(outcomes, ['done', 'refused']);
});

/** Who wants both waits for the first one with nothing of the second in hand, as who deletes a server with both. */
async function holdsInOrder<T>(portIds: readonly string[], work: () => Promise<T>): Promise<T> {
  const [low, high] = portIds.toSorted();
  const other = new pg.Client({ connectionString: own.url.reveal() });
  await other.connect();
  await other.query('begin');
  await other.query('select from port where id = $1 for update', [low]);
  const done = work();
  await until('it to wait', async () => {
    const { rows } = await other.query(`select from pg_locks l join pg_stat_activity a on a.pid = l.pid
      where not l.granted and a.datname = current_database()`);
    return rows.length > 0;
  });
  await other.query('select from port where id = $1 for update nowait', [high]);
  await other.query('commit');
  await other.end();
  return done;
}

test('several ports get floating IPs in the order in which others hold them', async () => {
  const { id: floating_network_id } = await outsideNetwork('172.16.7.0/24');
  const { id: network_id, subnetIds } = await testNetwork(database, guest, ['10.7.0.0/24']);
  const router = await routers.create(guest, { gateway: { network_id: floating_network_id } });
  await routers.addInterface(guest, router.id, { subnet_id: subnetIds[0]! });
  const both = (await ports.create(guest, [{ network_id }, { network_id }])).map(({ id }) => id).sort();
  const wishes = both.toReversed().map((port_id) => ({ floating_network_id, port_id }));
  assert.equal((await holdsInOrder(both, () => floatingIps.createAll(guest, wishes))).length, 2);
});

test('a server takes several ports in the order in which others hold them', async () => {
  const { id: network_id } = await testNetwork(database, guest, ['10.8.0.0/24']);
  const both = (await ports.create(guest, [{ network_id }, { network_id }])).map(({ id }) => id).sort();
  const requests = both.toReversed().map((portId) => ({ portId }));
  const [taken] = await holdsInOrder(both, () =>
    database.transaction(actorOf(guest), async (tx) => {
      const plan = await ports.planServerPorts(tx, guest, { requests, securityGroups: [], automatic: null });
      return ports.createServerPorts(tx, guest, plan, [{ id: newId(), hostname: 'h' }]);
    }),
  );
  assert.deepEqual(
    taken!.map(({ portId }) => portId as string),
    both.toReversed(),
  );
});
