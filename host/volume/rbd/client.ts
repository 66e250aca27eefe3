/**
 * Ceph's own programs, one process for each thing asked. A cluster that is away answers nothing at all: each process has a deadline and is
 * killed at it, and few run at once, so that a cluster that hangs costs this host neither its loop nor its memory. Owns nothing that lasts:
 * they end with it.
 */
import { execFile } from 'node:child_process';
import { HostFault } from '../../host-error.ts';

export interface RbdSetting {
  /** The cluster's configuration file. */
  conf: string;
  /** Its user, without `client.`, and the file with that user's key. */
  user: string;
  keyring: string;
  pool: string;
  namespace?: string;
  /** Other programs than the machine's, and no look whether QEMU can open images (tests). */
  programs?: { rbd: string; ceph: string };
}

export interface Asked {
  /** Until it is killed. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

const quickMs = 15_000;
/** Content is moved: as long as work on files may take. */
export const longMs = 4 * 3_600_000;
/** Of what a sweep takes away: what is left of it goes with the next one, and other pools are swept meanwhile. */
export const sweepMs = 60_000;
/** Few, so that a cluster that hangs is not asked by many; what moves content does not keep the others from their answers. */
const atOnce = { quick: 4, long: 2 };

/** errno of what Ceph's programs end with. */
export const [noEntry, exists, notEmpty] = [2, 17, 39];

/** What a program said that did not do it. */
class RbdError extends Error {
  override readonly name = 'RbdError';
  readonly status: number;

  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export class RbdClient {
  readonly #setting: RbdSetting;
  readonly #quick = new Turns(atOnce.quick);
  readonly #long = new Turns(atOnce.long);
  readonly #ended = new AbortController();

  constructor(setting: RbdSetting) {
    this.#setting = setting;
  }

  /** An image, or a snapshot of one, as Ceph's programs name it. */
  spec(image: string, snapshot?: string): string {
    const { pool, namespace } = this.#setting;
    const name = namespace === undefined ? `${pool}/${image}` : `${pool}/${namespace}/${image}`;
    return snapshot === undefined ? name : `${name}@${snapshot}`;
  }

  /** @throws HostFault where the cluster or its programs are not there; RbdError where it refuses */
  async rbd(args: readonly string[], asked: Asked = {}): Promise<string> {
    const { programs } = this.#setting;
    // Clones whose parents' snapshots and images can be deleted before them.
    const all = [...this.#identity(), '--rbd-default-clone-format=2', ...args];
    return this.#turns(asked).take(() => this.#run(programs?.rbd ?? 'rbd', all, asked));
  }

  async json<T>(args: readonly string[], asked: Asked = {}): Promise<T> {
    const [command, ...rest] = args;
    return parsed<T>(await this.rbd([command!, ...rest, '--format', 'json'], asked));
  }

  /** Undefined where there is no such thing. */
  async jsonIfThere<T>(args: readonly string[]): Promise<T | undefined> {
    return this.json<T>(args).catch(unless(noEntry));
  }

  /** In the pool and its namespace. */
  async list(args: readonly string[]): Promise<unknown[]> {
    const { pool, namespace } = this.#setting;
    const where = namespace === undefined ? [pool] : ['--namespace', namespace, pool];
    return this.json<unknown[]>([...args, ...where]);
  }

  /** What the pool holds, and what it can still take. */
  async level(): Promise<{ totalBytes: number; freeBytes: number }> {
    const { pool, programs } = this.#setting;
    interface Levels {
      pools: { name: string; stats: { stored: number; max_avail: number } }[];
    }
    const args = ['--connect-timeout', '5', ...this.#identity(), 'df', '--format', 'json'];
    const { pools } = parsed<Levels>(await this.#quick.take(() => this.#run(programs?.ceph ?? 'ceph', args, {})));
    const found = pools.find(({ name }) => name === pool);
    if (!found) throw new RbdError(`the cluster has no pool ${pool}`, noEntry);
    const { stored, max_avail } = found.stats;
    return { totalBytes: Math.floor(stored + max_avail), freeBytes: Math.floor(max_avail) };
  }

  /** Whoever waits is told at once: of a cluster that hangs nobody knows when it goes on. What was begun is done again by the next life. */
  close(): void {
    this.#ended.abort(new HostFault('pool_unavailable', 'the host process ends'));
  }

  #run(program: string, args: string[], { timeoutMs, signal }: Asked): Promise<string> {
    const ended = this.#ended.signal;
    return run(program, args, {
      ...(timeoutMs && { timeoutMs }),
      signal: signal ? AbortSignal.any([signal, ended]) : ended,
    });
  }

  #identity(): string[] {
    const { conf, user, keyring } = this.#setting;
    return ['--conf', conf, '--id', user, '--keyring', keyring];
  }

  #turns({ timeoutMs = quickMs }: Asked): Turns {
    return timeoutMs > quickMs ? this.#long : this.#quick;
  }
}

/** So many at once; the others wait for their turn. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  async take<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free--;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}

/** For `catch`: an error of this kind is an answer. */
export const unless =
  (...statuses: number[]) =>
  (error: unknown): undefined => {
    if (error instanceof RbdError && statuses.includes(error.status)) return undefined;
    throw error;
  };

export function parsed<T>(text: string): T {
  try {
    return JSON.parse(text) as T;
  } catch (cause) {
    throw new HostFault('pool_unavailable', "the cluster's programs answered something else than was asked", { cause });
  }
}

async function run(program: string, args: string[], { timeoutMs = quickMs, signal }: Asked): Promise<string> {
  signal?.throwIfAborted();
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
  const options = { timeout: timeoutMs, killSignal: 'SIGKILL', maxBuffer: 256 * 2 ** 20, cwd: '/', env } as const;
  return new Promise((resolve, reject) => {
    execFile(program, args, { ...options, ...(signal && { signal }) }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout);
      if (signal?.aborted) return reject(signal.reason);
      reject(faultOf(program, error, stderr, timeoutMs));
    });
  });
}

/** Words that a program has for what went wrong, without its times and threads. */
const wordsOf = (stderr: string): string =>
  (stderr.split('\n').findLast((line) => /\S/.test(line) && !/% complete/.test(line)) ?? '')
    .replace(/^\S+T\S+ [0-9a-f]+ +-?\d+ /, '')
    .slice(0, 300);

function faultOf(program: string, error: Error & { code?: unknown; killed?: boolean }, stderr: string, ms: number) {
  const { code, killed } = error;
  if (code === 'ENOENT') {
    const message = `the program ${program} is not on this machine: install the package ceph-common`;
    return new HostFault('pool_unavailable', message);
  }
  if (killed) return new HostFault('pool_unavailable', `the Ceph cluster did not answer within ${ms / 1000} s`);
  const words = wordsOf(stderr) || `${program} ended with ${String(code)}`;
  // Of 16.2: a full pool is not written to; what was asked for waits or ends so.
  if (/No space left on device|Disk quota exceeded/.test(stderr)) return new HostFault('no_capacity', words);
  if (/error connecting to the cluster|couldn't connect|handle_auth|TimedOut|timed out/i.test(stderr))
    return new HostFault('pool_unavailable', `the Ceph cluster can't be reached: ${words}`);
  return new RbdError(words, typeof code === 'number' ? code : -1);
}
