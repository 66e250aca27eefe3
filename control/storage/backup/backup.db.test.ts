import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { newId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { testPool } from '../testing.ts';
import { snapshotStatus } from '../volume/index.ts';
import { callerOf, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { type BackupCloud, backupCloud } from './testing.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let own: BackupCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  own = backupCloud(cloud);
});
after(() => db[Symbol.asyncDispose]());

const statusOf = async (id: string) => (await own.backups.get(cloud.admin, id)).status;
const layer = async (id: string | null) => {
  const { rows } = await sql<{
    desired_source: unknown;
    desired_backups: { name: string; parent_name: string | null }[];
    desired_presence: string;
  }>`select * from volume_layer where id = ${id}`.execute(db.database.query);
  return rows[0];
};
const gone = async (id: string) => {
  await own.backups.delete(cloud.member, id, { force: false });
  await own.controller.reconcile(id);
};

test('a backup is made of what the volume holds, which is held as long as it takes', async () => {
  const volume = await cloud.made({ metadata: { a: 'b' } });
  const backup = await own.backups.create(cloud.member, own.wish(volume.id, { container: 'c' }));
  assert.deepEqual([backup.status, await cloud.status(volume.id)], ['creating', 'backing-up']);
  assert.deepEqual((await layer(volume.layer_id))!.desired_backups, [
    { id: backup.id, name: `${backup.id}.qcow2`, parent_name: null },
  ]);
  await assert.rejects(own.backups.create(cloud.member, own.wish(volume.id)), { reason: 'volume_status_unfit' });
  await own.obey();
  await own.settle();
  const made = await own.backups.get(cloud.member, backup.id);
  assert.deepEqual([made.status, made.file_bytes, made.sha256], ['available', 7, 'ab'.repeat(32)]);
  assert.equal(await cloud.status(volume.id), 'available');
  assert.deepEqual((await layer(volume.layer_id))!.desired_backups, []);
  assert.deepEqual([made.volume.metadata, made.host_id, made.container], [{ a: 'b' }, cloud.hostId, 'c']);
});

test('what its host could not make is an error with the reason, and the volume is free', async () => {
  const volume = await cloud.made();
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id));
  await own.obey({ code: 'no_space', message: 'The disk is full.' });
  await own.settle();
  const { status, fault } = await own.backups.get(cloud.member, id);
  assert.deepEqual(
    [status, fault?.message, await cloud.status(volume.id)],
    ['error', 'The disk is full.', 'available'],
  );
  await gone(id);
  await assert.rejects(own.backups.get(cloud.member, id), { code: 'not_found' });
});

test('of a volume in use it takes force, and a layer that is let go afterwards', async () => {
  const volume = await cloud.made();
  const { serverId } = await cloud.attach(volume.id);
  await assert.rejects(own.backups.create(cloud.member, own.wish(volume.id)), { reason: 'backup_needs_force' });
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id, { force: true }));
  const { layer_id } = await cloud.volumes.get(cloud.member, volume.id);
  assert.notEqual(layer_id, volume.layer_id);
  assert.equal((await layer(volume.layer_id))!.desired_backups.length, 1);
  await cloud.switchOver(serverId);
  await own.obey();
  await own.settle();
  assert.deepEqual([await statusOf(id), await cloud.status(volume.id)], ['available', 'in-use']);
});

