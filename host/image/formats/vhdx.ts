/**
 * Microsoft's VHDX, read with suspicion. Pure. Its size lies in a table of a table: regions → metadata → items.
 * @see MS-VHDX, sections 2.2.3 (region table) and 2.6 (metadata region)
 */
import { ImageRefused } from '../qcow2.ts';
import type { ImageBytes } from './bytes.ts';

const regionTables = [192 * 1024, 256 * 1024];
const metadataRegion = guid('8b7ca206-4790-4b9a-b8fe-575f050f886e');
const items = {
  fileParameters: guid('caa16737-fa36-4d43-b3b6-33f0aa44e76b'),
  virtualSize: guid('2fa54224-cd1b-4876-b211-5dbed83bf4b8'),
  parentLocator: guid('a8d35f2d-b30b-454d-abf7-d3d84834ab0c'),
} as const;
const hasParent = 2;

/** @throws ImageRefused */
export async function inspectVhdx(bytes: ImageBytes): Promise<{ virtualSizeBytes: number }> {
  const metadata = await metadataOf(bytes);
  const found = new Map<string, Buffer>();
  for (let index = 0; index < metadata.readUInt16LE(10); index++) {
    const entry = metadata.subarray(32 + index * 32, 64 + index * 32);
    if (entry.length < 32) throw new ImageRefused('the metadata of the VHDX is cut off');
    const [offset, length] = [entry.readUInt32LE(16), entry.readUInt32LE(20)];
    found.set(entry.subarray(0, 16).toString('hex'), metadata.subarray(offset, offset + Math.min(length, 64)));
  }
  const parameters = found.get(items.fileParameters);
  const size = found.get(items.virtualSize);
  if (!parameters || parameters.length < 8 || !size || size.length < 8) {
    throw new ImageRefused('the VHDX does not say how large it is');
  }
  if ((parameters.readUInt32LE(4) & hasParent) !== 0 || found.has(items.parentLocator)) {
    throw new ImageRefused('the VHDX builds on another one; merge it with its parent first');
  }
  const virtualSize = size.readBigUInt64LE(0);
  if (virtualSize > 64n * 2n ** 40n) throw new ImageRefused('the size of the VHDX is beyond all bounds');
  return { virtualSizeBytes: Number(virtualSize) };
}

async function metadataOf(bytes: ImageBytes): Promise<Buffer> {
  for (const at of regionTables) {
    const table = await bytes.read(at, 64 * 1024);
    if (table.length < 64 || table.subarray(0, 4).toString('latin1') !== 'regi') continue;
    const count = Math.min(table.readUInt32LE(8), 2047);
    for (let index = 0; index < count; index++) {
      const entry = table.subarray(16 + index * 32, 48 + index * 32);
      if (entry.length < 32 || entry.subarray(0, 16).toString('hex') !== metadataRegion) continue;
      const offset = entry.readBigUInt64LE(16);
      const region = offset < BigInt(bytes.sizeBytes) ? await bytes.read(Number(offset), 1024 * 1024) : Buffer.alloc(0);
      if (region.length >= 32 && region.subarray(0, 8).toString('latin1') === 'metadata') return region;
    }
  }
  throw new ImageRefused('the VHDX has no metadata');
}

/** As it lies in the file: the first three groups are little-endian. */
function guid(text: string): string {
  const groups = text.split('-');
  const turned = groups.slice(0, 3).map((group) => Buffer.from(group, 'hex').reverse().toString('hex'));
  return [...turned, ...groups.slice(3)].join('');
}
