/**
 * What a file is by its own word: the magic numbers of every disk format that QEMU would probe. A file that fits several
 * formats is a polyglot, made to be one thing to the checker and another to the user of the disk.
 *
 * What has no magic number at all is kept as the bytes that it is, whatever its owner calls it, and never opened as a disk:
 * Glance takes such files, and no server can be made from them.
 */
import type { ImageFormat } from '../../contract/host/index.ts';
import { bytesWithin, type ImageBytes } from './formats/bytes.ts';
import { diskOfOva, tarMagic, tarMagicAt } from './formats/ova.ts';
import { inspectPloop } from './formats/ploop.ts';
import { inspectVdi } from './formats/vdi.ts';
import { inspectVhd } from './formats/vhd.ts';
import { inspectVhdx } from './formats/vhdx.ts';
import { inspectVmdk } from './formats/vmdk.ts';
import { ImageRefused, inspectQcow2, qcow2HeadBytes, qcow2Magic } from './qcow2.ts';

/** Formats of disks in one file. */
type DiskFormat = Exclude<ImageFormat, 'raw' | 'iso' | 'ova'>;
export type DetectedFormat = DiskFormat | 'iso' | 'ova' | 'qed' | 'luks' | 'bochs' | 'cloop' | 'dmg';

/** By QEMU's name of its driver: where in the file the disk is that a guest gets. */
export interface DiskInFile {
  driver: 'raw' | 'qcow2' | 'vmdk' | 'vdi' | 'vpc' | 'vhdx' | 'parallels';
  offset: number;
  sizeBytes: number;
}

export interface ImageContents {
  /** Size of the disk that a guest sees; null where the file is none of the formats. */
  virtualSizeBytes: number | null;
  disk: DiskInFile | null;
  /** Absent: it is in the clear. */
  encrypted?: true;
}

/** ISO 9660 and UDF call themselves so in the seventeenth sector of 2 KiB. */
const isoMagicAt = 16 * 2048 + 1;
const headBytes = isoMagicAt + 5;
const tailBytes = 512;

const at = (offset: number, magic: string | Buffer) => (head: Buffer) => {
  const bytes = typeof magic === 'string' ? Buffer.from(magic, 'latin1') : magic;
  return head.subarray(offset, offset + bytes.length).equals(bytes);
};
const inTail = (magic: string) => (_head: Buffer, tail: Buffer) => tail.length >= tailBytes && at(0, magic)(tail);

