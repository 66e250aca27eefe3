import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredLayer } from '../../contract/host/index.ts';
import {
  type AttachmentId,
  type BackupId,
  type ImageId,
  type LayerId,
  newId,
  newOrderedId,
  type VolumeId,
  type VolumeKeyId,
} from '../../contract/ids.ts';
import { decide, exportedAs, type LayerFacts, type Step } from './decide.ts';

const parentId = newOrderedId<LayerId>();
const layer: DesiredLayer = {
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 3, generation: 1, presence: 'present' },
  ...{ pool: 'local', sizeBytes: 1024, parentId, image: null, readOnly: false },
};
const onParent = { kind: 'layer', id: parentId } as const;
const file = { sizeBytes: 1024, buildsOn: onParent, owner: 'root' } as const;
const here: LayerFacts = {
  ...{ file, made: true, baseNoted: true, erasedEpoch: undefined, outcomes: undefined },
  ...{ parentHere: true, imageHere: true },
  ...{
    writers: 0,
    volumeOpen: false,
    guestsKnown: true,
    unfurnished: false,
    leaseEnded: false,
    taken: false,
    exported: undefined,
    receiving: false,
  },
};
const absent = { ...layer, presence: 'absent' as const };

function expect(cases: [string, Partial<DesiredLayer>, Partial<LayerFacts>, Step['do']][]): void {
  for (const [words, changes, facts, step] of cases) {
    assert.equal(decide({ ...layer, ...changes }, { ...here, ...facts }).do, step, words);
  }
}

test('a layer is made when what it builds on is here, and never in place of one that was lost or erased', () => {
  const none = { file: undefined, made: false };
  expect([
    ['here', {}, none, 'make'],
    ['its parent is not', {}, { ...none, parentHere: false }, 'wait'],
    ['it was made', {}, { ...none, made: true }, 'miss'],
    ['it was erased under this epoch', {}, { ...none, erasedEpoch: 3 }, 'stay-erased'],
    ['it was erased under an older one', {}, { ...none, erasedEpoch: 2 }, 'make'],
    ['control is silent', {}, { ...none, leaseEnded: true }, 'await-lease'],
    ['its content is a file in the pool', { managed: { name: 'f' } }, none, 'take-over'],
    ['the file that it was made of is still there', {}, { taken: true }, 'drop-taken'],
    ['its content is a backup', { source: { backupId: newId<BackupId>(), name: 'b', sha256: null } }, none, 'restore'],
    ['the process died before it was noted', {}, { made: false }, 'note-made'],
    ['the image that it builds on is lost', {}, { imageHere: false }, 'fetch'],
    ['on what it builds was never noted', {}, { baseNoted: false }, 'note-made'],
    ['all is well', {}, {}, 'nothing'],
  ]);
});

test('a file that a guest may have open is left alone; what its guest can do it does', () => {
  const unknown = { guestsKnown: false };
  const larger = { sizeBytes: 2048 };
  const flat = { parentId: null };
  expect([
    ['it shall be larger', larger, {}, 'grow'],
    ['a guest writes to it', larger, { writers: 1 }, 'wait'],
    ['nobody knows yet', larger, unknown, 'wait'],
    ['it shall stand for itself', flat, {}, 'rebase'],
    ['a guest writes to it, whose QEMU does that', flat, { writers: 1 }, 'rebase'],
    ['nobody knows yet who', flat, unknown, 'wait'],
    ['it is frozen, and its guest is about to leave it', { ...flat, readOnly: true }, { writers: 1 }, 'wait'],
    ['it shall be smaller', { sizeBytes: 512 }, {}, 'nothing'],
    [
      'it was frozen before it was grown',
      { ...larger, readOnly: true },
      { file: { ...file, owner: 'group' } },
      'nothing',
    ],
  ]);
});

test('its file is whose it shall be as soon as no guest has it open', () => {
  const guests = { file: { ...file, owner: 'guest' as const } };
  expect([
    ['a guest writes to it', {}, { ...guests, writers: 1 }, 'nothing'],
    ['the guest has left it', {}, guests, 'take-back'],
    ['and nobody shall write to it any more', { readOnly: true }, guests, 'seal'],
    ['but the guest still does', { readOnly: true }, { ...guests, writers: 1 }, 'nothing'],
  ]);
});

