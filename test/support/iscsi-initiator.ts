/** A machine outside that has a volume by iSCSI: userspace initiators (libiscsi, and QEMU's own). */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { promisify } from 'node:util';
import type { ObservedExport } from '../../contract/host/index.ts';

const run = promisify(execFile);
/** QEMU's own initiator is in Debian's package qemu-block-extra. */
const module = '/usr/lib/x86_64-linux-gnu/qemu/block-iscsi.so';
const tools = ['/usr/sbin/tgtd', '/usr/bin/qemu-storage-daemon', '/usr/bin/iscsi-inq', '/dev/fuse', module];
const missing = tools.filter((path) => !existsSync(path));

/** Why there are no machines outside here; false where there are. */
export const noInitiator: string | false =
  missing.length > 0 ? `needs ${missing.join(', ')}` : process.getuid?.() !== 0 ? 'needs root' : false;

export interface Target extends Pick<ObservedExport, 'portal' | 'iqn' | 'lun'> {
  user: string;
  secret: string;
}

const imageOf = ({ portal, iqn, lun, user, secret }: Target, initiator: string): string => {
  const where = { driver: 'raw', 'file.driver': 'iscsi', 'file.transport': 'tcp', 'file.portal': portal };
  const who = { 'file.user': user, 'file.password': secret, 'file.initiator-name': initiator };
  const node = Object.entries({ ...where, 'file.target': iqn, 'file.lun': lun, ...who });
  return node.map(([key, value]) => `${key}=${value}`).join(',');
};

/** What QEMU's initiator says of the commands of qemu-io; throws where it is not let in, or one fails. */
export async function io(
  target: Target,
  initiator: string,
  commands: string[],
  { readOnly = false } = {},
): Promise<string> {
  const { stdout } = await run(
    'qemu-io',
    [
      ...(readOnly ? ['-r'] : []),
      ...commands.flatMap((each) => ['-c', each]),
      '--image-opts',
      imageOf(target, initiator),
    ],
    { timeout: 30_000 },
  );
  return stdout;
}

export const loggedIn = (url: string, initiator: string): Promise<boolean> =>
  run('iscsi-inq', ['-i', initiator, url], { timeout: 20_000 }).then(
    () => true,
    () => false,
  );

/** One that stays logged in, and does a command after another. */
export class Session {
  readonly #process: ChildProcess;
  #said = '';
  #done = 0;

  constructor(target: Target, initiator: string) {
    this.#process = spawn('qemu-io', ['--image-opts', imageOf(target, initiator)], { stdio: ['pipe', 'pipe', 'pipe'] });
    for (const out of [this.#process.stdout!, this.#process.stderr!]) {
      out.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text;
      });
    }
    this.#process.stdin!.on('error', () => {});
  }

  /** @throws where it ended, says that it failed, or nothing for so long */
  async do(command: string, timeoutMs = 60_000): Promise<void> {
    const from = this.#said.length;
    this.#process.stdin!.write(`${command}\n`);
    this.#done++;
    const end = performance.now() + timeoutMs;
    // It asks for a command first, and again after each.
    while (this.#said.split('qemu-io> ').length - 1 <= this.#done) {
      if (this.#process.exitCode !== null || performance.now() > end) throw new Error(`${command}: ${this.#said}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    // Its initiator may tell of logging in again.
    if (/(?:read|write|flush|verification) failed/i.test(this.#said.slice(from)))
      throw new Error(`${command}: ${this.#said}`);
  }

  end(): void {
    this.#process.kill('SIGKILL');
  }
}
