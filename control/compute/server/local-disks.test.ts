import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diskDevices, type LocalDiskWish, localDisksOf, localGib, resizedLocalDisks } from './local-disks.ts';

const flavor = { ephemeral_gib: 4, swap_mib: 512 };
const ephemeral = (sizeMiB: number | null): LocalDiskWish => ({ kind: 'ephemeral', sizeMiB, format: null });
const swap = (sizeMiB: number | null): LocalDiskWish => ({ kind: 'swap', sizeMiB, format: null });
const seen = (disks: { name: string; size_mib: number }[]) => disks.map(({ name, size_mib }) => `${name} ${size_mib}`);

test('a server has what its flavor says where its request says nothing, ephemeral before swap', () => {
  assert.deepEqual(seen(localDisksOf(flavor, [])), ['ephemeral0 4096', 'swap 512']);
  assert.deepEqual(localDisksOf({ ephemeral_gib: 0, swap_mib: 0 }, []), []);
  assert.equal(localGib(localDisksOf(flavor, [])), 5);
});

test('a request splits what its flavor allows, and has the rest of the flavor', () => {
  assert.deepEqual(seen(localDisksOf(flavor, [swap(256), ephemeral(1024), ephemeral(2048)])), [
    'ephemeral0 1024',
    'ephemeral1 2048',
    'swap 256',
  ]);
  assert.deepEqual(seen(localDisksOf(flavor, [ephemeral(null)])), ['ephemeral0 4096', 'swap 512']);
});

test('a request for more than its flavor allows is refused', () => {
  const refused = (wishes: LocalDiskWish[], reason: string) =>
    assert.throws(() => localDisksOf(flavor, wishes), { reason });
  refused([ephemeral(2048), ephemeral(2049)], 'ephemeral_beyond_flavor');
  refused([ephemeral(null), ephemeral(1)], 'ephemeral_beyond_flavor');
  refused([swap(513)], 'swap_beyond_flavor');
  refused([swap(1), swap(1)], 'more_than_one_swap');
});

test('with another flavor what was given stays, the rest follows, and no ephemeral disk becomes smaller', () => {
  const larger = { ephemeral_gib: 8, swap_mib: 0 };
  assert.deepEqual(seen(resizedLocalDisks(larger, localDisksOf(flavor, []))), ['ephemeral0 8192']);
  assert.deepEqual(seen(resizedLocalDisks(larger, localDisksOf(flavor, [ephemeral(1024), swap(64)]))), [
    'ephemeral0 1024',
    'swap 64',
  ]);
  assert.throws(() => resizedLocalDisks({ ephemeral_gib: 3, swap_mib: 512 }, localDisksOf(flavor, [])), {
    reason: 'resize_of_ephemeral_down',
  });
});

test('a config drive has a letter before those of volumes, unless it is a CD', () => {
  const server = { image_id: 'an image', local_disks: ['swap'], config_drive: true, hardware: {} };
  assert.deepEqual(diskDevices(server, 'vd'), ['/dev/vda', '/dev/vdb', '/dev/vdc']);
  assert.deepEqual(diskDevices({ ...server, hardware: { cdromBus: 'sata' } }, 'vd'), ['/dev/vda', '/dev/vdb']);
  assert.deepEqual(diskDevices({ ...server, config_drive: false }, 'vd'), ['/dev/vda', '/dev/vdb']);
  assert.deepEqual(diskDevices(server, 'sd'), ['/dev/sda', '/dev/sdb']);
});