const signatures: [DetectedFormat, (head: Buffer, tail: Buffer) => boolean][] = [
  ['qcow2', at(0, qcow2Magic)],
  ['qed', at(0, 'QED\0')],
  ['vmdk', at(0, 'KDMV')],
  ['vmdk', at(0, 'COWD')],
  ['vmdk', at(0, Buffer.from('bebafeca', 'hex'))],
  ['vmdk', (head) => /^#\s*Disk DescriptorFile/m.test(head.subarray(0, 512).toString('latin1'))],
  ['vdi', at(0x40, Buffer.from([0x7f, 0x10, 0xda, 0xbe]))],
  ['vhd', at(0, 'conectix')],
  // A disk of fixed size has nothing but this, at its end.
  ['vhd', inTail('conectix')],
  ['vhdx', at(0, 'vhdxfile')],
  ['luks', at(0, 'LUKS\xba\xbe')],
  ['ploop', at(0, 'WithoutFreeSpace')],
  ['ploop', at(0, 'WithouFreSpacExt')],
  ['bochs', at(0, 'Bochs Virtual HD Image')],
  ['cloop', at(0, '#!/bin/sh\n#V2.0 Format\nmodprobe cloop')],
  ['dmg', inTail('koly')],
  ['iso', (head) => ['CD001', 'BEA01', 'NSR02', 'NSR03'].some((magic) => at(isoMagicAt, magic)(head))],
  ['ova', at(tarMagicAt, tarMagic)],
];

/** Every format that the file's beginning and end fit; none of them means raw. */
export function detectFormats(head: Buffer, tail: Buffer): DetectedFormat[] {
  return [...new Set(signatures.filter(([, fits]) => fits(head, tail)).map(([format]) => format))];
}

async function formatsOf(bytes: ImageBytes): Promise<DetectedFormat[]> {
  const head = await bytes.read(0, headBytes);
  return detectFormats(head, await bytes.read(Math.max(0, bytes.sizeBytes - tailBytes), tailBytes));
}

/** What is raw to us may well be a file system of a disc, or an archive. */
const rawToo: readonly DetectedFormat[] = ['iso', 'ova'];

export interface InspectOptions {
  maxVirtualBytes: number;
  /** See inspectQcow2. */
  mayBeEncrypted?: boolean;
}

/**
 * Holds a stored file against what its owner said that it is.
 * @throws ImageRefused with words for the caller
 */
export async function inspectImage(
  declared: ImageFormat,
  bytes: ImageBytes,
  options: InspectOptions,
): Promise<ImageContents> {
  const found = await formatsOf(bytes);
  if (found.length > 1) throw new ImageRefused(`the file is ambiguous: it fits ${found.join(' and ')}`);
  const real = found[0] ?? 'raw';
  const fits = real === declared || (declared === 'raw' && rawToo.includes(real as DetectedFormat));
  if (!fits && real !== 'raw') throw new ImageRefused(`the file is ${real}, not ${declared} as declared`);
  if (!fits) return { virtualSizeBytes: null, disk: null };
  const contents =
    declared === 'ova' ? await inspectOva(bytes) : await inspectDisk(declared, bytes, { offset: 0, ...options });
  if (contents.virtualSizeBytes > options.maxVirtualBytes) {
    throw new ImageRefused(
      `the virtual size of ${contents.virtualSizeBytes} bytes is above the limit of ${options.maxVirtualBytes}`,
    );
  }
  return contents;
}

type KnownContents = ImageContents & { virtualSizeBytes: number; disk: DiskInFile };

async function inspectOva(bytes: ImageBytes): Promise<KnownContents> {
  const { offset, sizeBytes } = await diskOfOva(bytes);
  const disk = bytesWithin(bytes, offset, sizeBytes);
  const found = await formatsOf(disk);
  const [format] = found;
  if (found.length > 1)
    throw new ImageRefused(`the disk of the appliance is ambiguous: it fits ${found.join(' and ')}`);
  if (format === undefined || !isDiskFormat(format)) {
    throw new ImageRefused(`the disk of the appliance is ${format ?? 'of no known format'}, which can't be used`);
  }
  return inspectDisk(format, disk, { offset });
}

async function inspectDisk(
  format: DiskFormat | 'raw' | 'iso',
  bytes: ImageBytes,
  { offset, mayBeEncrypted = false }: { offset: number } & Pick<InspectOptions, 'mayBeEncrypted'>,
): Promise<KnownContents> {
  const { driver, inspect } = readers[format];
  const { virtualSizeBytes, encrypted } = await inspect(bytes, mayBeEncrypted);
  const disk = { driver, offset, sizeBytes: bytes.sizeBytes };
  return { virtualSizeBytes, disk, ...(encrypted && { encrypted }) };
}

const whole = async ({ sizeBytes }: ImageBytes) => ({ virtualSizeBytes: sizeBytes });

const readers: Readonly<
  Record<
    DiskFormat | 'raw' | 'iso',
    {
      driver: DiskInFile['driver'];
      inspect(bytes: ImageBytes, mayBeEncrypted: boolean): Promise<{ virtualSizeBytes: number; encrypted?: boolean }>;
    }
  >
> = {
  raw: { driver: 'raw', inspect: whole },
  iso: { driver: 'raw', inspect: whole },
  qcow2: {
    driver: 'qcow2',
    inspect: async (bytes, mayBeEncrypted) =>
      inspectQcow2(await bytes.read(0, qcow2HeadBytes), bytes.sizeBytes, { mayBeEncrypted }),
  },
  vmdk: { driver: 'vmdk', inspect: inspectVmdk },
  vdi: { driver: 'vdi', inspect: inspectVdi },
  vhd: { driver: 'vpc', inspect: inspectVhd },
  vhdx: { driver: 'vhdx', inspect: inspectVhdx },
  ploop: { driver: 'parallels', inspect: inspectPloop },
};

const isDiskFormat = (format: DetectedFormat): format is DiskFormat =>
  Object.hasOwn(readers, format) && format !== 'iso';
