/** Files of pools become volumes, and volumes files; the host is one that says what it is told to. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { CloudError } from '../../../contract/errors.ts';
import type { LayerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { BackendService } from '../backend/index.ts';
import { ExportingHost } from '../connection/testing.ts';
import { type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import { type ManageableFile, ManageService } from './service.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
let manage: ManageService;
let backend: string;
let files: ManageableFile[] = [];
const gib = 2 ** 30;

before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  const { database } = db;
  await sql`update host set facts = facts || '{"url": "https://there:1"}'`.execute(database.query);
  const backends = new BackendService({ database });
  const asked = async (): Promise<{ files: ManageableFile[] }> => ({ files });
  manage = new ManageService({ database, backends, volumes: cloud.volumes, client: { manageable: asked } });
  backend = (await backends.list(cloud.admin))[0]!.backend;
});
after(() => db[Symbol.asyncDispose]());

const file = (over: Partial<ManageableFile> = {}): ManageableFile => ({
  ...{ name: 'old.img', fileBytes: 10, sizeBytes: gib + 1, format: 'qcow2', problem: null, ...over },
});
const wish = (fileName = 'old.img') => ({
  ...{ backend, fileName, bootable: true, name: '卷', description: null, type: null, metadata: {}, zone: null },
});
const documentOf = async (layerId: string | null) => {
  const host = new ExportingHost(db.database, cloud.hostId);
  return (await host.documents()).find(({ id }) => id === (layerId as LayerId))!;
};
const operations = async (id: string, state: string) =>
  (await sql`select from operation where resource_id = ${id} and state = ${state}`.execute(db.database.query)).rows
    .length;

test('a file of a pool becomes a volume of that pool, as large as it needs, once its host has copied it', async () => {
  files = [file()];
  const admin = { ...cloud.admin, projectId: cloud.projectId };
  const { id } = await manage.manage(admin, wish());
  const volume = await cloud.volumes.get(admin, id);
  assert.deepEqual([volume.size_gib, volume.pool_id, volume.bootable], [2, cloud.poolId, true]);
  const document = await documentOf(volume.layer_id);
  assert.deepEqual([document.managed, document.source, document.sizeBytes], [{ name: 'old.img' }, undefined, 2 * gib]);
  const { hosted } = new ExportingHost(db.database, cloud.hostId);
  const { epoch, generation, sizeBytes } = document;
  const said = { id: document.id, epoch, generation, sizeBytes, allocatedBytes: 1, step: null, error: null } as const;
  await hosted.recordReports(cloud.hostId, [{ ...said, state: 'building' }]);
  assert.equal(await cloud.status(id), 'creating');
  await hosted.recordReports(cloud.hostId, [{ ...said, state: 'ready' }]);
  await cloud.settle();
  assert.equal(await cloud.status(id), 'available');
  assert.equal((await documentOf(volume.layer_id)).managed, undefined, 'what was taken over once is asked for no more');
});

test('what no volume can be made of is refused with the reason, and nothing is made', async () => {
  const count = async () => (await sql`select from volume`.execute(db.database.query)).rows.length;
  const before = await count();
  files = [file({ problem: 'the file is vmdk', sizeBytes: null }), file({ name: 'huge', sizeBytes: 10 ** 15 })];
  const admin = { ...cloud.admin, projectId: cloud.projectId };
  await assert.rejects(manage.manage(admin, wish()), { reason: 'managed_file_unfit' });
  await assert.rejects(manage.manage(admin, wish('none')), { reason: 'managed_file_unfit' });
  await assert.rejects(manage.manage(admin, wish('huge')), (error: CloudError) =>
    ['no_pool', 'quota_exceeded'].includes(error.reason),
  );
  await assert.rejects(manage.manage(cloud.member, wish()), { code: 'forbidden' });
  await assert.rejects(manage.list(cloud.member, backend), { code: 'forbidden' });
  await assert.rejects(manage.list(cloud.admin, 'none@none'), { code: 'not_found' });
  assert.equal(await count(), before);
});

/** What its host says of the volume's content that was to leave. */
async function say(id: string, result: object | null, message: string | null): Promise<void> {
  await cloud.report();
  const outcome = [{ id, result, error: message && { code: 'pool_unavailable', message } }];
  await sql`update volume_layer set observed_backups = ${JSON.stringify(outcome)}::jsonb
    where id = (select layer_id from volume where id = ${id})`.execute(db.database.query);
}

for (const step of [undefined, 'looked', 'removed'] as const) {
  test(`a volume goes when its content lies in its pool for good, also where the controller dies after '${step}'`, async () => {
    const { id, layer_id } = await cloud.made();
    await assert.rejects(cloud.volumes.unmanage(cloud.member, id), { code: 'forbidden' });
    await cloud.volumes.unmanage(cloud.admin, id);
    assert.equal(await cloud.status(id), 'deleting');
    const { backups } = await documentOf(layer_id);
    assert.deepEqual(backups, [{ id, name: `${id}.qcow2`, parentName: null, managed: true }]);
    await cloud.settle();
    assert.equal(await cloud.status(id), 'deleting', 'not before its host says so');
    await say(id, { size_bytes: 7, sha256: 'aa' }, null);
    if (step)
      await cloud
        .dyingController(step)
        .reconcile(id)
        .catch(() => {});
    await cloud.controller.reconcile(id);
    await assert.rejects(cloud.volumes.get(cloud.admin, id), { code: 'not_found' });
    assert.equal((await documentOf(layer_id)).presence, 'absent');
    assert.equal(await operations(id, 'running'), 0);
  });
}

test('where its content can not be laid there the volume is what it was', async () => {
  const { id, layer_id } = await cloud.made();
  await cloud.volumes.unmanage(cloud.admin, id);
  await say(id, null, 'the pool is full');
  await cloud.controller.reconcile(id);
  assert.deepEqual([await cloud.status(id), await operations(id, 'failed')], ['available', 1]);
  assert.equal((await documentOf(layer_id)).backups, undefined);
  await cloud.volumes.delete(cloud.member, id, { cascade: false, force: false });
});

test('what is had, kept or encrypted is not unmanaged; one that is deleted by force meanwhile goes', async () => {
  const unfit = (id: string) => assert.rejects(cloud.volumes.unmanage(cloud.admin, id), { code: 'invalid' });
  const had = await cloud.made();
  await cloud.attach(had.id);
  await unfit(had.id);
  const kept = await cloud.made();
  await cloud.snapshots.create(cloud.member, {
    ...{ volumeId: kept.id, name: '', description: null, metadata: {}, inUse: false },
  });
  await unfit(kept.id);
  const leaving = await cloud.made();
  await cloud.volumes.unmanage(cloud.admin, leaving.id);
  await unfit(leaving.id);
  await assert.rejects(cloud.volumes.delete(cloud.member, leaving.id, { cascade: false, force: false }));
  await cloud.volumes.delete(cloud.admin, leaving.id, { cascade: false, force: true });
  assert.equal((await documentOf(leaving.layer_id)).presence, 'absent');
});
