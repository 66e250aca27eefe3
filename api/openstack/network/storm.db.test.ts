/**
 * Everything at once on a few things: no two who hold several rows wait for each other in a circle, and nobody hears of an error of ours. A
 * deadlock would be run again and seen by nobody, but for the second that all stood still.
 */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { sql } from 'kysely';
import pg from 'pg';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { actorOf } from '../../../control/kit/caller.ts';
import { Database, type Tx } from '../../../control/kit/database/database.ts';
import { testDatabase } from '../../../control/kit/database/testing.ts';
import { ensureTopology } from '../../../control/network/auto-topology/build.ts';
import { PortService } from '../../../control/network/port/service.ts';
import { testAdmin, testCaller } from '../../../control/network/testing.ts';
import { type Answer, newNetwork, newSubnet, type TestApi, testApi } from './testing.ts';

interface Counted {
  api: TestApi;
  database: Database;
  /** Of all that was done. No more can be done then. */
  deadlocks(): Promise<number>;
}

async function counted(): Promise<Counted> {
  const db = await testDatabase();
  // One of the test's own, closed before deadlocks are counted: a connection tells what it has counted when it ends.
  const database = new Database({ url: db.url });
  const api = await testApi(database);
  after(() => db[Symbol.asyncDispose]());
  await sql`update quota set maximum = -1 where project_id is null`.execute(database.query);
  return {
    api,
    database,
    async deadlocks() {
      await database.close();
      const counter = new pg.Client({ connectionString: db.url.reveal() });
      await counter.connect();
      const { rows } = await counter.query(
        'select deadlocks::integer from pg_stat_database where datname = current_database()',
      );
      await counter.end();
      return rows[0].deadlocks;
    },
  };
}

const callers = 50;
const acts = 800;

