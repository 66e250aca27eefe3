import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type PortId, type ServerId } from '../../../contract/ids.ts';
import { randomMac } from '../../kit/address.ts';
import { actorOf, type Caller } from '../../kit/caller.ts';
import type { Tx } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { ensureTopology } from '../auto-topology/build.ts';
import { RouterService } from '../router/service.ts';
import { SubnetPoolService } from '../subnet-pool/service.ts';
import { oddName, testAdmin, testCaller, testNetwork } from '../testing.ts';
import type { ServerPortsWish } from './server-ports.ts';
import { PortService } from './service.ts';

let db: TestDatabase;
let ports: PortService;
before(async () => {
  db = await testDatabase();
  ports = new PortService({ database: db.database, autoNetwork: ensureTopology });
});
after(() => db[Symbol.asyncDispose]());

/** Compute's part: the server's row and the order of its ports, in the same transaction. */
async function joinServer(tx: Tx, serverId: ServerId, made: readonly { portId: PortId }[]): Promise<void> {
  const projectId = await testProject(db.database);
  await sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id)
    values (${serverId}, ${projectId}, ${newId()}, ${oddName}, 'x', ${newId()}, '{}', 1, 1, 1, 'r-1') on conflict do nothing`.execute(
    tx,
  );
  for (const [position, { portId }] of made.entries()) {
    await sql`insert into server_port (server_id, port_id, position) values (${serverId}, ${portId}, ${position})`.execute(
      tx,
    );
  }
}

const wish = { requests: [], securityGroups: [], automatic: null } as const;

/** One server's ports. */
async function createPorts(tx: Tx, caller: Caller, { serverId, ...wish }: ServerPortsWish & { serverId: ServerId }) {
  const plan = await ports.planServerPorts(tx, caller, wish);
  const [made] = await ports.createServerPorts(tx, caller, plan, [{ id: serverId, hostname: 'Web.example.org' }]);
  return made!;
}

const networksOf = async (hostId: HostId) =>
  (await ports.networksOfHosts(db.database.query, [hostId])).get(hostId) ?? [];

test('a server without requests gets a dual-stack port on the only network, in the default group, and loses it again', async () => {
  const caller = testCaller();
  const serverId = newId<ServerId>();
  const hostId = newId<HostId>();
  await sql`insert into host (id, name) values (${hostId}, ${`host ${hostId}`})`.execute(db.database.query);
  const network = await testNetwork(db.database, caller, ['10.0.0.0/24', '2001:db8:1::/64 slaac']);
  const transact = <T>(work: Parameters<typeof db.database.transaction<T>>[1]) =>
    db.database.transaction(actorOf(caller), work);
  const [made] = await transact(async (tx) => {
    const ids = await createPorts(tx, caller, { ...wish, serverId });
    await joinServer(tx, serverId, ids);
    return ids;
  });
  assert.equal(made?.created, true);
  await transact((tx) => ports.bindServerPorts(tx, [{ serverId, hostId, limits: {} }]));

  const [shown] = (await ports.serverAddresses(db.database.query, [serverId])).get(serverId)!;
  assert.equal(shown?.networkName, oddName);
  assert.deepEqual(
    shown?.addresses.map(({ version, type }) => [version, type]),
    [
      [4, 'fixed'],
      [6, 'fixed'],
    ],
  );
  assert.deepEqual(
    shown?.securityGroups.map(({ name }) => name),
    ['default'],
  );
  const [desired] = (await ports.desiredPorts(db.database.query, [serverId])).get(serverId)!.ports;
  assert.equal(desired?.networkId, network.id);
  assert.deepEqual(
    desired?.fixedIps.map(({ prefixLength, gateway, ipv6AddressMode }) => [prefixLength, gateway, ipv6AddressMode]),
    [
      [24, '10.0.0.1', null],
      [64, '2001:db8:1::1', 'slaac'],
    ],
  );
  // What a guest on a subnet without DHCP is told comes from here alone.
  assert.deepEqual(
    desired?.fixedIps.map(({ dhcp, hostRoutes }) => [dhcp, hostRoutes]),
    [
      [true, []],
      [true, []],
    ],
  );
  await sql`update subnet set enable_dhcp = false, host_routes = '[{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}]'
    where network_id = ${network.id} and ip_version = 4`.execute(db.database.query);
  const [undynamic] = (await ports.desiredPorts(db.database.query, [serverId])).get(serverId)!.ports;
  assert.equal(undynamic?.fixedIps[0]?.dhcp, false);
  assert.deepEqual(undynamic?.fixedIps[0]?.hostRoutes, [{ destination: '192.0.2.0/24', nexthop: '10.0.0.9' }]);
  const [desiredNetwork] = await networksOf(hostId);
  assert.equal(desiredNetwork?.id, network.id);
  assert.deepEqual(desiredNetwork?.metadataPort.ips, ['10.0.0.2/24']);
  const ips = desired!.fixedIps.map(({ ip }) => ip);
  assert.deepEqual(desiredNetwork?.names, { domain: 'openstacklocal', hosts: [{ name: 'web.openstacklocal', ips }] });
  await sql`update network set dns_domain = 'Huts.example.' where id = ${network.id}`.execute(db.database.query);
  const [renamed] = await networksOf(hostId);
  assert.deepEqual(renamed?.names, { domain: 'huts.example', hosts: [{ name: 'web.huts.example', ips }] });

  await sql`update port set dns_domain = 'own.example.' where network_id = ${network.id} and dns_name <> ''`.execute(
    db.database.query,
  );
  const outside = await testNetwork(db.database, testAdmin(), [], { external: true });
  for (const [ip, name, domain] of [
    ['203.0.113.7', 'door', 'huts.example.'],
    ['203.0.113.8', 'gate.example.', ''],
    ['203.0.113.9', 'nowhere', ''],
  ]) {
    const [address, of] = [newId(), caller.projectId];
    await sql`with kept as (insert into port (id, project_id, network_id, mac, device_owner)
        values (${address}, ${outside.project_id}, ${outside.id}, ${randomMac()}, 'network:floatingip'))
      insert into floating_ip (id, project_id, floating_network_id, floating_port_id, floating_ip, dns_name, dns_domain)
        values (${newId()}, ${of}, ${outside.id}, ${address}, ${ip}, ${name}, ${domain})`.execute(db.database.query);
  }
  const [named] = await networksOf(hostId);
  const [own, searched, ...outsiders] = named!.names!.hosts;
  assert.deepEqual(
    [own, searched],
    [
      { name: 'web.own.example', ips },
      { name: 'web.huts.example', ips },
    ],
  );
  const byName = outsiders.toSorted((a, b) => a.name.localeCompare(b.name));
  assert.deepEqual(byName, [
    { name: 'door.huts.example', ips: ['203.0.113.7'] },
    { name: 'gate.example', ips: ['203.0.113.8'] },
  ]);

  for (let twice = 0; twice < 2; twice++) await transact((tx) => ports.releaseServerPorts(tx, serverId));
  const { rows } =
    await sql`select from port where network_id = ${network.id} and device_owner not like 'network:%'`.execute(
      db.database.query,
    );
  assert.equal(rows.length, 0);
  assert.deepEqual(await networksOf(hostId), []);
});

test('a network of several hosts is one value for all of them, whatever names it has', async () => {
  const caller = testCaller();
  const hosts = [newId<HostId>(), newId<HostId>(), newId<HostId>()] as const;
  for (const id of hosts)
    await sql`insert into host (id, name) values (${id}, ${`host ${id}`})`.execute(db.database.query);
  const shared = await testNetwork(db.database, caller, ['10.0.0.0/24']);
  const own = await testNetwork(db.database, caller, ['10.0.1.0/24']);
  for (const [hostId, network] of [
    [hosts[0], shared],
    [hosts[1], shared],
    [hosts[1], own],
  ] as const) {
    const serverId = newId<ServerId>();
    await db.database.transaction(actorOf(caller), async (tx) => {
      const requests = [{ networkId: network.id }];
      await joinServer(tx, serverId, await createPorts(tx, caller, { ...wish, requests, serverId } as never));
      await ports.bindServerPorts(tx, [{ serverId, hostId, limits: {} }]);
    });
  }
  const found = await ports.networksOfHosts(db.database.query, hosts);
  const [first, second, third] = hosts.map((id) => found.get(id)!);
  assert.deepEqual(
    first!.map(({ id }) => id),
    [shared.id],
  );
  assert.deepEqual(second!.map(({ id }) => id).sort(), [shared.id, own.id].sort());
  assert.deepEqual(third, []);
  assert.equal(first![0]!.names!.hosts.length, 2);
  assert.equal(
    second!.find(({ id }) => id === shared.id),
    first![0],
  );
  for (const id of hosts) assert.deepEqual(await networksOf(id), found.get(id));
});

test('names of IPv4 alone have an address below the prefix where guests have none, and a router translates', async () => {
  const caller = testCaller();
  const routers = new RouterService({ database: db.database });
  const hostId = newId<HostId>();
  await sql`insert into host (id, name) values (${hostId}, ${`host ${hostId}`})`.execute(db.database.query);
  const network = await testNetwork(db.database, caller, ['fd00:64::/64 slaac']);
  const serverId = newId<ServerId>();
  await db.database.transaction(actorOf(caller), async (tx) => {
    await joinServer(tx, serverId, await createPorts(tx, caller, { ...wish, serverId }));
    await ports.bindServerPorts(tx, [{ serverId, hostId, limits: {} }]);
  });
  const prefix = async () => (await networksOf(hostId))[0]!.names!.dns64;
  const router = await routers.create(caller, {});
  await routers.addInterface(caller, router.id, { subnet_id: network.subnetIds[0]! });
  assert.equal(await prefix(), undefined);
  const generation = async () =>
    (
      await sql<{ n: number }>`select generation as n from port where device_id = ${router.id}`.execute(
        db.database.query,
      )
    ).rows[0]!.n;
  const before = await generation();
  await routers.update(caller, router.id, { nat64: true });
  assert.equal(await prefix(), 'fd64:ff9b:1::/96');
  assert.ok((await generation()) > before, 'hosts with guests on its networks are told by its interfaces');
  await sql`insert into subnet (id, network_id, project_id, ip_version, cidr)
    values (${newId()}, ${network.id}, ${caller.projectId}, 4, '10.64.0.0/24')`.execute(db.database.query);
  assert.equal(await prefix(), undefined, 'guests with IPv4 go straight');
});

test('two networks and no request is ambiguous; none gives no port, or a refusal when one was asked for', async () => {
  const caller = testCaller();
  const serverId = newId<ServerId>();
  const create = (automatic: 'auto' | 'none' | null) =>
    db.database.transaction(actorOf(caller), (tx) => createPorts(tx, caller, { ...wish, serverId, automatic }));
  assert.deepEqual(await create(null), []);
  await assert.rejects(create('auto'), { code: 'invalid' });
  await testNetwork(db.database, caller, ['10.0.0.0/24']);
  await testNetwork(db.database, caller, ['10.0.0.0/24']);
  await assert.rejects(create(null), { code: 'conflict', reason: 'network_ambiguous' });
  assert.deepEqual(await create('none'), []);
});

test("'auto' in a project without a network makes one, once the cloud has what it takes", async () => {
  const [caller, admin] = [testCaller(), testAdmin()];
  await testNetwork(db.database, admin, ['203.0.113.0/24'], { external: true, is_default: true });
  await new SubnetPoolService({ database: db.database }).create(admin, [
    { name: 'p', prefixes: ['10.0.0.0/8'], is_default: true },
  ]);
  await testProject(db.database, caller.projectId!);
  const create = () =>
    db.database.transaction(actorOf(caller), (tx) =>
      createPorts(tx, caller, { ...wish, serverId: newId<ServerId>(), automatic: 'auto' }),
    );
  const [[first], [second]] = [await create(), await create()] as const;
  const of = async (id: string) => (await ports.read(caller, id)).network_id;
  assert.equal(await of(first!.portId), await of(second!.portId), 'the second server finds it there');
});

test('a port that the project made before is lent to one server only and stays when the server goes', async () => {
  const caller = testCaller();
  const network = await testNetwork(db.database, caller, ['10.0.0.0/24']);
  const first = newId<ServerId>();
  const [made] = await db.database.transaction(actorOf(caller), (tx) =>
    createPorts(tx, caller, {
      ...wish,
      serverId: newId<ServerId>(),
      requests: [{ networkId: network.id, fixedIp: '10.0.0.77' }],
    }),
  );
  const portId: PortId = made!.portId;
  await sql`update port set device_id = '', device_owner = '', delete_with_device = false where id = ${portId}`.execute(
    db.database.query,
  );
  const take = (serverId: ServerId, by = caller) =>
    db.database.transaction(actorOf(by), async (tx) => {
      const ids = await createPorts(tx, by, { ...wish, serverId, requests: [{ portId }] });
      await joinServer(tx, serverId, ids);
      return ids;
    });
  assert.deepEqual(await take(first), [{ portId, created: false }]);
  await assert.rejects(take(newId<ServerId>()), { code: 'conflict' });
  await assert.rejects(take(newId<ServerId>(), testCaller()), { code: 'invalid', reason: 'port_not_found' });
  await db.database.transaction(actorOf(caller), (tx) => ports.releaseServerPorts(tx, first));
  assert.equal((await ports.serverAddresses(db.database.query, [first])).size, 0);
  assert.deepEqual(await take(newId<ServerId>()), [{ portId, created: false }]);
});

test('what a server names wrongly is refused as invalid, with a reason', async () => {
  const caller = testCaller();
  const network = await testNetwork(db.database, caller, ['10.0.0.0/24']);
  const create = (over: object) =>
    db.database.transaction(actorOf(caller), (tx) =>
      createPorts(tx, caller, {
        ...wish,
        serverId: newId<ServerId>(),
        requests: [{ networkId: network.id }],
        ...over,
      }),
    );
  const reasons: [object, string, string][] = [
    [{ requests: [{ networkId: newId() }] }, 'invalid', 'network_not_found'],
    [{ requests: [{ networkId: 'no uuid' }] }, 'invalid', 'network_not_found'],
    [{ requests: [{ networkId: network.id, fixedIp: '10.0.1.1' }] }, 'invalid', 'invalid_ip_for_network'],
    [{ requests: [{ networkId: network.id, fixedIp: '10.0.0.2' }] }, 'invalid', 'ip_address_in_use'],
    [{ requests: [{ networkId: network.id, fixedIp: '10.0.0' }] }, 'invalid', 'invalid_fixed_ip'],
    [{ securityGroups: [oddName] }, 'invalid', 'security_group_not_found_in_project'],
    [{ requests: [{ portId: newId() }] }, 'invalid', 'port_not_found'],
  ];
  for (const [over, code, reason] of reasons) {
    await assert.rejects(create(over), (error: { code: string; reason: string }) => {
      assert.deepEqual([error.code, error.reason], [code, reason]);
      return true;
    });
  }
});

test('a tenant who writes another’s server into device_id gets nothing of it, and gives it nothing', async () => {
  const [victim, attacker] = [testCaller(), testCaller()];
  const network = await testNetwork(db.database, victim, ['10.0.0.0/24']);
  const serverId = newId<ServerId>();
  await db.database.transaction(actorOf(victim), async (tx) => {
    const wanted = { ...wish, serverId, requests: [{ networkId: network.id }] };
    await joinServer(tx, serverId, await createPorts(tx, victim, wanted));
  });
  const own = await testNetwork(db.database, attacker, ['10.0.0.0/24']);
  const [trap] = await ports.create(attacker, [
    { network_id: own.id, device_id: serverId, device_owner: 'compute:nova' },
  ]);
  const list = (await ports.desiredPorts(db.database.query, [serverId])).get(serverId)!.ports;
  assert.deepEqual(
    list.map(({ networkId }) => networkId),
    [network.id],
  );
  assert.equal((await ports.serverAddresses(db.database.query, [serverId])).get(serverId)!.length, 1);
  await db.database.transaction(actorOf(victim), (tx) => ports.releaseServerPorts(tx, serverId));
  assert.equal((await ports.read(attacker, trap!.id)).device_id, serverId);
  await assert.rejects(
    ports.create(attacker, [{ network_id: own.id, device_id: serverId, device_owner: 'network:router_x' }]),
    { code: 'forbidden' },
  );
});

test('a port whose device_id was emptied is not taken by a second server; nor by two at once, nor twice by one', async () => {
  const caller = testCaller();
  const network = await testNetwork(db.database, caller, ['10.0.0.0/24']);
  const transact = <T>(work: Parameters<typeof db.database.transaction<T>>[1]) =>
    db.database.transaction(actorOf(caller), work);
  const [port] = await ports.create(caller, [{ network_id: network.id }]);
  const take = (serverId: ServerId) =>
    transact(async (tx) => {
      const made = await createPorts(tx, caller, { ...wish, requests: [{ portId: port!.id }], serverId });
      await joinServer(tx, serverId, made);
    });
  await take(newId<ServerId>());
  const past = (serverId: ServerId) =>
    sql`insert into server_port (server_id, port_id, position) values (${serverId}, ${port!.id}, 0)`;
  await assert.rejects(past(newId<ServerId>()).execute(db.database.query), { constraint: 'server_port_port_id_key' });
  await ports.update(caller, port!.id, { device_id: '', device_owner: '' });
  const inUse = { code: 'conflict', reason: 'port_in_use', fields: { id: port!.id } };
  await assert.rejects(take(newId<ServerId>()), inUse);

  const [free] = await ports.create(caller, [{ network_id: network.id }]);
  const race = await Promise.allSettled(
    Array.from({ length: 8 }, () => {
      const serverId = newId<ServerId>();
      return transact(async (tx) => {
        const made = await createPorts(tx, caller, { ...wish, requests: [{ portId: free!.id }], serverId });
        await joinServer(tx, serverId, made);
      });
    }),
  );
  assert.equal(race.filter(({ status }) => status === 'fulfilled').length, 1);

  const [third] = await ports.create(caller, [{ network_id: network.id }]);
  const twice = { ...wish, requests: [{ portId: third!.id }, { portId: third!.id }], serverId: newId<ServerId>() };
  await assert.rejects(
    transact((tx) => createPorts(tx, caller, twice)),
    { code: 'conflict' },
  );
});
