import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newId } from '../../../contract/ids.ts';
import { readBlockDevices } from './block-devices.ts';

type Asked = Parameters<typeof readBlockDevices>[0];
const image = newId();
const root = { source_type: 'image', uuid: image, destination_type: 'local', boot_index: 0 } as const;
const blank = { source_type: 'blank', destination_type: 'local' } as const;

test('the boot image and blank disks are read from the new form, sizes in GiB and swap in MiB', () => {
  const devices = [
    root,
    { ...blank, volume_size: 2, boot_index: -1 },
    { ...blank, guest_format: 'swap', volume_size: 64 },
  ];
  assert.deepEqual(readBlockDevices({ block_device_mapping_v2: devices }), {
    bootImage: image,
    rootTag: null,
    localDisks: [
      { kind: 'ephemeral', sizeMiB: 2048, format: null },
      { kind: 'swap', sizeMiB: 64, format: null },
    ],
    diskBuses: [],
    volumes: [],
  });
  const one = readBlockDevices({
    imageRef: image,
    block_device_mapping_v2: [{ ...blank, guest_format: 'ext3', disk_bus: 'scsi' }],
  });
  assert.deepEqual(one, {
    bootImage: undefined,
    rootTag: null,
    localDisks: [{ kind: 'ephemeral', sizeMiB: null, format: 'ext3' }],
    diskBuses: ['scsi'],
    volumes: [],
  });
});

test('the old form names blank disks by their virtual names, and what is no device is none', () => {
  const devices = [
    { virtual_name: 'ephemeral0', device_name: '/dev/vdb' },
    { virtual_name: 'swap', volume_size: 8 },
    { no_device: true },
  ];
  assert.deepEqual(readBlockDevices({ imageRef: image, block_device_mapping: devices }).localDisks, [
    { kind: 'ephemeral', sizeMiB: null, format: null },
    { kind: 'swap', sizeMiB: 8, format: null },
  ]);
});

test('volumes are read from the new form: there already, or to be made of an image, a snapshot or nothing', () => {
  const asked = {
    imageRef: image,
    block_device_mapping_v2: [
      {
        source_type: 'image',
        uuid: image,
        destination_type: 'volume',
        volume_size: 3,
        boot_index: '0',
        volume_type: 'fast',
      },
      { source_type: 'volume', uuid: image, boot_index: 1, tag: 'data', delete_on_termination: 'true' },
      { source_type: 'snapshot', uuid: image, boot_index: null },
      { source_type: 'blank', destination_type: 'volume', volume_size: '4', boot_index: -1 },
    ],
  } as const;
  const none = { id: image, sizeGib: null, type: null, bootIndex: null, tag: null, deleteOnTermination: false };
  assert.deepEqual(readBlockDevices(asked as never), {
    ...{ bootImage: undefined, rootTag: null, localDisks: [], diskBuses: [] },
    volumes: [
      { ...none, source: 'image', sizeGib: 3, bootIndex: 0, type: 'fast' },
      { ...none, source: 'volume', bootIndex: 1, tag: 'data', deleteOnTermination: true },
      { ...none, source: 'snapshot' },
      { ...none, source: 'blank', id: null, sizeGib: 4 },
    ],
  });
});

test('a tag of a disk of the host’s is told to the guest, too', () => {
  const { rootTag, localDisks } = readBlockDevices({
    imageRef: image,
    block_device_mapping_v2: [
      { ...root, tag: 'system' },
      { ...blank, tag: '倉' },
    ],
  } as never);
  assert.deepEqual([rootTag, localDisks.map(({ tag }) => tag)], ['system', ['倉']]);
});

test('of the old form the volume that is called as the first disk is booted from', () => {
  const volume = (device_name: string) => ({ device_name, volume_id: image });
  const { volumes } = readBlockDevices({ block_device_mapping: [volume('/dev/vdb'), volume('vda')] });
  assert.deepEqual(
    volumes.map(({ bootIndex }) => bootIndex),
    [null, 0],
  );
});

const v2 = (...devices: NonNullable<Asked['block_device_mapping_v2']>): Asked => ({
  imageRef: image,
  block_device_mapping_v2: devices,
});
const refused: [string, Asked, RegExp][] = [
  [
    'both forms',
    { block_device_mapping: [{ virtual_name: 'swap' }], block_device_mapping_v2: [blank] },
    /different block_device_mapping syntaxes/,
  ],
  ['no source', v2({ destination_type: 'local' }), /Invalid source_type field/],
  ['a blank one with an id', v2({ ...blank, uuid: image }), /Invalid device UUID/],
  ['an image without id', v2({ source_type: 'image', boot_index: 0 }), /Missing device UUID/],
  ['a second image', v2(root, { ...root, boot_index: 1 }), /Mapping image to local is not supported/],
  ['a gap in the boot sequence', v2(root, { ...blank, boot_index: 2 }), /Boot sequence/],
  ['two that boot first', v2(root, root), /Boot sequence/],
  [
    'a volume on the host’s disk',
    v2({ source_type: 'volume', uuid: image, destination_type: 'local' }),
    /volume with destination_type=local/,
  ],
  [
    'a type of a volume that is there',
    v2({ source_type: 'volume', uuid: image, volume_type: 'fast' }),
    /volume type to existing volume/,
  ],
  ['a volume of an image without a size', v2({ ...root, destination_type: 'volume' }), /non-zero size/],
  ['a blank volume without a size', v2({ source_type: 'blank', destination_type: 'volume' }), /non-zero size/],
  [
    'volumes alone that nothing boots from',
    { block_device_mapping_v2: [{ source_type: 'volume', uuid: image }] },
    /Boot sequence/,
  ],
  ['a volume’s id that is none', v2({ source_type: 'volume', uuid: 'mine' }), /failed to get volume mine/],
  ['a volume’s type', v2({ ...blank, volume_type: 'fast' }), /volume_type with destination_type=local/],
  ['a CD', v2({ ...blank, device_type: 'cdrom' }), /type cdrom/],
  ['another file system', v2({ ...blank, guest_format: 'ntfs' }), /guest_format ntfs/],
  ['more disks than Nova’s default allows', v2(blank, blank, blank), /more local devices/],
  ['an old one that says nothing', { block_device_mapping: [{ device_name: 'vdb' }] }, /Unrecognized legacy format/],
];
for (const [name, asked, message] of refused) {
  test(`${name} is refused with the reason`, () => {
    assert.throws(() => readBlockDevices(asked), { message });
  });
}
