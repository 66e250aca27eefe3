/** A Ceph cluster of one machine for a test, on loopback: a monitor, a manager, three OSDs. Ends with the test, and leaves nothing. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';

export interface PrivateCeph {
  conf: string;
  keyring: string;
  /** As the administrator. */
  ceph(...args: string[]): string;
  rbd(...args: string[]): string;
  pid(daemon: string): number;
  /** To all that live. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
}

const script = fileURLToPath(new URL('private-ceph.sh', import.meta.url));
const daemons = ['osd.0', 'osd.1', 'osd.2', 'mgr.x', 'mon.a'];

/** Whether what it is made of is on this machine; installs it where it is not. */
export function installCeph(): boolean {
  const packages = ['ceph-mon', 'ceph-mgr', 'ceph-osd', 'ceph-common', 'qemu-block-extra'];
  const run = (program: string, ...args: string[]) =>
    spawnSync(program, args, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }, timeout: 300_000 });
  const known = run('dpkg-query', '-W', '-f', '$'.concat('{db:Status-Abbrev}\n'), ...packages);
  if (known.status === 0 && !/^(?!ii)./m.test(known.stdout.toString())) return true;
  return run('apt-get', 'install', '-qq', '-y', '--no-install-recommends', ...packages).status === 0;
}

export function privateCeph(t: Pick<TestContext, 'after'>): PrivateCeph {
  const directory = mkdtempSync('/var/tmp/bh-ceph-');
  const conf = join(directory, 'ceph.conf');
  const pid = (daemon: string) => Number(readFileSync(join(directory, 'run', `${daemon}.pid`), 'utf8'));
  const signal = (name: NodeJS.Signals) => {
    for (const daemon of daemons) {
      try {
        process.kill(pid(daemon), name);
      } catch {
        // It did not come so far, or was killed by the test.
      }
    }
  };
  t.after(() => {
    signal('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  });
  execFileSync('bash', [script, directory], { stdio: ['ignore', 'ignore', 'pipe'], timeout: 180_000 });
  const run =
    (program: string) =>
    (...args: string[]) =>
      execFileSync(program, ['--conf', conf, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }).toString();
  return { conf, keyring: join(directory, 'bothy.keyring'), ceph: run('ceph'), rbd: run('rbd'), pid, signal };
}
