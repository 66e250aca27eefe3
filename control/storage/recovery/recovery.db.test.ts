/** What is taken up of layers whose documents say little, or whose keys are lost. Whole clouds: test/simulated/lost-volumes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import {
  type HostId,
  type LayerId,
  newId,
  type ProjectId,
  type UserId,
  type VolumeId,
  type VolumeKeyId,
} from '../../../contract/ids.ts';
import type { QuarantinedLayerRow } from '../../host/index.ts';
import { testSealer } from '../../identity/testing.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type TestDatabase, testDatabase, testProject } from '../../kit/database/testing.ts';
import { hostedLayers } from '../layer/index.ts';
import { testPool } from '../testing.ts';
import { findVolume, VolumeService, volumeStatus } from '../volume/index.ts';
import { callerOf, silentLog } from '../volume/testing.ts';
import { groupsOf, takeUpLayers } from './index.ts';

let db: TestDatabase;
let hostId: HostId;
let projectId: ProjectId;
let userId: UserId;
before(async () => {
  db = await testDatabase();
  const pool = await testPool(db.database);
  hostId = pool.host_id as HostId;
  await sql`insert into storage_pool (id, host_id, name, tier, kind, total_bytes, free_bytes)
    values (${newId()}, ${hostId}, 'fast', 'flash', 'directory', 1000, 1000)`.execute(db.database.query);
  projectId = await testProject(db.database);
  userId = newId<UserId>();
});
after(() => db[Symbol.asyncDispose]());

function held(changes: Partial<DesiredLayer> = {}): QuarantinedLayerRow {
  const layer_id = changes.id ?? newId<LayerId>();
  const document: DesiredLayer = {
    ...{ id: layer_id, volumeId: newId<VolumeId>(), epoch: 1, generation: 3, presence: 'present', pool: 'local' },
    ...{ sizeBytes: 2 ** 30, parentId: null, image: null, readOnly: false, ...changes },
  };
  return { host_id: hostId, host_name: 'a host', layer_id, reason: 'missing', since: new Date(), document };
}
const recordOf = (id: VolumeId, name: string, typeName = 'a type that is lost') => ({
  volume: { id, projectId, userId, name, typeName, bootable: false },
});
const takeUp = (...layers: QuarantinedLayerRow[]) =>
  db.database.transaction(cloudActor, (tx) =>
    takeUpLayers(tx, groupsOf(layers).flat(), { hostId, ownerOf: async () => ({ projectId, userId }) }),
  );
const found = (id: string) => findVolume(db.database.query, 'all', id);

test('an encrypted volume whose key is lost is in error by name, its host is told nothing else of its files, and it can be deleted', async () => {
  const encryption = { keyId: newId<VolumeKeyId>(), cipher: 'aes-xts-plain64', keySizeBits: 512 } as const;
  const volumeId = newId<VolumeId>();
  const layer = held({ volumeId, encryption, record: recordOf(volumeId, 'secrets') });
  const [outcome] = await takeUp(layer);
  assert.deepEqual([outcome!.kind, outcome!.outcome], ['volume', 'remake']);
  assert.match(outcome!.reason!, /key was in the database that is lost/);
  const volume = await found(volumeId);
  assert.deepEqual([volumeStatus(volume), volume.fault?.code, volume.name], ['error', 'key', 'secrets']);
  const { rows } = await sql<{ error_message: string }>`select error_message from storage_message
    where resource_id = ${volumeId}`.execute(db.database.query);
  assert.match(rows[0]!.error_message, /key was in the database/, 'and its project is told');
  const side = hostedLayers({ database: db.database, sealer: testSealer, log: silentLog });
  const [told] = await side.desiredLayers(db.database.query, { layerIds: [layer.layer_id] });
  assert.deepEqual([told!.layer.encryption, told!.layer.generation], [encryption, 4]);
  const [answer] = await side.handOutKeys(hostId, [encryption.keyId]);
  assert.deepEqual([answer!.passphrase, answer!.problem], [null, 'the database has no such key'], 'none is made anew');
  const service = new VolumeService({ database: db.database, images: {} as never, log: silentLog });
  await service.delete(callerOf(projectId), volumeId, { cascade: false, force: false });
  assert.deepEqual(
    await side.layerStamps(db.database.query, [hostId]).then((all) => all.get(hostId)!.length),
    1,
    'until its host says that it is gone',
  );
});

test('one whose key is there is as it was', async () => {
  const encryption = { keyId: newId<VolumeKeyId>(), cipher: 'aes-xts-plain64', keySizeBits: 256 } as const;
  await sql`insert into volume_key (id, cipher, key_size_bits, sealed) values (${encryption.keyId}, 'aes-xts-plain64', 256, '\\x00')`.execute(
    db.database.query,
  );
  const layer = held({ encryption });
  const [outcome] = await takeUp(layer);
  assert.equal(outcome!.reason, undefined);
  assert.equal(volumeStatus(await found(layer.document.volumeId)), 'available');
});

test('a cached volume has its cache again, and is where its base is', async () => {
  const volumeId = newId<VolumeId>();
  const base = held({ volumeId, cache: { role: 'base', fullBytes: null } });
  const cache = { role: 'writes', fullBytes: 2 ** 29 } as const;
  const top = held({ volumeId, parentId: base.layer_id, pool: 'fast', cache, record: recordOf(volumeId, 'cached') });
  await takeUp(base, top);
  const { rows } = await sql<{
    at: string;
    cache: string;
    bytes: number;
  }>`select p.name as at, c.name as cache, v.cache_bytes as bytes
    from volume v join storage_pool p on p.id = v.pool_id join storage_pool c on c.id = v.cache_pool_id where v.id = ${volumeId}`.execute(
    db.database.query,
  );
  assert.deepEqual(rows, [{ at: 'local', cache: 'fast', bytes: 2 ** 30 }]);
});

test('documents of an older control say less: names are made of ids, and what is frozen and nobody’s waits for people', async () => {
  const below = held({ readOnly: true });
  const top = held({ volumeId: below.document.volumeId, parentId: below.layer_id });
  const stray = held({ readOnly: true });
  const outcomes = await takeUp(below, top, stray);
  const { name, layer_id } = await found(top.document.volumeId);
  assert.deepEqual([name, layer_id], [`recovered-${top.document.volumeId}`, top.layer_id]);
  assert.deepEqual(
    outcomes.map(({ kind, outcome }) => [kind, outcome]),
    [
      ['layer', 'leave'],
      ['volume', 'remake'],
    ],
  );
  const again = await takeUp(below, top);
  assert.deepEqual(
    again.map(({ outcome }) => outcome),
    ['wait'],
  );
});

test('what lies in a pool that is declared no more is left, with all that builds on it', async () => {
  const below = held({ readOnly: true, pool: 'gone' });
  const top = held({ volumeId: below.document.volumeId, parentId: below.layer_id });
  const outcomes = await takeUp(below, top);
  assert.deepEqual(
    outcomes.map(({ outcome }) => outcome),
    ['leave', 'leave'],
  );
  assert.match(outcomes[0]!.reason!, /no pool 'gone'/);
  await assert.rejects(found(top.document.volumeId), { code: 'not_found' });
});

test('a volume that has other content in this database keeps it, and what the host has is left', async () => {
  const volumeId = newId<VolumeId>();
  await takeUp(held({ volumeId, record: recordOf(volumeId, 'new') }));
  const before = await found(volumeId);
  const below = held({ readOnly: true });
  const old = held({ volumeId, parentId: below.layer_id, record: recordOf(volumeId, 'old') });
  const [outcome, ...others] = await takeUp(below, old);
  assert.deepEqual([outcome!.kind, outcome!.outcome], ['volume', 'leave']);
  assert.deepEqual(
    others.map(({ id, outcome }) => [id, outcome]),
    [below, old].map(({ layer_id }) => [layer_id, 'leave']),
    'its layers stay where they are, and are to be found there',
  );
  assert.match(outcome!.reason!, /other content/);
  assert.deepEqual(await found(volumeId), before);
});
