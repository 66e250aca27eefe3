/**
 * Hears from systemd that the machine goes down or starts again, and holds that back (a delay lock of logind) until whoever is told has done its work.
 * https://www.freedesktop.org/software/systemd/man/latest/org.freedesktop.login1.html: Inhibit, PrepareForShutdown.
 *
 * Node.js takes no file descriptors from a socket, so the lock is held by `systemd-inhibit`: it holds while the pipe that is its command's standard input is open, which can be handed on
 * to a process that outlives this one. The signal is heard by `busctl monitor`. Owns both children; if this process dies, pipe and lock go with it, and the next one takes another.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Writable } from 'node:stream';
import type { Log } from './runner.ts';

export interface ShutdownWatchOptions {
  /** The machine goes down. Whoever has the pipe open keeps it up, for as long as logind lets anybody. */
  onShutdown(lock: Writable): void;
  /** It does not, after all. */
  onCancel(): void;
  log: Log;
  /** Environment of both children; for tests. */
  env?: NodeJS.ProcessEnv;
  /** What has ended is begun again after this. */
  againMs?: number;
}

const signal = "type='signal',interface='org.freedesktop.login1.Manager',member='PrepareForShutdown'";
const lockArguments = ['--what=shutdown', '--mode=delay', '--who=Bothy', '--why=Servers move to other hosts', 'cat'];

export class ShutdownWatch {
  readonly #options: ShutdownWatchOptions;
  #lock: ChildProcess | undefined;
  #monitor: ChildProcess | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #stopped = false;
  #told = false;

  constructor(options: ShutdownWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#hold();
    this.#listen();
  }

  /** Lets go, unless the lock was handed on. */
  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#monitor?.kill();
    this.#lock?.stdin?.destroy();
  }

  #hold(): void {
    const child = spawn('systemd-inhibit', lockArguments, {
      ...{ stdio: ['pipe', 'ignore', 'ignore'], detached: true },
      ...(this.#options.env && { env: this.#options.env }),
    });
    child.stdin.on('error', () => {});
    child.unref();
    this.#lock = child;
    this.#again(child, 'systemd-inhibit', () => this.#hold());
  }

  #listen(): void {
    // It ends with this process, however that ends.
    const child = spawn(
      'setpriv',
      ['--pdeathsig', 'TERM', 'busctl', '--system', '--json=short', 'monitor', '--match', signal],
      {
        ...{ stdio: ['ignore', 'pipe', 'ignore'] },
        ...(this.#options.env && { env: this.#options.env }),
      },
    );
    this.#monitor = child;
    createInterface({ input: child.stdout }).on('line', (line) => this.#hear(line));
    this.#again(child, 'busctl', () => this.#listen());
  }

  /** The bus was started anew, or a program is missing. */
  #again(child: ChildProcess, program: string, begin: () => void): void {
    const over = (fields: Record<string, unknown>) => {
      child.removeAllListeners();
      if (this.#stopped) return;
      this.#options.log('warn', 'a shutdown of the machine is not held back for the moment', { program, ...fields });
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        begin();
      }, this.#options.againMs ?? 5000).unref();
      this.#timers.add(timer);
    };
    child.once('error', (error) => over({ error: error.message }));
    child.once('exit', (status, signal) => over({ status, signal }));
  }

  #hear(line: string): void {
    const begins = saysShutdown(line);
    if (begins === undefined || begins === this.#told) return;
    this.#told = begins;
    this.#options.log('info', begins ? 'the machine goes down' : 'the machine does not go down', {});
    if (begins) this.#options.onShutdown(this.#lock!.stdin!);
    else this.#options.onCancel();
  }
}

/** What a line of `busctl monitor` says of it; undefined: nothing. */
export function saysShutdown(line: string): boolean | undefined {
  try {
    const { member, payload } = JSON.parse(line);
    const [begins] = payload.data;
    return member === 'PrepareForShutdown' && typeof begins === 'boolean' ? begins : undefined;
  } catch {
    return undefined;
  }
}
