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

test('a pool may be a file system that is mounted for it, by device, id or name, or a blank device', () => {
  const setting = 'a:disk:filesystem=UUID=6f1c-2, b:flash:filesystem=LABEL=小屋:90, c:flash:block=/dev/disk/by-id/x';
  assert.deepEqual(storagePools(setting), [
    { name: 'a', tier: 'disk', device: { kind: 'file-system', source: 'UUID=6f1c-2' } },
    { name: 'b', tier: 'flash', device: { kind: 'file-system', source: 'LABEL=小屋' }, iopsPerVolume: 90 },
    { name: 'c', tier: 'flash', device: { kind: 'block-device', source: '/dev/disk/by-id/x' } },
  ]);
});

test('a pool of a Ceph cluster is its user, its pool and where its files are', () => {
  assert.deepEqual(storagePools('big:disk:rbd=bothy@vols/rack-1?keyring=/srv/小屋.keyring')?.[0]?.rbd, {
    ...{ conf: '/etc/ceph/ceph.conf', user: 'bothy', keyring: '/srv/小屋.keyring', pool: 'vols', namespace: 'rack-1' },
  });
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
    'a:disk:UUID=1',
    'a:disk:block=UUID=1',
    'a:disk:filesystem=',
    'a:disk:filesystem=sdb',
    'a:disk:tape=/dev/st0',
    'a:disk:rbd=vols',
    'a:disk:rbd=a@b?conf=here',
    'a:disk:rbd=a@b?key=/x',
    'a:disk:rbd=a@b/c/d',
    'a:disk:rbd=a@b@c',
    'a:disk:rbd=a@b:100',
    'a:disk:block=rbd=a@b',
  ]) {
    assert.equal(storagePools(wrong), null, wrong);
  }
  assert.equal(storagePools('a:disk:/a,a:disk:/b'), null);
  assert.equal(storagePools('a:disk:/a,b:disk:/a'), null);
  assert.equal(storagePools('a:disk:block=/dev/sdb,b:disk:filesystem=/dev/sdb'), null);
  assert.equal(storagePools('a:disk:rbd=a@b,b:disk:rbd=c@b'), null);
});
