/** Volumes for machines outside, as control sees them; the host is one that does what it is told. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { chapSecretOf } from '../../../contract/host/index.ts';
import { newId } from '../../../contract/ids.ts';
import { callerOf, type ServerCloud, serverCloud } from '../../compute/server/testing.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testVolume } from '../attachment/testing.ts';
import { QosSpecsService } from '../qos-specs/index.ts';
import { SnapshotController, SnapshotService } from '../snapshot/index.ts';
import { emptyWish, findVolume, VolumeService, volumeStatus } from '../volume/index.ts';
import { removeVolume } from '../volume/remove.ts';
import { lookAtIncomplete, silentLog } from '../volume/testing.ts';
import { ConnectionService } from './service.ts';
import { ExportingHost, reportOf } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: ExportingHost;
let connections: ConnectionService;

before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = new ExportingHost(db.database, await cloud.addHost());
  await host.offers('192.0.2.1:3260-3263');
  connections = new ConnectionService({ database: db.database, sealer: testSealer, patienceMs: 60_000 });
});
after(() => db[Symbol.asyncDispose]());

const initiator = 'iqn.2004-10.com.example:machine-1';
const connector = { initiator, host: 'machine-1', ip: '192.0.2.9', multipath: false };
const volume = async () => (await testVolume(db.database, { projectId: cloud.projectId, hostId: host.id })).id;
const status = async (id: string) => volumeStatus(await findVolume(db.database.query, 'all', id));
const reservation = { serverId: null, mode: 'rw' as const };
const connect = (id: string, over = {}) =>
  host.during(connections.connect(cloud.member, id, { ...connector, ...over }, reservation));
const remove = (id: string) => host.during(connections.remove(cloud.member, id));
const exportsLeft = async () => (await sql`select from volume_export`.execute(db.database.query)).rows.length;

test('a machine outside is told the way, its host whom to let in, and nobody else the secret', async () => {
  const id = await volume();
  const attachment = await connect(id);
  assert.deepEqual([attachment.status, await status(id)], ['attaching', 'attaching']);
  const { secret, ...where } = attachment.connection!;
  const iqn = `iqn.2010-10.org.openstack:volume-${id}`;
  assert.deepEqual(where, { portal: '192.0.2.1:3260', iqn, lun: 1, user: attachment.id });
  const wanted = (await host.document(id)).export!;
  const { secretId, ...rest } = wanted;
  assert.deepEqual(rest, { id: attachment.id, initiator, user: attachment.id, port: 3260, readOnly: false });
  const [told] = await host.hosted.handOutKeys(host.id, [secretId]);
  assert.equal(chapSecretOf(told!.passphrase!), secret);
  assert.equal((await host.hosted.handOutKeys(await cloud.addHost(), [secretId]))[0]!.passphrase, null);
  const reader = callerOf(cloud.projectId, ['reader']);
  assert.equal((await connections.get(reader, attachment.id)).connection, null);
  await assert.rejects(connections.get(callerOf(newId()), attachment.id), { code: 'not_found' });
  const { rows } = await sql<{
    all: string;
  }>`select coalesce(string_agg(c::text, ''), '') as all from change c`.execute(db.database.query);
  assert.ok(rows[0]!.all.includes(attachment.id) && !rows[0]!.all.includes(secret), 'the log has no secret');
  assert.ok(!rows[0]!.all.includes(told!.passphrase!));

  await connections.complete(cloud.member, attachment.id);
  assert.equal(await status(id), 'in-use');
  await remove(attachment.id);
  assert.deepEqual(
    [await status(id), (await host.document(id)).export, await exportsLeft()],
    ['available', undefined, 0],
  );
  assert.equal((await host.hosted.handOutKeys(host.id, [secretId]))[0]!.passphrase, null);
});

test('its host hears of the limits of its type, also of later ones, and of a retype', async () => {
  const id = await volume();
  const qos = new QosSpecsService({ database: db.database });
  const admin = callerOf(cloud.projectId, ['admin', 'member', 'reader']);
  const { volume_type_id: typeId } = await findVolume(db.database.query, 'all', id);
  const wish = { name: 'slow', consumer: 'front-end', specs: { total_iops_sec: '100' } } as const;
  const { id: specsId } = await qos.create(admin, wish);
  await qos.associate(admin, specsId, typeId);
  const none = { bps: 0, bps_rd: 0, bps_wr: 0, iops: 0, iops_rd: 0, iops_wr: 0 };
  const attachment = await connect(id);
  const first = await host.document(id);
  assert.deepEqual(first.export!.limits, { ...none, iops: 100 });
  await qos.set(admin, specsId, { specs: { total_iops_sec: '200' } });
  const second = await host.document(id);
  assert.deepEqual(second.export!.limits, { ...none, iops: 200 });
  assert.ok(second.generation > first.generation);
  await qos.disassociate(admin, specsId, typeId);
  const third = await host.document(id);
  assert.equal(third.export!.limits, undefined);
  assert.ok(third.generation > second.generation);
  await remove(attachment.id);
});

test('the volume is free when its host has said that the session has ended, and not before', async () => {
  const id = await volume();
  const attachment = await connect(id);
  const { id: layerId } = await host.document(id);
  host.silentOn.add(layerId);
  const impatient = new ConnectionService({ database: db.database, sealer: testSealer, patienceMs: 0 });
  await impatient.remove(cloud.member, attachment.id);
  await host.obey();
  assert.equal(await status(id), 'detaching');
  assert.equal(
    (await connections.get(cloud.member, attachment.id)).connection,
    null,
    'nobody is told the way any more',
  );
  // Its word of before does not count; nor that it has heard, while the session goes on.
  const told = await host.document(id);
  const at = { id: attachment.id as never, portal: '192.0.2.1:3260', iqn: 'x', lun: 1 };
  await host.hosted.recordReports(host.id, [{ ...reportOf(told), generation: told.generation - 1 }]);
  await host.hosted.recordReports(host.id, [{ ...reportOf(told), export: at, step: 'waiting' }]);
  assert.equal(await status(id), 'detaching');
  const reserve = connections.reserve(cloud.member, id, { serverId: null, mode: 'rw', begun: false });
  await assert.rejects(reserve, { reason: 'volume_status_unfit' });
  host.silentOn.clear();
  await host.obey();
  assert.equal(await status(id), 'available');
});

test('a host that is away keeps nobody: an administrator frees the volume, and it hears of that first', async () => {
  const id = await volume();
  const attachment = await connect(id);
  const away = sql`update host set connected = false where id = ${host.id}`;
  await away.execute(db.database.query);
  await connections.remove(cloud.member, attachment.id);
  assert.equal(await status(id), 'detaching');
  await connections.detach(cloud.admin, id, { force: true });
  assert.equal(await status(id), 'available');
  assert.equal((await host.document(id)).export, undefined);
  await assert.rejects(connections.connect(cloud.member, id, connector, reservation), {
    code: 'unavailable',
    fields: { id, why: 'host_away' },
  });
  await host.offers('192.0.2.1:3260-3263');
  await host.obey();
});

test('the older calls: reserved, connected, attached, connected again, ended', async () => {
  const id = await volume();
  await connections.reserve(cloud.member, id, { serverId: null, mode: 'rw', begun: true });
  const first = await host.during(connections.connect(cloud.member, id, connector));
  const again = await host.during(connections.connect(cloud.member, id, connector));
  assert.deepEqual([again.id, again.connection], [first.id, first.connection]);
  const other = { ...connector, initiator: 'iqn.2004-10.com.example:machine-2' };
  await assert.rejects(connections.connect(cloud.member, id, other), { reason: 'attachment_connected' });
  const claim = { serverId: null, hostName: 'machine-1', device: '/dev/sdb', mode: 'rw' as const };
  await connections.attach(cloud.member, id, claim);
  assert.equal(await status(id), 'in-use');
  await connections.setDetaching(cloud.member, id, true);
  await host.obey();
  assert.equal(await status(id), 'detaching');
  assert.ok((await host.document(id)).export, 'what it has in memory it may still write');
  await host.during(connections.disconnect(cloud.member, id));
  assert.equal(await status(id), 'available');
  await connections.detach(cloud.member, id, { force: false });
});

test('what is frozen below a machine outside is final when its host has said so; it finds the new top at its place', async () => {
  const id = await volume();
  const attachment = await connect(id);
  await connections.complete(cloud.member, attachment.id);
  const { id: before, export: first } = await host.document(id);
  const snapshots = new SnapshotService({ database: db.database, log: silentLog });
  const wish = { volumeId: id, name: '', description: null, metadata: {}, inUse: true };
  host.silentOn.add(before);
  const snapshot = await snapshots.create(cloud.member, wish);
  await host.obey();
  const [top, frozen] = [await host.document(id), (await host.documents()).find((each) => each.id === before)!];
  assert.deepEqual([top.export, frozen.export, frozen.readOnly], [first, undefined, true]);
  const look = async () => {
    await new SnapshotController({ database: db.database, log: silentLog }).reconcile(snapshot.id);
    return (await snapshots.get(cloud.member, snapshot.id)).ready_at !== null;
  };
  // Both say that it is open, or the lower one that it has heard and is cut off later.
  const at = { id: attachment.id as never, portal: '192.0.2.1:3260', iqn: 'x', lun: 1 };
  await host.hosted.recordReports(host.id, [{ ...reportOf(frozen), export: at }]);
  assert.equal(await look(), false);
  host.silentOn.clear();
  await host.obey();
  assert.equal(await look(), true);
  assert.equal((await connections.get(cloud.member, attachment.id)).connection!.portal, '192.0.2.1:3260');
  await remove(attachment.id);
  assert.equal(await status(id), 'available');
});

test('a clone of what a machine outside has is complete when that is cut off from below it, also where the volume is deleted meanwhile', async () => {
  const id = await volume();
  await connect(id);
  await db.database.query
    .updateTable('volume_attachment')
    .set({ completed_at: new Date() })
    .where('volume_id', '=', id)
    .execute();
  const { id: before } = await host.document(id);
  host.silentOn.add(before);
  const volumes = new VolumeService({ database: db.database, images: cloud.images, log: silentLog });
  const clone = await volumes.create(cloud.member, { ...emptyWish, sizeGib: 1, sourceVolumeId: id });
  await host.obey();
  await lookAtIncomplete(db.database);
  assert.equal(await status(clone.id), 'creating');
  await db.database.transaction(cloudActor, async (tx) => {
    await removeVolume(tx, await findVolume(tx, 'all', id));
  });
  await lookAtIncomplete(db.database);
  assert.equal(await status(clone.id), 'creating');
  host.silentOn.clear();
  await host.obey();
  await lookAtIncomplete(db.database);
  assert.equal(await status(clone.id), 'available');
});

test('what is exported to nobody is refused by its name, and nothing is kept of the try', async () => {
  const refused = async (id: string, why: string) => {
    const failed = { reason: 'volume_not_exported', fields: { id, why } };
    await assert.rejects(connections.connect(cloud.member, id, connector, reservation), failed, why);
    assert.equal(await status(id), 'available');
  };
  const nobody = await cloud.addHost();
  const elsewhere = await testVolume(db.database, { projectId: cloud.projectId, hostId: nobody });
  await refused(elsewhere.id, 'no_portal');
  const cached = await volume();
  await sql`update volume set cache_pool_id = pool_id, cache_bytes = 1, cache_policy = 'write-back' where id = ${cached}`.execute(
    db.database.query,
  );
  await refused(cached, 'cache');
  const encrypted = await volume();
  await sql`with made as (insert into volume_key (id, cipher, key_size_bits) values (${newId()}, 'aes-xts-plain64', 256) returning id)
    update volume_layer set key_id = made.id from made where volume_id = ${encrypted}`.execute(db.database.query);
  await refused(encrypted, 'encrypted');
  const id = await volume();
  for (const [said, reason] of [
    [{ host: 'x' }, 'connector_lacks'],
    [{ initiator: 7 }, 'connector_lacks'],
    [{ initiator: 'iqn.x' }, 'connector_initiator_unfit'],
    [{ initiator: `${initiator}\nuser` }, 'connector_initiator_unfit'],
  ] as const) {
    await assert.rejects(connections.connect(cloud.member, id, said, reservation), { reason });
  }
  assert.equal(await status(id), 'available');
  const late = new ConnectionService({ database: db.database, sealer: testSealer, patienceMs: 0 });
  await assert.rejects(late.connect(cloud.member, id, connector, reservation), { fields: { id, why: 'late' } });
  await host.obey();
  assert.equal(await status(id), 'available');
});

test('each has a port of its own; where none is free that is said', async () => {
  const made = [];
  for (let n = 0; n < 4; n++) made.push(await connect(await volume(), { initiator: `${initiator}-${n}` }));
  assert.deepEqual(
    made.map(({ connection }) => connection!.portal).toSorted(),
    [3260, 3261, 3262, 3263].map((port) => `192.0.2.1:${port}`),
  );
  const id = await volume();
  await assert.rejects(connections.connect(cloud.member, id, connector, reservation), {
    code: 'unavailable',
    fields: { id, why: 'ports' },
  });
  for (const { id: attachment } of made) await remove(attachment);
  assert.equal(await exportsLeft(), 0);
});

test('a volume that is read only is given to be read', async () => {
  const id = await volume();
  await sql`update volume set read_only = true where id = ${id}`.execute(db.database.query);
  await assert.rejects(connections.connect(cloud.member, id, { ...connector, mode: 'rw' }), {
    reason: 'volume_read_only',
  });
  const { id: attachment } = await host.during(connections.connect(cloud.member, id, connector));
  assert.equal((await host.document(id)).export!.readOnly, true);
  await remove(attachment);
});
