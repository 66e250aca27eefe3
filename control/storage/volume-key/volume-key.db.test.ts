import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { ObservedLayer } from '../../../contract/host/index.ts';
import { type HostId, type LayerId, newId, type VolumeKeyId } from '../../../contract/ids.ts';
import { Secret } from '../../../contract/secret.ts';
import { Sealer } from '../../identity/index.ts';
import { testSealer } from '../../identity/testing.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { hostedLayers } from '../layer/index.ts';
import { silentLog, type VolumeCloud, volumeCloud } from '../volume/testing.ts';
import type { UploadWish } from '../volume/upload.ts';
import { TypeEncryptionService, VolumeTypeService } from '../volume-type/index.ts';

let db: TestDatabase;
let cloud: VolumeCloud;
before(async () => {
  db = await testDatabase();
  cloud = await volumeCloud(db.database);
  await typed('sealed', {});
});
after(() => db[Symbol.asyncDispose]());

const side = (sealer = testSealer) => hostedLayers({ database: db.database, sealer, log: silentLog });

async function typed(name: string, over: { cipher?: string; provider?: string; specs?: object }): Promise<void> {
  const { cipher = 'aes-xts-plain64', provider = 'luks', specs = {} } = over;
  await sql`with made as (insert into volume_type (id, name, public, extra_specs)
      values (${newId()}, ${name}, true, ${JSON.stringify(specs)}::jsonb) returning id)
    insert into volume_type_encryption (volume_type_id, id, provider, control_location, cipher, key_size)
    select id, ${newId()}, ${provider}, 'front-end', ${cipher}, 256 from made`.execute(db.database.query);
}

const keyOf = async (id: string) => (await cloud.volumes.get(cloud.member, id)).key_id as VolumeKeyId;
const rows = async () =>
  (await sql<{ id: string; sealed: Buffer | null }>`select id, sealed from volume_key`.execute(db.database.query)).rows;
const told = async (keyId: VolumeKeyId, hostId: HostId = cloud.hostId, sealer = testSealer) =>
  (await side(sealer).handOutKeys(hostId, [keyId]))[0]!;

test('a key is made when the host of its layers first asks, told to no other, and goes with the last layer that needs it', async () => {
  const volume = await cloud.made({ type: 'sealed' });
  const keyId = await keyOf(volume.id);
  const documents = await side().desiredLayers(db.database.query, { layerIds: [volume.layer_id as LayerId] });
  assert.deepEqual(documents[0]!.layer.encryption, { keyId, cipher: 'aes-xts-plain64', keySizeBits: 256 });
  assert.equal((await rows())[0]!.sealed, null);
  // The layer that the test's host says it has was made before anybody asked: as if the row were of an older database.
  assert.match((await told(keyId)).problem ?? '', /no such key/);
  await sql`update volume_layer set observed_size_bytes = 0`.execute(db.database.query);
  const [first, again] = await Promise.all([told(keyId), told(keyId)]);
  assert.match(first.passphrase ?? '', /^[0-9a-f]{64}$/);
  assert.deepEqual(again, first);
  assert.ok(!(await rows())[0]!.sealed!.toString('latin1').includes(first.passphrase!), 'sealed');
  assert.equal((await told(keyId, newId<HostId>())).passphrase, null);
  const other = new Sealer([new Secret(Buffer.alloc(32, 'another'))]);
  assert.match((await told(keyId, cloud.hostId, other)).problem ?? '', /not among the sealing keys/);

  const clone = await cloud.made({ sourceVolumeId: volume.id });
  assert.equal(await keyOf(clone.id), keyId, 'what is made of it has its key');
  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  await obeyed();
  assert.equal((await rows()).length, 1, 'a clone needs it');
  await cloud.volumes.delete(cloud.member, clone.id, { cascade: false, force: false });
  await obeyed();
  assert.deepEqual(await rows(), []);
});

const upload: UploadWish = {
  ...{ name: 'x', diskFormat: 'raw', containerFormat: 'bare' },
  ...{ force: true, visibility: 'private', protected: false },
};

