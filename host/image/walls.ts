/**
 * Where programs look at untrusted files. An image made to break qemu-img's parser breaks a process of a user that owns nothing, in
 * a root directory with the programs of /usr and the one file, read-only; in namespaces of its own: no network, nobody's
 * processes, sockets or memory; under limits of time, memory and files. If this process dies, the program ends in time all the
 * same, and its namespaces with it.
 */
import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import type { Secret } from '../../contract/secret.ts';
import { asGuestUser } from '../guest/launcher.ts';
import type { GuestUser } from '../guest/users.ts';

/** The files' names behind the walls: of what is read, of what may be written, and of what that builds on which is read. */
export const inside = '/image';
export const outside = '/disk';
export const below = '/base';

export interface Walls {
  /** Undefined: as this process, and in its namespaces (tests without root). */
  user: GuestUser | undefined;
  path: string;
  /** A second file that is read. */
  below?: string;
  /** The one file that may be written, and how large it may become. */
  output?: { path: string; maxBytes: number };
  /** More files that are read, or written as the output is, each at its place behind the walls. */
  more?: readonly { path: string; at: string; written?: true }[];
  /** Each in a file of its own, {@link secretAt}, in memory that is never swapped, for its user alone. Only with a user. */
  secrets?: readonly Secret[];
  /** It is there too: without it QEMU takes a weaker kind of lock. For files that a guest's QEMU may want. */
  nullDevice?: true;
  /** How much address space the program may have; 1 GiB where absent. */
  memoryBytes?: number;
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** Where the program finds a secret. */
export const secretAt = (index: number): string => `/secrets/${index}`;

const limitsOf = ({ output, more = [], memoryBytes = 2 ** 30, timeoutMs = defaultMs }: Walls): string[] => [
  ...[`--as=${memoryBytes}`, `--cpu=${Math.ceil(timeoutMs / 2000)}`, `--fsize=${output?.maxBytes ?? 0}`],
  // A thread takes as much of the address space as its stack may become: on a slow disk qemu-img has dozens.
  ...[`--nofile=${64 + 2 * more.length}`, '--nproc=64', '--core=0', `--stack=${2 * 2 ** 20}`],
];
const defaultMs = 20_000;

/**
 * A root directory in memory, seen by this process and its children alone: /usr, what leads into it, and the files. Nothing can
 * be written there but the output, not even by root.
 */
const walls = `set -e
mount -t tmpfs -o size=64k,mode=755,nosuid,nodev none /mnt
mkdir /mnt/usr
for name in bin lib lib32 lib64 sbin; do [ ! -e "/$name" ] || ln -s "usr/$name" "/mnt/$name"; done
mount --bind /usr /mnt/usr
mount -o remount,bind,ro,nosuid,nodev /mnt/usr
while [ "$1" != -- ]; do
  if [ "$1" = secrets ]; then
    mkdir "/mnt$3"
    mount -t ramfs -o mode=711 none "/mnt$3"
    number=0
    while IFS= read -r secret; do
      (umask 077; printf %s "$secret" > "/mnt$3/$number")
      chown "$2" "/mnt$3/$number"
      number=$((number + 1))
    done
    unset secret
    shift 3
    continue
  fi
  case $1 in read) rights=ro;; write) rights=noexec;; esac
  mkdir -p "/mnt\${3%/*}"
  : > "/mnt$3"
  mount --bind "$2" "/mnt$3"
  [ "$1" = device ] || mount -o "remount,bind,$rights,nosuid,nodev" "/mnt$3"
  shift 3
done
shift
mount -o remount,ro /mnt
exec chroot /mnt "$@"`;

/** What the script takes: how, which file, and where it shall be. */
const filesOf = ({ user, path, output, below: under, more = [], nullDevice, secrets = [] }: Walls): string[] => [
  ...(secrets.length > 0 ? ['secrets', String(user!.uid), dirname(secretAt(0))] : []),
  ...['read', path, inside],
  ...(under === undefined ? [] : ['read', under, below]),
  ...more.flatMap(({ path: file, at, written }) => [written ? 'write' : 'read', file, at]),
  ...(output ? ['write', output.path, outside] : []),
  ...(nullDevice ? ['device', '/dev/null', '/dev/null'] : []),
];

/** The program and arguments by which a command runs behind the walls; without a user (tests) only under the limits. */
export function walledIn(command: string[], options: Walls): { program: string; args: string[] } {
  const { user, timeoutMs = defaultMs } = options;
  const limited = ['prlimit', ...limitsOf(options), '--'];
  if (!user) return { program: limited[0]!, args: [...limited.slice(1), ...command] };
  const [program, args] = asGuestUser(user, command[0]!, command.slice(1));
  const namespaces = ['--mount', '--propagation=private', '--net', '--ipc', '--uts', '--pid', '--fork'];
  const script = ['/bin/sh', '-c', walls, 'walls', ...filesOf(options), '--'];
  // It ends the whole group: a death signal of the parent would not outlive setpriv's change of user.
  const timeout = ['--signal=KILL', `${timeoutMs / 1000}s`, 'unshare'];
  return { program: 'timeout', args: [...timeout, ...namespaces, '--', ...script, ...limited, program, ...args] };
}

/** Else each thread reserves 64 MiB for what it allocates (mallopt(3)). */
export const walledEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8', MALLOC_ARENA_MAX: '2' };

/** Runs the command behind the walls, to its end. */
export function runWalledIn(command: string[], options: Walls) {
  const { user, timeoutMs = defaultMs, signal, secrets = [] } = options;
  if (secrets.length > 0 && !user) throw new Error('without walls nothing hides a secret');
  const { program, args } = walledIn(command, options);
  const input = secrets.map((secret) => `${secret.reveal()}\n`).join('');
  return run(program, args, { timeoutMs: user ? timeoutMs + 5000 : timeoutMs, signal, input });
}

interface Running {
  timeoutMs: number;
  signal: AbortSignal | undefined;
  /** What is on its standard input. */
  input: string;
}

function run(command: string, args: string[], { timeoutMs, signal, input }: Running) {
  return new Promise<{ stdout: string; stderr: string; failed: boolean }>((resolve) => {
    const env = walledEnvironment;
    const options = { timeout: timeoutMs, maxBuffer: 1024 * 1024, killSignal: 'SIGKILL', cwd: '/', env } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      signal?.removeEventListener('abort', end);
      resolve({ stdout, stderr, failed: error !== null });
    });
    // One that ended before it has read it has failed, and says why.
    child.stdin!.on('error', () => {});
    child.stdin!.end(input);
    const end = () => {
      // `timeout` leads a group of its own; what it began is in it.
      try {
        process.kill(-child.pid!, 'SIGKILL');
      } catch {
        child.kill('SIGKILL');
      }
    };
    signal?.addEventListener('abort', end, { once: true });
    if (signal?.aborted) end();
  });
}