test('of a snapshot the backup holds what the volume was, and both are busy meanwhile', async () => {
  const volume = await cloud.made();
  const snapshot = await cloud.snapshots.create(cloud.member, {
    ...{ volumeId: volume.id, name: 's', description: null, metadata: {}, inUse: false },
  });
  await assert.rejects(own.backups.create(cloud.member, own.wish(volume.id, { snapshotId: snapshot.id })), {
    reason: 'backup_snapshot_unfit',
  });
  await cloud.obey();
  await cloud.settle();
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id, { snapshotId: snapshot.id }));
  assert.equal((await layer(snapshot.layer_id))!.desired_backups.length, 1);
  assert.equal(snapshotStatus(await cloud.snapshots.get(cloud.member, snapshot.id)), 'backing-up');
  await own.obey();
  await own.settle();
  const backup = await own.backups.get(cloud.member, id);
  assert.deepEqual([backup.status, backup.data_at], ['available', snapshot.created_at]);
  const other = await cloud.made();
  await assert.rejects(own.backups.create(cloud.member, own.wish(other.id, { snapshotId: snapshot.id })), {
    reason: 'backup_snapshot_of_other',
  });
});

test('an incremental one builds on the latest, which cannot go before it', async () => {
  const volume = await cloud.made();
  await assert.rejects(own.backups.create(cloud.member, own.wish(volume.id, { incremental: true })), {
    reason: 'backup_parent_missing',
  });
  const full = await own.made(volume.id);
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id, { incremental: true }));
  assert.equal((await layer(volume.layer_id))!.desired_backups[0]!.parent_name, full.file_name);
  await own.obey();
  await own.settle();
  assert.equal((await own.backups.get(cloud.member, id)).parent_id, full.id);
  await assert.rejects(own.backups.delete(cloud.member, full.id, { force: false }), {
    reason: 'backup_has_dependents',
  });
  await assert.rejects(own.backups.delete(cloud.admin, full.id, { force: true }), { reason: 'backup_has_dependents' });
  own.away = true;
  await own.backups.delete(cloud.member, id, { force: false });
  await own.backups.delete(cloud.member, full.id, { force: false });
  await own.settle();
  assert.deepEqual([await statusOf(id), await statusOf(full.id)], ['deleting', 'deleting'], 'the host is away');
  own.away = false;
  await own.controller.reconcile(id);
  await own.controller.reconcile(full.id);
  assert.deepEqual(own.removed.slice(-2), [`${id}.qcow2`, full.file_name]);
});

test('a backup comes back as a new volume that is what the old one was, on the host that has the file', async () => {
  const volume = await cloud.made({ imageId: cloud.imageId, sizeGib: 2, metadata: { a: 'b' } });
  const backup = await own.made(volume.id);
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  const { volumeId, volumeName } = await own.backups.restore(cloud.member, backup.id, { volumeId: null, name: null });
  assert.equal(volumeName, volume.name);
  assert.deepEqual([await cloud.status(volumeId), await statusOf(backup.id)], ['restoring-backup', 'restoring']);
  await assert.rejects(own.backups.delete(cloud.member, backup.id, { force: false }), {
    reason: 'backup_status_unfit',
  });
  const restored = await cloud.volumes.get(cloud.member, volumeId);
  assert.deepEqual((await layer(restored.layer_id))!.desired_source, {
    ...{ backup_id: backup.id, name: backup.file_name, sha256: backup.sha256 },
  });
  await own.obey();
  await own.settle();
  assert.deepEqual([await cloud.status(volumeId), await statusOf(backup.id)], ['available', 'available']);
  const { bootable, metadata, size_gib, host_id, image_metadata } = await cloud.volumes.get(cloud.member, volumeId);
  assert.deepEqual([bootable, metadata, size_gib, host_id], [true, { a: 'b' }, 2, cloud.hostId]);
  assert.equal(image_metadata?.image_id, cloud.imageId);
});

test('a new volume whose backup cannot be read shows that it could not be restored', async () => {
  const backup = await own.made((await cloud.made()).id);
  const { volumeId } = await own.backups.restore(cloud.member, backup.id, { volumeId: null, name: 'n' });
  await sql`update volume_layer set observed_state = 'failed', observed_generation = generation, observed_epoch = epoch
    where volume_id = ${volumeId}`.execute(db.database.query);
  await own.settle();
  assert.deepEqual([await cloud.status(volumeId), await statusOf(backup.id)], ['error_restoring', 'available']);
});

