import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { AddressScopeService } from '../address-scope/service.ts';
import { SubnetService } from '../subnet/service.ts';
import { testAdmin, testCaller, testNetwork } from '../testing.ts';
import { SubnetPoolService } from './service.ts';

let db: TestDatabase;
let pools: SubnetPoolService;
let subnets: SubnetService;
before(async () => {
  db = await testDatabase();
  pools = new SubnetPoolService({ database: db.database });
  subnets = new SubnetService({ database: db.database });
});
after(() => db[Symbol.asyncDispose]());

const reasonsOf = (outcomes: readonly PromiseSettledResult<unknown>[]) =>
  outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.reason] : []));

test('subnets that are cut from one pool at once get different prefixes, all of them, and no one more', async () => {
  const caller = testCaller();
  const networks = await Promise.all(Array.from({ length: 10 }, () => testNetwork(db.database, caller, [])));
  const [pool] = await pools.create(caller, [{ prefixes: ['10.0.0.0/24'], default_prefix_length: 27 }]);
  const outcomes = await Promise.allSettled(
    networks.map(({ id }) => subnets.create(caller, [{ network_id: id, ip_version: 4, subnet_pool_id: pool!.id }])),
  );
  assert.deepEqual(reasonsOf(outcomes), ['subnet_pool_exhausted', 'subnet_pool_exhausted']);
  const made = await subnets.list(caller, { filters: [{ column: 'subnet_pool_id', values: [pool!.id] }] });
  assert.deepEqual(
    made.map(({ cidr }) => cidr).sort(),
    Array.from({ length: 8 }, (_, i) => `10.0.0.${32 * i}/27`).sort(),
  );
});

test('the quota of a pool is exact, however many ask at once, and counts by size', async () => {
  const caller = testCaller();
  const networks = await Promise.all(Array.from({ length: 6 }, () => testNetwork(db.database, caller, [])));
  const [pool] = await pools.create(caller, [
    { prefixes: ['10.0.0.0/16'], default_prefix_length: 26, default_quota: 256 },
  ]);
  const outcomes = await Promise.allSettled(
    networks.map(({ id }) => subnets.create(caller, [{ network_id: id, ip_version: 4, subnet_pool_id: pool!.id }])),
  );
  assert.deepEqual(reasonsOf(outcomes), ['subnet_pool_quota_exceeded', 'subnet_pool_quota_exceeded']);
});

test('two bulk requests that name two pools in opposite order wait for each other and both end', async () => {
  const caller = testCaller();
  await testProject(db.database, caller.projectId!);
  const [one, two] = await pools.create(caller, [{ prefixes: ['10.0.0.0/16'] }, { prefixes: ['10.1.0.0/16'] }]);
  const bulk = async (...poolIds: string[]) => {
    const networks = await Promise.all(poolIds.map(() => testNetwork(db.database, caller, [])));
    return subnets.create(
      caller,
      networks.map(({ id }, i) => ({
        network_id: id,
        ip_version: 4 as const,
        subnet_pool_id: poolIds[i]!,
        prefix_length: 24,
      })),
    );
  };
  const orders = Array.from({ length: 8 }, (_, i) => (i % 2 ? [one!.id, two!.id] : [two!.id, one!.id]));
  const made = await Promise.all(orders.map((order) => bulk(...order)));
  assert.equal(new Set(made.flat().map(({ cidr }) => cidr)).size, 16);
});

test('of pools with one prefix that go into one address scope at once a single one does', async () => {
  const admin = testAdmin();
  await testProject(db.database, admin.projectId!);
  const [scope] = await new AddressScopeService({ database: db.database }).create(admin, [{ ip_version: 4 }]);
  const outcomes = await Promise.allSettled(
    Array.from({ length: 4 }, () => pools.create(admin, [{ prefixes: ['10.0.0.0/16'], address_scope_id: scope!.id }])),
  );
  assert.deepEqual(reasonsOf(outcomes), Array(3).fill('address_scope_prefix_conflict'));
});
