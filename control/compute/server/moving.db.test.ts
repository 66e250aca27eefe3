/** Where servers go that have a host already. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { ServerGroupService } from '../server-group/index.ts';
import { type MoveWish, placeMove, releaseClaim } from './moving.ts';
import { type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
});
after(() => db[Symbol.asyncDispose]());

const move = (wish: MoveWish) => db.database.transaction(cloudActor, (tx) => placeMove(tx, wish));
/** In a zone of their own, so that tests don't see each other's. */
async function hosts(count: number, zone: string = newId()): Promise<{ zone: string; ids: HostId[] }> {
  const ids: HostId[] = [];
  for (let n = 0; n < count; n++) ids.push(await cloud.addHost({ vcpus: 4, memoryMiB: 4096, zone }));
  return { zone, ids };
}
async function server(zone: string, serverGroup: string | null = null): Promise<{ id: ServerId; host: HostId }> {
  const flavor = await cloud.addFlavor({ vcpus: 2, memoryMiB: 1024 });
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, availabilityZone: zone, serverGroup }));
  await cloud.controller.reconcile(ids[0]!);
  const { host_id } = await cloud.service.get(cloud.admin, ids[0]!);
  return { id: ids[0]!, host: host_id as HostId };
}
async function carried(id: HostId) {
  const { rows } = await sql<{
    servers: number;
    vcpus: number;
    memory_mib: number;
  }>`select servers, vcpus::integer, memory_mib::integer
    from host_usage where host_id = ${id}`.execute(db.database.query);
  return [rows[0]?.servers, rows[0]?.vcpus, rows[0]?.memory_mib];
}

test('a server that moves is counted on both hosts until it is there, and its why-record says what was decided', async () => {
  const { zone, ids } = await hosts(2);
  const { id, host } = await server(zone);
  const other = ids.find((one) => one !== host)!;
  const found = await move({ serverId: id });
  assert.equal(found.host?.id, other);
  assert.deepEqual(
    [await carried(host), await carried(other)],
    [
      [1, 2, 1024],
      [0, 2, 1024],
    ],
  );
  await db.database.transaction(cloudActor, async (tx) => {
    await sql`update server set host_id = ${other}, epoch = epoch + 1 where id = ${id}`.execute(tx);
    await releaseClaim(tx, id);
  });
  assert.deepEqual(
    [await carried(host), await carried(other)],
    [
      [0, 0, 0],
      [1, 2, 1024],
    ],
  );
  const { rows } = await sql`select kind, outcome from decision where resource_id = ${id} order by id`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [
    { kind: 'placement', outcome: 'placed' },
    { kind: 'move', outcome: 'placed' },
  ]);
});

test('it goes to the one that is asked for and to none that is left out, and never where it is', async () => {
  const { zone, ids } = await hosts(4);
  const { id, host } = await server(zone);
  const [b, c, d] = ids.filter((one) => one !== host) as [HostId, HostId, HostId];
  assert.equal((await move({ serverId: id, only: c })).host?.id, c);
  assert.equal((await move({ serverId: id, exclude: [b, c] })).host?.id, d);
  const none = await move({ serverId: id, exclude: [b, c, d] });
  assert.equal(none.host, null);
  assert.equal(none.refusals.excluded, 4);
  assert.deepEqual(await carried(d), [0, 0, 0], 'and a claim that is no more is counted no more');
  assert.equal((await move({ serverId: id, only: host })).host, null);
});

test('a server group binds it by the others, and counts it where it goes', async () => {
  const { zone } = await hosts(3);
  const groups = new ServerGroupService({ database: db.database });
  const wish = { name: 'apart', policy: 'anti-affinity' as const, maxServersPerHost: null };
  const group = (await groups.create(cloud.member, wish)).id;
  const [one, two] = [await server(zone, group), await server(zone, group)];
  const moved = await move({ serverId: one.id });
  assert.ok(moved.host && moved.host.id !== two.host && moved.host.id !== one.host);
  const other = await move({ serverId: two.id });
  assert.equal(other.host, null, 'what is claimed for the first, and what it has still, both are taken');
  assert.equal(other.refusals.too_many_of_group, 2);
});

test('twenty moves at once onto one nearly full host take no more than it has', async () => {
  const { zone, ids } = await hosts(10);
  const movers: ServerId[] = [];
  for (let n = 0; n < 20; n++) movers.push((await server(zone)).id);
  const target = await cloud.addHost({ vcpus: 7, memoryMiB: 100_000, zone });
  const found = await Promise.all(movers.map((serverId) => move({ serverId, only: target })));
  assert.equal(found.filter(({ host }) => host).length, 3);
  assert.deepEqual(await carried(target), [0, 6, 3072]);
  assert.equal(ids.length, 10);
});

test('a guest that has run goes only where its machine is served and its processors are the same', async () => {
  const { zone, ids } = await hosts(3);
  const { id, host } = await server(zone);
  const [b, c] = ids.filter((one) => one !== host) as [HostId, HostId];
  await sql`update server set launched_at = now() where id = ${id}`.execute(db.database.query);
  const facts = (types: string[], cpuModel: string) => sql`jsonb_set(facts, '{machine}',
    ${JSON.stringify({ types, cpuModel, layout: 1 })}::jsonb)`;
  await sql`update host set facts = ${facts(['pc-q35-9.0'], 'max')} where id = ${b}`.execute(db.database.query);
  await sql`update host set facts = ${facts(['pc-q35-9.0', 'pc-q35-7.2'], 'host')} where id = ${c}`.execute(
    db.database.query,
  );
  const none = await move({ serverId: id });
  assert.deepEqual(
    none.verdicts
      .filter(({ host_id }) => host_id !== host)
      .map(({ host_id, refusals }) => [host_id, refusals.filter((r) => r !== 'other_zone')])
      .filter(([one]) => one === b || one === c)
      .sort(),
    [
      [b, ['machine_type_unserved']],
      [c, ['cpu_model_differs']],
    ].sort(),
  );
});