test('a volume that is restored into keeps what it holds until the backup is there whole', async () => {
  const backup = await own.made((await cloud.made({ metadata: { from: 'backup' } })).id);
  const volume = await cloud.made({ sizeGib: 2, metadata: { own: 'x' } });
  const fails = [{ reason: 'backup_volume_too_small' }, { reason: 'volume_status_unfit' }];
  const large = await own.made((await cloud.made({ sizeGib: 3 })).id);
  await assert.rejects(own.backups.restore(cloud.member, large.id, { volumeId: volume.id, name: null }), fails[0]!);
  for (const end of ['failed', 'ready']) {
    await own.backups.restore(cloud.member, backup.id, { volumeId: volume.id, name: null });
    await assert.rejects(own.backups.restore(cloud.member, large.id, { volumeId: volume.id, name: null }), fails[1]!);
    const { desired_task: task, layer_id } = await cloud.volumes.get(cloud.member, volume.id);
    assert.equal(layer_id, volume.layer_id);
    assert.ok(task?.kind === 'restore' && task.into);
    await sql`update volume_layer set observed_state = ${end}, observed_generation = generation, observed_epoch = epoch
      where id = ${task.into.layer_id}`.execute(db.database.query);
    await own.settle();
    assert.deepEqual([await cloud.status(volume.id), await statusOf(backup.id)], ['available', 'available']);
    const after = await cloud.volumes.get(cloud.member, volume.id);
    const kept = end === 'failed';
    assert.equal(after.layer_id, kept ? volume.layer_id : task.into.layer_id);
    assert.equal((await layer(kept ? task.into.layer_id : volume.layer_id))?.desired_presence, 'absent');
    assert.deepEqual(after.metadata, kept ? { own: 'x' } : { own: 'x', from: 'backup' });
  }
});

test('one whose content is lost while a backup is restored into it holds that when it is there', async () => {
  const backup = await own.made((await cloud.made()).id);
  const volume = await cloud.made();
  await own.backups.restore(cloud.member, backup.id, { volumeId: volume.id, name: null });
  const { desired_task: task } = await cloud.volumes.get(cloud.member, volume.id);
  assert.ok(task?.kind === 'restore' && task.into);
  await sql`update volume_layer set observed_error = '{"code": "layer_missing", "message": "gone"}'
    where id = ${volume.layer_id}`.execute(db.database.query);
  await own.settle();
  assert.equal(await cloud.status(volume.id), 'restoring-backup');
  await own.obey();
  await own.settle();
  assert.equal(await cloud.status(volume.id), 'available');
  assert.equal((await cloud.volumes.get(cloud.member, volume.id)).layer_id, task.into.layer_id);
  assert.equal((await layer(volume.layer_id))?.desired_presence, 'absent');
});

test('a volume that goes leaves its backup to be made, and a restore into it leaves no layer', async () => {
  const volume = await cloud.made();
  const { id } = await own.backups.create(cloud.member, own.wish(volume.id));
  await cloud.volumes.delete(cloud.admin, volume.id, { cascade: false, force: true });
  assert.equal((await layer(volume.layer_id))!.desired_presence, 'present');
  await own.obey();
  await own.settle();
  assert.equal(await statusOf(id), 'available');
  assert.equal((await layer(volume.layer_id))!.desired_presence, 'absent');
  const into = await cloud.made();
  await own.backups.restore(cloud.member, id, { volumeId: into.id, name: null });
  await cloud.volumes.delete(cloud.admin, into.id, { cascade: false, force: true });
  const { rows } =
    await sql`select from volume_layer where volume_id = ${into.id} and desired_presence = 'present'`.execute(
      db.database.query,
    );
  assert.equal(rows.length, 0);
});

