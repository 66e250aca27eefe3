/**
 * Which guests may not outlive the lease: told to the watchdog (watchdog.ts) before they run. Owns `<run>/lease/`: files that the watchdog reads, and its
 * own life. If this process dies the watchdog goes on by what stands there.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ServerId } from '../../contract/ids.ts';
import type { Engine } from '../../engine/engine.ts';
import { ensureEngine, findEngine, stopEngine } from '../../engine/process.ts';
import { startTimeOf } from '../../engine/process-identity.ts';
import { waitUntil } from '../../engine/wait.ts';
import type { GuardedGuest, OnLeaseEnd } from './guarded.ts';

export interface GuestGuard {
  /** The lease ends then, by {@link bootTimeMs}. */
  extended(endsAtMs: number): void;
  /** When this resolves the guest ends or stands still with the lease, whatever becomes of this process. Idempotent. */
  guard(id: ServerId, pid: number, onLeaseEnd: OnLeaseEnd): Promise<void>;
  /** What the watchdog does with this process; undefined: nothing. */
  guarded(id: ServerId, pid: number): OnLeaseEnd | undefined;
  /** Its last guest was stopped with a lease, not by itself. */
  ended(id: ServerId): boolean;
  /** Nothing is known of it any more. */
  unguard(id: ServerId): void;
  /** It stands still, by a signal. */
  held(pid: number): boolean;
  /** It goes on. */
  release(pid: number): void;
}

/** @param options.runDirectory of the host: gone with the machine's restart, as all guests are */
export class WatchdogGuard implements GuestGuard {
  readonly #directory: string;
  readonly #engine: Engine;
  #starting: Promise<unknown> | undefined;

  constructor({ runDirectory }: { runDirectory: string }) {
    this.#directory = leaseDirectory(runDirectory);
    this.#engine = watchdogEngine(this.#directory);
  }

  extended(endsAtMs: number): void {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    writeWhole(join(this.#directory, 'ends'), `${endsAtMs}\n`);
  }

  async guard(id: ServerId, pid: number, onLeaseEnd: OnLeaseEnd): Promise<void> {
    const startTime = startTimeOf(pid);
    if (startTime === undefined) return;
    mkdirSync(join(this.#directory, 'guests'), { recursive: true, mode: 0o700 });
    if (this.#read(id)?.onLeaseEnd !== onLeaseEnd || this.guarded(id, pid) === undefined) {
      rmSync(this.#ended(id), { force: true });
      writeWhole(this.#file(id), JSON.stringify({ pid, startTime, onLeaseEnd } satisfies GuardedGuest));
    }
    await this.#watched();
  }

  guarded(id: ServerId, pid: number): OnLeaseEnd | undefined {
    const guest = this.#read(id);
    if (guest?.pid !== pid || startTimeOf(pid) !== guest.startTime) return undefined;
    return findEngine(this.#engine) === undefined ? undefined : guest.onLeaseEnd;
  }

  ended(id: ServerId): boolean {
    return existsSync(this.#ended(id));
  }

  unguard(id: ServerId): void {
    for (const file of [this.#file(id), this.#ended(id)]) rmSync(file, { force: true });
  }

  held(pid: number): boolean {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    } catch {
      return false;
    }
  }

  release(pid: number): void {
    process.kill(pid, 'SIGCONT');
  }

  /** Of many that ask at once one starts it. */
  #watched(): Promise<unknown> {
    this.#starting ??= ensureEngine(this.#engine, { logFile: join(this.#directory, 'watchdog.log') }).finally(() => {
      this.#starting = undefined;
    });
    return this.#starting;
  }

  #file(id: ServerId): string {
    return join(this.#directory, 'guests', id);
  }

  #ended(id: ServerId): string {
    return join(this.#directory, 'ended', id);
  }

  #read(id: ServerId): GuardedGuest | undefined {
    try {
      return JSON.parse(readFileSync(this.#file(id), 'utf8')) as GuardedGuest;
    } catch {
      return undefined;
    }
  }
}

/** Guests are watched no more: the last one has ended. */
export async function stopWatchdog(runDirectory: string): Promise<void> {
  await stopEngine(watchdogEngine(leaseDirectory(runDirectory)));
}

const leaseDirectory = (runDirectory: string): string => join(runDirectory, 'lease');

function watchdogEngine(directory: string): Engine {
  const ready = join(directory, 'watches');
  return {
    name: 'lease-watchdog',
    command: process.execPath,
    args: ['--disable-warning=ExperimentalWarning', fileURLToPath(new URL('watchdog.ts', import.meta.url)), directory],
    env: {},
    after: [],
    restartAlso: [],
    outlives: 'guests',
    pidFile: join(directory, 'watchdog.pid'),
    pidFileWriter: 'supervisor',
    mark: directory,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 3000,
    async prepare() {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
      rmSync(ready, { force: true });
    },
    ready: (signal) =>
      waitUntil('the watchdog of the lease to watch', () => readable(ready), {
        timeoutMs: 30_000,
        ...(signal && { signal }),
      }),
  };
}

function readable(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

/** Whoever reads meets the text before or this one. */
function writeWhole(file: string, text: string): void {
  const next = join(file, '..', `.${file.slice(file.lastIndexOf('/') + 1)}.new`);
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, file);
}
