import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ImageFormat } from '../../../contract/host/index.ts';
import { inspectImage } from '../format.ts';
import { ImageRefused } from '../qcow2.ts';
import { qcow2Image } from '../testing.ts';
import { bytesOfBuffer } from './bytes.ts';
import {
  dynamicVhd,
  fixedVhd,
  ovf,
  ploopImage,
  signed,
  tar,
  vdiImage,
  vhdxImage,
  vmdkDescription,
  vmdkImage,
} from './testing.ts';

const inspect = (declared: ImageFormat, file: Buffer) =>
  inspectImage(declared, bytesOfBuffer(file), { maxVirtualBytes: 2 ** 50 });
const mebibyte = 2 ** 20;
const size = 10 * mebibyte;
const sectors = size / 512;

test('every format tells the size of its disk', async () => {
  const files: [ImageFormat, Buffer][] = [
    ['vdi', vdiImage(size)],
    ['vmdk', vmdkImage(size)],
    ['vhd', dynamicVhd(size)],
    ['vhdx', vhdxImage(size)],
    ['ploop', ploopImage(size)],
    ['vhd', fixedVhd(Buffer.alloc(size))],
  ];
  for (const [format, file] of files) {
    const { virtualSizeBytes, disk } = await inspect(format, file);
    assert.equal(virtualSizeBytes, size, format);
    assert.deepEqual([disk!.offset, disk!.sizeBytes], [0, file.length]);
    for (const other of ['raw', 'qcow2', 'vdi', 'vmdk', 'vhd', 'vhdx', 'ploop', 'iso', 'ova'] as const) {
      if (other !== format)
        await assert.rejects(inspect(other, file), new RegExp(`the file is ${format}, not ${other}`));
    }
  }
});

test('a disc is a disc, and raw as well; it is nothing else', async () => {
  const disc = Buffer.alloc(40_000);
  disc.write('CD001', 32_769);
  for (const declared of ['iso', 'raw'] as const) {
    assert.deepEqual(await inspect(declared, disc), {
      virtualSizeBytes: 40_000,
      disk: { driver: 'raw', offset: 0, sizeBytes: 40_000 },
    });
  }
  await assert.rejects(inspect('vmdk', disc), /the file is iso/);
});

test('what is no format at all is kept as bytes, and is no disk', async () => {
  for (const format of ['qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx', 'ploop', 'iso', 'ova'] as const) {
    for (const file of [Buffer.alloc(4096, 7), Buffer.alloc(1), Buffer.alloc(100_000)])
      assert.deepEqual(await inspect(format, file), { virtualSizeBytes: null, disk: null }, format);
  }
});

test('the size of a VHD is what its footer says, whoever made it and whatever its geometry', async () => {
  for (const creator of ['win ', 'vbox', 'vpc ', 'qemu']) {
    const { virtualSizeBytes } = await inspect('vhd', dynamicVhd(size + 512, { creator, geometry: [100, 4, 17] }));
    assert.equal(virtualSizeBytes, size + 512, creator);
  }
});

test('the disk of an appliance is found where it lies', async () => {
  const disk = vmdkImage(size);
  const file = tar({ 'x.ovf': ovf('x-disk1.vmdk'), 'x.mf': 'SHA1', 'x-disk1.vmdk': disk });
  const contents = await inspect('ova', file);
  assert.equal(contents.virtualSizeBytes, size);
  const { driver, offset, sizeBytes } = contents.disk!;
  assert.equal(driver, 'vmdk');
  assert.ok(file.subarray(offset, offset + sizeBytes).equals(disk));
});

const tampered = (description: Parameters<typeof vmdkDescription>[1]) =>
  vmdkImage(size, vmdkDescription(sectors, description));
const appliance = (files: Parameters<typeof tar>[0]) => tar({ 'x.ovf': ovf('d.vmdk'), ...files });

