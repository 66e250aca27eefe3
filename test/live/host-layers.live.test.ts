/**
 * Layers by the real Host with real qemu-img and qemu-storage-daemon behind walls. What is in a layer is told by patterns that are written
 * to it, and read back through the chain as a guest would read it.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredLayer, ObservedLayer, ObservedServer } from '../../contract/host/index.ts';
import { type BackupId, type ImageId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { qemuMachine } from '../../host/index.ts';
import { chainNodes, readChain } from '../../host/volume/chain.ts';
import { wantedBase } from '../../host/volume/decide.ts';
import { bootSectorDisk } from '../support/boot-sector-guest.ts';
import { type HostWorld, hostWorld, wantedServer } from '../support/host-world.ts';
import { volumeOf } from '../support/layers.ts';

const options = { skip: !existsSync('/usr/bin/qemu-storage-daemon'), timeout: 180_000 };
const guests =
  process.getuid?.() === 0 ? { uid: 64055, gid: 64055, uids: { first: 0x6fff_f000, count: 256 } } : undefined;
const mebibyte = 2 ** 20;
const size = 32 * mebibyte;

class Pool {
  readonly world: HostWorld;
  readonly #documents = new Map<LayerId, DesiredLayer>();

  constructor(world: HostWorld) {
    this.world = world;
  }

  /** A layer, or a change of one, served. */
  async want(changes: Partial<DesiredLayer>, state: ObservedLayer['state'] = 'ready'): Promise<LayerId> {
    await this.seen(changes, state);
    return changes.id ?? [...this.#documents.keys()].at(-1)!;
  }

  async seen(changes: Partial<DesiredLayer>, state: ObservedLayer['state'] = 'ready'): Promise<ObservedLayer> {
    const before = changes.id === undefined ? undefined : this.#documents.get(changes.id);
    const layer: DesiredLayer = {
      ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 0, presence: 'present' },
      ...{ pool: 'local', sizeBytes: size, parentId: null, image: null, readOnly: false, ...before, ...changes },
    };
    layer.generation++;
    this.#documents.set(layer.id, layer);
    const { control } = this.world;
    control.wantLayer(layer);
    const done = ({ generation, state: now, step, captures = [], backups = [] }: ObservedLayer) => {
      const made = (layer.captures?.length ?? 0) <= captures.length && (layer.backups?.length ?? 0) <= backups.length;
      return generation === layer.generation && now === state && step === null && made;
    };
    return control.untilLayer(layer.id, state, done);
  }

  path(id: LayerId): string {
    return join(this.world.directory, 'data/volumes/layers', `${id}.qcow2`);
  }

  async #chain(id: LayerId, readOnly: boolean): Promise<string> {
    const images = join(this.world.directory, 'data/images/files');
    const chain = await readChain(id, {
      layerPath: (layer) => this.path(layer),
      imageBase: (image) => ({ path: join(images, image), format: 'raw' }),
      basesOf: (layer) => [wantedBase(this.#documents.get(layer)!)],
    });
    return `json:${JSON.stringify(chainNodes(chain, { readOnly }))}`;
  }

  async write(id: LayerId, pattern: number, atMiB: number): Promise<void> {
    execFileSync('qemu-io', ['-c', `write -P ${pattern} ${atMiB}M 1M`, await this.#chain(id, false)]);
  }

  /** Of each of the first megabytes the byte that it is full of. */
  async contents(id: LayerId, megabytes = 6): Promise<number[]> {
    const raw = join(this.world.directory, 'read.raw');
    execFileSync('qemu-img', ['convert', '-O', 'raw', await this.#chain(id, true), raw]);
    return megabytesOf(raw, megabytes);
  }

  async check(id: LayerId): Promise<void> {
    execFileSync('qemu-img', ['check', '-q', await this.#chain(id, true)]);
  }

  freeze = (id: LayerId) => this.want({ id, readOnly: true });
  remove = (id: LayerId) => this.want({ id, presence: 'absent' }, 'absent');
}

function megabytesOf(raw: string, megabytes: number): number[] {
  const bytes = readFileSync(raw);
  return Array.from({ length: megabytes }, (_, index) => {
    const piece = bytes.subarray(index * mebibyte, (index + 1) * mebibyte);
    assert.ok(
      piece.every((byte) => byte === piece[0]),
      `megabyte ${index} is torn`,
    );
    return piece[0]!;
  });
}

async function livePool(t: TestContext): Promise<Pool> {
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const configuration = { guests, accelerator: 'tcg', durable: true } as const;
  const base = { dataDirectory: join(world.directory, 'data'), runDirectory: join(world.directory, 'run') };
  const machine = await qemuMachine({ ...base, ...configuration });
  t.after(async () => {
    for (const { process } of await machine.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  await world.host({ configuration, dependencies: machine }).start();
  return new Pool(world);
}

test(
  'snapshots and clones of a chain keep what they were, in whatever order layers are merged and deleted',
  options,
  async (t) => {
    const pool = await livePool(t);
    const image = (await pool.world.storeImage(Buffer.alloc(2 * mebibyte, 9)))!;
    const first = await pool.want({ image });
    await pool.write(first, 1, 1);
    await pool.freeze(first);
    const second = await pool.want({ parentId: first });
    await pool.write(second, 2, 2);
    await pool.freeze(second);
    const top = await pool.want({ parentId: second });
    const clone = await pool.want({ parentId: second });
    await pool.write(top, 3, 3);
    await pool.write(clone, 4, 3);
    const original = [9, 1, 2, 3, 0, 0];
    assert.deepEqual(await pool.contents(top), original);
    assert.deepEqual(await pool.contents(clone), [9, 1, 2, 4, 0, 0]);
    if (guests) {
      assert.deepEqual([statSync(pool.path(second)).gid, statSync(pool.path(second)).mode & 0o777], [64055, 0o440]);
      assert.deepEqual([statSync(pool.path(top)).uid, statSync(pool.path(top)).mode & 0o777], [0, 0o600]);
    }
    // The middle one goes out of both chains, then is deleted while the image's layer stays.
    await pool.want({ id: top, parentId: first });
    await pool.want({ id: clone, parentId: first });
    await pool.remove(second);
    assert.deepEqual(await pool.contents(top), original);
    assert.deepEqual(await pool.contents(clone), [9, 1, 2, 4, 0, 0]);
    // One stands for itself, and the rest goes.
    await pool.want({ id: clone, parentId: null });
    await pool.remove(top);
    await pool.remove(first);
    assert.deepEqual(await pool.contents(clone), [9, 1, 2, 4, 0, 0]);
    await pool.check(clone);
    await pool.remove(clone);
    assert.deepEqual(readdirSync(join(pool.world.directory, 'data/volumes/layers')), []);
  },
);

test('a frozen layer is merged by being replaced: who has it open reads on', options, async (t) => {
  const pool = await livePool(t);
  const first = await pool.want({});
  await pool.write(first, 1, 0);
  await pool.freeze(first);
  const second = await pool.want({ parentId: first });
  await pool.write(second, 2, 1);
  await pool.freeze(second);
  const top = await pool.want({ parentId: second });
  await pool.write(top, 3, 2);
  const inode = statSync(pool.path(second)).ino;
  await pool.want({ id: second, parentId: null });
  assert.notEqual(statSync(pool.path(second)).ino, inode);
  await pool.remove(first);
  assert.deepEqual(await pool.contents(top, 4), [1, 2, 3, 0]);
  await pool.check(second);
});

test(
  'what a guest writes to its own QEMU merges, while it runs, and lets go of what is merged; killed then, it loses nothing',
  options,
  async (t) => {
    const pool = await livePool(t);
    const { control } = pool.world;
    const first = await pool.want({});
    await pool.write(first, 1, 1);
    await pool.freeze(first);
    const second = await pool.want({ parentId: first });
    await pool.write(second, 2, 2);
    await pool.freeze(second);
    const top = await pool.want({ parentId: second });
    await pool.write(top, 3, 3);
    const image = await pool.world.storeImage(bootSectorDisk('a guest with a volume\r\n'));
    const volumes = [volumeOf(top, { sizeBytes: size })];
    const server = wantedServer(image, { ports: [], memoryMiB: 64, volumes });
    control.want(server);
    const isRunning = ({ state, volumes: open = [] }: ObservedServer) =>
      state === 'running' && open[0]?.layerId === top;
    await control.until(server.id, 'running with its volume', isRunning, 60_000);
    const pidOf = () =>
      Number(execFileSync('pgrep', ['-f', `guest=${server.id},`], { encoding: 'utf8' }).split('\n')[0]);
    // By whatever name: its guest has links of its own.
    const isOpen = (inode: number) => {
      const pid = pidOf();
      return readdirSync(`/proc/${pid}/fd`).some((fd) => statSync(`/proc/${pid}/fd/${fd}`).ino === inode);
    };
    const [firsts, seconds] = [first, second].map((id) => statSync(pool.path(id)).ino) as [number, number];
    assert.ok(isOpen(firsts) && isOpen(seconds));
    await pool.want({ id: top, parentId: first });
    await pool.remove(second);
    assert.ok(!isOpen(seconds) && isOpen(firsts));
    await pool.want({ id: top, parentId: null });
    await pool.remove(first);
    assert.ok(!isOpen(firsts));
    // Its guest has flushed nothing.
    process.kill(pidOf(), 'SIGKILL');
    await control.until(server.id, 'stopped', ({ state }) => state === 'stopped', 60_000);
    assert.deepEqual(await pool.contents(top), [0, 1, 2, 3, 0, 0]);
    await pool.check(top);
  },
);

test('a layer grows, and what is beyond its parent is zeros', options, async (t) => {
  const pool = await livePool(t);
  const first = await pool.want({});
  await pool.write(first, 7, 31);
  await pool.want({ id: first, sizeBytes: 64 * mebibyte });
  await pool.write(first, 8, 63);
  assert.deepEqual((await pool.contents(first, 64)).filter(Boolean), [7, 8]);
  await pool.freeze(first);
  const larger = await pool.want({ parentId: first, sizeBytes: 96 * mebibyte });
  await pool.write(larger, 6, 95);
  assert.deepEqual((await pool.contents(larger, 96)).filter(Boolean), [7, 8, 6]);
  await pool.check(larger);
});

test('images of each format are made of a layer, as large as its document says', options, async (t) => {
  const pool = await livePool(t);
  const first = await pool.want({});
  await pool.write(first, 5, 3);
  // Frozen before it was grown.
  await pool.want({ id: first, readOnly: true, sizeBytes: 40 * mebibyte });
  for (const format of ['raw', 'qcow2', 'vmdk', 'vdi', 'vhd', 'vhdx'] as const) {
    const imageId = newId<ImageId>();
    const { captures } = await pool.seen({ id: first, captures: [{ imageId, format }] });
    assert.deepEqual([captures![0]!.error, captures![0]!.result?.virtualSizeBytes], [null, 40 * mebibyte], format);
    const raw = join(pool.world.directory, 'image.raw');
    const driver = { raw: 'raw', qcow2: 'qcow2', vmdk: 'vmdk', vdi: 'vdi', vhd: 'vpc', vhdx: 'vhdx' }[format];
    const path = join(pool.world.directory, 'data/images/files', imageId);
    execFileSync('qemu-img', ['convert', '-f', driver, '-O', 'raw', path, raw]);
    assert.deepEqual(megabytesOf(raw, 5), [0, 0, 0, 5, 0], format);
  }
});

test(
  'backups, full and incremental, restore byte by byte, by us and by qemu-img alone; a changed one is refused',
  options,
  async (t) => {
    const pool = await livePool(t);
    const directory = join(pool.world.directory, 'data/backups');
    const backUp = async (id: LayerId, name: string, parentName: string | null) => {
      const backup = { id: newId<BackupId>(), name, parentName };
      const { backups } = await pool.seen({ id, backups: [backup] });
      assert.equal(backups![0]!.error, null);
      return { backupId: backup.id, name, ...backups![0]!.result! };
    };
    const first = await pool.want({});
    await pool.write(first, 1, 1);
    await pool.write(first, 2, 2);
    await pool.freeze(first);
    const full = await backUp(first, 'full.backup', null);
    const second = await pool.want({ parentId: first });
    await pool.write(second, 3, 2);
    await pool.write(second, 0, 1);
    await pool.freeze(second);
    const increment = await backUp(second, 'second.backup', full.name);
    const third = await pool.want({ parentId: second });
    await pool.write(third, 4, 4);
    await pool.freeze(third);
    const last = await backUp(third, 'third.backup', increment.name);
    assert.ok(increment.sizeBytes < 4 * mebibyte, `only what differs is in it: ${increment.sizeBytes}`);
    for (const [{ backupId, name, sha256 }, expected] of [
      [full, [0, 1, 2, 0, 0]],
      [increment, [0, 0, 3, 0, 0]],
      [last, [0, 0, 3, 0, 4]],
    ] as const) {
      const restored = await pool.want({ source: { backupId, name, sha256 }, sizeBytes: 48 * mebibyte });
      assert.deepEqual(await pool.contents(restored, 5), expected);
      await pool.write(restored, 6, 47);
    }
    const raw = join(pool.world.directory, 'by-hand.raw');
    execFileSync('qemu-img', ['convert', '-O', 'raw', join(directory, last.name), raw]);
    assert.deepEqual(megabytesOf(raw, 5), [0, 0, 3, 0, 4]);
    const bytes = readFileSync(join(directory, full.name));
    bytes[bytes.length - 1]! ^= 1;
    copyFileSync(join(directory, full.name), join(directory, 'kept'));
    writeFileSync(join(directory, full.name), bytes);
    const source = { backupId: last.backupId, name: last.name, sha256: last.sha256 };
    const refused = await pool.seen({ source }, 'failed');
    assert.equal(refused.error?.code, 'backup_damaged');
    rmSync(join(directory, full.name));
    copyFileSync(join(directory, 'kept'), join(directory, full.name));
    await pool.want({ id: refused.id });
  },
);
