import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import {
  type LayerId,
  newId,
  type ProjectId,
  type SnapshotId,
  type UserId,
  type VolumeId,
} from '../../../contract/ids.ts';
import { erasable, groupsOf, type HeldLayer, type KnownLayer, layerFate, neededOf, topsOf } from './plan.ts';

const someone = { projectId: newId<ProjectId>(), userId: newId<UserId>(), name: '卷 🏔' };
const topOf = (id: VolumeId) => ({ volume: { ...someone, id, typeName: '__DEFAULT__', bootable: false } });

function layer(changes: Partial<DesiredLayer> = {}): HeldLayer {
  const id = changes.id ?? newId<LayerId>();
  const document: DesiredLayer = {
    ...{ id, volumeId: newId<VolumeId>(), epoch: 1, generation: 3, presence: 'present', pool: 'local' },
    ...{ sizeBytes: 2 ** 30, parentId: null, image: null, readOnly: false, ...changes },
  };
  return { layer_id: id, document };
}
const on = (below: HeldLayer, changes: Partial<DesiredLayer> = {}) =>
  layer({ volumeId: below.document.volumeId, parentId: below.layer_id, ...changes });

const row = (changes: Partial<KnownLayer> = {}): KnownLayer => ({
  ...{ host_id: 'h', epoch: 1, generation: 3, desired_presence: 'present', ...changes },
});
const fates: [string, KnownLayer | undefined, string][] = [
  ['a layer without a row is made again', undefined, 'remake'],
  ['an older row is raised', row({ generation: 2 }), 'raise'],
  ['one of the same generation and another history is raised', row(), 'raise'],
  ['a row that is ahead has been raised already', row({ generation: 4 }), 'wait'],
  ['what shall be absent stays so', row({ generation: 1, desired_presence: 'absent' }), 'end'],
  ['another host’s is a copy', row({ host_id: 'other' }), 'leave'],
];
for (const [name, known, expected] of fates) {
  test(name, () => assert.equal(layerFate('h', layer().document, known).fate, expected));
}

test('of what went since the database was copied its host is asked anew, and nothing is made of what that no more knows', () => {
  const gone = layer({ presence: 'absent', readOnly: true }).document;
  assert.equal(layerFate('h', gone, row({ generation: 1 })).fate, 'end');
  assert.equal(layerFate('h', gone, undefined).fate, 'wait');
});

test('layers that build on each other, or are of one volume, are decided together, what others build on first', () => {
  const base = layer({ readOnly: true });
  const top = on(base);
  const clone = on(base, { volumeId: newId<VolumeId>() });
  const apart = layer({ volumeId: clone.document.volumeId, readOnly: true });
  const stranger = layer();
  const groups = groupsOf([clone, stranger, top, apart, base]);
  assert.equal(groups.length, 2);
  const group = groups.find((each) => each.includes(base))!;
  assert.deepEqual(new Set(group), new Set([base, top, clone, apart]));
  assert.ok(group.indexOf(base) < group.indexOf(top) && group.indexOf(base) < group.indexOf(clone));
});

test('a thousand clones of one layer are one group, and a circle is none of ours', () => {
  const base = layer({ readOnly: true });
  const clones = Array.from({ length: 1000 }, () => on(base, { volumeId: newId<VolumeId>() }));
  assert.equal(groupsOf([...clones, base])[0]!.length, 1001);
  const [a, b] = [newId<LayerId>(), newId<LayerId>()];
  assert.deepEqual(groupsOf([layer({ id: a, parentId: b }), layer({ id: b, parentId: a })]).flat(), []);
});

test('of two that say that they are a volume’s top the upper one is, and without a word of it who may be written to', () => {
  const volumeId = newId<VolumeId>();
  const covered = layer({ volumeId, record: topOf(volumeId) });
  const top = on(covered, { record: topOf(volumeId) });
  assert.deepEqual(
    topsOf(groupsOf([top, covered])[0]!).map(({ held }) => held),
    [top],
  );
  const [frozen, plain] = [layer({ readOnly: true }), layer()];
  assert.deepEqual(
    topsOf([frozen, plain]).map(({ held, volumeId: id }) => [held, id]),
    [[plain, plain.document.volumeId]],
  );
});

test('tops and snapshots are needed, with all below them, and nothing else is', () => {
  const base = layer({ readOnly: true });
  const [top, covered] = [on(base), on(base, { readOnly: true })];
  const snapshot = { ...someone, id: newId<SnapshotId>(), volumeId: base.document.volumeId };
  const kept = on(covered, { readOnly: true, record: { snapshots: [snapshot] } });
  const group = groupsOf([base, top, covered, kept]).flat();
  const needed = (tops: ReturnType<typeof topsOf>) =>
    group.filter(({ layer_id }) => neededOf(group, tops).has(layer_id));
  assert.deepEqual(new Set(needed(topsOf(group))), new Set(group));
  assert.deepEqual(new Set(needed([])), new Set([base, covered, kept]));
  const plain = groupsOf([base, top]).flat();
  assert.equal(neededOf(plain, []).size, 0);
});

test('nothing is erased on which something builds that stays', () => {
  const [base, other] = [layer({ readOnly: true }), layer()];
  const [middle] = [on(base, { readOnly: true })];
  const [top, clone] = [on(middle), on(base)];
  const all = groupsOf([base, other, middle, top, clone]).flat();
  const unwanted = (...some: HeldLayer[]) => new Set(some.map(({ layer_id }) => layer_id));
  assert.deepEqual(erasable(all, unwanted(base, middle, top)), [middle, top]);
  assert.deepEqual(erasable(all, unwanted(base, middle, clone)), [clone]);
  assert.deepEqual(new Set(erasable(all, unwanted(base, middle, top, clone))), new Set([base, middle, top, clone]));
});
