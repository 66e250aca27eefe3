/**
 * Starting QEMU and finding it again. The process is detached with its output in files, so it outlives this one; a
 * later host process finds it by its command line. The simulator brings its own launcher with guests in memory.
 *
 * QEMU runs as the guest user from its first instruction (setpriv, then exec: same pid, no privileges to regain): taps
 * belong to that user, and disks are opened with its rights. If this process dies between fork and exec nothing remains.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';
import type { ServerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';

export interface QemuProcess {
  readonly pid: number;
  readonly alive: boolean;
  /** Resolves once the process is gone. */
  readonly exited: Promise<void>;
  /** SIGKILL. */
  kill(): void;
}

export interface QemuLaunch {
  serverId: ServerId;
  args: string[];
  /** For stderr; appended to. */
  logFile: string;
}

export interface QemuLauncher {
  launch(options: QemuLaunch): Promise<QemuProcess>;
  /** Every QEMU of this host that runs. */
  list(): Promise<{ serverId: ServerId; process: QemuProcess }[]>;
}

export interface GuestUser {
  uid: number;
  gid: number;
  /** More groups, e.g. the one that may open /dev/kvm. */
  groups: number[];
}

/** The command that runs another one without privileges; the command itself where there is no user to change to. */
export function asGuestUser(user: GuestUser | undefined, command: string, args: string[]): [string, string[]] {
  if (!user) return [command, args];
  const groups = user.groups.length > 0 ? `--groups=${user.groups.join(',')}` : '--clear-groups';
  const drop = [`--reuid=${user.uid}`, `--regid=${user.gid}`, groups, '--no-new-privs'];
  return ['setpriv', [...drop, '--inh-caps=-all', '--bounding-set=-all', '--', command, ...args]];
}

export interface ProcessLauncherOptions {
  /** Directory of the guests' pid files; a path below it in -pidfile marks a QEMU as this host's. */
  guestsDirectory: string;
  user: GuestUser | undefined;
  command?: string;
}

export class ProcessLauncher implements QemuLauncher {
  readonly #options: ProcessLauncherOptions;

  constructor(options: ProcessLauncherOptions) {
    this.#options = options;
  }

  launch({ args, logFile }: QemuLaunch): Promise<QemuProcess> {
    const [command, all] = asGuestUser(this.#options.user, this.#options.command ?? 'qemu-system-x86_64', args);
    const log = openSync(logFile, 'a', 0o640);
    try {
      const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
      const child = spawn(command, all, { detached: true, stdio: ['ignore', log, log], cwd: '/', env });
      let alive = true;
      const exited = new Promise<void>((resolve) => {
        const ended = () => {
          alive = false;
          resolve();
        };
        child.once('exit', ended).once('error', ended);
      });
      return new Promise((resolve, reject) => {
        child.once('error', (cause) => reject(new Error(`${command} could not be started`, { cause })));
        child.once('spawn', () => {
          child.unref();
          resolve({
            pid: child.pid!,
            exited,
            kill: () => void child.kill('SIGKILL'),
            get alive() {
              return alive;
            },
          });
        });
      });
    } finally {
      closeSync(log);
    }
  }

  async list(): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
    const found: { serverId: ServerId; process: QemuProcess }[] = [];
    for (const entry of readdirSync('/proc')) {
      if (!/^\d+$/.test(entry)) continue;
      const pid = Number(entry);
      const serverId = this.#serverOf(pid);
      const startTime = startTimeOf(pid);
      if (serverId && startTime) found.push({ serverId, process: new AdoptedProcess(pid, startTime) });
    }
    return found;
  }

  #serverOf(pid: number): ServerId | undefined {
    let args: string[];
    try {
      args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
    } catch {
      return undefined;
    }
    const value = args[args.indexOf('-pidfile') + 1] ?? '';
    const prefix = `${this.#options.guestsDirectory}/`;
    if (!value.startsWith(prefix)) return undefined;
    const id = parseId<ServerId>(value.slice(prefix.length).split('/')[0]!);
    return id !== undefined && args.includes(id) ? id : undefined;
  }
}

/** A QEMU that an earlier host process started: no child of ours, so its end must be looked for. */
class AdoptedProcess implements QemuProcess {
  readonly pid: number;
  readonly exited: Promise<void>;
  readonly #startTime: string;

  constructor(pid: number, startTime: string) {
    this.pid = pid;
    this.#startTime = startTime;
    this.exited = new Promise((resolve) => {
      const timer = setInterval(() => {
        if (this.alive) return;
        clearInterval(timer);
        resolve();
      }, 100);
      timer.unref();
    });
  }

  /** The start time tells a process from a later one with the same pid. */
  get alive(): boolean {
    return startTimeOf(this.pid) === this.#startTime;
  }

  kill(): void {
    if (this.alive) process.kill(this.pid, 'SIGKILL');
  }
}

/** In clock ticks since boot; undefined where the process is gone or a zombie. */
function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}