test('what is given up while it is made lets its volume go, and leaves no file', async () => {
  const volume = await cloud.made();
  const { id, file_name } = await own.backups.create(cloud.member, own.wish(volume.id));
  await assert.rejects(own.backups.delete(cloud.member, id, { force: false }), { reason: 'backup_status_unfit' });
  await assert.rejects(own.backups.delete(cloud.member, id, { force: true }), { code: 'forbidden' });
  await own.backups.delete(cloud.admin, id, { force: true });
  await own.controller.reconcile(id);
  assert.equal(await cloud.status(volume.id), 'available');
  assert.equal(own.removed.at(-1), file_name);
  await assert.rejects(own.backups.get(cloud.admin, id), { code: 'not_found' });
});

test('of many at once as many are made as the quota allows', async () => {
  const volumes = [];
  for (let i = 0; i < 5; i++) volumes.push(await cloud.made());
  const { rows } = await sql<{ used: number }>`select count(*)::integer as used from backup
    where project_id = ${cloud.projectId} and desired_presence = 'present'`.execute(db.database.query);
  await sql`insert into quota (id, project_id, resource, maximum)
    values (gen_random_uuid(), ${cloud.projectId}, 'backups', ${rows[0]!.used + 2})`.execute(db.database.query);
  const answers = await Promise.allSettled(volumes.map(({ id }) => own.backups.create(cloud.member, own.wish(id))));
  assert.equal(answers.filter(({ status }) => status === 'fulfilled').length, 2);
  await sql`delete from quota where project_id = ${cloud.projectId}`.execute(db.database.query);
});

test('of two that restore one backup at once one is refused, and no project sees another’s', async () => {
  const backup = await own.made((await cloud.made()).id);
  const both = await Promise.allSettled(
    [0, 1].map(() => own.backups.restore(cloud.member, backup.id, { volumeId: null, name: null })),
  );
  assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected']);
  const stranger = callerOf('00000000-0000-4000-8000-00000000000a');
  for (const call of [
    () => own.backups.get(stranger, backup.id),
    () => own.backups.delete(stranger, backup.id, { force: false }),
    () => own.backups.restore(stranger, backup.id, { volumeId: null, name: null }),
  ])
    await assert.rejects(call(), { reason: 'backup_not_found' });
  await own.obey();
  await own.settle();
});

test('a record brings a backup back under its id, and a file goes with the last backup that it is', async () => {
  const backup = await own.made((await cloud.made()).id);
  const { record } = await own.backups.export(cloud.admin, backup.id);
  await assert.rejects(own.backups.export(cloud.member, backup.id), { code: 'forbidden' });
  await assert.rejects(own.backups.import(cloud.admin, record), { reason: 'backup_exists' });
  const said = JSON.parse(Buffer.from(record, 'base64').toString());
  const encoded = (more: object) => Buffer.from(JSON.stringify({ ...said, ...more })).toString('base64');
  const [other, volumeless] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'];
  for (const wrong of [
    ...[
      '',
      'no base64!',
      encoded({ size: 0 }),
      encoded({ id: 'x' }),
      encoded({ id: other, parent_id: volumeless }),
      encoded({ display_name: '\0' }),
    ],
    ...[encoded({ file: { ...said.file, name: '../x' } }), encoded({ data_timestamp: 'then' })],
  ])
    await assert.rejects(own.backups.import(cloud.admin, wrong), { reason: 'backup_record_unreadable' });
  const imported = await own.backups.import(cloud.admin, encoded({ id: other }));
  assert.deepEqual([imported.id, imported.status, imported.sha256], [other, 'available', backup.sha256]);
  const removed = own.removed.length;
  await gone(backup.id);
  assert.equal(own.removed.length, removed, 'the file is the other one’s, too');
  await gone(other);
  assert.equal(own.removed.at(-1), backup.file_name);
});

