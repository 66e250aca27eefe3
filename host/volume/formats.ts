/** Formats of images that are made of layers, in qemu-img's words. Pure. */
import type { DesiredLayer } from '../../contract/host/index.ts';

export type CapturedImageFormat = NonNullable<DesiredLayer['captures']>[number]['format'];

/** Each as one file that stands for itself, of a kind that our own reader takes back (../image/formats). */
export const outputOptions: Record<CapturedImageFormat, readonly string[]> = {
  raw: ['-O', 'raw'],
  qcow2: ['-O', 'qcow2'],
  vmdk: ['-O', 'vmdk', '-o', 'subformat=streamOptimized'],
  vdi: ['-O', 'vdi'],
  vhd: ['-O', 'vpc', '-o', 'subformat=dynamic,force_size=on'],
  vhdx: ['-O', 'vhdx', '-o', 'subformat=dynamic'],
};
