import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LayerId, newId, type ServerId, type VolumeId } from '../../../contract/ids.ts';
import type { VolumeRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { dropCopy } from './copies.ts';
import type { StepWork } from './step.ts';

test('a kernel that resets no connection leaves no volume with a mirror that its document names no more', async () => {
  const copy = { id: newId<LayerId>(), address: '192.0.2.1', port: 49_152 };
  const volume = { id: newId<VolumeId>(), copy } as VolumeRecord;
  const task = {
    ...{ id: newId<ServerId>(), record: { volumes: [volume] }, paths: { run: '/nonexistent' } },
    copies: { seen: new Map(), progress: new Map(), left: new Set() },
    guest: { executeOutOfBand: async () => [], process: { pid: 1 } },
    execute: async () => [],
    context: {
      resetConnections: () => Promise.reject(new Error('there is no ss')),
      log: { info: () => {}, warn: () => {} },
    },
    async save(changes: object) {
      Object.assign(this.record, changes);
    },
  };
  await dropCopy({ task: task as unknown as ServerTask } as StepWork, { do: 'drop-copy', volume });
  assert.equal(task.record.volumes[0]!.copy, undefined);
});
