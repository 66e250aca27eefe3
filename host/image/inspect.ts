/**
 * qemu-img's opinion of an untrusted qcow2 file. Our own reader (format.ts) has judged it before: nothing that names another
 * file, or that is another format than its owner says, comes here, and qemu-img is told the format. A raw file needs no second
 * opinion: whoever uses it uses it as raw, byte for byte.
 *
 * An image made to break qemu-img's parser breaks a process of a user that owns nothing, in a root directory with the
 * programs of /usr and the one file, read-only; in namespaces of its own: no network, nobody's processes, sockets or memory;
 * under limits of time, memory and files. If this process dies, qemu-img ends in time all the same, and its namespaces with it.
 */
import { execFile } from 'node:child_process';
import { asGuestUser } from '../guest/launcher.ts';
import type { GuestUser } from '../guest/users.ts';
import { ImageRefused } from './qcow2.ts';

/** A second opinion on a file that our own reader takes for good. @throws ImageRefused */
export type ImageInspector = (file: { path: string; virtualSizeBytes: number }) => Promise<void>;

const limits = ['--as=1073741824', '--cpu=10', '--fsize=0', '--nofile=64', '--nproc=64', '--core=0'];

export interface InspectorOptions {
  /** Undefined: as this process, and in its namespaces (tests without root). */
  user: GuestUser | undefined;
  timeoutMs?: number;
  /** What runs there instead. For tests of the walls. */
  command?: string[];
}

export function qemuImgInspector(options: InspectorOptions): ImageInspector {
  return async ({ path, virtualSizeBytes }) => {
    const { stdout, stderr, failed } = await runWalledIn(path, options);
    if (failed) throw new ImageRefused(`qemu-img does not accept the file: ${reason(stderr, path)}`);
    judge(JSON.parse(stdout) as Record<string, unknown>, virtualSizeBytes);
  };
}

/** Pure. @throws ImageRefused */
export function judge(info: Record<string, unknown>, virtualSizeBytes: number): void {
  if (info.format !== 'qcow2') throw new ImageRefused(`the file is ${info.format}, not qcow2 as declared`);
  if (info['backing-filename'] !== undefined || info['full-backing-filename'] !== undefined) {
    throw new ImageRefused('the image has a backing file; flatten it with qemu-img convert');
  }
  if (info.encrypted === true) throw new ImageRefused('the image is encrypted');
  const specific = (info['format-specific'] as { data?: Record<string, unknown> } | undefined)?.data ?? {};
  if (specific['data-file'] !== undefined) throw new ImageRefused('the image keeps its data in an external file');
  if (specific.corrupt === true) throw new ImageRefused('the image is marked as corrupt');
  const rounded = Math.ceil(virtualSizeBytes / 512) * 512;
  if (info['virtual-size'] !== rounded) throw new ImageRefused('the virtual size of the image is ambiguous');
}

/** The file's name behind the walls. */
const inside = '/image';

/**
 * A root directory in memory, seen by this process and its children alone: /usr, what leads into it, and the file. Nothing can
 * be written there, not even by root.
 */
const walls = `set -e
file=$1; shift
mount -t tmpfs -o size=64k,mode=755,nosuid,nodev none /mnt
mkdir /mnt/usr
for name in bin lib lib32 lib64 sbin; do [ ! -e "/$name" ] || ln -s "usr/$name" "/mnt/$name"; done
mount --bind /usr /mnt/usr
mount -o remount,bind,ro,nosuid,nodev /mnt/usr
: > /mnt${inside}
mount --bind "$file" /mnt${inside}
mount -o remount,bind,ro,nosuid,nodev /mnt${inside}
mount -o remount,ro /mnt
exec chroot /mnt "$@"`;

/** @internal */
export function runWalledIn(path: string, { user, timeoutMs = 20_000, command }: InspectorOptions) {
  const info = command ?? ['qemu-img', 'info', '-f', 'qcow2', '--output=json'];
  if (!user) return run('prlimit', [...limits, '--', ...info, path], timeoutMs);
  const limited = ['prlimit', ...limits, '--'];
  const [program, args] = asGuestUser(user, info[0]!, [...info.slice(1), inside]);
  const namespaces = ['--mount', '--propagation=private', '--net', '--ipc', '--uts', '--pid', '--fork'];
  const script = ['/bin/sh', '-c', walls, 'walls', path];
  // It ends the whole group: a death signal of the parent would not outlive setpriv's change of user.
  const timeout = ['--signal=KILL', `${timeoutMs / 1000}s`, 'unshare'];
  return run('timeout', [...timeout, ...namespaces, '--', ...script, ...limited, program, ...args], timeoutMs + 5000);
}

function run(command: string, args: string[], timeoutMs: number) {
  return new Promise<{ stdout: string; stderr: string; failed: boolean }>((resolve) => {
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
    const options = { timeout: timeoutMs, maxBuffer: 1024 * 1024, killSignal: 'SIGKILL', cwd: '/', env } as const;
    execFile(command, args, options, (error, stdout, stderr) => resolve({ stdout, stderr, failed: error !== null }));
  });
}

const reason = (stderr: string, path: string) =>
  stderr
    .replaceAll(path, 'the file')
    .replaceAll(inside, 'the file')
    .replace(/^qemu-img: /, '')
    .trim()
    .slice(0, 300) || 'it took too long or too much';
