/**
 * A guest that has broken out of its QEMU is a process of the guest's own user. As guest B's user everything of guest A is
 * tried that such a process might: nothing succeeds. The same attempts as guest A's own user do, so that a mistake in the
 * attempts does not look like safety. Needs QEMU and root.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ServerId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { serverPaths } from '../../host/paths.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { hostWorld, wantedServer } from '../support/host-world.ts';
import { makeLayer, volumeOf } from '../support/layers.ts';
import { until } from '../support/until.ts';

const skip = process.getuid?.() !== 0 || !existsSync('/usr/bin/qemu-system-x86_64');
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6ffe_f000, count: 256 } };

/** One attempt a line: 'ok', or why not. perl is on every Debian. */
const script = `
use Socket; use Fcntl;
sub attempt { my ($name, $code) = @_; $! = 0; my $ok = $code->(); print "$name ", ($ok ? 'ok' : "no: $!"), "\\n"; }
my ($pid, $data, $run) = @ARGV;
for my $file ('disk.qcow2', 'config-drive.iso', 'console.log') {
  attempt("read $file", sub { open(my $f, '<', "$data/$file") && sysread($f, my $b, 1) >= 0 });
  attempt("write $file", sub { sysopen(my $f, "$data/$file", O_WRONLY | O_APPEND) });
}
attempt("list data", sub { opendir(my $d, $data) });
attempt("list run", sub { opendir(my $d, $run) });
attempt("unlink qmp", sub { rename("$run/qmp.sock", "$run/other.sock") });
for my $name ('qmp.sock', 'serial.sock') {
  attempt("connect $name", sub { socket(my $s, AF_UNIX, SOCK_STREAM, 0); connect($s, pack_sockaddr_un("$run/$name")) });
}
attempt("read memory", sub { open(my $f, '<', "/proc/$pid/mem") });
attempt("write memory", sub { sysopen(my $f, "/proc/$pid/mem", O_RDWR) });
attempt("see files", sub { readlink("/proc/$pid/fd/0") });
attempt("signal", sub { kill(0, $pid) });
`;

/** @param options.volumes each has an image of its own, and a volume on a frozen layer of its own */
async function twoGuests(t: TestContext, { volumes = false } = {}) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const limits = { stopTimeoutMs: 300 };
  const configuration = { guests, accelerator: 'tcg', durable: true, limits } as const;
  const directories = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...directories, ...configuration });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  let host = world.host({ configuration, dependencies: machine });
  await host.start();
  const images = [await world.storeImage(bootSectorDisk()), await world.storeImage(bootSectorDisk())];
  const pinned = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 };
  const servers = [];
  for (const image of images) {
    const attached = volumes && [volumeOf(await makeLayer(world, { parentId: await makeLayer(world) }))];
    const more = attached && { machine: pinned, volumes: attached };
    servers.push(wantedServer(image, { ports: [], memoryMiB: 64, diskGiB: 1, configDrive: true, ...more }));
  }
  for (const server of servers) world.control.want(server);
  for (const { id } of servers) await world.control.until(id, 'running', ({ state }) => state === 'running', 30_000);
  const running = new Map((await machine.launcher.list()).map(({ serverId, process }) => [serverId, process.pid]));
  const guest = (id: ServerId) => {
    const paths = serverPaths(directories, id);
    return { id, paths, pid: running.get(id)!, uid: statSync(paths.disk).uid };
  };
  return {
    world,
    servers,
    data: directories.dataDirectory,
    /** Another life of the host process. */
    async restart(meanwhile: () => void) {
      await host.stop();
      meanwhile();
      host = world.host({ configuration, dependencies: machine });
      await host.start();
    },
    a: guest(servers[0]!.id),
    b: guest(servers[1]!.id),
  };
}

type Guest = Awaited<ReturnType<typeof twoGuests>>['a'];