test('an administrator’s word is shown until it is taken back, and none is declared to be there that is not', async () => {
  const backup = await own.made((await cloud.made()).id);
  await own.backups.reset(cloud.admin, backup.id, 'error');
  assert.equal(await statusOf(backup.id), 'error');
  await assert.rejects(own.backups.reset(cloud.member, backup.id, 'available'), { code: 'forbidden' });
  await own.backups.reset(cloud.admin, backup.id, 'available');
  assert.equal(await statusOf(backup.id), 'available');
  await assert.rejects(own.backups.reset(cloud.admin, backup.id, 'restoring'), { reason: 'backup_reset_unserved' });
  const { id } = await own.backups.create(cloud.member, own.wish((await cloud.made()).id));
  await assert.rejects(own.backups.reset(cloud.admin, id, 'available'), { reason: 'backup_reset_unserved' });
});

const sealedType = (name: string, bits = 256) =>
  sql`with made as (insert into volume_type (id, name, public) values (${newId()}, ${name}, true) returning id)
    insert into volume_type_encryption (volume_type_id, id, provider, control_location, cipher, key_size)
    select id, ${newId()}, 'luks', 'front-end', 'aes-xts-plain64', ${bits} from made`.execute(db.database.query);
const keyOf = async (id: string) => (await cloud.volumes.get(cloud.member, id)).key_id;
const hasKey = async (id: string | null): Promise<boolean> =>
  (await sql`select from volume_key where id = ${id}`.execute(db.database.query)).rows.length > 0;
const topOf = async (id: string) =>
  (
    await sql<{
      key_id: string | null;
      source: { encrypted?: true } | null;
    }>`select l.key_id, l.desired_source as source
      from volume v join volume_layer l on l.id = coalesce((v.desired_task -> 'into' ->> 'layer_id')::uuid, v.layer_id)
      where v.id = ${id}`.execute(db.database.query)
  ).rows[0]!;

test('a backup of an encrypted volume is encrypted with its key, which stays with it, and comes back encrypted only', async () => {
  await sealedType('sealed');
  await sealedType('sealed more', 512);
  const [sealed, plain] = [await cloud.made({ type: 'sealed' }), await cloud.made()];
  const [backup, { id: clear }] = [await own.made(sealed.id), await own.made(plain.id)];
  assert.equal(backup.key_id, sealed.key_id);
  await cloud.volumes.delete(cloud.member, sealed.id, { cascade: false, force: false });
  await cloud.obey();
  assert.ok(await hasKey(backup.key_id), 'it is the backup’s');

  const differs = { reason: 'volume_encryption_differs' };
  const into = (id: string, volumeId: string | null) => own.backups.restore(cloud.member, id, { volumeId, name: null });
  await assert.rejects(into(backup.id, plain.id), differs);
  const of = (id: string, type: string) => own.backups.createVolume(cloud.member, id, cloud.wish({ type, sizeGib: 1 }));
  await assert.rejects(of(backup.id, plain.type_name), differs);
  await assert.rejects(of(backup.id, 'sealed more'), differs);

  const other = await cloud.made({ type: 'sealed' });
  await into(backup.id, other.id);
  assert.equal(await keyOf(other.id), other.key_id, 'it holds what it held');
  assert.deepEqual([(await topOf(other.id)).key_id, (await topOf(other.id)).source?.encrypted], [backup.key_id, true]);
  await own.obey();
  await own.settle();
  assert.equal(await keyOf(other.id), backup.key_id);
  await cloud.obey();
  assert.ok(!(await hasKey(other.key_id)), 'its own key is gone with what it opened');

  const { volumeId } = await into(backup.id, null);
  const made = await cloud.volumes.get(cloud.member, volumeId);
  assert.deepEqual(
    [made.type_name, made.key_id, (await topOf(volumeId)).source?.encrypted],
    ['sealed', backup.key_id, true],
  );

  const third = await cloud.made({ type: 'sealed' });
  await into(clear, third.id);
  assert.deepEqual(
    [(await topOf(third.id)).key_id, (await topOf(third.id)).source?.encrypted],
    [third.key_id, undefined],
  );
  await own.obey();
  await own.settle();
  const fourth = await of(clear, 'sealed more');
  assert.ok((await topOf(fourth)).key_id, 'what was in the clear becomes encrypted');
});