const hostile: [ImageFormat, string, RegExp, Buffer][] = [
  ['vmdk', 'that is a mere description', /no sparse disk in one file/, Buffer.from(vmdkDescription(sectors))],
  ['vmdk', 'without capacity', /no capacity/, vmdkImage(size, undefined, (file) => file.writeBigUInt64LE(0n, 12))],
  ['vmdk', 'with a parent', /builds on another/, tampered({ parent: '12345678' })],
  [
    'vmdk',
    'that hints at a parent',
    /builds on another/,
    tampered({ lines: [`RW ${sectors} SPARSE "x"`, 'parentFileNameHint="/etc/shadow"'] }),
  ],
  [
    'vmdk',
    'that hints at a parent behind the end of its description',
    /builds on another/,
    vmdkImage(size, undefined, (file) => file.write('parentFileNameHint="/etc/shadow"', 5000)),
  ],
  ['vmdk', 'that names a flat file', /one sparse extent/, tampered({ lines: [`RW ${sectors} FLAT "/etc/shadow" 0`] })],
  [
    'vmdk',
    'of several extents',
    /one sparse extent/,
    tampered({ lines: ['RW 1 SPARSE "a"', 'RW 1 SPARSE "/etc/shadow"'] }),
  ],
  ['vmdk', 'of a type that names files', /type monolithicFlat/, tampered({ kind: 'monolithicFlat' })],
  ['vmdk', 'on a whole disk of the host', /type fullDevice/, tampered({ kind: 'fullDevice' })],
  ['vmdk', 'of two sizes', /ambiguous/, tampered({ lines: [`RW ${sectors * 2} SPARSE "x"`] })],
  [
    'vmdk',
    'with its description elsewhere',
    /unknown place/,
    vmdkImage(size, undefined, (file) => file.writeBigUInt64LE(9n, 28)),
  ],
  ['vmdk', 'without its end', /no footer/, vmdkImage(size, undefined, (file) => file.fill(0xff, 56, 64))],
  ['vmdk', 'of version 4', /version 4/, vmdkImage(size, undefined, (file) => file.writeUInt32LE(4, 4))],
  ['vdi', 'that is a difference', /builds on another/, vdiImage(size, (file) => file.writeUInt32LE(4, 0x4c))],
  ['vdi', 'with a parent', /builds on another/, vdiImage(size, (file) => file.writeUInt8(1, 0x1b8))],
  ['vdi', 'larger than its blocks', /larger size/, vdiImage(size, (file) => file.writeBigUInt64LE(1n << 40n, 0x170))],
  ['vdi', 'with a map outside', /outside the file/, vdiImage(size, (file) => file.writeUInt32LE(0x1000_0000, 0x154))],
  ['vdi', 'of another version', /not 1\.1/, vdiImage(size, (file) => file.writeUInt32LE(1, 0x44))],
  ['vhd', 'that is a difference', /builds on another/, dynamicVhd(size, { kind: 'differencing' })],
  ['vhd', 'with a damaged footer', /damaged/, dynamicVhd(size, {}, (file) => file.writeUInt8(9, 48))],
  ['vhd', 'whose fixed size is not what is there', /are there/, fixedVhd(Buffer.alloc(1024), { sizeBytes: 4096 })],
  ['vhd', 'larger than its blocks', /larger size/, dynamicVhd(size, {}, (file) => file.writeUInt32BE(1, 512 + 28))],
  [
    'vhd',
    'with a table outside',
    /outside the file/,
    dynamicVhd(size, {}, (file) => file.writeBigUInt64BE(1n << 60n, 512 + 16)),
  ],
  [
    'vhd',
    'of no whole sectors',
    /size of the VHD/,
    dynamicVhd(size, {}, (file) => {
      file.writeBigUInt64BE(513n, 48);
      signed(file.subarray(0, 512));
    }),
  ],
  [
    'vhdx',
    'with a parent',
    /builds on another/,
    vhdxImage(size, (file) => file.writeUInt32LE(2, 2 * mebibyte + 65_540)),
  ],
  ['vhdx', 'without metadata', /no metadata/, vhdxImage(size, (file) => file.write('nope', 192 * 1024))],
  ['vhdx', 'without a size', /how large/, vhdxImage(size, (file) => file.writeUInt16LE(1, 2 * mebibyte + 10))],
  ['ploop', 'that is in use', /not closed/, ploopImage(size, (file) => file.writeUInt32LE(0x746f6e59, 44))],
  ['ploop', 'larger than its map', /larger size/, ploopImage(size, (file) => file.writeBigUInt64LE(1n << 50n, 36))],
  ['ploop', 'with a map outside', /outside the file/, ploopImage(size, (file) => file.writeUInt32LE(0x7fff_ffff, 32))],
  ['ova', 'without a description', /one description/, tar({ 'd.vmdk': vmdkImage(size) })],
  ['ova', 'with two descriptions', /one description/, appliance({ 'y.ovf': ovf('d.vmdk'), 'd.vmdk': vmdkImage(size) })],
  [
    'ova',
    'with two disks',
    /2 disks/,
    tar({ 'x.ovf': ovf('d.vmdk', '<Disk ovf:fileRef="file2"/>'), 'd.vmdk': vmdkImage(size) }),
  ],
  ['ova', 'without its disk', /0 files called/, appliance({})],
  [
    'ova',
    'whose disk is there twice',
    /2 files called/,
    Buffer.concat([
      appliance({ 'd.vmdk': vmdkImage(size) }).subarray(0, -1024),
      tar({ 'd.vmdk': vmdkImage(mebibyte) }),
    ]),
  ],
  ['ova', 'with a link in it', /plain files/, appliance({ 'd.vmdk:2': '' })],
  ['ova', 'whose disk names others', /builds on another/, appliance({ 'd.vmdk': tampered({ parent: '12345678' }) })],
  [
    'ova',
    'whose disk has a backing file',
    /backing file/,
    tar({ 'x.ovf': ovf('d'), d: qcow2Image(size, (file) => file.writeBigUInt64BE(512n, 8)) }),
  ],
  ['ova', 'whose disk is another appliance', /is ova, which can't be used/, appliance({ 'd.vmdk': appliance({}) })],
  ['ova', 'that is cut off', /cut off/, appliance({ 'd.vmdk': vmdkImage(size) }).subarray(0, 9000)],
];

for (const [format, name, reason, file] of hostile) {
  test(`a ${format} ${name} is refused`, () =>
    assert.rejects(inspect(format, file), (error) => {
      assert.ok(error instanceof ImageRefused, String(error));
      assert.match(error.message, reason);
      return true;
    }));
}

test('a description is read in a moment, whatever words it is made of', async () => {
  const element = `<Disk ${'a'.repeat(3990)}>`;
  const [words, lines] = [element.repeat(260), `# Disk DescriptorFile${'\n'.repeat(10_200)}`];
  const began = performance.now();
  await assert.rejects(inspect('ova', tar({ 'x.ovf': words })), /0 disks/);
  await assert.rejects(inspect('vmdk', vmdkImage(size, lines)), /of type none/);
  assert.ok(performance.now() - began < 1500, 'in a time that grows with its length, not with its square');
});

test('no header of any format, however damaged, does anything but be accepted or refused', async () => {
  let seed = 7;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const samples: [ImageFormat, Buffer, number][] = [
    ['vdi', vdiImage(size), 512],
    ['vmdk', vmdkImage(size), 1024],
    ['vhd', dynamicVhd(size), 1600],
    ['ploop', ploopImage(size).subarray(0, 4096), 64],
    ['ova', appliance({ 'd.vmdk': vmdkImage(size) }), 3000],
  ];
  for (const [format, sample, headers] of samples) {
    for (let round = 0; round < 400; round++) {
      const file = Buffer.from(sample);
      for (let n = random(4); n >= 0; n--) file[8 + random(headers - 8)] = random(256);
      const cut = random(10) === 0 ? file.subarray(0, random(file.length)) : file;
      await inspect(format, cut).catch((error) => assert.ok(error instanceof ImageRefused, String(error)));
    }
  }
});
