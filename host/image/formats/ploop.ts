/**
 * Parallels' disks and Virtuozzo's ploop, read with suspicion. Pure.
 * @see https://github.com/qemu/qemu/blob/v7.2.0/docs/interop/parallels.txt
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const inUse = 0x746f_6e59;

/** @throws ImageRefused */
export async function inspectPloop(bytes: ImageBytes): Promise<{ virtualSizeBytes: number }> {
  const header = await bytes.read(0, 64);
  if (header.length < 64) throw new ImageRefused('the ploop header is cut off');
  if (header.readUInt32LE(16) !== 2) throw new ImageRefused('the version of the ploop image is not 2');
  const clusterSectors = header.readUInt32LE(28);
  const clusters = header.readUInt32LE(32);
  if (clusterSectors === 0 || clusters * 4 + 64 > bytes.sizeBytes) {
    throw new ImageRefused('the block map of the ploop image lies outside the file');
  }
  if (header.readUInt32LE(44) === inUse) throw new ImageRefused('the ploop image was not closed');
  // The older format has 32 bits for its size, and says nothing of what stands above them.
  const extended = header.subarray(0, 16).toString('latin1') === 'WithouFreSpacExt';
  const sectors = extended ? header.readBigUInt64LE(36) : BigInt(header.readUInt32LE(36));
  if (sectors > BigInt(clusters) * BigInt(clusterSectors)) {
    throw new ImageRefused('the ploop image claims a larger size than its block map describes');
  }
  return { virtualSizeBytes: Number(sectors) * 512 };
}
