import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { testDatabase } from '../../kit/database/testing.ts';
import { AggregateService } from '../aggregate/index.ts';
import { ServerService } from './service.ts';
import { serverCloud, silentLog } from './testing.ts';

test('a server that several jobs look at in one moment is placed once, with its ports where it is', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  for (const name of ['one', 'other']) await cloud.addHost({ name });
  const flavor = await cloud.addFlavor();
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, minCount: 4, maxCount: 4 }));
  // The first goes alone; all others wait for it and are decided together.
  await Promise.all([...ids, ...ids, ...ids, ...ids].map((id) => cloud.controller.reconcile(id)));
  const { rows } = await sql<{ host_id: string; port_host: string; epoch: number; decisions: number }>`
    select s.host_id, p.host_id as port_host, s.epoch, (select count(*) from decision d where d.resource_id = s.id) as decisions
    from server s join server_port sp on sp.server_id = s.id join port p on p.id = sp.port_id
    where s.id = any(${ids}::uuid[])`.execute(db.database.query);
  assert.equal(rows.length, 4);
  for (const { host_id, port_host, epoch, decisions } of rows) {
    assert.deepEqual([port_host, epoch, decisions], [host_id, 1, 1]);
  }
});

test('a server that is looked at brings along whoever else waits, and their jobs are put off', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  await cloud.addHost({ vcpus: 9 });
  const flavor = await cloud.addFlavor();
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, minCount: 10, maxCount: 10 }));
  const [asked, later, begun, full] = [ids[0]!, ids[3]!, ids[4]!, ids[9]!];
  // One waits for better times, another's job has been taken.
  await sql`update graphile_worker._private_jobs set run_at = now() + interval '1 hour' where key = ${`server:${later}`}`.execute(
    db.database.query,
  );
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'x' where key = ${`server:${begun}`}`.execute(
    db.database.query,
  );
  await sql`update host set vcpus = 7`.execute(db.database.query);
  await cloud.controller.reconcile(asked);
  const { rows } = await sql<{ id: string; placed: boolean; fault: boolean; due: boolean; decisions: number }>`
    select s.id, s.host_id is not null as placed, s.fault is not null as fault,
      exists (select from graphile_worker._private_jobs j where j.key = 'server:' || s.id and j.run_at <= now()) as due,
      (select count(*) from decision d where d.resource_id = s.id)::integer as decisions
    from server s order by s.id`.execute(db.database.query);
  for (const { id, placed, fault, due, decisions } of rows) {
    const left = id === later || id === begun;
    assert.deepEqual([placed, fault, decisions], [!left && id !== full, id === full, left ? 0 : 1], id);
    // The job of the one that was asked for is the caller's to end; of a refusal it finds nothing to do.
    if (placed && id !== asked) assert.equal(due, false, 'nobody looks at it again before its host had time');
  }
  assert.equal(rows.filter(({ placed }) => placed).length, 7);
});

test('a server that was just made is placed without its job, which is put off; without a host that fits its job comes soon', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  await cloud.addHost({ vcpus: 2 });
  const flavor = await cloud.addFlavor();
  const made = Promise.withResolvers<void>();
  const service = new ServerService({
    ...{ database: db.database, ports: cloud.ports, images: cloud.images, hosts: cloud.hosts, log: silentLog },
    created(servers) {
      // Its jobs are not due: whoever looks at the queue now finds nothing to do.
      cloud.controller.hurry(servers);
      made.resolve();
    },
  });
  const { ids } = await service.create(cloud.member, cloud.wish({ flavor, minCount: 3, maxCount: 3 }));
  await made.promise;
  const look = async () => {
    const { rows } = await sql<{ placed: boolean; failed: boolean; in_seconds: number }>`
      select s.host_id is not null as placed, s.fault is not null as failed,
        (select extract(epoch from j.run_at - j.created_at)::float8 from graphile_worker._private_jobs j where j.key = 'server:' || s.id) as in_seconds
      from server s where s.id = any(${ids}::uuid[]) order by s.id`.execute(db.database.query);
    return rows;
  };
  await until('all three to be decided', async () => (await look()).every(({ placed, failed }) => placed || failed));
  const rows = await look();
  assert.deepEqual(
    rows.map(({ placed }) => placed),
    [true, true, false],
  );
  assert.ok(rows.slice(0, 2).every(({ in_seconds }) => in_seconds > 5));
  assert.ok(Math.abs(rows[2]!.in_seconds - 1) < 0.01, `${rows[2]!.in_seconds}`);
});

test('a server gets its machine with its first host, as that one has it, and keeps it on the next', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const first = await cloud.addHost();
  const flavor = await cloud.addFlavor();
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  const [id] = ids as [ServerId];
  const machine = async () => (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0]?.machine;
  await cloud.controller.reconcile(id);
  const pinned = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 };
  assert.deepEqual(await machine(), pinned);
  assert.deepEqual((await cloud.service.get(cloud.admin, id)).machine, {
    ...{ type: pinned.type, cpu_model: 'max', layout: 1 },
  });
  // Its host goes away without a word of it; the next one has a newer QEMU.
  const second = await cloud.addHost();
  const newer = { types: ['pc-q35-9.0', 'pc-q35-7.2'], cpuModel: 'host', layout: 1 };
  await sql`update host set facts = facts || ${JSON.stringify({ machine: newer })}::jsonb where id = ${second}`.execute(
    db.database.query,
  );
  await sql`update host set connected = false, last_seen_at = now() - interval '1 hour' where id = ${first}`.execute(
    db.database.query,
  );
  await cloud.controller.reconcile(id);
  assert.equal((await cloud.service.get(cloud.admin, id)).host_id, second);
  assert.deepEqual(await machine(), pinned);
});

test('a server goes to the hosts that its flavor asks for by trait and aggregate, as they are at that moment', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  const [plain, gold, ssd] = [await cloud.addHost(), await cloud.addHost(), await cloud.addHost()];
  const aggregates = new AggregateService({ database: db.database });
  const { number } = await aggregates.create(cloud.admin, { name: 'fast', availabilityZone: null });
  await aggregates.addHost(cloud.admin, number, `host-${ssd}`);
  const flavorOf = async (specs: Record<string, string>) => {
    const id = await cloud.addFlavor();
    await sql`update flavor set extra_specs = ${JSON.stringify(specs)}::jsonb where flavor_id = ${id}`.execute(
      db.database.query,
    );
    return id;
  };
  const place = async (flavor: string) => {
    const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
    await cloud.controller.reconcile(ids[0]!);
    return cloud.service.get(cloud.admin, ids[0]!);
  };
  const wantsGold = await flavorOf({ 'trait:CUSTOM_GOLD': 'required' });
  const none = await place(wantsGold);
  assert.match(none.fault!.message, /^Every host does not have a trait that the flavor or the image requires\./);
  await sql`update host set traits = '{CUSTOM_GOLD}' where id = ${gold}`.execute(db.database.query);
  assert.equal((await place(wantsGold)).host_id, gold);
  const wantsSsd = await flavorOf({ 'aggregate_instance_extra_specs:ssd': 'true' });
  assert.notEqual((await place(wantsSsd)).fault, null);
  await aggregates.update(cloud.admin, number, { metadata: { ssd: 'true' } });
  assert.equal((await place(wantsSsd)).host_id, ssd);
  await aggregates.removeHost(cloud.admin, number, `host-${ssd}`);
  assert.notEqual((await place(wantsSsd)).fault, null);
  const wantsPlain = await flavorOf({ 'trait:CUSTOM_GOLD': 'forbidden', 'trait:COMPUTE_NODE': 'required' });
  for (let n = 0; n < 4; n++) assert.ok([plain, ssd].includes((await place(wantsPlain)).host_id as HostId));
});

test('a server goes to the emptiest host, or to the fullest where it asks for that or the setting says so', async () => {
  await using db = await testDatabase();
  const cloud = await serverCloud(db.database);
  for (let n = 0; n < 3; n++) await cloud.addHost();
  const flavor = await cloud.addFlavor();
  const packing = new ServerService({
    ...{ database: db.database, ports: cloud.ports, images: cloud.images, hosts: cloud.hosts, log: silentLog },
    placementPolicy: 'pack',
  });
  const place = async (service: ServerService, placementPolicy: 'spread' | 'pack' | null = null) => {
    const { ids } = await service.create(cloud.member, cloud.wish({ flavor, placementPolicy }));
    await cloud.controller.reconcile(ids[0]!);
    return (await cloud.service.get(cloud.admin, ids[0]!)).host_id;
  };
  const first = await place(cloud.service);
  assert.deepEqual([await place(cloud.service, 'pack'), await place(packing)], [first, first]);
  assert.equal(new Set([first, await place(cloud.service), await place(packing, 'spread')]).size, 3);
});
