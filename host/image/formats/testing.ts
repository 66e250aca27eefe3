/** Crafted images of every format but qcow2 (../testing.ts): empty, valid, and spoiled by `change`. */

type Change = (file: Buffer) => void;
const none: Change = () => {};
const mebibyte = 1024 * 1024;

export function vdiImage(sizeBytes: number, change = none): Buffer {
  const blocks = Math.ceil(sizeBytes / mebibyte);
  const data = 512 + Math.ceil((blocks * 4) / 512) * 512;
  const file = Buffer.alloc(data, 0xff);
  file.fill(0, 0, 512);
  file.writeUInt32LE(0xbeda107f, 0x40);
  file.writeUInt32LE(0x0001_0001, 0x44);
  file.writeUInt32LE(0x180, 0x48);
  file.writeUInt32LE(1, 0x4c);
  file.writeUInt32LE(512, 0x154);
  file.writeUInt32LE(data, 0x158);
  file.writeUInt32LE(512, 0x168);
  file.writeBigUInt64LE(BigInt(sizeBytes), 0x170);
  file.writeUInt32LE(mebibyte, 0x178);
  file.writeUInt32LE(blocks, 0x180);
  change(file);
  return file;
}

export interface VhdFooter {
  sizeBytes: number;
  kind: 'fixed' | 'dynamic' | 'differencing';
  /** The program that made it, four characters. */
  creator: string;
  /** Cylinders, heads, sectors: what QEMU multiplies for creators that it does not know. */
  geometry: readonly [number, number, number];
}

function vhdFooter({ sizeBytes, kind, creator, geometry }: VhdFooter): Buffer {
  const footer = Buffer.alloc(512);
  footer.write('conectix', 'latin1');
  footer.writeUInt32BE(2, 8);
  footer.writeUInt32BE(0x0001_0000, 12);
  footer.writeBigUInt64BE(kind === 'fixed' ? 0xffff_ffff_ffff_ffffn : 512n, 16);
  footer.write(creator.padEnd(4), 28, 'latin1');
  footer.writeBigUInt64BE(BigInt(sizeBytes), 40);
  footer.writeBigUInt64BE(BigInt(sizeBytes), 48);
  footer.writeUInt16BE(geometry[0], 56);
  footer.writeUInt8(geometry[1], 58);
  footer.writeUInt8(geometry[2], 59);
  footer.writeUInt32BE({ fixed: 2, dynamic: 3, differencing: 4 }[kind], 60);
  return signed(footer);
}

/** With the checksum that fits. */
export function signed(footer: Buffer): Buffer {
  footer.writeUInt32BE(0, 64);
  footer.writeUInt32BE(~footer.reduce((sum, byte) => sum + byte, 0) >>> 0, 64);
  return footer;
}

export function fixedVhd(contents: Buffer, footer: Partial<VhdFooter> = {}): Buffer {
  const whole = { sizeBytes: contents.length, kind: 'fixed', creator: 'win ', geometry: [1, 1, 1], ...footer } as const;
  return Buffer.concat([contents, vhdFooter(whole)]);
}

export function dynamicVhd(sizeBytes: number, footer: Partial<VhdFooter> = {}, change = none): Buffer {
  const entries = Math.ceil(sizeBytes / (2 * mebibyte));
  const table = Buffer.alloc(Math.ceil((entries * 4) / 512) * 512, 0xff);
  const header = Buffer.alloc(1024);
  header.write('cxsparse', 'latin1');
  header.writeBigUInt64BE(0xffff_ffff_ffff_ffffn, 8);
  header.writeBigUInt64BE(1536n, 16);
  header.writeUInt32BE(0x0001_0000, 24);
  header.writeUInt32BE(entries, 28);
  header.writeUInt32BE(2 * mebibyte, 32);
  header.writeUInt32BE(~header.reduce((sum, byte) => sum + byte, 0) >>> 0, 36);
  const ends = vhdFooter({ sizeBytes, kind: 'dynamic', creator: 'win ', geometry: [1, 1, 1], ...footer });
  const file = Buffer.concat([ends, header, table, ends]);
  change(file);
  return file;
}

