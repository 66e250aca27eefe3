/**
 * qemu-img's opinion of an untrusted disk, and its work on it. Our own reader (format.ts) has judged the file before: nothing that
 * names another file, or that is another format than its owner says, comes here, and qemu-img is told the format. A raw file needs
 * no second opinion: whoever uses it uses it as raw, byte for byte.
 */
import { chown, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import type { DiskInFile } from './format.ts';
import { ImageRefused } from './qcow2.ts';
import { inside, outside, runWalledIn, type Walls } from './walls.ts';

export interface UntrustedDisk {
  path: string;
  disk: DiskInFile;
  virtualSizeBytes: number;
  /** It has to be. Absent: it must not be. */
  encrypted?: boolean;
}

/** A second opinion on a file that our own reader takes for good. @throws ImageRefused */
export type ImageInspector = (file: UntrustedDisk) => Promise<void>;

/** Makes a raw disk of it, in a file that is there and empty. @throws HostFault */
export type ImageConverter = (file: UntrustedDisk, to: string, signal: AbortSignal) => Promise<void>;

export function qemuImgInspector(user: GuestUser | undefined): ImageInspector {
  return async (file) => {
    const { stdout, stderr, failed } = await runWalledIn(infoCommand(file, user), { user, path: file.path });
    if (failed) throw new ImageRefused(`qemu-img does not accept the file: ${reason(stderr, file.path)}`);
    judge(JSON.parse(stdout) as Record<string, unknown>, file);
  };
}

/** It may take long, and a core as long. */
const conversionMs = 3_600_000;
/** What is left of the host's disk beside a disk that turns out to be full. */
const reserveBytes = 2 ** 30;

/**
 * To raw, for then there is nothing to believe in the result: whatever took qemu-img over could write nothing but what a guest
 * reads from its own disk.
 */
export function qemuImgConverter(user: GuestUser | undefined): ImageConverter {
  return async (file, to, signal) => {
    const { bavail, bsize } = await statfs(dirname(to));
    if (bavail * bsize < file.virtualSizeBytes + reserveBytes) {
      throw new HostFault('no_capacity', 'the host has no room to unpack the image');
    }
    if (user) await chown(to, user.uid, user.gid);
    const maxFileBytes = Math.ceil(file.virtualSizeBytes / 512) * 512;
    const walls: Walls = {
      user,
      path: file.path,
      output: { path: to, maxBytes: maxFileBytes },
      timeoutMs: conversionMs,
      signal,
    };
    const { stderr, failed } = await runWalledIn(convertCommand(file, to, user), walls);
    signal.throwIfAborted();
    if (failed) {
      throw new HostFault('image_refused', `qemu-img can't unpack the image: ${reason(stderr, file.path)}`, {
        permanent: true,
      });
    }
    if ((await stat(to)).size !== maxFileBytes) {
      throw new HostFault('image_refused', 'the virtual size of the image is ambiguous', { permanent: true });
    }
  };
}

/** @internal */
export const infoCommand = (file: UntrustedDisk, user: GuestUser | undefined): string[] => [
  ...['qemu-img', 'info', '--output=json', '--image-opts'],
  source(file, { user }),
];

/** @internal */
export const convertCommand = (file: UntrustedDisk, to: string, user: GuestUser | undefined): string[] => [
  ...['qemu-img', 'convert', '--image-opts', source(file, { user })],
  ...['-O', 'raw', user ? outside : to],
];

/** The disk as QEMU's options: driver and place are told, nothing is probed. */
function source({ path, disk }: UntrustedDisk, { user }: { user: GuestUser | undefined }): string {
  const file = user ? inside : path.replaceAll(',', ',,');
  const size = disk.driver === 'vpc' ? ',force_size_calc=current_size' : '';
  const place =
    disk.offset === 0
      ? `file.driver=file,file.filename=${file}`
      : `file.driver=raw,file.offset=${disk.offset},file.size=${disk.sizeBytes},file.file.driver=file,file.file.filename=${file}`;
  return `driver=${disk.driver}${size},${place}`;
}

/** Pure. @throws ImageRefused */
export function judge(
  info: Record<string, unknown>,
  {
    disk: { driver },
    virtualSizeBytes,
    encrypted = false,
  }: Pick<UntrustedDisk, 'disk' | 'virtualSizeBytes' | 'encrypted'>,
): void {
  if (info.format !== driver) throw new ImageRefused(`the file is ${info.format}, not ${driver} as declared`);
  if (info['backing-filename'] !== undefined || info['full-backing-filename'] !== undefined) {
    throw new ImageRefused('the image has a backing file; flatten it with qemu-img convert');
  }
  if ((info.encrypted === true) !== encrypted) throw new ImageRefused('the image is encrypted');
  const specific = (info['format-specific'] as { data?: Record<string, unknown> } | undefined)?.data ?? {};
  if (specific['data-file'] !== undefined) throw new ImageRefused('the image keeps its data in an external file');
  if (specific.corrupt === true) throw new ImageRefused('the image is marked as corrupt');
  if (Array.isArray(specific.extents) && specific.extents.length > 1) {
    throw new ImageRefused('the image consists of several files');
  }
  const rounded = Math.ceil(virtualSizeBytes / 512) * 512;
  if (info['virtual-size'] !== rounded) throw new ImageRefused('the virtual size of the image is ambiguous');
}

const reason = (stderr: string, path: string) =>
  stderr
    .replaceAll(path, 'the file')
    .replaceAll(inside, 'the file')
    .replace(/^qemu-img: /, '')
    .trim()
    .slice(0, 300) || 'it took too long or too much';
