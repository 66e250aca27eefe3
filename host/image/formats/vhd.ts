/**
 * Microsoft's VHD (QEMU calls it vpc), read with suspicion. Pure.
 *
 * QEMU computes the size from cylinders, heads and sectors unless it knows the program that made the file; the tail of a
 * disk that is no multiple of a cylinder would be lost. The footer's own size counts here, and whoever opens the file tells QEMU
 * so (`force_size_calc`, see ../inspect.ts).
 * @see https://github.com/qemu/qemu/blob/v7.2.0/block/vpc.c vpc_open
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const vhdFooterBytes = 512;
const cookie = Buffer.from('conectix');
const fixed = 2;
const dynamic = 3;
/** What the format can say: QEMU refuses more. */
const maxBytes = 65_535 * 16 * 255 * 512;

/** @throws ImageRefused */
export async function inspectVhd(bytes: ImageBytes): Promise<{ virtualSizeBytes: number }> {
  const first = await bytes.read(0, vhdFooterBytes);
  const last = await bytes.read(bytes.sizeBytes - vhdFooterBytes, vhdFooterBytes);
  const atStart = first.subarray(0, 8).equals(cookie);
  const footer = atStart ? first : last;
  if (footer.length < vhdFooterBytes || !footer.subarray(0, 8).equals(cookie)) {
    throw new ImageRefused('the VHD has no footer');
  }
  if (footer.readUInt32BE(64) !== checksum(footer)) throw new ImageRefused('the footer of the VHD is damaged');
  const type = footer.readUInt32BE(60);
  if (type !== fixed && type !== dynamic) {
    throw new ImageRefused('the VHD builds on another one; merge it with its parent first');
  }
  if (atStart !== (type === dynamic)) throw new ImageRefused('the footer of the VHD does not fit its kind');
  const size = footer.readBigUInt64BE(48);
  if (size === 0n || size % 512n !== 0n || size > BigInt(maxBytes))
    throw new ImageRefused('the size of the VHD is invalid');
  const virtualSizeBytes = Number(size);
  if (type === fixed) {
    if (virtualSizeBytes !== bytes.sizeBytes - vhdFooterBytes) {
      throw new ImageRefused(
        `the footer of the VHD tells of ${size} bytes, and ${bytes.sizeBytes - vhdFooterBytes} are there`,
      );
    }
  } else await inspectDynamic(bytes, footer, virtualSizeBytes);
  return { virtualSizeBytes };
}

async function inspectDynamic(bytes: ImageBytes, footer: Buffer, virtualSizeBytes: number): Promise<void> {
  const at = footer.readBigUInt64BE(16);
  const header = at < BigInt(bytes.sizeBytes) ? await bytes.read(Number(at), 1024) : Buffer.alloc(0);
  if (header.length < 1024 || header.subarray(0, 8).toString('latin1') !== 'cxsparse') {
    throw new ImageRefused('the VHD has no header of a dynamic disk');
  }
  const table = header.readBigUInt64BE(16);
  const entries = header.readUInt32BE(28);
  const blockBytes = header.readUInt32BE(32);
  if (blockBytes < 512 || (blockBytes & (blockBytes - 1)) !== 0)
    throw new ImageRefused('the VHD has an invalid block size');
  if (entries * blockBytes < virtualSizeBytes) {
    throw new ImageRefused('the VHD claims a larger size than its blocks describe');
  }
  if (table + BigInt(entries) * 4n > BigInt(bytes.sizeBytes)) {
    throw new ImageRefused('the block table of the VHD lies outside the file');
  }
}

/** The complement of the sum of all bytes but the sum's own. */
function checksum(footer: Buffer): number {
  let sum = 0;
  for (let at = 0; at < vhdFooterBytes; at++) if (at < 64 || at >= 68) sum += footer[at]!;
  return ~sum >>> 0;
}
