/**
 * Volumes in a Ceph cluster that this test brings up, under real QEMU: all that is done to layers, a guest that writes while its volume is
 * frozen, cloned and grown, and an OSD that is killed meanwhile. What the guest's writer wrote is a sequence; each copy is an exact prefix.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredLayer, DesiredServer } from '../../../contract/host/index.ts';
import {
  type BackupId,
  type ImageId,
  type LayerId,
  newId,
  newOrderedId,
  type VolumeId,
} from '../../../contract/ids.ts';
import { qemuMachine } from '../../../host/index.ts';
import { GuestShell } from '../../support/guest-shell.ts';
import { hostWorld, wantedServer } from '../../support/host-world.ts';
import { volumeOf } from '../../support/layers.ts';
import { installCeph, type PrivateCeph, privateCeph } from '../../support/private-ceph.ts';
import { until } from '../../support/until.ts';
import { sequenceIn, smallGuest, written } from '../../support/volume-machine.ts';

const skip = process.getuid?.() !== 0 || !existsSync('/usr/bin/qemu-system-x86_64');
const guests = { uid: 64055, gid: 64055, uids: { first: 0x6fff_b000, count: 256 } };
const blocks = 64;
const mebibyte = 2 ** 20;

async function cloud(t: TestContext) {
  const ceph = privateCeph(t);
  const world = await hostWorld(t);
  chmodSync(world.directory, 0o755);
  const { directory, control } = world;
  const base = { dataDirectory: join(directory, 'data'), runDirectory: join(directory, 'run') };
  const rbd = { conf: ceph.conf, keyring: ceph.keyring, user: 'bothy', pool: 'vols', namespace: 'rack-1' };
  const local = { name: 'local', tier: 'flash' as const, path: join(directory, 'data/volumes'), own: true as const };
  const storage = { pools: [{ name: 'big', tier: 'disk' as const, rbd }, local] };
  const configuration = { guests, accelerator: 'tcg' as const, durable: true, storage, sweepIntervalMs: 1000 };
  const real = await qemuMachine({ ...base, ...configuration });
  t.after(async () => {
    for (const { process } of await real.launcher.list()) {
      process.kill();
      await process.exited;
    }
  });
  const host = world.host({ configuration, dependencies: real });
  await host.start();
  const want = async (layer: DesiredLayer): Promise<DesiredLayer> => {
    control.wantLayer(layer);
    await control.untilLayer(layer.id, 'as wanted', (seen) => {
      const served = seen.generation === layer.generation && seen.error === null;
      return served && seen.state === (layer.presence === 'present' ? 'ready' : 'absent') && seen.step === null;
    });
    return layer;
  };
  return { world, ceph, host, want };
}

const layerOf = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'big', sizeBytes: 64 * mebibyte, parentId: null, image: null, readOnly: false },
  ...changes,
});
const next = (layer: DesiredLayer, changes: Partial<DesiredLayer>): DesiredLayer => ({
  ...layer,
  ...changes,
  generation: layer.generation + 1,
});
const gone = (layer: DesiredLayer) => next(layer, { presence: 'absent' });

function contents(ceph: PrivateCeph, image: string): Buffer {
  return execFileSync('rbd', ['--conf', ceph.conf, 'export', `vols/rack-1/${image}`, '-'], {
    maxBuffer: 2 ** 30,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
}

const writer = (device: string) =>
  `(i=1; while [ ! -e /tmp/enough ]; do printf %04096d $i | dd of=${device} bs=4096 seek=$((i % ${blocks})) conv=notrunc,fsync 2>/dev/null || { touch /tmp/failed; break; }; echo $i >/tmp/written; i=$((i + 1)); done; touch /tmp/ended) </dev/null >/dev/null 2>&1 &`;

test('volumes in a Ceph cluster', { skip, timeout: 600_000 }, async (t) => {
  if (!installCeph()) return t.skip("Ceph's packages are not on this machine and can't be installed");
  const { world, ceph, host, want } = await cloud(t);
  const { control } = world;
  await until('the pool to be well', () => host.status().facts.pools?.[0]?.problem === null);
  assert.equal(host.status().facts.pools![0]!.kind, 'rbd');
  const image = await smallGuest(world);

  await t.test('layers are made, cloned, grown, copied out and back, and go in any order', async () => {
    let bottom = await want(layerOf());
    ceph.rbd('bench', '--io-type', 'write', '--io-total', '4M', '--io-size', '4K', `vols/rack-1/bothy-${bottom.id}`);
    const filled = contents(ceph, `bothy-${bottom.id}`);
    bottom = next(bottom, { readOnly: true });
    control.wantLayer(bottom);
    let top = await want(layerOf({ volumeId: bottom.volumeId, parentId: bottom.id }));
    await want(bottom);
    let clone = await want(layerOf({ parentId: bottom.id, sizeBytes: 96 * mebibyte }));
    assert.deepEqual(contents(ceph, `bothy-${clone.id}`).subarray(0, filled.length), filled);
    top = await want(next(top, { sizeBytes: 128 * mebibyte }));
    const backup = { id: newId<BackupId>(), name: 'one.backup', parentName: null };
    control.wantLayer(next(bottom, { backups: [backup] }));
    const { backups } = await control.untilLayer(bottom.id, 'backed up', (seen) => seen.backups?.[0] !== undefined);
    assert.equal(backups![0]!.error, null);
    bottom = await want(next(next(bottom, {}), { backups: [] }));
    const captures = [{ imageId: newId<ImageId>(), format: 'raw' as const }];
    control.wantLayer(next(bottom, { captures }));
    const imaged = await control.untilLayer(bottom.id, 'an image', (seen) => seen.captures?.[0] !== undefined);
    const [captured] = imaged.captures!;
    assert.deepEqual([captured!.error, captured!.result?.sizeBytes], [null, filled.length]);
    bottom = await want(next(next(bottom, {}), { captures: [] }));
    const source = { backupId: backup.id, name: backup.name, sha256: backups![0]!.result!.sha256 };
    const back = await want(layerOf({ source }));
    assert.deepEqual(contents(ceph, `bothy-${back.id}`), filled);
    // Put back: what was written since goes, the snapshot stays.
    const again = await want(layerOf({ volumeId: bottom.volumeId, parentId: bottom.id }));
    assert.deepEqual(contents(ceph, `bothy-${again.id}`), filled);
    await want(gone(again));
    // The source and its snapshot go before the clone, which reads them; then it stands for itself.
    await want(gone(top));
    await want(gone(bottom));
    assert.deepEqual(contents(ceph, `bothy-${clone.id}`).subarray(0, filled.length), filled);
    clone = await want(next(clone, { parentId: null }));
    assert.deepEqual(contents(ceph, `bothy-${clone.id}`).subarray(0, filled.length), filled);
    await want(gone(clone));
    await want(gone(back));
  });

  await t.test('a guest boots from one, and writes on while another is frozen, grown, and an OSD dies', async (t) => {
    const root = await want(layerOf({ image, sizeBytes: 512 * mebibyte }));
    let first = await want(layerOf());
    const boot = volumeOf(root.id, { slot: 1, bootIndex: 0, sizeBytes: root.sizeBytes });
    const data = volumeOf(first.id, { slot: 2, sizeBytes: first.sizeBytes });
    const machine = { type: 'pc-q35-7.2', cpuModel: 'max', layout: 3 };
    const plain = { machine, ports: [], configDrive: false, memoryMiB: 256, generation: 0 };
    let server: DesiredServer = { ...wantedServer(null), ...plain, volumes: [boot] };
    const wantServer = (changes: Partial<DesiredServer>) => {
      server = { ...server, ...changes, generation: server.generation + 1 };
      control.want(server);
      return control.until(server.id, 'served', (seen) => seen.generation === server.generation && seen.step === null);
    };
    await wantServer({});
    const shell = await GuestShell.open(join(world.directory, 'run/guests', server.id, 'serial.sock'));
    t.after(() => shell.close());
    await wantServer({ volumes: [boot, data] });
    await shell.run(writer('/dev/vdb'));
    await until('the writer to be at work', async () => (await written(shell)) > 80);
    // A snapshot: the guest goes on in the same image.
    const asked = performance.now();
    first = next(first, { readOnly: true });
    control.wantLayer(first);
    const second = layerOf({ volumeId: first.volumeId, parentId: first.id });
    control.wantLayer(second);
    const switched = { ...data, layerId: second.id };
    await wantServer({ volumes: [boot, switched] });
    await control.until(server.id, 'switched', (seen) => seen.volumes?.[1]?.layerId === second.id);
    t.diagnostic(`snapshot of a guest that writes: ${Math.round(performance.now() - asked)} ms`);
    const mark = await written(shell);
    process.kill(ceph.pid('osd.2'), 'SIGKILL');
    await until('the writer to go on', async () => (await written(shell)) > mark + 100, { timeoutMs: 60_000 });
    const grown = { ...switched, sizeBytes: 128 * mebibyte };
    control.wantLayer(next(second, { sizeBytes: grown.sizeBytes }));
    await wantServer({ volumes: [boot, grown] });
    assert.equal(await shell.run('cat /sys/block/vdb/size'), String(grown.sizeBytes / 512));
    await shell.run('touch /tmp/enough');
    await until('the writer to end', async () => (await shell.run('ls /tmp')).includes('ended'));
    assert.ok(!(await shell.run('ls /tmp')).includes('failed'), 'no error');
    const last = await written(shell);
    const held = sequenceIn(contents(ceph, `bothy-${first.id}@${first.id}`));
    assert.ok(held > 0 && held <= mark + 1, `the snapshot holds ${held} of ${mark}`);
    await wantServer({ volumes: [boot] });
    await control.until(server.id, 'detached', (seen) => seen.volumes?.length === 1);
    assert.equal(sequenceIn(contents(ceph, `bothy-${first.id}`)), last);
    await wantServer({ presence: 'absent', volumes: [] });
    await control.until(server.id, 'gone', ({ state }) => state === 'absent');
    for (const layer of [next(second, { sizeBytes: grown.sizeBytes }), first, root]) await want(gone(layer));
  });

  await t.test('a cluster that hangs is refused by name, and keeps nobody from other work', async () => {
    const problem = () => host.status().facts.pools![0]!.problem;
    await until('copies to go', () => !/image-/.test(ceph.rbd('ls', 'vols/rack-1')), { timeoutMs: 30_000 });
    ceph.signal('SIGSTOP');
    const waiting = layerOf();
    control.wantLayer(waiting);
    await want(layerOf({ pool: 'local' }));
    await until('the pool to be refused', () => problem() !== null, { timeoutMs: 90_000 });
    assert.match(problem()!, /Ceph/);
    ceph.signal('SIGCONT');
    await until('the pool to be well again', () => problem() === null, { timeoutMs: 60_000 });
    await want(waiting);
    await want(gone(waiting));
  });
});
