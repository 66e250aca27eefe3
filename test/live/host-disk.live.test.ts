/**
 * Images of a server's disk, and rebuilds, by the real Host with real QEMU under TCG. What is on a disk is told by patterns that are
 * written between boots, and by the text that the guest's boot sector prints.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredServer, ObservedServer } from '../../contract/host/index.ts';
import { type ImageId, newId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const options = { skip: !existsSync('/usr/bin/qemu-system-x86_64'), timeout: 120_000 };
const guests =
  process.getuid?.() === 0 ? { uid: 64055, gid: 64055, uids: { first: 0x6fff_f000, count: 256 } } : undefined;
const [first, second] = ['the first disk\r\n', 'the second disk 小屋\r\n'];
const mebibyte = 2 ** 20;

async function liveHost(t: TestContext) {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const configuration = { guests, accelerator: 'tcg', durable: true, limits: { stopTimeoutMs: 300 } } as const;
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...base, ...configuration });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  await world.host({ configuration, dependencies: machine }).start();
  return new Server(world, await world.storeImage(bootSectorDisk(first)));
}

class Server {
  readonly world: HostWorld;
  now: DesiredServer;

  constructor(world: HostWorld, image: DesiredServer['image'], diskGiB = 1) {
    this.world = world;
    this.now = wantedServer(image, { ports: [], memoryMiB: 64, generation: 0, diskGiB });
  }

  async want(change: Partial<DesiredServer>, state: ObservedServer['state']): Promise<ObservedServer> {
    this.now = { ...this.now, ...change, generation: this.now.generation + 1 };
    const { control } = this.world;
    control.want(this.now);
    const done = (seen: ObservedServer) => {
      const made = (this.now.captures ?? []).every(({ imageId }) => seen.captures?.some((c) => c.imageId === imageId));
      return seen.generation === this.now.generation && seen.state === state && made;
    };
    await control.until(this.now.id, state, done, 60_000);
    return control.observed.get(this.now.id)!;
  }

  /** An image of its disk, as another server can be made from it. */
  async capture(state: ObservedServer['state']): Promise<NonNullable<DesiredServer['image']>> {
    const imageId = newId<ImageId>();
    const { captures } = await this.want({ captures: [{ imageId }] }, state);
    const { result, error } = captures![0]!;
    assert.equal(error, null);
    assert.equal(result!.virtualSizeBytes, 2 ** 30);
    return { id: imageId, format: 'qcow2', sizeBytes: result!.sizeBytes, sha256: result!.sha256 ?? null, sources: [] };
  }

  get disk(): string {
    return join(this.world.directory, 'data/servers', this.now.id, 'disk.qcow2');
  }

  /** Only while it is off. */
  write(pattern: number, atMiB: number): void {
    execFileSync('qemu-io', ['-c', `write -P ${pattern} ${atMiB}M 64k`, this.disk]);
  }

  /** As its guest sees it. */
  size(): number {
    const info = execFileSync('qemu-img', ['info', '-U', '--output=json', this.disk], { encoding: 'utf8' });
    return JSON.parse(info)['virtual-size'];
  }

  async says(text: string): Promise<void> {
    const console = async () =>
      (await this.world.client.consoleLog(this.world.endpoint(), this.now.id, 4096)).toString();
    await until(`the guest to say ${text}`, async () => (await console()).includes(text.trim()), { timeoutMs: 20_000 });
  }
}

const pathOf = (world: HostWorld, id: ImageId) => join(world.directory, 'data/images/files', id);
const holds = (path: string, pattern: number, atMiB: number) =>
  execFileSync('qemu-io', ['-r', '-c', `read -P ${pattern} ${atMiB}M 64k`, path], { encoding: 'utf8' });

test('an image of a guest that runs has what is on its disk, needs no other file, and boots', options, async (t) => {
  const server = await liveHost(t);
  await server.want({ power: 'on' }, 'running');
  await server.want({ power: 'off' }, 'stopped');
  server.write(0x5a, 700);
  const { startedAt } = await server.want({ power: 'on' }, 'running');
  const image = await server.capture('running');
  assert.equal(server.world.control.observed.get(server.now.id)!.startedAt, startedAt);
  const path = pathOf(server.world, image.id);
  assert.doesNotMatch(holds(path, 0x5a, 700), /failed/);
  const info = JSON.parse(execFileSync('qemu-img', ['info', '--output=json', path], { encoding: 'utf8' }));
  assert.deepEqual([info['backing-filename'], info.format], [undefined, 'qcow2']);
  assert.ok(image.sizeBytes < 8 * mebibyte, `zeros are not stored: ${image.sizeBytes}`);
  const other = new Server(server.world, image);
  await other.want({ power: 'on' }, 'running');
  await other.says(first);
});

test('so has one of a guest that is off; and of neither anything is left beside it', options, async (t) => {
  const server = await liveHost(t);
  await server.want({ power: 'off' }, 'stopped');
  server.write(0x77, 3);
  const image = await server.capture('stopped');
  const path = pathOf(server.world, image.id);
  assert.doesNotMatch(holds(path, 0x77, 3), /failed/);
  execFileSync('qemu-img', ['check', path]);
  const { directory } = server.world;
  assert.equal(readdirSync(join(directory, 'data/servers', server.now.id)).includes('capture.qcow2'), false);
  assert.deepEqual(readdirSync(join(directory, 'data/images/incoming')), []);
  const other = new Server(server.world, image);
  await other.want({ power: 'on' }, 'running');
  await other.says(first);
});

