/** What becomes of an image that is made of a server's disk, however it ends; and that the server is none the worse for it. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, type ImageId, newId, type ServerId } from '../../../contract/ids.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import * as actions from './actions/index.ts';
import { tellDigest } from './image-digest.ts';
import { serverStatus, taskState } from './states.ts';
import { capturedDisk, oddName, type ServerCloud, serverCloud } from './testing.ts';

let db: TestDatabase;
let cloud: ServerCloud;
let host: HostId;
let flavor: string;
before(async () => {
  db = await testDatabase();
  cloud = await serverCloud(db.database);
  host = await cloud.addHost({ vcpus: 100 });
  flavor = await cloud.addFlavor();
});
after(() => db[Symbol.asyncDispose]());

async function active(): Promise<ServerId> {
  const { ids } = await cloud.service.create(cloud.member, cloud.wish({ flavor }));
  await cloud.controller.reconcile(ids[0]!);
  await cloud.obey(host);
  return ids[0]!;
}

async function capture(id: ServerId): Promise<ImageId> {
  const imageId = newId<ImageId>();
  const wish = { imageId, name: oddName, metadata: { 'a key': '小屋' } };
  await cloud.service.act(cloud.member, id, actions.createImage, wish);
  return imageId;
}

async function backup(id: ServerId, backupType: string, rotation: number): Promise<ImageId> {
  const imageId = newId<ImageId>();
  const wish = { imageId, name: `backup ${imageId}`, metadata: {}, backupType, rotation };
  await cloud.service.act(cloud.member, id, actions.createBackup, wish);
  await cloud.obey(host);
  return imageId;
}

const image = (id: ImageId) => cloud.images.show(cloud.member, id);
const gone = (id: ImageId) => assert.rejects(image(id), { code: 'not_found' });

async function atRest(id: ServerId): Promise<void> {
  const server = await cloud.service.get(cloud.member, id);
  assert.deepEqual([serverStatus(server), taskState(server), server.fault], ['ACTIVE', null, null]);
}
const last = async (id: ServerId) => (await cloud.service.operations(cloud.member, id)).operations[0]!;

test('an image is being saved while its host makes it, and active as soon as it is, before its digests are known', async () => {
  const id = await active();
  const imageId = await capture(id);
  const saving = await image(imageId);
  assert.deepEqual([saving.status, saving.disk_format, saving.container_format], ['saving', 'qcow2', 'bare']);
  const { properties } = { properties: saving.owner_properties };
  assert.deepEqual([properties['a key'], properties.instance_uuid, properties.image_type], ['小屋', id, 'snapshot']);
  await cloud.obey(host);
  const made = await image(imageId);
  assert.deepEqual([made.status, Number(made.size_bytes)], ['active', capturedDisk.sizeBytes]);
  assert.deepEqual([made.md5, made.sha256, made.sha512], [null, null, null]);
  await atRest(id);
  assert.equal((await last(id)).state, 'succeeded');
});

test('an image that its host could not make goes, and the server goes on', async () => {
  const id = await active();
  const imageId = await capture(id);
  const error = { code: 'no_capacity', message: 'the disk of the host is full' };
  await cloud.report(host, id, { captures: [{ imageId, result: null, error }] });
  await gone(imageId);
  await atRest(id);
  const { state, error_message } = await last(id);
  assert.deepEqual([state, error_message], ['failed', error.message]);
});

test('whoever deletes the image calls its making off, whatever the host says of it later', async () => {
  const id = await active();
  const imageId = await capture(id);
  await cloud.images.delete(cloud.member, imageId);
  const [document] = await cloud.side.desiredServers(db.database.query, { serverIds: [id] });
  assert.equal(document!.captures, undefined);
  await cloud.controller.reconcile(id);
  await cloud.report(host, id, { captures: [{ imageId, result: capturedDisk, error: null }] });
  await gone(imageId);
  await atRest(id);
  assert.equal((await last(id)).state, 'failed');
});

test('with the server goes the image that was being made of it', async () => {
  const id = await active();
  const imageId = await capture(id);
  await cloud.service.delete(cloud.member, id);
  await cloud.obey(host);
  await cloud.controller.reconcile(id);
  await gone(imageId);
});

test('an image is not made in time: it goes, and the server goes on', async () => {
  const id = await active();
  const imageId = await capture(id);
  await sql`update operation set deadline = now() - interval '1 s' where resource_id = ${id} and state = 'running'`.execute(
    db.database.query,
  );
  await cloud.controller.reconcile(id);
  await cloud.report(host, id);
  await gone(imageId);
  await atRest(id);
});

test('bytes beyond the quota make no image', async () => {
  const id = await active();
  const imageId = await capture(id);
  await sql`insert into quota (id, project_id, resource, maximum)
    values (${newId()}, ${cloud.projectId}, 'image_bytes', 2000)`.execute(db.database.query);
  await cloud.obey(host);
  await gone(imageId);
  await atRest(id);
  await sql`delete from quota where project_id = ${cloud.projectId}`.execute(db.database.query);
});

test('of an image that became nobody’s while it was made no quota is asked', async () => {
  const id = await active();
  const imageId = await capture(id);
  const query = db.database.query;
  await sql`update image set project_id = null, foreign_owner = 'elsewhere' where id = ${imageId}`.execute(query);
  const limit = (maximum: number) =>
    sql`update quota set maximum = ${maximum} where project_id is null and resource = 'image_bytes'`.execute(query);
  await limit(2000);
  await cloud.obey(host);
  await limit(2 ** 40);
  const { rows } = await sql`select status from image where id = ${imageId} and desired_presence = 'present'`.execute(
    query,
  );
  assert.deepEqual(rows, [{ status: 'active' }]);
  await atRest(id);
});

test('of backups of one type as many stay as the last one says, of others and of other servers all', async () => {
  const [id, other] = [await active(), await active()];
  const weekly = await backup(id, 'weekly', 1);
  const others = await backup(other, 'daily', 1);
  const snapshot = await capture(id);
  await cloud.obey(host);
  const daily = [await backup(id, 'daily', 2), await backup(id, 'daily', 2), await backup(id, 'daily', 2)];
  await gone(daily[0]!);
  for (const kept of [daily[1]!, daily[2]!, weekly, others, snapshot])
    assert.equal((await image(kept)).status, 'active');
  await gone(await backup(id, 'daily', 0));
  await gone(daily[1]!);
  assert.equal((await image(weekly)).status, 'active');
});

test('a server that was given an image before its digest was known has it when it is, and its host is told', async () => {
  const imageId = await capture(await active());
  await cloud.obey(host);
  const { ids } = await cloud.service.create(cloud.member, { ...cloud.wish({ flavor }), imageId });
  const id = ids[0]!;
  await cloud.controller.reconcile(id);
  const document = async () => (await cloud.side.desiredServers(db.database.query, { serverIds: [id] }))[0]!;
  const before = await document();
  assert.deepEqual([before.image?.id, before.image?.sha256], [imageId, null]);
  const sha256 = 'd'.repeat(64);
  await sql`update image set sha256 = ${sha256} where id = ${imageId}`.execute(db.database.query);
  const changed = async () =>
    (await sql`select from change where resource_id = ${id}`.execute(db.database.query)).rows.length;
  const changes = await changed();
  for (const _ of ['once', 'again']) await tellDigest(db.database, imageId);
  assert.equal(await changed(), changes + 1);
  await sql`delete from image_location where image_id = ${imageId}`.execute(db.database.query);
  await sql`delete from image where id = ${imageId}`.execute(db.database.query);
  const told = await document();
  assert.equal(told.image?.sha256, sha256);
  assert.notEqual(told.stamp, before.stamp);
});