test('one of an encrypted volume builds on the latest with the same key, and on no other', async () => {
  await sealedType('sealed by difference');
  const volume = await cloud.made({ type: 'sealed by difference' });
  const wish = own.wish(volume.id, { incremental: true });
  await assert.rejects(own.backups.create(cloud.member, wish), { reason: 'backup_parent_missing' });
  const full = await own.made(volume.id);
  const { id } = await own.backups.create(cloud.member, wish);
  await own.obey();
  await own.settle();
  const made = await own.backups.get(cloud.member, id);
  assert.deepEqual([made.parent_id, made.key_id], [full.id, volume.key_id]);
  await sql`update backup set key_id = null where volume_id = ${volume.id}`.execute(db.database.query);
  await assert.rejects(own.backups.create(cloud.member, wish), { reason: 'backup_parent_missing' });
});

test('an encrypted backup comes back to no pool of a cluster, where it would lie in the clear', async () => {
  await sealedType('sealed for pools');
  const backup = await own.made((await cloud.made({ type: 'sealed for pools' })).id);
  const larger = { hostId: cloud.hostId, name: 'ceph', totalBytes: 900 * 2 ** 30 };
  const cluster = await testPool(db.database, larger);
  await sql`update storage_pool set kind = 'rbd' where id = ${cluster.id}`.execute(db.database.query);
  const { volumeId } = await own.backups.restore(cloud.member, backup.id, { volumeId: null, name: null });
  assert.equal((await cloud.volumes.get(cloud.member, volumeId)).pool_id, cloud.poolId);
  await sql`update storage_pool set disabled = true where id = ${cluster.id}`.execute(db.database.query);
});

test('the record of an encrypted backup carries no key, and is taken in where the key is alone', async () => {
  await sealedType('sealed for records');
  const volume = await cloud.made({ type: 'sealed for records' });
  await sql`update volume_key set sealed = 'x' where id = ${volume.key_id}`.execute(db.database.query);
  const backup = await own.made(volume.id);
  const { record } = await own.backups.export(cloud.admin, backup.id);
  const removed = async () => {
    await own.backups.delete(cloud.member, backup.id, { force: false });
    await own.controller.reconcile(backup.id);
  };
  await removed();
  assert.equal((await own.backups.import(cloud.admin, record)).key_id, volume.key_id, 'its volume has it still');
  await removed();
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  await cloud.obey();
  assert.ok(!(await hasKey(volume.key_id)), 'gone with the last that needs it');
  await assert.rejects(own.backups.import(cloud.admin, record), {
    reason: 'backup_key_missing',
    fields: { id: backup.id, key: volume.key_id },
  });
});

test('a volume with a cache has one still when a backup has been restored into it', async () => {
  await testPool(db.database, { hostId: cloud.hostId, name: 'fast', tier: 'flash' });
  const specs = { 'bothy:cache_pool': 'fast', 'bothy:cache_gib': '1' };
  await sql`insert into volume_type (id, name, public, extra_specs) values (${newId()}, 'cached', true, ${JSON.stringify(specs)}::jsonb)`.execute(
    db.database.query,
  );
  const volume = await cloud.made({ type: 'cached' });
  const { id } = await own.made(volume.id);
  await own.backups.restore(cloud.member, id, { volumeId: volume.id, name: null });
  await own.obey();
  await own.settle();
  const { layer_id } = await cloud.volumes.get(cloud.member, volume.id);
  assert.notEqual(layer_id, volume.layer_id);
  const { rows } = await sql`select cache_role from volume_layer where id = ${layer_id}`.execute(db.database.query);
  assert.deepEqual([rows, await cloud.status(volume.id)], [[{ cache_role: 'base' }], 'available']);
});