/** As a process of that guest's user, with the groups that its QEMU has. */
function as(user: Guest, command: string[]): string {
  const ids = [`--reuid=${user.uid}`, `--regid=${user.uid}`, `--groups=${guests.gid}`, '--no-new-privs'];
  return execFileSync('setpriv', [...ids, '--inh-caps=-all', '--bounding-set=-all', ...command], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

const attempts = (user: Guest, target: Guest) =>
  as(user, ['perl', '-e', script, String(target.pid), target.paths.data, target.paths.run])
    .trim()
    .split('\n');

test('from inside another guest’s user nothing of a guest can be opened, reached, read, listed or signalled', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { a, b } = await twoGuests(t);
  assert.notEqual(a.uid, b.uid);
  assert.equal(statSync(a.paths.disk).mode & 0o777, 0o600);
  const tried = attempts(b, a);
  assert.deepEqual(
    tried.filter((line) => !/ no: (Permission denied|Operation not permitted)$/.test(line)),
    [],
  );
  assert.equal(tried.length, 15);
  // The same from A's own user works where it should, so the attempts are real.
  const own = attempts(a, a);
  assert.ok(own.includes('read disk.qcow2 ok') && own.includes('connect serial.sock ok') && own.includes('signal ok'));
  assert.ok(
    own.some((line) => line.startsWith('unlink qmp no')),
    'not even its own sockets can be replaced',
  );
});

const perlOpens = `while (my $path = shift @ARGV) { print "$path\\n" if open(my $f, '<', $path) && sysread($f, my $b, 1) >= 0; }`;

/** All files below the directory that the guest's user can open, knowing every name. */
function opened(user: Guest, directory: string): string[] {
  const all = readdirSync(directory, { recursive: true, withFileTypes: true });
  const files = all.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  const said = as(user, ['perl', '-e', perlOpens, ...files]).trim();
  return said.split('\n').map((path) => path.slice(directory.length + 1));
}

test('of all layers and images a guest’s user opens those of its own disks alone, with every name known, and none that it has closed', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const machines = await twoGuests(t, { volumes: true });
  const { world, a, b, data } = machines;
  const shared = (user: Guest) => opened(user, data).filter((path) => /^(volumes|images)\//.test(path));
  const own = (user: Guest) => shared(user).map((path) => path.replace(/\/[^/]*$/, '/…'));
  const names = (user: Guest) => {
    const [volume] = world.control.servers.find(({ id }) => id === user.id)!.volumes!;
    const image = `images/opened/server-${user.id}/…`;
    return { image, volume: `volumes/opened/${volume!.id}/…` };
  };
  for (const user of [a, b]) {
    const { image, volume } = names(user);
    assert.deepEqual(own(user).sort(), [image, volume, volume].sort());
    for (const directory of ['volumes', 'volumes/layers', 'volumes/opened', 'images/files', dirname(volume)])
      assert.throws(() => as(user, ['ls', join(data, directory)]), /Permission denied/);
    assert.throws(() => as(user, ['sh', '-c', `: >> ${join(data, shared(user)[0]!)}`]), /Permission denied/);
  }

  // A snapshot under the guest: what it covers is read on, the new one written.
  const server = world.control.servers.find(({ id }) => id === a.id)!;
  const [volume] = server.volumes!;
  const top = await makeLayer(world, { parentId: volume!.layerId });
  world.control.want({ ...server, generation: server.generation + 1, volumes: [{ ...volume!, layerId: top }] });
  await world.control.until(a.id, 'covered', ({ volumes }) => volumes?.[0]?.layerId === top, 30_000);
  assert.equal(own(a).filter((path) => path === names(a).volume).length, 3);

  // Its QEMU is killed, and the volume is gone from it with its next one.
  const now = world.control.servers.find(({ id }) => id === a.id)!;
  world.control.want({ ...now, generation: now.generation + 1, power: 'off', volumes: [] });
  await world.control.until(a.id, 'stopped', ({ state }) => state === 'stopped', 60_000);
  await until('the names to be gone', () => !existsSync(join(data, 'volumes/opened', volume!.id)));
  assert.deepEqual(own(a), [`images/opened/server-${a.id}/…`]);
  for (const id of [volume!.layerId, top]) assert.equal(statSync(join(data, 'volumes/layers', `${id}.qcow2`)).nlink, 1);
  assert.deepEqual(own(b).length, 3);
});

test('guests that an older Bothy started go on, and what all guests could read before is closed at once', {
  skip,
  timeout: 180_000,
}, async (t) => {
  const { world, a, b, data, restart } = await twoGuests(t, { volumes: true });
  const volumes = join(data, 'volumes');
  // As an older one left it: everything in the pool itself, known to QEMU by that name.
  const layers = readdirSync(join(volumes, 'layers'));
  await restart(() => {
    for (const name of layers) renameSync(join(volumes, 'layers', name), join(volumes, name));
    for (const name of ['layers', 'opened']) rmSync(join(volumes, name), { recursive: true });
    const images = join(data, 'images');
    for (const name of readdirSync(join(images, 'files'))) renameSync(join(images, 'files', name), join(images, name));
    rmSync(join(images, 'opened'), { recursive: true });
  });
  await until('the files to be where they belong', () => readdirSync(join(volumes, 'layers')).length === layers.length);
  const shared = (user: Guest) => opened(user, data).filter((path) => /^(volumes|images)\//.test(path));
  for (const user of [a, b]) {
    const [volume] = world.control.servers.find(({ id }) => id === user.id)!.volumes!;
    assert.deepEqual(
      shared(user),
      [`volumes/${volume!.layerId}.qcow2`],
      'its own top, by the name that its QEMU knows',
    );
  }
  const server = world.control.servers.find(({ id }) => id === a.id)!;
  const [volume] = server.volumes!;
  const top = await makeLayer(world, { parentId: volume!.layerId });
  world.control.want({ ...server, generation: server.generation + 1, volumes: [{ ...volume!, layerId: top }] });
  await world.control.until(a.id, 'covered', ({ volumes }) => volumes?.[0]?.layerId === top, 30_000);
  assert.equal(existsSync(join(volumes, `${volume!.layerId}.qcow2`)), false);
});

test('a card of a guest opens to its own user alone', { skip, timeout: 30_000 }, async (t) => {
  const { a, b } = await twoGuests(t);
  const netns = `btap${process.pid % 10_000}`;
  execFileSync('ip', ['netns', 'add', netns]);
  t.after(() => execFileSync('ip', ['netns', 'del', netns]));
  execFileSync('ip', ['-n', netns, 'tuntap', 'add', 'dev', 'a0', 'mode', 'tap', 'user', String(a.uid)]);
  const open = (user: Guest) =>
    execFileSync(
      'ip',
      [
        ...['netns', 'exec', netns, 'setpriv', `--reuid=${user.uid}`, `--regid=${user.uid}`, '--clear-groups'],
        ...['--bounding-set=-all', 'sh', '-c'],
        'echo quit | qemu-system-x86_64 -M none -nodefaults -display none -monitor stdio ' +
          '-netdev tap,id=n,ifname=a0,script=no,downscript=no',
      ],
      { stdio: 'pipe' },
    );
  assert.throws(() => open(b), /Operation not permitted|could not configure/);
  open(a);
});

test('a guest of before there was a user for each goes on, and gets its own with its next QEMU', {
  skip,
  timeout: 90_000,
}, async (t) => {
  const { world, servers, a } = await twoGuests(t);
  // As an older Bothy left it: one user for all, and no word of it in the record.
  const record = JSON.parse(execFileSync('cat', [a.paths.record], { encoding: 'utf8' }));
  const server = servers.find(({ id }) => id === a.id)!;
  world.control.want({ ...server, generation: server.generation + 1, power: 'off' });
  await world.control.until(a.id, 'stopped', ({ state }) => state === 'stopped', 90_000);
  execFileSync('chown', [`${guests.uid}:${guests.gid}`, a.paths.disk, a.paths.configDrive, a.paths.consoleLog]);
  chmodSync(a.paths.consoleLog, 0o640);
  writeFileSync(a.paths.record, JSON.stringify({ ...record, uid: undefined, running: null }));
  world.control.want({ ...server, generation: server.generation + 2, power: 'on' });
  await world.control.until(a.id, 'running', ({ state }) => state === 'running', 30_000);
  const found = statSync(a.paths.disk);
  assert.ok(found.uid > guests.uids.first && found.gid === found.uid);
  assert.equal(statSync(a.paths.consoleLog).mode & 0o777, 0o600);
});
