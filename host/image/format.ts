/**
 * What a file is by its own word: the magic numbers of every disk format that QEMU would probe. Pure. A file that fits
 * several formats is a polyglot, made to be one thing to the checker and another to the user of the disk.
 */
import { ImageRefused, inspectQcow2, qcow2Magic } from './qcow2.ts';

export type DetectedFormat =
  | 'qcow2'
  | 'qed'
  | 'vmdk'
  | 'vdi'
  | 'vhd'
  | 'vhdx'
  | 'luks'
  | 'parallels'
  | 'bochs'
  | 'cloop'
  | 'dmg';

const at = (offset: number, magic: string | Buffer) => (head: Buffer) => {
  const bytes = typeof magic === 'string' ? Buffer.from(magic, 'latin1') : magic;
  return head.subarray(offset, offset + bytes.length).equals(bytes);
};

const signatures: [DetectedFormat, (head: Buffer, tail: Buffer) => boolean][] = [
  ['qcow2', at(0, qcow2Magic)],
  ['qed', at(0, 'QED\0')],
  ['vmdk', at(0, 'KDMV')],
  ['vmdk', at(0, 'COWD')],
  ['vmdk', (head) => /^#\s*Disk DescriptorFile/m.test(head.subarray(0, 512).toString('latin1'))],
  ['vdi', at(0x40, Buffer.from([0x7f, 0x10, 0xda, 0xbe]))],
  ['vhd', at(0, 'conectix')],
  ['vhdx', at(0, 'vhdxfile')],
  ['luks', at(0, 'LUKS\xba\xbe')],
  ['parallels', at(0, 'WithoutFreeSpace')],
  ['parallels', at(0, 'WithouFreSpacExt')],
  ['bochs', at(0, 'Bochs Virtual HD Image')],
  ['cloop', at(0, '#!/bin/sh\n#V2.0 Format\nmodprobe cloop')],
  ['dmg', (_head, tail) => tail.length >= 512 && at(0, 'koly')(tail.subarray(tail.length - 512))],
];

/** Every format that the file's beginning and end fit; none of them means raw. */
export function detectFormats(head: Buffer, tail: Buffer): DetectedFormat[] {
  return [...new Set(signatures.filter(([, fits]) => fits(head, tail)).map(([format]) => format))];
}

/**
 * Holds a stored file against what its owner said that it is. Answers the size of the disk that a guest sees.
 * @throws ImageRefused with words for the caller
 */
export function checkImage(file: {
  declared: 'raw' | 'qcow2';
  head: Buffer;
  tail: Buffer;
  sizeBytes: number;
  maxVirtualBytes: number;
}): { virtualSizeBytes: number } {
  const found = detectFormats(file.head, file.tail);
  if (found.length > 1) throw new ImageRefused(`the file is ambiguous: it fits ${found.join(' and ')}`);
  const real = found[0] ?? 'raw';
  if (real !== file.declared) throw new ImageRefused(`the file is ${real}, not ${file.declared} as declared`);
  const virtualSizeBytes =
    file.declared === 'raw' ? file.sizeBytes : inspectQcow2(file.head, file.sizeBytes).virtualSizeBytes;
  if (virtualSizeBytes > file.maxVirtualBytes) {
    throw new ImageRefused(
      `the virtual size of ${virtualSizeBytes} bytes is above the limit of ${file.maxVirtualBytes}`,
    );
  }
  return { virtualSizeBytes };
}
