/**
 * qemu-img's opinion of an untrusted file, asked as the guest user under limits of memory, time and files: an image made
 * to break its parser breaks a process that may do nothing. Our own check (format.ts) has come before.
 */
import { execFile } from 'node:child_process';
import { asGuestUser, type GuestUser } from '../guest/launcher.ts';
import { ImageRefused } from './qcow2.ts';

/** A second opinion. @throws ImageRefused */
export type ImageInspector = (file: {
  path: string;
  declared: 'raw' | 'qcow2';
  /** Undefined while the file is still growing. */
  virtualSizeBytes: number | undefined;
}) => Promise<void>;

const limits = ['--as=2147483648', '--cpu=10', '--fsize=0', '--nofile=64', '--core=0'];

export function qemuImgInspector(options: { user: GuestUser | undefined; timeoutMs?: number }): ImageInspector {
  return async ({ path, declared, virtualSizeBytes }) => {
    const [command, args] = asGuestUser(options.user, 'qemu-img', ['info', '--output=json', path]);
    const { stdout, stderr, failed } = await run(
      'prlimit',
      [...limits, '--', command, ...args],
      options.timeoutMs ?? 20_000,
    );
    if (failed) throw new ImageRefused(`qemu-img does not accept the file: ${reason(stderr, path)}`);
    judge(JSON.parse(stdout) as Record<string, unknown>, declared, virtualSizeBytes);
  };
}

/** Pure. @throws ImageRefused */
export function judge(
  info: Record<string, unknown>,
  declared: 'raw' | 'qcow2',
  virtualSizeBytes: number | undefined,
): void {
  if (info.format !== declared) throw new ImageRefused(`the file is ${info.format}, not ${declared} as declared`);
  if (info['backing-filename'] !== undefined || info['full-backing-filename'] !== undefined) {
    throw new ImageRefused('the image has a backing file; flatten it with qemu-img convert');
  }
  if (info.encrypted === true) throw new ImageRefused('the image is encrypted');
  const specific = (info['format-specific'] as { data?: Record<string, unknown> } | undefined)?.data ?? {};
  if (specific['data-file'] !== undefined) throw new ImageRefused('the image keeps its data in an external file');
  if (specific.corrupt === true) throw new ImageRefused('the image is marked as corrupt');
  if (virtualSizeBytes === undefined) return;
  const rounded = Math.ceil(virtualSizeBytes / 512) * 512;
  if (info['virtual-size'] !== rounded) throw new ImageRefused('the virtual size of the image is ambiguous');
}

function run(command: string, args: string[], timeoutMs: number) {
  return new Promise<{ stdout: string; stderr: string; failed: boolean }>((resolve) => {
    const options = { timeout: timeoutMs, maxBuffer: 1024 * 1024, killSignal: 'SIGKILL', cwd: '/' } as const;
    execFile(command, args, options, (error, stdout, stderr) => resolve({ stdout, stderr, failed: error !== null }));
  });
}

const reason = (stderr: string, path: string) =>
  stderr
    .replaceAll(path, 'the file')
    .replace(/^qemu-img: /, '')
    .trim()
    .slice(0, 300) || 'it took too long or too much';
