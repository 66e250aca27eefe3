import assert from 'node:assert/strict';
import { test } from 'node:test';
import { detectFormats, inspectImage } from './format.ts';
import { bytesOfBuffer } from './formats/bytes.ts';
import { judge } from './inspect.ts';
import { ImageRefused, inspectQcow2, qcow2Overlay } from './qcow2.ts';
import { qcow2Image, spoiled } from './testing.ts';

const check = (declared: 'raw' | 'qcow2', file: Buffer, maxVirtualBytes = 2 ** 50) =>
  inspectImage(declared, bytesOfBuffer(file), { maxVirtualBytes });

test('a plain qcow2 image is accepted with its virtual size', async () => {
  assert.equal((await check('qcow2', qcow2Image(3 * 2 ** 30))).virtualSizeBytes, 3 * 2 ** 30);
});

for (const [name, reason, change] of spoiled) {
  test(`a qcow2 image with ${name} is refused`, () =>
    assert.rejects(check('qcow2', qcow2Image(2 ** 30, change)), (error) => {
      assert.ok(error instanceof ImageRefused);
      assert.match(error.message, reason);
      return true;
    }));
}

test('a file must be what it is declared to be', async () => {
  await assert.rejects(check('raw', qcow2Image(2 ** 30)), /qcow2, not raw/);
  assert.equal((await check('raw', Buffer.alloc(1000))).virtualSizeBytes, 1000);
});

test('every other format is known by its magic number', async () => {
  const vdi = Buffer.alloc(512);
  Buffer.from([0x7f, 0x10, 0xda, 0xbe]).copy(vdi, 0x40);
  const dmg = Buffer.alloc(1024);
  dmg.write('koly', 512);
  const samples: [string, Buffer][] = [
    ['vmdk', Buffer.from('KDMV')],
    ['vmdk', Buffer.from('# Disk DescriptorFile\nversion=1\n')],
    ['vhd', Buffer.from('conectix')],
    ['vhdx', Buffer.from('vhdxfile')],
    ['luks', Buffer.from('LUKS\xba\xbe', 'latin1')],
    ['qed', Buffer.from('QED\0')],
    ['ploop', Buffer.from('WithoutFreeSpace')],
    ['bochs', Buffer.from('Bochs Virtual HD Image')],
    ['vdi', vdi],
    ['dmg', dmg],
  ];
  for (const [format, file] of samples) {
    assert.deepEqual(detectFormats(file, file.subarray(Math.max(0, file.length - 512))), [format]);
    await assert.rejects(check('raw', file), new RegExp(`the file is ${format}`));
  }
});

test('a polyglot is refused whichever it claims to be', async () => {
  const both = qcow2Image(2 ** 30, (file) => file.write('koly', file.length - 512));
  for (const declared of ['raw', 'qcow2'] as const)
    await assert.rejects(check(declared, both), /ambiguous: it fits qcow2 and dmg/);
});

test('a virtual size above the limit is refused', async () => {
  await assert.rejects(check('qcow2', qcow2Image(2 ** 40), 2 ** 39), /above the limit/);
});

test('no header, however damaged, does anything but be accepted or refused', () => {
  let seed = 1;
  const random = (below: number) => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed % below;
  };
  const whole = qcow2Image(2 ** 30);
  const file = Buffer.from(whole);
  for (let round = 0; round < 5000; round++) {
    whole.copy(file, 0, 0, 4 + 140);
    for (let n = random(4); n >= 0; n--) file[4 + random(140)] = random(256);
    const cut = file.subarray(0, random(10) === 0 ? random(200) : file.length);
    try {
      const { virtualSizeBytes } = inspectQcow2(cut, file.length);
      assert.ok(Number.isSafeInteger(virtualSizeBytes));
    } catch (error) {
      assert.ok(error instanceof ImageRefused, String(error));
    }
  }
});

test("qemu-img's opinion must agree", () => {
  const good = { format: 'qcow2', 'virtual-size': 1024, 'format-specific': { data: { corrupt: false } } };
  const disk = { driver: 'qcow2', offset: 0, sizeBytes: 100 } as const;
  const opinion = (info: object, virtualSizeBytes = 1024, encrypted = false) =>
    judge({ ...good, ...info }, { disk, virtualSizeBytes, encrypted });
  opinion({});
  opinion({}, 1000);
  const specific = (data: object) => ({ 'format-specific': { data } });
  assert.throws(() => opinion({ format: 'vmdk' }), /vmdk, not qcow2/);
  assert.throws(() => opinion({ 'backing-filename': '/x' }), /backing file/);
  assert.throws(() => opinion({ encrypted: true }), /encrypted/);
  opinion({ encrypted: true }, 1024, true);
  assert.throws(() => opinion({}, 1024, true), /encrypted/);
  assert.throws(() => opinion(specific({ 'data-file': 'x' })), /external/);
  assert.throws(() => opinion(specific({ extents: [{}, {}] })), /several files/);
  assert.throws(() => opinion({ 'virtual-size': 2048 }), /ambiguous/);
});

test('an encrypted qcow2 is taken only where a host may have made it, and no other kind of encryption', () => {
  const luks = { bytes: 65_536, pieces: [] };
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes: 2 ** 20, backing: undefined, luks });
  const file = Buffer.alloc(fileBytes);
  for (const { offset, bytes } of pieces) bytes.copy(file, offset);
  const inspect = (bytes: Buffer, mayBeEncrypted: boolean) => inspectQcow2(bytes, fileBytes, { mayBeEncrypted });
  assert.throws(() => inspect(file, false), /encrypted/);
  assert.equal(inspect(file, true).encrypted, true);
  const aes = Buffer.from(file);
  aes.writeUInt32BE(1, 32);
  assert.throws(() => inspect(aes, true), /encrypted/);
  const unsaid = Buffer.from(file);
  unsaid.writeUInt32BE(0, 32);
  assert.throws(() => inspect(unsaid, true), /encrypted/);
});
