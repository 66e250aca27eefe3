/** Bad days of the command line: each ends with a message that says what to do, an exit code, and nothing half-made. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { cloudPaths } from '../../../cli/settings.ts';
import { bothy, mustRun, notLive, type Output, repository, run, until } from '../../support/live-cloud.ts';

const skip = notLive ?? (process.env.BOTHY_TEST_DATA ? 'a cloud is given, and this starts one of its own' : undefined);

describe('bad days of the command line', { skip, concurrency: 1 }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'bothy-commands-'));
  // The cloud's unprivileged processes must be able to pass.
  chmodSync(folder, 0o755);
  const data = join(folder, 'data');
  after(() => rmSync(folder, { recursive: true, force: true }));

  const call = (args: string[], env: Record<string, string> = {}) =>
    run(bothy, args, { env: { ...process.env, ...env }, deadlineMs: 60_000 });
  const refused = (output: Output, code: number, ...patterns: RegExp[]) => {
    assert.equal(output.status, code, output.stdout + output.stderr);
    for (const pattern of patterns) assert.match(output.stderr, pattern);
    assert.doesNotMatch(output.stderr, /^\s+at /m, 'no stack trace');
    assert.ok(!existsSync(data), 'nothing was made');
  };

  test('who is not root is told so by each command that needs it', async () => {
    for (const args of [['up'], ['up', '--detach'], ['down'], ['down', '--purge', '--yes'], ['demo']]) {
      // May read everything, so that it does not matter whether the work tree lies in root's home.
      const reader = ['--inh-caps=-all,+dac_read_search', '--ambient-caps=-all,+dac_read_search'];
      const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', ...reader];
      const output = await run('setpriv', [...nobody, bothy, ...args, '--data', data]);
      refused(output, 1, /needs root/, /→ run the command with sudo/);
    }
  });

  test('a mistyped command, option or argument is named, with what was probably meant', async () => {
    refused(await call(['upp']), 2, /unknown command 'upp'; did you mean 'up'\?/);
    refused(
      await call(['up', '--detatch', '--data', data]),
      2,
      /unknown option '--detatch'; did you mean '--detach'\?/,
    );
    refused(await call(['up', 'now', '--data', data]), 2, /'up' does not take 'now'/);
    refused(await call(['down', '--timeout', 'soon', '--data', data]), 2, /whole number, not 'soon'/);
    refused(await call(['down', '--purge', '--keep-guests', '--data', data]), 1, /contradict each other/);
  });

  test('a setting that cannot be right is refused before anything is made', async () => {
    const wrong: [string, string, RegExp][] = [
      ['BOTHY_PORT', '70000', /must be a port number/],
      ['BOTHY_LISTEN', 'everywhere', /must be an IP address/],
      ['BOTHY_DATAPATH', 'fast', /one of auto, system, netdev/],
      ['BOTHY_EXTERNAL_CIDR', '300.1.1.0/24', /must be an IPv4 range/],
      ['BOTHY_EXTERNAL_CIDR', '10.1.1.7/24', /a range's first address/],
      ['BOTHY_EXTERNAL_CIDR6', 'fd00::1/64', /a range's first address/],
      ['BOTHY_EXTERNAL_INTERFACE', 'nocard0', /no network card 'nocard0'/],
      ['BOTHY_PUBLIC_URL', 'http://here', /https:\/\/NAME:PORT/],
    ];
    for (const [variable, value, says] of wrong)
      refused(await call(['up', '--detach', '--data', data], { [variable]: value }), 1, says, /→ /);
    const other = mkdtempSync(join(folder, 'conf-'));
    writeFileSync(join(other, 'bothy.conf'), 'prot = 1\n');
    refused(
      await call(['up', '--data', other]),
      1,
      /bothy\.conf, line 1: unknown setting 'prot'/,
      /did you mean 'port'\?/,
    );
    assert.deepEqual(readdirSync(other), ['bothy.conf']);
  });

  test('a port that is taken is named with its holder and the setting', async () => {
    const holder = net.createServer().listen(0, '::');
    await new Promise((resolve) => holder.once('listening', resolve));
    const { port } = holder.address() as net.AddressInfo;
    const output = await call(['up', '--detach', '--data', data], { BOTHY_PORT: String(port) });
    holder.close();
    refused(
      output,
      1,
      new RegExp(`port ${port}, for the APIs, is taken by .* \\(pid ${process.pid}\\)`),
      /set 'port' in/,
    );
  });

  test('a directory that is not a cloud’s is neither used nor purged', async () => {
    const foreign = mkdtempSync(join(folder, 'foreign-'));
    writeFileSync(join(foreign, 'thesis.txt'), 'years of work');
    refused(await call(['up', '--detach', '--data', foreign]), 1, /is not empty and is no data directory/);
    assert.ok(!existsSync(cloudPaths(foreign).run));
    refused(await call(['down', '--purge', '--yes', '--data', foreign]), 1, /no cloud\.json/);
    assert.deepEqual(readdirSync(foreign), ['thesis.txt']);
  });

  const nothingLeft = async () => {
    assert.deepEqual([existsSync(data), existsSync(cloudPaths(data).run)], [false, false]);
    // Of a process that ends the command line is empty.
    assert.equal((await run('pgrep', ['-f', `--data ${data}`])).stdout, '');
  };
  const start = () => {
    const child = spawn(bothy, ['up', '--detach', '--data', data], { stdio: 'ignore', detached: true });
    return { child, ended: new Promise((resolve) => child.once('exit', resolve)) };
  };
  const purge = async () => {
    const gone = await call(['down', '--purge', '--yes', '--data', data]);
    assert.equal(gone.status, 0, gone.stdout + gone.stderr);
    await nothingLeft();
  };

  test('a first start that is killed leaves nothing that a purge does not remove, and the next one carries on', async () => {
    const { run: runDirectory } = cloudPaths(data);
    const marks = [
      data,
      join(data, 'cloud.json'),
      runDirectory,
      join(data, 'ca.pem'),
      join(runDirectory, 'supervisor.sock'),
    ];
    for (const mark of marks) {
      const { child, ended } = start();
      await until(`${mark} to be made`, async () => existsSync(mark), 30_000, 2);
      child.kill('SIGKILL');
      await ended;
      await purge();
    }
    const { child, ended } = start();
    await until('its mark', async () => existsSync(join(data, 'cloud.json')), 30_000, 2);
    child.kill('SIGKILL');
    await ended;
    const next = await call(['up', '--detach', '--data', data]);
    assert.equal(next.status, 0, next.stdout + next.stderr);
    await purge();
  });

  test('a purge waits for a first start that goes on alone, and removes what it made', async () => {
    mkdirSync(data, { mode: 0o711 });
    writeFileSync(join(data, 'bothy.conf'), '');
    const { ended } = start();
    await until(
      'it to be at work',
      async () => (await run('flock', ['-n', '/run/bothy', 'true'])).status !== 0,
      30_000,
    );
    await purge();
    await ended;
    await nothingLeft();
  });

  test('a disk that is nearly full is refused; with room the same command succeeds, and a purge spares the mount', async () => {
    const small = mkdtempSync(join(folder, 'small-'));
    await mustRun('mount', ['-t', 'tmpfs', '-o', 'size=200m', 'tmpfs', small]);
    try {
      refused(await call(['up', '--detach', '--data', small]), 1, /has only \d+ MiB free/, /→ make room/);
      assert.deepEqual(readdirSync(small), []);
      await mustRun('mount', ['-o', 'remount,size=2g', small]);
      const second = await call(['up', '--detach', '--data', small]);
      assert.equal(second.status, 0, second.stdout + second.stderr);
      const gone = await call(['down', '--purge', '--yes', '--data', small]);
      assert.equal(gone.status, 0, gone.stdout + gone.stderr);
      assert.deepEqual(readdirSync(small), []);
    } finally {
      await mustRun('umount', ['-l', small]);
    }
  });

  // In a copy of the machine: the root as an overlay whose changes lie in memory, with process ids and a network of its own.
  // The mirror is a web server there, with a package that takes the place of HAProxy's (whose files are on the disk). An overlay shows
  // nothing of other file systems that are mounted below the root: what of us lies on one is bound into the copy.
  test('a package mirror that cannot be reached is named and the machine is as before; when it is back, the same command succeeds', async (t) => {
    const quoted = [repository, realpathSync(join(repository, 'node_modules'))].map((path) => `'${path}'`).join(' ');
    const script = `set -e
      mount -t tmpfs tmpfs "$1"; mkdir "$1/up" "$1/work" "$1/root"
      mount -t overlay overlay -o lowerdir=/,upperdir="$1/up",workdir="$1/work" "$1/root"
      mount -t proc proc "$1/root/proc"
      for part in dev sys; do mount --rbind /$part "$1/root/$part"; done
      for part in ${quoted}; do
        test -e "$1/root$part" || { mkdir -p "$1/root$part"; mount --rbind "$part" "$1/root$part"; }
      done
      mkdir -p "$1/root\${3%/*}"
      ip link set lo up
      exec chroot "$1/root" /bin/sh -c '${insideCopy}' "$2" "$3"`;
    const overlay = mkdtempSync(join(folder, 'overlay-'));
    const namespaces = ['--mount', '--net', '--pid', '--fork', '--kill-child', '--propagation', 'private'];
    const args = [...namespaces, '/bin/sh', '-c', script, 'sh', overlay, bothy, data];
    const output = await run('unshare', args, { cwd: repository, deadlineMs: 120_000 });
    if (/unknown filesystem|wrong fs type/.test(output.stderr)) return t.skip('this kernel has no overlay file system');
    refused(output, 0, /apt-get install haproxy failed/, /the package mirror cannot be reached: check network, DNS/);
    assert.match(output.stdout, /the first run ended with 1\n[\s\S]*The cloud is up[\s\S]*: up, supervisor/);
  });
});

/** $0 is the bothy command, $1 a data directory. */
const insideCopy = String.raw`set -e
  mirror() { python3 -m http.server --bind 127.0.0.1 --directory /mirror 8000 >/dev/null 2>&1 & server=$!; }
  mkdir -p /mirror /package/DEBIAN
  printf "Package: haproxy\nVersion: 99:1\nArchitecture: all\nMaintainer: a test\nDescription: stands for HAProxy\n" >/package/DEBIAN/control
  dpkg-deb --build /package /mirror/haproxy.deb >/dev/null
  { cat /package/DEBIAN/control; echo "Filename: ./haproxy.deb"; echo "Size: $(stat -c %s /mirror/haproxy.deb)"
    echo "SHA256: $(sha256sum /mirror/haproxy.deb | cut -d" " -f1)"; } >/mirror/Packages
  rm -rf /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*
  echo "deb [trusted=yes] http://127.0.0.1:8000/ ./" >/etc/apt/sources.list
  sed -i "/^Package: haproxy$/,/^$/ s/^Status: .*/Status: purge ok not-installed/" /var/lib/dpkg/status
  mirror
  until apt-get -qq -o APT::Update::Error-Mode=any update 2>/dev/null; do :; done
  kill $server
  ls /usr/sbin/policy-rc.d >/tmp/before 2>&1 || true
  code=0; "$0" up --detach --data "$1" || code=$?
  echo "the first run ended with $code"
  ls /usr/sbin/policy-rc.d >/tmp/after 2>&1 || true
  cmp /tmp/before /tmp/after; test ! -e "$1"
  mirror
  "$0" up --detach --data "$1"
  "$0" status --data "$1"
  "$0" down --purge --yes --data "$1"
  cmp /tmp/before /tmp/after`;
