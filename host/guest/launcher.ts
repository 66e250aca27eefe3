/**
 * Starting QEMU and finding it again. The process is detached with its output in files, so it outlives this one; a
 * later host process finds it by the user that only it runs as. The simulator brings its own launcher with guests in memory.
 *
 * QEMU runs as the guest's own user from its first instruction (setpriv, then exec: same pid, no privileges to regain): taps
 * belong to that user, and disks are opened with its rights. If this process dies between fork and exec nothing remains.
 *
 * Command lines are any local user's to write, and a QEMU that its guest has taken over can rewrite its own. So what counts is
 * the user (users.ts) and the program; the command line is asked only about a guest of before there was a user for each.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import type { Writable } from 'node:stream';
import type { ServerId } from '../../contract/ids.ts';
import { parseId } from '../../contract/ids.ts';
import { commandLineOf, identifyProcess, type ProcessIdentity, startTimeOf } from '../../engine/process-identity.ts';
import { type GuestAccounts, type GuestUser, isGuestUid, recordedUids } from './users.ts';

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
  /** Whom it runs as; undefined: as this process (tests). */
  user: GuestUser | undefined;
  /** For stderr; appended to. */
  logFile: string;
  /** A memory that the guest goes on with: QEMU reads it as its file descriptor 3, whatever its user may open. */
  incoming?: string;
  /** What opens its encrypted volumes: no command line, file or environment has it. Absent: it has none. */
  secrets?: readonly { id: string; data: string }[];
}

export interface QemuLauncher {
  launch(options: QemuLaunch): Promise<QemuProcess>;
  /** Every QEMU of this host that runs. */
  list(): Promise<{ serverId: ServerId; process: QemuProcess }[]>;
}

/** The command that runs another one without privileges; the command itself where there is no user to change to. */
export function asGuestUser(user: GuestUser | undefined, command: string, args: string[]): [string, string[]] {
  if (!user) return [command, args];
  const groups = user.groups.length > 0 ? `--groups=${user.groups.join(',')}` : '--clear-groups';
  const drop = [`--reuid=${user.uid}`, `--regid=${user.gid}`, groups, '--no-new-privs'];
  return ['setpriv', [...drop, '--inh-caps=-all', '--bounding-set=-all', '--', command, ...args]];
}

/**
 * As the guest's user: a pipe of its own, which QEMU can open by name where it could not open a socket of ours; the shell then becomes QEMU. A
 * memory dump would have the secrets, so there is none.
 */
const readingSecrets = `ulimit -c 0
secrets=$(cat <&4)
exec 4<<END
$secrets
END
unset secrets
exec "$@"`;

/** In the form of QEMU's -readconfig. What ends before it has read all has ended; who started it sees that. */
function tell(pipe: Writable, secrets: NonNullable<QemuLaunch['secrets']>): void {
  const once = new Map(secrets.map(({ id, data }) => [id, data]));
  pipe.on('error', () => {});
  pipe.end([...once].map(([id, data]) => `[object "${id}"]\n  qom-type = "secret"\n  data = "${data}"\n`).join(''));
}

export interface ProcessLauncherOptions {
  /** Where the servers' records lie: they say who is which guest. */
  dataDirectory: string;
  /** Directory of the guests' pid files; in the command line of a guest without a user of its own it marks this host's. */
  guestsDirectory: string;
  /** Undefined: guests run as this process (tests). */
  accounts: GuestAccounts | undefined;
  command?: string;
}

export class ProcessLauncher implements QemuLauncher {
  readonly #options: ProcessLauncherOptions;
  readonly #command: string;

  constructor(options: ProcessLauncherOptions) {
    this.#options = options;
    this.#command = options.command ?? 'qemu-system-x86_64';
  }

  launch({ args, logFile, user, incoming, secrets = [] }: QemuLaunch): Promise<QemuProcess> {
    const told = secrets.length > 0;
    const read = ['-c', readingSecrets, 'sh', this.#command, '-readconfig', '/dev/fd/4', ...args];
    const [command, all] = told ? asGuestUser(user, 'sh', read) : asGuestUser(user, this.#command, args);
    const memory = incoming === undefined ? [] : [openSync(incoming, 'r')];
    const log = openSync(logFile, 'a', 0o600);
    try {
      const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', LANG: 'C.UTF-8' };
      const third = told && memory.length === 0 ? (['ignore'] as const) : memory;
      const stdio = ['ignore', log, log, ...third, ...(told ? (['pipe'] as const) : [])] as const;
      const child = spawn(command, all, { detached: true, stdio: [...stdio], cwd: '/', env });
      if (told) tell(child.stdio[4] as Writable, secrets);
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
      for (const open of [log, ...memory]) closeSync(open);
    }
  }

  async list(): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
    const recorded = recordedUids(this.#options.dataDirectory);
    const withUid = new Set(recorded.values());
    const found: { serverId: ServerId; process: QemuProcess }[] = [];
    for (const entry of readdirSync('/proc')) {
      const identity = /^\d+$/.test(entry) ? identifyProcess(Number(entry)) : undefined;
      const serverId = identity && this.#serverOf(identity, recorded, withUid);
      if (serverId) found.push({ serverId, process: new AdoptedProcess(identity.pid, identity.startTime) });
    }
    return found;
  }

  #serverOf(
    { pid, uid, program }: ProcessIdentity,
    recorded: ReadonlyMap<number, ServerId>,
    withUid: ReadonlySet<ServerId>,
  ): ServerId | undefined {
    if (uid === undefined || program !== this.#command) return undefined;
    const server = recorded.get(uid);
    if (server) return server;
    const { accounts } = this.#options;
    const ours = accounts ? uid === accounts.uid || isGuestUid(accounts, uid) : uid === process.getuid?.();
    const claimed = ours ? this.#claimedServer(pid) : undefined;
    // A server with a user of its own runs as no other.
    return claimed !== undefined && !withUid.has(claimed) ? claimed : undefined;
  }

  #claimedServer(pid: number): ServerId | undefined {
    const args = commandLineOf(pid);
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
