/**
 * VMware's VMDK, read with suspicion. Pure. Only a file that is whole by itself is taken: a sparse disk with its description
 * inside, written or streamed. The other kinds are descriptions that name files, which is how a VMDK makes its reader
 * open what it should not.
 * @see https://github.com/qemu/qemu/blob/v7.2.0/block/vmdk.c vmdk_open_vmdk4, vmdk_parent_open
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const sector = 512;
/** Where all writers put the description, and where QEMU looks for a parent whatever the header says. */
const descriptionAt = sector;
const descriptionBytes = 20 * sector;
const gdAtEnd = 0xffff_ffff_ffff_ffffn;
const kinds = ['monolithicSparse', 'streamOptimized'];

/** @throws ImageRefused */
export async function inspectVmdk(bytes: ImageBytes): Promise<{ virtualSizeBytes: number }> {
  const header = await bytes.read(0, sector);
  if (header.subarray(0, 4).toString('latin1') !== 'KDMV') {
    throw new ImageRefused('the VMDK is no sparse disk in one file; convert it with qemu-img first');
  }
  if (header.length < sector) throw new ImageRefused('the VMDK header is cut off');
  const capacity = capacityOf(header);
  if (Number(header.readBigUInt64LE(28)) !== 1)
    throw new ImageRefused('the VMDK has its description at an unknown place');
  checkDescription((await bytes.read(descriptionAt, descriptionBytes)).toString('latin1'), capacity);
  // A streamed disk has the true header at its end.
  if (header.readBigUInt64LE(56) === gdAtEnd) {
    const last = Math.floor(bytes.sizeBytes / sector) * sector;
    const footer = await bytes.read(last - 2 * sector, sector);
    if (footer.length < sector || footer.subarray(0, 4).toString('latin1') !== 'KDMV') {
      throw new ImageRefused('the VMDK is cut off: it has no footer');
    }
    if (capacityOf(footer) !== capacity) throw new ImageRefused('the size of the VMDK is ambiguous');
  }
  return { virtualSizeBytes: Number(capacity) * sector };
}

function capacityOf(header: Buffer): bigint {
  const version = header.readUInt32LE(4);
  if (version < 1 || version > 3) throw new ImageRefused(`version ${version} of VMDK is not supported, only 1 to 3`);
  const capacity = header.readBigUInt64LE(12);
  // QEMU takes the file for a mere description then.
  if (capacity === 0n) throw new ImageRefused('the VMDK has no capacity');
  if (capacity > 2n ** 40n) throw new ImageRefused('the size of the VMDK is beyond all bounds');
  return capacity;
}

function checkDescription(raw: string, capacity: bigint): void {
  // Also behind its end: others search the whole piece.
  if (/parentFileNameHint/i.test(raw))
    throw new ImageRefused('the VMDK builds on another one; clone it to a whole one');
  const [text = ''] = raw.split('\0', 1);
  if (!/^#\s*Disk DescriptorFile/i.test(text)) throw new ImageRefused('the VMDK has no description');
  // By the words themselves: to look at the beginning of each of thousands of empty lines for what stands behind all of them takes long.
  const parent = /\bparentCID\s*=\s*(\w+)/i.exec(text)?.[1];
  if (parent !== undefined && parent.toLowerCase() !== 'ffffffff') {
    throw new ImageRefused('the VMDK builds on another one; clone it to a whole one');
  }
  const kind = /\bcreateType\s*=\s*"([^"]*)"/i.exec(text)?.[1];
  if (kind === undefined || !kinds.includes(kind)) {
    throw new ImageRefused(
      `a VMDK of type ${(kind ?? 'none').slice(0, 50)} is not whole by itself; convert it with qemu-img first`,
    );
  }
  const extents = text.split('\n').filter((line) => /^\s*(RW|RDONLY|NOACCESS)\s/i.test(line));
  const [extent, ...more] = extents;
  const match = /^\s*RW\s+(\d{1,18})\s+SPARSE\s+"[^"]*"\s*$/.exec(extent ?? '');
  if (!match || more.length > 0) throw new ImageRefused('the VMDK does not consist of one sparse extent');
  // Some writers round the capacity up to a grain.
  const rounding = capacity - BigInt(match[1]!);
  if (rounding < 0n || rounding >= 2048n) throw new ImageRefused('the size of the VMDK is ambiguous');
}