/** Numbers that are the same in each run; the order in which PostgreSQL serves is not. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

test('fifty callers change routers, floating IPs, local IPs, ports, groups, trunks and subnets that hang together: no deadlock, and no error of ours', async () => {
  const { api, deadlocks } = await counted();
  const [admin, me] = [api.as(testAdmin()), api.as(testCaller())];
  const below = numbers(7);
  const pick = <T>(list: readonly T[]): T => list[below(list.length)]!;
  const outside = await newNetwork(admin, { 'router:external': true });
  const outsideSubnet = (await newSubnet(admin, outside, '172.20.0.0/16', { enable_dhcp: false })).id;
  const qos = (await admin.post('/qos/policies', { policy: { name: 'p', shared: true } })).body.policy.id;
  const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
  const [nets, subnets, routers, groups, ports, floating] = Array.from({ length: 6 }, (): string[] => []) as [
    ...[string[], string[], string[], string[], string[], string[]],
  ];
  const gateway = { external_gateway_info: { network_id: outside } };
  for (let i = 0; i < 2; i++) {
    nets.push(await newNetwork(me));
    subnets.push((await newSubnet(me, nets[i]!, `10.${i}.0.0/24`)).id);
    subnets.push((await newSubnet(me, nets[i]!, `fd00:${i}::/64`, slaac)).id);
    routers.push((await me.post('/routers', { router: gateway })).body.router.id);
    await me.put(`/routers/${routers[i]}/add_router_interface`, { subnet_id: subnets[2 * i] });
    groups.push((await me.post('/security-groups', { security_group: {} })).body.security_group.id);
  }
  for (let i = 0; i < 6; i++) ports.push((await me.post('/ports', { port: { network_id: pick(nets) } })).body.port.id);
  for (let i = 0; i < 3; i++)
    floating.push((await me.post('/floatingips', { floatingip: { floating_network_id: outside } })).body.floatingip.id);

  const [newPorts, newSubnets, trunks, locals, newRouters] = Array.from({ length: 5 }, (): string[] => []) as [
    ...[string[], string[], string[], string[], string[]],
  ];
  const kept = async (list: string[], noun: string, answer: Promise<Answer>): Promise<Answer> => {
    const got = await answer;
    if (got.status === 201) list.push(got.body[noun].id);
    return got;
  };
  let next = 1;
  const subport = () => ({ port_id: pick(ports), segmentation_type: 'vlan', segmentation_id: next++ });
  const none: Answer = { status: 200, body: undefined };
  const oneLess = (list: string[], path: string) =>
    list.length > 0 ? me.delete(`/${path}/${list.shift()}`) : Promise.resolve(none);
  const routerInterface = (verb: string) => () =>
    me.put(
      `/routers/${pick(routers)}/${verb}_router_interface`,
      pick([{ subnet_id: pick(subnets) }, { port_id: pick(ports) }]),
    );
  const all: readonly (() => Promise<Answer>)[] = [
    () => me.put(`/floatingips/${pick(floating)}`, { floatingip: { port_id: pick([...ports, null]) } }),
    () => me.put(`/floatingips/${pick(floating)}`, { floatingip: { port_id: pick(ports) } }),
    () =>
      me.post(`/floatingips/${pick(floating)}/port_forwardings`, {
        port_forwarding: { protocol: 'tcp', internal_port_id: pick(ports), external_port: next++, internal_port: 80 },
      }),
    routerInterface('add'),
    routerInterface('add'),
    routerInterface('remove'),
    () => me.put(`/routers/${pick(routers)}`, { router: pick([gateway, { external_gateway_info: null }, gateway]) }),
    () => admin.put(`/ports/${pick(ports)}`, { port: { mac_address: `02:00:00:00:${hex(next >> 8)}:${hex(next++)}` } }),
    () => me.put(`/ports/${pick(ports)}`, { port: { fixed_ips: [{ subnet_id: pick(subnets) }] } }),
    () => me.put(`/ports/${pick(ports)}`, { port: { security_groups: [pick(groups), pick(groups)] } }),
    () => me.put(`/ports/${pick(ports)}`, { port: { qos_policy_id: pick([qos, null]) } }),
    () =>
      kept(newPorts, 'port', me.post('/ports', { port: { network_id: pick(nets), security_groups: [pick(groups)] } })),
    () => oneLess(newPorts, 'ports'),
    () => {
      const ruled = { direction: 'ingress', protocol: 'tcp', port_range_min: next, port_range_max: next++ };
      const rule = { ...ruled, security_group_id: pick(groups), remote_group_id: pick(groups) };
      return me.post('/security-group-rules', { security_group_rule: rule });
    },
    () => {
      const subnet = { network_id: pick(nets), ip_version: 6, cidr: `fd01:${hex(next++)}::/64`, ...slaac };
      return kept(newSubnets, 'subnet', me.post('/subnets', { subnet }));
    },
    () => oneLess(newSubnets, 'subnets'),
    () => me.put(`/subnets/${pick(subnets)}`, { subnet: { enable_dhcp: pick([true, false]) } }),
    () => admin.put(`/subnets/${outsideSubnet}`, { subnet: { name: 's' } }),
    () => me.put(`/networks/${pick(nets)}`, { network: { name: 'n' } }),
    () => kept(trunks, 'trunk', me.post('/trunks', { trunk: { port_id: pick(ports), sub_ports: [subport()] } })),
    () => oneLess(trunks, 'trunks'),
    () => kept(locals, 'local_ip', me.post('/local_ips', { local_ip: { network_id: pick(nets) } })),
    () => kept(locals, 'local_ip', me.post('/local_ips', { local_ip: { local_port_id: pick(ports) } })),
    () =>
      locals.length > 0
        ? me.post(`/local_ips/${pick(locals)}/port_associations`, { port_association: { fixed_port_id: pick(ports) } })
        : Promise.resolve(none),
    () => oneLess(locals, 'local_ips'),
    () => me.post('/floatingips', { floatingip: { floating_network_id: outside, port_id: pick(ports) } }),
    () => kept(newRouters, 'router', me.post('/routers', { router: gateway })),
    () => oneLess(newRouters, 'routers'),
  ];
  const faults: unknown[] = [];
  let left = acts;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (left-- > 0) {
        const { status, body } = await pick(all)();
        if (status >= 500) faults.push(body);
      }
    }),
  );
  assert.deepEqual(faults, []);
  assert.equal(await deadlocks(), 0);
});

const hex = (number: number): string => (number & 255).toString(16).padStart(2, '0');

test('many who each make several floating IPs or routers of a small network at once wait for each other in no circle', async () => {
  const { api, deadlocks } = await counted();
  const [admin, ...projects] = [testAdmin(), ...Array.from({ length: 12 }, () => testCaller())].map((one) =>
    api.as(one),
  );
  const outside = await newNetwork(admin!, { 'router:external': true });
  await newSubnet(admin!, outside, '172.20.0.0/26', { enable_dhcp: false });
  const floatingips = Array.from({ length: 4 }, () => ({ floating_network_id: outside }));
  const routers = Array.from({ length: 4 }, () => ({ external_gateway_info: { network_id: outside } }));
  for (let round = 0; round < 2; round++) {
    for (const [noun, wishes] of Object.entries({ floatingips, routers })) {
      await Promise.all(
        projects.map(async (each) => {
          const { status, body } = await each.post(`/${noun}`, { [noun]: wishes });
          assert.equal(status, 201, JSON.stringify(body));
          for (const { id } of body[noun]) assert.equal((await each.delete(`/${noun}/${id}`)).status, 204);
        }),
      );
    }
  }
  assert.equal(await deadlocks(), 0);
});

test('who gives routers several gateways, in whatever order, waits in no circle', async () => {
  const { api, deadlocks } = await counted();
  const [admin, me] = [api.as(testAdmin()), api.as(testCaller())];
  const outside: string[] = [];
  for (const number of [0, 1]) {
    outside.push(await newNetwork(admin, { 'router:external': true }));
    await newSubnet(admin, outside[number]!, `172.20.${number}.0/28`, { enable_dhcp: false });
  }
  const routers: string[] = [];
  for (let i = 0; i < 8; i++) routers.push((await me.post('/routers', { router: {} })).body.router.id);
  const gateways = outside.map((network_id) => ({ network_id }));
  for (let round = 0; round < 3; round++) {
    for (const verb of ['add', 'remove']) {
      await Promise.all(
        routers.map(async (id, at) => {
          const external_gateways = at % 2 ? gateways : gateways.toReversed();
          const wish = { router: { external_gateways } };
          const { status, body } = await me.put(`/routers/${id}/${verb}_external_gateways`, wish);
          assert.equal(status, 200, JSON.stringify(body));
        }),
      );
    }
  }
  assert.equal(await deadlocks(), 0);
});

test('servers that come and go on a network that gets and loses subnets of which guests choose their addresses wait for each other in no circle', async () => {
  const { api, database, deadlocks } = await counted();
  const caller = testCaller();
  const [me, ports] = [api.as(caller), new PortService({ database, autoNetwork: ensureTopology })];
  const below = numbers(11);
  const networkId = await newNetwork(me);
  await newSubnet(me, networkId, '10.0.0.0/24');
  const hosts = [newId<HostId>(), newId<HostId>()];
  for (const id of hosts) await sql`insert into host (id, name) values (${id}, ${id})`.execute(database.query);
  const transact = (work: (tx: Tx) => Promise<unknown>) => database.transaction(actorOf(caller), work);
  const servers: ServerId[] = [];
  const bind = (tx: Tx, serverId: ServerId) =>
    ports.bindServerPorts(tx, [{ serverId, hostId: hosts[below(2)]!, limits: {} }]);
  const arrive = async () => {
    const id = newId<ServerId>();
    await transact(async (tx) => {
      const requests = [{ networkId }, { networkId }];
      const plan = await ports.planServerPorts(tx, caller, { requests, securityGroups: [], automatic: null });
      const [made] = await ports.createServerPorts(tx, caller, plan, [{ id, hostname: 'x' }]);
      await sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id)
        values (${id}, ${caller.projectId}, ${newId()}, 'n', 'x', ${newId()}, '{}', 1, 1, 1, 'r-1')`.execute(tx);
      for (const [position, { portId }] of made!.entries())
        await sql`insert into server_port (server_id, port_id, position) values (${id}, ${portId}, ${position})`.execute(
          tx,
        );
    });
    await transact((tx) => bind(tx, id));
    servers.push(id);
  };
  let next = 1;
  const acts: readonly (() => Promise<unknown>)[] = [
    arrive,
    async () => {
      const id = servers.shift();
      if (id !== undefined) await transact((tx) => ports.releaseServerPorts(tx, id));
    },
    async () => {
      const id = servers.at(-1);
      if (id !== undefined) await transact((tx) => ports.unbindServerPorts(tx, id));
      if (id !== undefined) await transact((tx) => bind(tx, id));
    },
    async () => {
      const slaac = { ipv6_ra_mode: 'slaac', ipv6_address_mode: 'slaac' };
      const { id } = await newSubnet(me, networkId, `fd00:${hex(next++)}::/64`, slaac);
      assert.ok((await me.delete(`/subnets/${id}`)).status < 500);
    },
  ];
  let left = 150;
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (left-- > 0) await acts[below(acts.length)]!();
    }),
  );
  assert.equal(await deadlocks(), 0);
});
