/** Pools with devices of their own: real file systems on loop devices, mounted by the host's own code. Needs root and a loop driver. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostId, type LayerId, newId, newOrderedId } from '../../contract/ids.ts';
import { type PoolSetting, Pools } from '../../host/volume/pool.ts';
import { purgePools } from '../../host/volume/purge.ts';

const options = { skip: process.getuid?.() !== 0 || !existsSync('/dev/loop-control'), timeout: 60_000 };
const run = (command: string, ...args: string[]): string => execFileSync(command, args, { encoding: 'utf8' });
const digest = (path: string): string => run('sha256sum', path).split(' ')[0]!;

function machine(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bp 小屋-'));
  const dataDirectory = join(directory, 'data');
  mkdirSync(dataDirectory);
  const owner = { cloudId: newId() as string, hostId: newOrderedId<HostId>() };
  const mounts: string[] = [];
  t.after(async () => {
    for (const path of mounts) run('umount', path);
    await purgePools(dataDirectory, owner);
    rmSync(directory, { recursive: true });
  });
  const file = (name: string, megabytes = 128): string => {
    writeFileSync(join(directory, name), '');
    truncateSync(join(directory, name), megabytes * 2 ** 20);
    return join(directory, name);
  };
  const opened = async (kind: 'file-system' | 'block-device', source: string, changes: Partial<typeof owner> = {}) => {
    const settings: PoolSetting[] = [{ name: 'fast', tier: 'flash', device: { kind, source } }];
    const { hostId, cloudId } = { ...owner, ...changes };
    const pools = new Pools({ settings, dataDirectory, hostId, cloudId: () => cloudId, guestGid: undefined });
    await pools.open();
    return { pools, problem: () => pools.facts()[0]!.problem };
  };
  const mount = (what: string, at: string): void => {
    mkdirSync(join(directory, at));
    run('mount', '-o', 'loop', what, join(directory, at));
    mounts.push(join(directory, at));
  };
  return { directory, dataDirectory, owner, file, opened, mount, mounted: join(dataDirectory, 'pools/fast') };
}

const formatted = (path: string, type = 'ext4', ...options: string[]): string => {
  run(`mkfs.${type}`, '-q', ...options, path);
  return path;
};

test(
  'a file system is mounted below the data directory and is a pool; it stays so for the next host process',
  options,
  async (t) => {
    const { file, opened, mounted } = machine(t);
    const disk = formatted(file('disk'));
    const { pools, problem } = await opened('file-system', disk);
    assert.equal(problem(), null);
    assert.deepEqual([pools.facts()[0]!.kind, pools.usable()], ['file-system', [{ name: 'fast', path: mounted }]]);
    assert.match(run('findmnt', '-no', 'OPTIONS', mounted), /nosuid.*nodev.*noexec/);
    const mark = readFileSync(join(mounted, 'bothy-pool.json'), 'utf8');
    assert.equal((await opened('file-system', disk)).problem(), null);
    assert.equal(readFileSync(join(mounted, 'bothy-pool.json'), 'utf8'), mark);
  },
);

test('a file system is found by its id', options, async (t) => {
  const { file, opened } = machine(t);
  const [disk, id] = [file('disk'), newId() as string];
  formatted(disk, 'ext4', '-U', id);
  const loop = run('losetup', '--find', '--show', disk).trim();
  t.after(() => run('losetup', '-d', loop));
  assert.equal((await opened('file-system', `UUID=${id}`)).problem(), null);
  assert.match((await opened('file-system', `UUID=${newId()}`)).problem() ?? '', /^$/, 'what is mounted stays');
});

test('a blank device is formatted once; whoever dies over it goes on', options, async (t) => {
  const { file, opened, mounted, dataDirectory } = machine(t);
  const disk = file('disk');
  // The process that died had written down what it would do, and had begun.
  const uuid = newId();
  writeFileSync(join(dataDirectory, 'pool-devices.json'), JSON.stringify({ fast: { source: disk, uuid, half: true } }));
  run('dd', 'if=/dev/urandom', `of=${disk}`, 'bs=4k', 'seek=8', 'count=2', 'conv=notrunc', 'status=none');
  const { pools, problem } = await opened('block-device', disk);
  assert.deepEqual([problem(), pools.facts()[0]!.kind], [null, 'block-device']);
  assert.equal(run('blkid', '-p', '-o', 'value', '-s', 'UUID', disk).trim(), uuid);
  writeFileSync(join(mounted, 'kept'), 'so');
  run('umount', mounted);
  assert.equal((await opened('block-device', disk)).problem(), null);
  assert.equal(readFileSync(join(mounted, 'kept'), 'utf8'), 'so');
  // Emptied behind our back: it is not ours to say that nothing was there.
  run('umount', mounted);
  run('wipefs', '-qa', disk);
  assert.match((await opened('block-device', disk)).problem()!, /its file system on .*disk is gone/);
});

test('nothing is written to a device that is not blank, or that somebody has', options, async (t) => {
  const { file, opened, mount } = machine(t);
  const written = (name: string, seek: number): string => {
    const path = file(name, 16);
    run('dd', 'if=/dev/urandom', `of=${path}`, 'bs=1k', `seek=${seek}`, 'count=1', 'conv=notrunc', 'status=none');
    return path;
  };
  const table = file('table', 16);
  execFileSync('sfdisk', ['-q', table], { input: 'label: gpt\n,,\n' });
  const refused: [string, 'file-system' | 'block-device', RegExp][] = [
    [formatted(file('ext4', 16)), 'block-device', /there is a file system \(ext4\)/],
    [table, 'block-device', /there is a partition table \(gpt\)/],
    [table, 'file-system', /there is a partition table \(gpt\)/],
    [written('front', 900), 'block-device', /is not blank/],
    [written('end', 16 * 1024 - 1), 'block-device', /is not blank/],
    [file('blank', 16), 'file-system', /there is no file system/],
  ];
  for (const [path, kind, why] of refused) {
    const before = digest(path);
    assert.match((await opened(kind, path)).problem()!, why);
    assert.equal(digest(path), before, path);
  }
  const mountedElsewhere = formatted(file('other', 16));
  mount(mountedElsewhere, 'elsewhere');
  assert.match((await opened('file-system', mountedElsewhere)).problem()!, /in use by somebody else/);
});

test('what is another host’s or has somebody’s files is left as it was, its journal too', options, async (t) => {
  const { file, opened, mounted } = machine(t);
  const disk = formatted(file('disk'));
  await opened('file-system', disk);
  run('umount', mounted);
  const other = machine(t);
  const before = digest(disk);
  assert.match((await other.opened('file-system', disk)).problem()!, /belongs to host/);
  assert.match((await other.opened('block-device', disk)).problem()!, /belongs to host/);
  assert.equal(digest(disk), before);
  assert.equal((await opened('file-system', disk)).problem(), null);
});

test(
  'a pool whose device went is refused, nothing lies where it was, and it comes back by itself',
  options,
  async (t) => {
    const { file, opened, mounted, directory } = machine(t);
    const disk = file('disk');
    const { pools, problem } = await opened('block-device', disk);
    run('umount', mounted);
    renameSync(disk, join(directory, 'away'));
    await assert.rejects(pools.require('fast', { toMake: true }), {
      code: 'pool_unavailable',
      message: /disk is not there/,
    });
    assert.deepEqual([pools.usable(), existsSync(join(mounted, 'bothy-pool.json'))], [[], false]);
    renameSync(join(directory, 'away'), disk);
    assert.equal(await pools.require('fast', { toMake: true }), mounted);
    assert.equal(problem(), null);
  },
);

test(
  'a purge removes the layers, unmounts, and stops before the files where something is in use',
  options,
  async (t) => {
    const { file, opened, mounted, dataDirectory, owner } = machine(t);
    await opened('block-device', file('disk'));
    const id = newOrderedId<LayerId>();
    writeFileSync(join(mounted, `${id}.qcow2`), '');
    writeFileSync(join(mounted, 'theirs'), '');
    mkdirSync(join(mounted, 'within'));
    run('mount', '-t', 'tmpfs', 'none', join(mounted, 'within'));
    await assert.rejects(purgePools(dataDirectory, owner), /umount.*busy/);
    assert.deepEqual([existsSync(join(mounted, 'theirs')), existsSync(join(mounted, `${id}.qcow2`))], [true, false]);
    run('umount', join(mounted, 'within'));
    await purgePools(dataDirectory, owner);
    assert.equal(existsSync(join(mounted, 'theirs')), false, 'it is on the device');
  },
);

test('a device that is declared no more is let go, and is whoever’s from then on', options, async (t) => {
  const { file, dataDirectory, owner, mounted } = machine(t);
  const disk = file('disk');
  const { hostId, cloudId } = owner;
  const pools = new Pools({ settings: [], dataDirectory, hostId, cloudId: () => cloudId, guestGid: undefined });
  await pools.open();
  await pools.declare([{ name: 'fast', tier: 'flash', kind: 'block-device', source: disk }]);
  await pools.look();
  assert.deepEqual([pools.facts()[0]!.problem, existsSync(join(mounted, 'bothy-pool.json'))], [null, true]);
  await pools.declare([]);
  await pools.look();
  assert.deepEqual([pools.facts(), existsSync(mounted), run('losetup', '-j', disk)], [[], false, '']);
  await pools.declare([{ name: 'fast', tier: 'flash', kind: 'block-device', source: disk }]);
  await pools.look();
  assert.match(pools.facts()[0]!.problem!, /there is a file system \(ext4\)/);
});
