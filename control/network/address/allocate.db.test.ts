import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { PortService } from '../port/service.ts';
import { SubnetService } from '../subnet/service.ts';
import { testCaller, testNetwork } from '../testing.ts';
import { probe, rotate } from './allocate.ts';
import type { SubnetFacts } from './plan.ts';

let db: TestDatabase;
let ports: PortService;
before(async () => {
  db = await testDatabase();
  ports = new PortService({ database: db.database, autoNetwork: async () => assert.fail() });
});
after(() => db[Symbol.asyncDispose]());

const usedIps = async (subnetId: string): Promise<string[]> => {
  const { rows } = await sql<{ ip: string }>`select host(ip) as ip from port_ip where subnet_id = ${subnetId}
    order by port_ip.ip`.execute(db.database.query);
  return rows.map(({ ip }) => ip);
};

test('ports that are made at once get different addresses, each address is given, and the first one too many is told so', async () => {
  const caller = testCaller();
  const { id, subnetIds } = await testNetwork(db.database, caller, ['10.0.0.0/26']);
  // 64 addresses without network, broadcast, gateway and metadata port.
  const free = 60;
  const outcomes = await Promise.allSettled(
    Array.from({ length: free + 7 }, () => ports.create(caller, [{ network_id: id }])),
  );
  const refusals = outcomes.filter((outcome) => outcome.status === 'rejected').map(({ reason }) => reason);
  assert.equal(refusals.length, 7);
  for (const reason of refusals) {
    assert.deepEqual([reason.code, reason.reason], ['conflict', 'ip_address_generation_failure']);
  }
  assert.equal((await usedIps(subnetIds[0]!)).length, free + 1);

  const [one] = await ports.list(caller, { limit: 1, filters: [{ column: 'device_owner', values: [''] }] });
  const freed = one!.fixed_ips[0]!.ip_address;
  await ports.delete(caller, one!.id);
  const [again] = await ports.create(caller, [{ network_id: id }]);
  assert.equal(again!.fixed_ips[0]!.ip_address, freed, 'the only free address is found');
});

test('projects that fill a shared network together, in bulk and one by one, never meet and never wait for ever', async () => {
  const owner = testCaller(['admin', 'member']);
  const { id, subnetIds } = await testNetwork(db.database, owner, ['10.0.0.0/25'], { shared: true });
  const tenants = Array.from({ length: 6 }, () => testCaller());
  for (const { projectId } of tenants) await testProject(db.database, projectId!);
  const wish = { network_id: id };
  await Promise.all(
    tenants.flatMap((tenant) => [
      ports.create(tenant, Array(15).fill(wish)),
      ...Array.from({ length: 5 }, () => ports.create(tenant, [wish])),
    ]),
  );
  const ips = await usedIps(subnetIds[0]!);
  assert.equal(ips.length, 6 * 20 + 1);
  assert.equal(new Set(ips).size, ips.length);
});

test('a bulk that does not fit leaves nothing behind', async () => {
  const caller = testCaller();
  const { id, subnetIds } = await testNetwork(db.database, caller, ['10.0.0.0/29']);
  await assert.rejects(ports.create(caller, Array(5).fill({ network_id: id })), { code: 'conflict' });
  assert.deepEqual(await usedIps(subnetIds[0]!), ['10.0.0.2'], 'only the metadata port');
  assert.equal((await ports.create(caller, Array(4).fill({ network_id: id }))).length, 4);
});

test('when the first subnet is full the next of the same version gives the address', async () => {
  const caller = testCaller();
  const { id, subnetIds } = await testNetwork(db.database, caller, ['10.0.0.0/30', '10.0.1.0/24']);
  const made = await ports.create(caller, [{ network_id: id }, { network_id: id }]);
  // The metadata port took the only address of the first.
  for (const port of made) assert.equal(port.fixed_ips[0]!.subnet_id, subnetIds[1]);
});

test('allocation pools bound what is given by itself, not what is asked for', async () => {
  const caller = testCaller();
  const { id, subnetIds } = await testNetwork(db.database, caller, []);
  const service = new SubnetService({ database: db.database });
  const pools = [
    { start: '10.0.0.20', end: '10.0.0.21' },
    { start: '10.0.0.10', end: '10.0.0.11' },
  ];
  await service.create(caller, [
    { network_id: id, ip_version: 4, cidr: '10.0.0.0/24', allocation_pools: pools, enable_dhcp: false },
  ]);
  assert.equal(subnetIds.length, 0);
  const made = await ports.create(caller, Array(4).fill({ network_id: id }));
  assert.deepEqual(made.map((port) => port.fixed_ips[0]!.ip_address).sort(), [
    '10.0.0.10',
    '10.0.0.11',
    '10.0.0.20',
    '10.0.0.21',
  ]);
  await assert.rejects(ports.create(caller, [{ network_id: id }]), { code: 'conflict' });
  const [asked] = await ports.create(caller, [{ network_id: id, fixed_ips: [{ ip: '10.0.0.99' }] }]);
  assert.equal(asked!.fixed_ips[0]!.ip_address, '10.0.0.99');
});

test('the search begins anywhere, wraps round and sees every address once', () => {
  const pools = [
    { first: 10n, last: 12n },
    { first: 20n, last: 21n },
  ];
  const all = (start: bigint) =>
    rotate(pools, start).flatMap(({ first, last }) =>
      Array.from({ length: Number(last - first + 1n) }, (_, i) => Number(first) + i),
    );
  assert.deepEqual(all(10n), [10, 11, 12, 20, 21]);
  assert.deepEqual(all(12n), [12, 20, 21, 10, 11]);
  assert.deepEqual(all(20n), [20, 21, 10, 11, 12]);
  const subnet = (start: string, end: string, ip_version: 4 | 6) =>
    ({ allocation_pools: [{ start, end }], ip_version }) as SubnetFacts;
  for (let i = 0; i < 50; i++) {
    const value = probe(subnet('10.0.0.5', '10.0.0.6', 4))!;
    assert.ok(value === 0x0a000005n || value === 0x0a000006n);
    assert.ok(probe(subnet('2001:db8::1', '2001:db8::ffff:ffff:ffff:ffff', 6))! < 0x20010db8n << 97n);
  }
  assert.equal(probe({ allocation_pools: [], ip_version: 4 } as unknown as SubnetFacts), undefined);
});
