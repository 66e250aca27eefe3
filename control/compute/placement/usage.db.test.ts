/** What a host carries is counted, never summed: the count and the sum are the same whatever happens at once. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId } from '../../../contract/ids.ts';
import { explainedDatabase } from '../../kit/database/test-plans.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { listHypervisors } from '../hypervisor/index.ts';
import { type ServerCloud, serverCloud } from '../server/testing.ts';
import { HostPicture, lockPlacement } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
});
after(() => db[Symbol.asyncDispose]());

/** By host: what is counted, and what its servers come to. */
async function countedAndSummed(): Promise<[unknown, unknown]> {
  const counted = await sql`select host_id, servers, vcpus, memory_mib, disk_gib from host_usage
    where servers > 0 order by host_id`.execute(db.database.query);
  const summed = await sql`select host_id, count(*) as servers, sum(vcpus)::bigint as vcpus,
    sum(memory_mib)::bigint as memory_mib, sum(disk_gib + local_gib)::bigint as disk_gib from server
    where host_id is not null group by host_id order by host_id`.execute(db.database.query);
  return [counted.rows, summed.rows];
}

test('under 40 creates and deletes at once no host takes more than it has, and what is counted is what is there', async () => {
  const hosts = await Promise.all([1, 2, 3].map(() => cloud.addHost({ vcpus: 8, memoryMiB: 8192 })));
  const flavor = await cloud.addFlavor({ vcpus: 1, memoryMiB: 1024 });
  const create = async () => {
    const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
    await cloud.controller.reconcile(ids[0]!);
    return ids[0]!;
  };
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
  const first = await Promise.all(Array.from({ length: 20 }, create));
  const remove = async (id: (typeof first)[number]) => {
    await cloud.service.delete(cloud.member, id);
    for (const host of hosts) await cloud.obey(host);
    await cloud.controller.reconcile(id);
  };
  await Promise.all([...first.map(remove), ...Array.from({ length: 20 }, create)]);
  const [counted, summed] = await countedAndSummed();
  assert.deepEqual(counted, summed);
  // More than fits: each is placed or refused by what the others took.
  await Promise.all(Array.from({ length: 20 }, create));
  const { rows } = await sql<{ vcpus: number }>`select vcpus from host_usage order by host_id`.execute(
    db.database.query,
  );
  assert.deepEqual(
    rows.map(({ vcpus }) => vcpus),
    [8, 8, 8],
    'full to the last one, and no further',
  );
});

test('a server that moves, grows or vanishes in any way is counted where it is', async () => {
  const [one, two] = await Promise.all([cloud.addHost(), cloud.addHost()]);
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor: await cloud.addFlavor() }));
  for (const change of [
    sql`host_id = ${one}`,
    sql`host_id = ${two}, vcpus = 3`,
    sql`memory_mib = 77`,
    sql`local_gib = 7`,
    sql`host_id = null`,
    sql`host_id = ${one}`,
  ]) {
    await sql`update server set ${change} where id = ${ids[0]}`.execute(db.database.query);
    const [counted, summed] = await countedAndSummed();
    assert.deepEqual(counted, summed);
  }
  await sql`delete from server where id = ${ids[0]}`.execute(db.database.query);
  const [counted, summed] = await countedAndSummed();
  assert.deepEqual(counted, summed);
});

test('placement and the list of hosts read hosts, not the servers of the cloud', async () => {
  const host = await cloud.addHost({ vcpus: 100_000, memoryMiB: 100_000_000 });
  await sql`insert into server (id, project_id, user_id, name, hostname, flavor_id, flavor, vcpus, memory_mib, disk_gib,
      reservation_id, host_id, observed_generation, observed_state)
    select gen_random_uuid(), ${cloud.projectId}, ${newId()}, n::text, 'x', ${newId()}, '{}', 1, 1, 1, 'r', ${host}, 1, 'running'
    from generate_series(1, 3000) n`.execute(db.database.query);
  await sql`analyze`.execute(db.database.query);
  const explained = explainedDatabase(db.url);
  try {
    await explained.database.transaction({ actorId: null, requestId: null }, async (tx) => {
      await lockPlacement(tx);
      const found = await new HostPicture().read(tx, { awayMs: 1000 });
      assert.equal(found.find(({ id }) => id === host)?.used_vcpus, 3000);
    });
    const [shown] = await listHypervisors(explained.database.query, { id: host as HostId });
    assert.deepEqual([shown?.servers, shown?.used_vcpus], [3000, 3000]);
    assert.deepEqual(explained.waste(100), []);
  } finally {
    await explained.database.close();
  }
});
