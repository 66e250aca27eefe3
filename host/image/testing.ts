/** Crafted images for tests. */
import { qcow2Overlay } from './qcow2.ts';

/** A valid, empty qcow2 of this virtual size; `change` may spoil its header. */
export function qcow2Image(virtualSizeBytes: number, change: (file: Buffer) => void = () => {}): Buffer {
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes: virtualSizeBytes, backing: { path: 'x', format: 'raw' } });
  const file = Buffer.alloc(fileBytes);
  for (const { offset, bytes } of pieces) bytes.copy(file, offset);
  // An overlay without what it lies on: no backing file, no extension that names its format.
  file.fill(0, 8, 20);
  file.fill(0, 104, 65_536);
  change(file);
  return file;
}

export const spoiled: [name: string, reason: RegExp, change: (file: Buffer) => void][] = [
  [
    'a backing file',
    /backing file/,
    (file) => {
      file.writeBigUInt64BE(512n, 8);
      file.writeUInt32BE(11, 16);
      file.write('/etc/shadow', 512);
    },
  ],
  ['a backing file of length 0', /backing file/, (file) => file.writeBigUInt64BE(512n, 8)],
  ['an external data file by its feature', /external file/, (file) => file.writeBigUInt64BE(4n, 72)],
  [
    'an external data file by its extension',
    /external data file/,
    (file) => {
      file.writeUInt32BE(0x44415441, 104);
      file.writeUInt32BE(11, 108);
      file.write('/etc/shadow', 112);
    },
  ],
  ['encryption', /encrypted/, (file) => file.writeUInt32BE(2, 32)],
  ['internal snapshots', /snapshots/, (file) => file.writeUInt32BE(1, 60)],
  ['version 1', /version 1/, (file) => file.writeUInt32BE(1, 4)],
  ['an unknown feature', /not known/, (file) => file.writeBigUInt64BE(1n << 40n, 72)],
  ['the mark of corruption', /corrupt/, (file) => file.writeBigUInt64BE(2n, 72)],
  ['the mark of an unclean end', /not closed/, (file) => file.writeBigUInt64BE(1n, 72)],
  ['a size beyond its tables', /larger virtual size/, (file) => file.writeBigUInt64BE(1n << 45n, 24)],
  ['a size beyond all numbers', /beyond all bounds/, (file) => file.writeBigUInt64BE(1n << 62n, 24)],
  ['an L1 table outside the file', /L1 table lies outside/, (file) => file.writeBigUInt64BE(1n << 40n, 40)],
  ['an L1 table between clusters', /invalid place/, (file) => file.writeBigUInt64BE(1000n, 40)],
  ['a huge L1 table', /too large/, (file) => file.writeUInt32BE(0x7fffffff, 36)],
  ['an absurd cluster size', /cluster size/, (file) => file.writeUInt32BE(40, 20)],
  [
    'an endless extension',
    /extension/,
    (file) => {
      file.writeUInt32BE(0x11111111, 104);
      file.writeUInt32BE(0xfffffff0, 108);
    },
  ],
  ['an absurd header length', /invalid length/, (file) => file.writeUInt32BE(0xfffffff8, 100)],
];
