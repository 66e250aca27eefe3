import assert from 'node:assert/strict';
import { test } from 'node:test';
import { storagePools } from './storage-pools.ts';

test('pools are read with their tiers and directories; none means the one in the data directory', () => {
  assert.equal(storagePools(' '), undefined);
  assert.deepEqual(storagePools('fast:flash:/srv/nvme 小屋, slow:disk:/srv/raid/'), [
    { name: 'fast', tier: 'flash', path: '/srv/nvme 小屋' },
    { name: 'slow', tier: 'disk', path: '/srv/raid/' },
  ]);
  assert.deepEqual(storagePools('slow:disk:/srv/raid:200'), [
    { name: 'slow', tier: 'disk', path: '/srv/raid', iopsPerVolume: 200 },
  ]);
});

test('what names no directory, an unknown tier, or the same twice is refused', () => {
  for (const wrong of [
    'fast',
    'fast:flash',
    'fast:tape:/a',
    'Fast:flash:/a',
    'fast:flash:a',
    'a:disk:/a,',
    'a:disk:/',
    'a:disk:/a:0',
    'a:disk:/a:fast',
  ]) {
    assert.equal(storagePools(wrong), null, wrong);
  }
  assert.equal(storagePools('a:disk:/a,a:disk:/b'), null);
  assert.equal(storagePools('a:disk:/a,b:disk:/a'), null);
});
