import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, type VolumeId, type VolumeKeyId } from '../ids.ts';
import type { DesiredLayer } from './layer.ts';
import { readableByHost } from './older.ts';

const told = (version: number, layers: DesiredLayer[]) => {
  const message = { type: 'update', servers: [], networks: [], removedNetworks: [], layers } as const;
  const read = readableByHost(version, { ...message, servers: [], networks: [], removedNetworks: [] }, new Set());
  return read.type === 'update' && read.layers;
};

test('a host that would make an encrypted layer in the clear, or a copy of another host’s empty, is told of none', () => {
  const plain: DesiredLayer = {
    ...{ id: newId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
    ...{ pool: 'local', sizeBytes: 1, parentId: null, image: null, readOnly: false },
  };
  const encryption = { keyId: newId<VolumeKeyId>(), cipher: 'aes-xts-plain64', keySizeBits: 256 } as const;
  const encrypted = { ...plain, id: newId<LayerId>(), encryption };
  const copy = { ...plain, copyOf: { layerId: newId<LayerId>(), host: 'https://10.0.0.1:8444' } };
  const layers = [plain, encrypted, copy];
  const read = [1, 2, 3, 4, 5].map((version) => told(version, layers));
  assert.deepEqual(read, [[plain], [plain], [plain, encrypted], [plain, encrypted], layers]);
});
