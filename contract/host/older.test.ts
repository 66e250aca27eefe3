import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, type VolumeId, type VolumeKeyId } from '../ids.ts';
import type { DesiredLayer } from './layer.ts';
import { readableByHost } from './older.ts';

test('a host that would make an encrypted layer in the clear is told of none', () => {
  const plain: DesiredLayer = {
    ...{ id: newId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
    ...{ pool: 'local', sizeBytes: 1, parentId: null, image: null, readOnly: false },
  };
  const encryption = { keyId: newId<VolumeKeyId>(), cipher: 'aes-xts-plain64', keySizeBits: 256 } as const;
  const layers = [plain, { ...plain, id: newId<LayerId>(), encryption }];
  const message = { type: 'update', servers: [], networks: [], removedNetworks: [], layers } as const;
  const told = (version: number) => {
    const read = readableByHost(version, { ...message, servers: [], networks: [], removedNetworks: [] }, new Set());
    return read.type === 'update' && read.layers;
  };
  assert.deepEqual([told(1), told(2), told(3)], [[plain], [plain], layers]);
});
