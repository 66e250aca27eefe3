import assert from 'node:assert/strict';
import { test } from 'node:test';
import { packagesBySettings } from './packages.ts';

const names = (storage_pools: string, iscsi_portal = '') =>
  packagesBySettings({ values: { storage_pools, iscsi_portal } }).map(({ name }) => name);

test('only a machine whose settings name a cluster, or a portal, gets what these need', () => {
  assert.deepEqual(names(''), []);
  assert.deepEqual(names('fast:flash:/srv/rbd=x'), []);
  assert.deepEqual(names('fast:flash:/srv/nvme, big:disk:rbd=host-a@bothy/host-a'), [
    'ceph-common',
    'qemu-block-extra',
  ]);
  assert.deepEqual(names('', '192.0.2.1:3260'), ['tgt']);
});