test('what is made of it waits until it is final, is made once, and is forgotten when nobody asks', () => {
  const imageId = newId<ImageId>();
  const backup = { id: newId<BackupId>(), name: 'b', parentName: null };
  const frozen = { file: { ...file, owner: 'group' as const } };
  const made = { captures: [{ imageId, result: null, error: { code: 'x', message: 'y' } }], backups: [] };
  const asks = { readOnly: true, captures: [{ imageId, format: 'raw' as const }], backups: [backup] };
  expect([
    ['a guest writes to it', asks, { ...frozen, writers: 1 }, 'wait'],
    ['the image first', asks, frozen, 'capture'],
    ['then the backup', asks, { ...frozen, outcomes: made }, 'back-up'],
    ['nobody asks any more', { readOnly: true }, { ...frozen, outcomes: made }, 'forget-outcomes'],
  ]);
});

test('what shall be absent goes when its guest has let go, with all that is remembered of it', () => {
  assert.equal(decide(absent, here).do, 'remove');
  assert.equal(decide(absent, { ...here, leaseEnded: true }).do, 'remove');
  assert.equal(decide(absent, { ...here, writers: 1 }).do, 'wait');
  assert.equal(decide(absent, { ...here, guestsKnown: false }).do, 'wait');
  const gone = { ...here, file: undefined };
  assert.equal(decide(absent, { ...gone, outcomes: { captures: [], backups: [] } }).do, 'remove');
  assert.deepEqual(decide(absent, gone), { do: 'nothing', state: 'absent' });
});

test('a machine outside gets a layer that is whole and that nobody has, and loses it before anything else is done', () => {
  const wanted: NonNullable<DesiredLayer['export']> = {
    ...{ id: newId<AttachmentId>(), initiator: 'iqn.2004-10.com.example:one', user: 'one' },
    ...{ secretId: newId<VolumeKeyId>(), port: 3260, readOnly: false },
  };
  const none = { file: undefined, made: false };
  expect([
    ['all is well', { export: wanted }, {}, 'export'],
    ['it is out already', { export: wanted }, { exported: 'as-wanted' }, 'nothing'],
    ['it is out with other limits', { export: wanted }, { exported: 'limited-otherwise' }, 'limit-export'],
    ['it is out to another one', { export: wanted }, { exported: 'otherwise' }, 'end-export'],
    ['nobody outside shall have it', {}, { exported: 'otherwise' }, 'end-export'],
    ['nor is it large enough then', { sizeBytes: 2048 }, { exported: 'otherwise' }, 'end-export'],
    ['it is not made', { export: wanted }, none, 'make'],
    ['it is not large enough', { export: wanted, sizeBytes: 2048 }, {}, 'grow'],
    ['a guest has the volume', { export: wanted }, { volumeOpen: true }, 'wait'],
    ['what guests have is not known', { export: wanted }, { guestsKnown: false }, 'wait'],
    ['control is silent', { export: wanted }, { leaseEnded: true }, 'await-lease'],
    ['control is silent, and it has it', { export: wanted }, { leaseEnded: true, exported: 'as-wanted' }, 'nothing'],
    ['it is deleted', { presence: 'absent' }, { exported: 'otherwise' }, 'end-export'],
  ]);
  const open = { ...wanted, layerId: layer.id, volumeId: layer.volumeId, uid: 1000, ready: true };
  const as = (over: object) => exportedAs({ ...layer, export: { ...wanted, ...over } }, open);
  assert.deepEqual([as({}), as({ port: 3261 }), as({ readOnly: true })], ['as-wanted', 'otherwise', 'otherwise']);
  assert.deepEqual([exportedAs(layer, open), exportedAs(layer, undefined)], ['otherwise', undefined]);
});

test('what was to be made of a file gives the file back, unless it was made', () => {
  expect([
    ['nothing came of it', absent, { file: undefined, made: false, taken: true }, 'give-back'],
    ['it was made', absent, { taken: true }, 'drop-taken'],
    ['it was made, and its file is gone', absent, { file: undefined, taken: true }, 'drop-taken'],
  ]);
});

test('a second copy takes writes of another host as long as it shall, and is nobody else’s meanwhile', () => {
  const receives = { key: 'a'.repeat(64) };
  expect([
    ['it is begun', { receives }, {}, 'receive-writes'],
    ['once', { receives }, { receiving: true, writers: 1, volumeOpen: true }, 'nothing'],
    ['not where a guest has the volume', { receives }, { volumeOpen: true }, 'wait'],
    ['not before it is known what guests have', { receives }, { guestsKnown: false }, 'wait'],
    ['not without a lease', { receives }, { leaseEnded: true }, 'await-lease'],
    ['it ends when nobody wants it', {}, { receiving: true, writers: 1, volumeOpen: true }, 'end-receiving'],
    ['and when it is frozen', { receives, readOnly: true }, { receiving: true, writers: 1 }, 'end-receiving'],
  ]);
  assert.equal(decide(absent, { ...here, receiving: true, writers: 1 }).do, 'end-receiving');
});