test('a rebuilt guest boots from the other image, and nothing of the disk before is left', options, async (t) => {
  const server = await liveHost(t);
  await server.want({ power: 'on' }, 'running');
  await server.says(first);
  await server.want({ power: 'off' }, 'stopped');
  server.write(0x5a, 700);
  await server.want({ power: 'on' }, 'running');
  const image = await server.world.storeImage(bootSectorDisk(second));
  const { rootCount } = await server.want({ image, rootCount: 5 }, 'running');
  assert.equal(rootCount, 5);
  await server.says(second);
  await server.want({ power: 'off' }, 'stopped');
  assert.doesNotMatch(holds(server.disk, 0, 700), /failed/);
});

test('a resize grows the disk; a revert brings back what was on it, a confirm keeps what is', options, async (t) => {
  const server = await liveHost(t);
  await server.want({ power: 'off' }, 'stopped');
  server.write(0x11, 3);
  const asked = performance.now();
  await server.want({ diskGiB: 2, resize: { count: 3, state: 'kept' } }, 'stopped');
  t.diagnostic(`resize of a stopped guest: ${Math.round(performance.now() - asked)} ms`);
  assert.equal(server.size(), 2 * 2 ** 30);
  server.write(0x22, 3);
  server.write(0x33, 1500);
  await server.want({ diskGiB: 1, resize: { count: 4, state: 'reverted' } }, 'stopped');
  assert.equal(server.size(), 2 ** 30);
  assert.doesNotMatch(holds(server.disk, 0x11, 3), /failed/);
  await server.want({ power: 'on', diskGiB: 2, vcpus: 2, resize: { count: 5, state: 'kept' } }, 'running');
  const { resize: _over, ...confirmed } = server.now;
  server.now = confirmed;
  const { startedAt, resizeCount } = await server.want({}, 'running');
  assert.equal(resizeCount, 0);
  await server.says(first);
  await server.want({ power: 'off' }, 'stopped');
  assert.ok(startedAt);
  assert.equal(server.size(), 2 * 2 ** 30);
  assert.doesNotMatch(holds(server.disk, 0x11, 3), /failed/);
  assert.doesNotMatch(execFileSync('qemu-img', ['snapshot', '-l', server.disk], { encoding: 'utf8' }), /before-resize/);
  execFileSync('qemu-img', ['check', server.disk]);
});

test(
  'ephemeral and swap disks are the guest’s, keep what it wrote over its starts, are again what they were after a revert, and new after a rebuild',
  options,
  async (t) => {
    const server = await liveHost(t);
    const localDisks: DesiredServer['localDisks'] = [
      { name: 'ephemeral0', sizeMiB: 64, format: 'ext4' },
      { name: 'swap', sizeMiB: 16, format: 'swap' },
    ];
    await server.want(
      { power: 'on', machine: { type: 'pc-q35-7.2', cpuModel: 'max', layout: 1 }, localDisks },
      'running',
    );
    await server.says(first);
    const { directory: world } = server.world;
    const directory = join(world, 'data/servers', server.now.id);
    const pid = readFileSync(join(world, 'run/guests', server.now.id, 'pid'), 'utf8').trim();
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
    for (const name of ['ephemeral0-64.raw', 'swap-16.raw']) assert.ok(open.includes(join(directory, name)), name);
    await server.want({ power: 'off' }, 'stopped');
    const ephemeral = join(directory, 'ephemeral0-64.raw');
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 0x66 32M 64k', ephemeral]);
    await server.want({ power: 'on' }, 'running');
    await server.want({ power: 'off' }, 'stopped');
    const held = (pattern: number) =>
      execFileSync('qemu-io', ['-r', '-f', 'raw', '-c', `read -P ${pattern} 32M 64k`, ephemeral], { encoding: 'utf8' });
    assert.doesNotMatch(held(0x66), /failed/);
    const larger = localDisks.map((disk) => ({ ...disk, sizeMiB: 2 * disk.sizeMiB }));
    await server.want({ localDisks: larger, resize: { count: server.now.generation + 1, state: 'kept' } }, 'stopped');
    const resized = join(directory, 'ephemeral0-128.raw');
    execFileSync('qemu-io', ['-f', 'raw', '-c', 'write -P 0x77 32M 64k', resized]);
    await server.want({ power: 'on' }, 'running');
    await server.want({ localDisks, resize: { count: server.now.generation + 1, state: 'reverted' } }, 'running');
    await server.want({ power: 'off' }, 'stopped');
    assert.doesNotMatch(held(0x66), /failed/);
    await server.want({ power: 'on', rootCount: 5 }, 'running');
    await server.want({ power: 'off' }, 'stopped');
    assert.doesNotMatch(held(0), /failed/);
    assert.deepEqual(
      readdirSync(directory)
        .filter((name) => name.endsWith('.raw'))
        .sort(),
      ['ephemeral0-64.raw', 'swap-16.raw'],
    );
  },
);
