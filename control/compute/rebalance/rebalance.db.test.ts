/** Hosts are made even, one move at a time, by what the database says of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { HostId, ServerId } from '../../../contract/ids.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { endMaintenance } from '../maintenance/index.ts';
import { type ServerCloud, serverCloud, silentLog } from '../server/testing.ts';
import { Rebalancer, RebalanceService } from './index.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let full: HostId;
let empty: HostId;
let ids: ServerId[];
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  await sql`update quota set maximum = -1 where project_id is null`.execute(db.database.query);
  full = await cloud.addHost({ name: 'full', vcpus: 16, memoryMiB: 16_384 });
  const flavor = await cloud.addFlavor({ vcpus: 2, memoryMiB: 2048 });
  ({ ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor, minCount: 6, maxCount: 6 })));
  for (const id of ids) await cloud.controller.reconcile(id);
  await cloud.obey(full);
  empty = await cloud.addHost({ name: 'empty', vcpus: 16, memoryMiB: 16_384 });
});
after(() => db[Symbol.asyncDispose]());

const rebalancer = (timing = { holdMs: 0 }) =>
  new Rebalancer({ database: db.database, ports: cloud.ports, log: silentLog, policy: 'do', timing });
const show = (policy: 'propose' | 'off' = 'propose') =>
  new RebalanceService({ database: db.database, policy }).show(cloud.admin);
const underWay = async () =>
  (
    await sql<{ server_id: ServerId; to: string }>`select server_id, target_host_id as to from server_migration
      where cause = 'rebalance' and phase <> 'ended'`.execute(db.database.query)
  ).rows;

test('it says which servers would go where and what that brings, and where nothing is set only how far from even the hosts are', async () => {
  const { before, after, moves, hosts } = await show();
  assert.deepEqual([before!.host_id, before!.share, before!.mean], [full, 0.75, 0.375]);
  assert.deepEqual(
    moves.map(({ to }) => hosts.get(to)),
    ['empty', 'empty', 'empty'],
  );
  assert.ok(after!.above <= 0.1);
  const off = await show('off');
  assert.deepEqual([off.before, off.moves], [before, []]);
  await assert.rejects(new RebalanceService(cloud).show(cloud.member), { code: 'forbidden' });
});

test('what the mover would refuse is not proposed, and says why', async () => {
  await sql`update server set hardware = hardware || '{"tpm": "2.0"}' where id = ${ids[0]!}`.execute(db.database.query);
  const { stays, moves, refused } = await show();
  assert.ok(moves.every(({ server }) => server.id !== ids[0]));
  assert.deepEqual(
    [stays.find(({ server }) => server.id === ids[0])?.why, refused.get(ids[0]!)?.reason],
    ['refused', 'server_with_tpm'],
  );
  await sql`update server set hardware = hardware - 'tpm' where id = ${ids[0]!}`.execute(db.database.query);
});

test('one server goes at a time, whichever process looks, and only where a host has been too full for a while', async () => {
  assert.equal(await rebalancer({ holdMs: 600_000 }).look(), undefined);
  const [one, other] = [rebalancer(), rebalancer()];
  const begun = (await Promise.all([one.look(), other.look()])).filter((id) => id !== undefined);
  assert.equal(begun.length, 1);
  assert.deepEqual(await underWay(), [{ server_id: begun[0], to: empty }]);
  assert.equal(await one.look(), undefined, 'the next one waits for it');
});

test('one that has moved stays for a while, and a host that shall be empty neither gives nor gets', async () => {
  const id = (await underWay())[0]!.server_id;
  await cloud.service.delete(cloud.admin, id).catch(() => {});
  await sql`update server_migration set phase = 'ended', ended = 'failed', other_host_id = null where server_id = ${id}`.execute(
    db.database.query,
  );
  await sql`delete from server_claim`.execute(db.database.query);
  await sql`update server set desired_move = null, desired_presence = 'present', host_id = ${full} where id = ${id}`.execute(
    db.database.query,
  );
  const { stays } = await show();
  assert.equal(stays.find(({ server }) => server.id === id)?.why, 'moved_recently');
  await sql`update host set enabled = false, maintenance = '{"cause": "administrator", "since": "2026-01-01T00:00:00Z", "before": {"enabled": true}}'
    where id = ${empty}`.execute(db.database.query);
  assert.deepEqual((await show()).moves, []);
  await db.database.transaction(cloudActor, (tx) => endMaintenance(tx, empty));
  assert.ok((await show()).moves.length > 0);
});