export function vmdkDescription(
  sectors: number,
  more: { kind?: string; lines?: string[]; parent?: string } = {},
): string {
  const { kind = 'monolithicSparse', lines = [`RW ${sectors} SPARSE "disk.vmdk"`], parent = 'ffffffff' } = more;
  const head = ['# Disk DescriptorFile', 'version=1', 'CID=fffffffe', `parentCID=${parent}`, `createType="${kind}"`];
  return [...head, '', '# Extent description', ...lines, '', 'ddb.adapterType = "ide"', ''].join('\n');
}

export function vmdkImage(sizeBytes: number, description?: string, change = none): Buffer {
  const sectors = sizeBytes / 512;
  const file = Buffer.alloc(128 * 512);
  file.write('KDMV', 'latin1');
  file.writeUInt32LE(1, 4);
  file.writeUInt32LE(3, 8);
  file.writeBigUInt64LE(BigInt(sectors), 12);
  file.writeBigUInt64LE(128n, 20);
  file.writeBigUInt64LE(1n, 28);
  file.writeBigUInt64LE(20n, 36);
  file.writeUInt32LE(512, 44);
  file.writeBigUInt64LE(21n, 48);
  file.writeBigUInt64LE(26n, 56);
  file.write(description ?? vmdkDescription(sectors), 512, 'latin1');
  change(file);
  return file;
}

export function ploopImage(sizeBytes: number, change = none): Buffer {
  const clusters = Math.ceil(sizeBytes / mebibyte);
  const file = Buffer.alloc(mebibyte);
  file.write('WithouFreSpacExt', 'latin1');
  file.writeUInt32LE(2, 16);
  file.writeUInt32LE(2048, 28);
  file.writeUInt32LE(clusters, 32);
  file.writeBigUInt64LE(BigInt(sizeBytes / 512), 36);
  file.writeUInt32LE(2048, 48);
  change(file);
  return file;
}

/** Only what tells its size; QEMU would ask for more. */
export function vhdxImage(sizeBytes: number, change = none): Buffer {
  const file = Buffer.alloc(3 * mebibyte);
  file.write('vhdxfile', 'latin1');
  const table = 192 * 1024;
  file.write('regi', table, 'latin1');
  file.writeUInt32LE(1, table + 8);
  file.write('06a27c8b90479a4bb8fe575f050f886e', table + 16, 'hex');
  file.writeBigUInt64LE(BigInt(2 * mebibyte), table + 32);
  const metadata = 2 * mebibyte;
  file.write('metadata', metadata, 'latin1');
  file.writeUInt16LE(2, metadata + 10);
  const item = (index: number, id: string, offset: number, length: number) => {
    file.write(id, metadata + 32 * (index + 1), 'hex');
    file.writeUInt32LE(offset, metadata + 32 * (index + 1) + 16);
    file.writeUInt32LE(length, metadata + 32 * (index + 1) + 20);
  };
  item(0, '3767a1ca36fa434db3b633f0aa44e76b', 65_536, 8);
  item(1, '2442a52f1bcd7648b2115dbed83bf4b8', 65_544, 8);
  file.writeUInt32LE(32 * mebibyte, metadata + 65_536);
  file.writeBigUInt64LE(BigInt(sizeBytes), metadata + 65_544);
  change(file);
  return file;
}

export const ovf = (disk: string, more = ''): string => `<?xml version="1.0"?>
<Envelope xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References><File ovf:href="${disk}" ovf:id="file1" ovf:size="1"/></References>
  <DiskSection><Info/><Disk ovf:capacity="1" ovf:diskId="vmdisk1" ovf:fileRef="file1"/>${more}</DiskSection>
</Envelope>`;

/** A tar file. @param files by name; a type stands behind a colon */
export function tar(files: Readonly<Record<string, Buffer | string>>): Buffer {
  const pieces: Buffer[] = [];
  for (const [key, contents] of Object.entries(files)) {
    const [name, type = '0'] = key.split(':') as [string, string?];
    const bytes = Buffer.from(contents);
    const header = Buffer.alloc(512);
    header.write(name, 'utf8');
    header.write('0000644\0', 100, 'latin1');
    header.write(`${bytes.length.toString(8).padStart(11, '0')}\0`, 124, 'latin1');
    header.fill(' ', 148, 156);
    header.write(type, 156, 'latin1');
    header.write('ustar\x0000', 257, 'latin1');
    header.write(
      `${header
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
      'latin1',
    );
    pieces.push(header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...pieces, Buffer.alloc(1024)]);
}
