import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settledDatapath } from './datapath.ts';

const settled = (set: 'auto' | 'system' | 'netdev', decided?: string, obstacle?: string, works = true) =>
  settledDatapath({ set, decided, works, obstacle: async () => obstacle });

test('bridges are not moved to a datapath that the kernel does not have, whatever the operator asks for', async () => {
  await assert.rejects(settled('system', 'netdev', 'this kernel has no module openvswitch'), {
    message: /the setting datapath .* this kernel has no module openvswitch: set it to auto/,
  });
  assert.equal((await settled('system', 'netdev'))?.type, 'system');
});

test('bridges that were moved to a datapath that cannot be come back, though Open vSwitch remembers that they worked', async () => {
  assert.deepEqual(await settled('auto', 'system', 'the module is gone'), {
    type: 'netdev',
    reason: 'the module is gone',
  });
});

test('what was decided stays while it works; what did not work, or was never decided, is tried', async () => {
  assert.equal((await settled('auto', 'netdev'))?.type, 'netdev');
  assert.equal((await settled('auto', 'system'))?.type, 'system');
  assert.equal(await settled('auto', 'system', undefined, false), undefined);
  assert.equal(await settled('auto'), undefined);
});
