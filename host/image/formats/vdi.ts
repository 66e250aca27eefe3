/**
 * VirtualBox's VDI, read with suspicion. Pure.
 * @see https://github.com/qemu/qemu/blob/v7.2.0/block/vdi.c, the header at its beginning
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const blockBytes = 1024 * 1024;
const noUuid = Buffer.alloc(16);

/** @throws ImageRefused */
export async function inspectVdi(bytes: ImageBytes): Promise<{ virtualSizeBytes: number }> {
  const header = await bytes.read(0, 512);
  if (header.length < 512) throw new ImageRefused('the VDI header is cut off');
  if (header.readUInt32LE(0x44) !== 0x0001_0001) throw new ImageRefused('the version of the VDI is not 1.1');
  const type = header.readUInt32LE(0x4c);
  if (type !== 1 && type !== 2) throw new ImageRefused('the VDI builds on another image; clone it to a whole one');
  // QEMU knows a snapshot by these.
  for (const at of [0x1a8, 0x1b8]) {
    if (!header.subarray(at, at + 16).equals(noUuid)) {
      throw new ImageRefused('the VDI builds on another image; clone it to a whole one');
    }
  }
  if (header.readUInt32LE(0x168) !== 512 || header.readUInt32LE(0x178) !== blockBytes) {
    throw new ImageRefused('the VDI has sectors or blocks of another size than 512 bytes and 1 MiB');
  }
  const size = header.readBigUInt64LE(0x170);
  const blocks = header.readUInt32LE(0x180);
  const [map, data] = [header.readUInt32LE(0x154), header.readUInt32LE(0x158)];
  if (size > BigInt(blocks) * BigInt(blockBytes)) {
    throw new ImageRefused('the VDI claims a larger size than its blocks describe');
  }
  if (map % 512 !== 0 || data % 512 !== 0 || map < 512 || map + blocks * 4 > bytes.sizeBytes) {
    throw new ImageRefused('the block map of the VDI lies outside the file');
  }
  return { virtualSizeBytes: Number(size) };
}