test('an image of an encrypted volume has a key of its own, volumes of it too, and its key goes with it', async () => {
  const volume = await cloud.made({ type: 'sealed' });
  const volumeKey = await keyOf(volume.id);
  const { imageId, diskFormat } = await cloud.volumes.upload(cloud.member, volume.id, upload);
  assert.equal(diskFormat, 'qcow2');
  const document = async (id: string) =>
    (await side().desiredLayers(db.database.query, { layerIds: [id as LayerId] }))[0]!.layer;
  const [wanted] = (await document(volume.layer_id!)).captures!;
  const { keyId } = wanted!.encryption!;
  assert.notEqual(keyId, volumeKey);
  assert.deepEqual(wanted, {
    ...{ imageId, format: 'qcow2' },
    encryption: { keyId, cipher: 'aes-xts-plain64', keySizeBits: 256 },
  });
  const { passphrase } = await told(keyId);
  assert.match(passphrase ?? '', /^[0-9a-f]{64}$/);
  assert.equal((await told(keyId, newId<HostId>())).passphrase, null, 'told to the image’s host alone');
  await cloud.report();
  await cloud.settle();

  const image = await cloud.images.show(cloud.member, imageId);
  assert.deepEqual([image.status, image.disk_format], ['active', 'qcow2']);
  assert.deepEqual(image.owner_properties, {
    cinder_encryption_key_id: keyId,
    cinder_encryption_key_deletion_policy: 'on_image_deletion',
  });
  const forged = [{ kind: 'property', verb: 'remove', name: 'cinder_encryption_key_id' }] as const;
  await assert.rejects(cloud.images.update(cloud.member, imageId, forged), { reason: 'image_property_reserved' });
  await assert.rejects(cloud.images.findForServer(db.database.query, cloud.member, imageId), {
    reason: 'image_encrypted',
  });
  const plain = await cloud.made();
  await assert.rejects(cloud.made({ imageId }), {
    reason: 'volume_encryption_differs',
    fields: { type: plain.type_name, of: 'image' },
  });
  await assert.rejects(cloud.volumes.reimage(cloud.admin, plain.id, { imageId, reserved: false }), {
    reason: 'volume_encryption_differs',
  });

  await cloud.volumes.delete(cloud.member, volume.id, { cascade: false, force: false });
  await obeyed();
  const made = await cloud.made({ imageId, type: 'sealed' });
  const { image: below, imageEncryption, encryption } = await document(made.layer_id!);
  assert.deepEqual([below!.id, imageEncryption!.keyId, (await told(keyId)).passphrase], [imageId, keyId, passphrase]);
  assert.ok(encryption!.keyId !== keyId && encryption!.keyId !== volumeKey, 'a key of its own');
  assert.equal(Object.hasOwn(made.image_metadata!, 'cinder_encryption_key_id'), false);
  await cloud.volumes.reimage(cloud.admin, made.id, { imageId, reserved: false });
  const again = await cloud.volumes.get(cloud.member, made.id);
  assert.equal((await document(again.layer_id!)).imageEncryption!.keyId, keyId);

  await cloud.images.delete(cloud.member, imageId);
  await sql`delete from image where id = ${imageId}`.execute(db.database.query);
  assert.ok(!(await rows()).some(({ id }) => id === keyId));
  assert.equal((await told(keyId)).passphrase, null);
  await cloud.volumes.delete(cloud.admin, made.id, { cascade: false, force: true });
  await cloud.settle();
});

/** Its host has removed what shall not be. */
async function obeyed(): Promise<void> {
  for (let n = 0; n < 4; n++) {
    const { rows: absent } = await sql<{ id: LayerId; epoch: number; generation: number }>`
      select id, epoch, generation from volume_layer where desired_presence = 'absent'`.execute(db.database.query);
    const reports = absent.map(
      (row): ObservedLayer => ({ ...row, state: 'absent', sizeBytes: 0, allocatedBytes: 0, step: null, error: null }),
    );
    await side().recordReports(cloud.hostId, reports);
    await cloud.settle();
  }
}

test('what no host can do is refused by name, and nothing is made of it in the clear', async () => {
  await typed('strange', { cipher: 'serpent-xts-plain64' });
  await typed('second', { provider: 'luks2' });
  const make = (type: string) => cloud.volumes.create(cloud.member, cloud.wish({ type }));
  const reason = 'volume_type_encryption_unserved';
  const types = new TypeEncryptionService({ database: db.database });
  const { id: typeId } = await new VolumeTypeService({ database: db.database }).create(cloud.admin, {
    ...{ name: 'third', description: null, public: true, extraSpecs: {} },
  });
  const wish = { provider: 'luks2', control_location: 'front-end', cipher: null, key_size: null } as const;
  const version2 = { reason, fields: { name: 'third', what: 'version', value: 'luks2' } };
  await assert.rejects(types.create(cloud.admin, typeId, wish), version2);
  await types.create(cloud.admin, typeId, { ...wish, provider: 'luks' });
  await assert.rejects(types.update(cloud.admin, typeId, { provider: 'luks2' }), version2);
  await assert.rejects(make('strange'), {
    reason,
    fields: { name: 'strange', what: 'cipher', value: 'serpent-xts-plain64' },
  });
  await assert.rejects(make('second'), { reason });
  const plain = await cloud.made();
  const sealed = await cloud.made({ type: 'sealed' });
  const cloned = (sourceVolumeId: string, type: string | null) =>
    cloud.volumes.create(cloud.member, cloud.wish({ sourceVolumeId, type }));
  await assert.rejects(cloned(plain.id, 'sealed'), { reason: 'volume_encryption_differs' });
  const clear = (await cloud.volumes.get(cloud.member, plain.id)).type_name;
  await assert.rejects(cloned(sealed.id, clear), { reason: 'volume_encryption_differs' });
  const vmdk = cloud.volumes.upload(cloud.member, sealed.id, { ...upload, diskFormat: 'vmdk' });
  await assert.rejects(vmdk, { reason: 'volume_encrypted' });
  await assert.rejects(cloud.volumes.retype(cloud.member, plain.id, { type: 'sealed', policy: 'never' }), {
    reason: 'volume_type_unfit',
  });
});
