import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DesiredServer, DesiredVolume } from '../../contract/host/index.ts';
import { type AttachmentId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { wantedServer } from '../../test/support/host-world.ts';
import type { VolumeRecord } from './record.ts';
import { type LayerFacts, type VolumeFacts, volumeStep } from './volumes.ts';

const layer = () => newOrderedId<LayerId>();

/** A volume of the guest, and as it shall be. */
function held(slot: number, wanted?: LayerId): { record: VolumeRecord; volume: DesiredVolume } {
  const record = {
    ...{ id: newOrderedId<VolumeId>(), slot, readOnly: false, layerId: layer(), sizeBytes: 1, tops: [], limits: null },
    plugged: true,
  };
  const { id, layerId, sizeBytes, readOnly } = record;
  const volume = { id, slot, readOnly, layerId: wanted ?? layerId, sizeBytes, bootIndex: null, tag: null };
  return { record, volume: { ...volume, attachmentId: newId<AttachmentId>(), device: '/dev/vdb' } };
}

function stepFor(
  all: readonly { record: VolumeRecord; volume: DesiredVolume }[],
  layers: [LayerId, LayerFacts][],
  moments: [LayerId, string][],
) {
  const desired: DesiredServer = { ...wantedServer(null), volumes: all.map(({ volume }) => volume) };
  const facts: VolumeFacts = {
    ...{ volumes: all.map(({ record }) => record), devices: undefined, hot: true, layers: new Map(layers) },
    ...{ moments: new Map(moments), asked: new Map(), kept: new Map() },
    ...{ now: 1000, unplugTimeoutMs: 100, unplugRepeatMs: 10 },
  };
  const step = volumeStep(desired, facts);
  if (step?.do !== 'switch-volumes') return step?.do;
  return step.switches.map(({ volume, layerId }) => [volume.slot, layerId]);
}

test('tops of one moment come together, each other one by itself', () => {
  const [a, b, c] = [layer(), layer(), layer()];
  const all = [held(1, a), held(2, b), held(3, c)];
  const layers = all.map(({ record, volume }): [LayerId, LayerFacts] => [volume.layerId, { lower: [record.layerId] }]);
  const together: [LayerId, string][] = [
    [a, 'm'],
    [c, 'm'],
  ];
  assert.deepEqual(stepFor(all, layers, together), [
    [1, a],
    [3, c],
  ]);
  assert.deepEqual(stepFor(all, layers, []), [[1, a]]);
});

test('a top of one moment waits for layers of which is not known whether they are of it', () => {
  const [a, b] = [layer(), layer()];
  const all = [held(1, a), held(2, b)];
  assert.equal(stepFor(all, [[a, { lower: [all[0]!.record.layerId] }]], [[a, 'm']]), 'await-layer');
});

test('a volume that has another top to get first gets that', () => {
  const [a, between, b] = [layer(), layer(), layer()];
  const all = [held(1, a), held(2, b)];
  const layers: [LayerId, LayerFacts][] = [
    [a, { lower: [all[0]!.record.layerId] }],
    [b, { lower: [between, all[1]!.record.layerId] }],
  ];
  const moments: [LayerId, string][] = [
    [a, 'm'],
    [b, 'm'],
  ];
  assert.deepEqual(stepFor(all, layers, moments), [[2, between]]);
});

test('a top of one moment does not come before a volume that goes has gone', () => {
  const a = layer();
  const [one, other] = [held(1, a), held(2)];
  const going = { ...other, record: { ...other.record, askedAt: 0 } };
  const layers: [LayerId, LayerFacts][] = [[a, { lower: [one.record.layerId] }]];
  assert.equal(stepFor([one, going], layers, [[a, 'm']]), undefined);
  assert.deepEqual(stepFor([one, other], layers, [[a, 'm']]), [[1, a]]);
});
