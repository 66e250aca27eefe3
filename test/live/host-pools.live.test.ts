/**
 * Pools that are full or read-only, on file systems of their own, and what is left of our programs when the host process is killed. Mounts
 * small file systems, so only as root.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import { type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { qemuLayerTools } from '../../host/volume/qemu-tools.ts';
import { hostWorld } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const options = {
  skip: process.getuid?.() !== 0 || !existsSync('/usr/bin/qemu-storage-daemon'),
  timeout: 120_000,
};
const mebibyte = 2 ** 20;

const wantedLayer = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'small', sizeBytes: 256 * mebibyte, parentId: null, image: null, readOnly: false },
  ...changes,
});
const isReady = ({ state, error }: ObservedLayer) => state === 'ready' && error === null;

/** A host whose one pool is a file system of so many MiB. */
async function smallPool(t: TestContext, sizeMiB = 96) {
  const world = await hostWorld(t);
  // Registered after the world's, so it goes when the host has ended.
  const path = mkdtempSync(join(tmpdir(), 'bp 小屋-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'none', path]);
  t.after(() => {
    execFileSync('umount', ['-l', path]);
    rmdirSync(path);
  });
  const storage = { pools: [{ name: 'small', tier: 'ram' as const, path }] };
  const host = world.host({
    configuration: { storage, sweepIntervalMs: 20 },
    dependencies: { layerTools: qemuLayerTools(undefined) },
  });
  await host.start();
  const problem = () => host.status().facts.pools![0]!.problem;
  return { world, host, path, problem, control: world.control };
}

test('a full pool makes nothing, says so, and goes on when there is room', options, async (t) => {
  const { control, path, problem } = await smallPool(t);
  const first = wantedLayer();
  control.wantLayer(first);
  await control.untilLayer(first.id, 'ready', isReady);
  writeFileSync(join(path, 'ballast'), Buffer.alloc(60 * mebibyte));
  await until('the pool to be full', () => problem() === 'it is full');
  const second = wantedLayer();
  control.wantLayer(second);
  const { error } = await control.untilLayer(second.id, 'refused', (seen) => seen.error !== null);
  assert.deepEqual([error?.code, /full/.test(error!.message)], ['pool_unavailable', true]);
  // What is there can go, and so make room.
  control.wantLayer({ ...first, generation: 2, presence: 'absent' });
  await control.untilLayer(first.id, 'gone', ({ state }) => state === 'absent');
  rmSync(join(path, 'ballast'));
  await control.untilLayer(second.id, 'ready', isReady);
});

const checked = (path: string): string =>
  `json:${JSON.stringify({ driver: 'qcow2', backing: null, file: { driver: 'file', filename: path } })}`;

test('work that fills its pool says so, harms nothing, and is done when there is room', options, async (t) => {
  const { control, path } = await smallPool(t, 256);
  const bottom = wantedLayer();
  control.wantLayer(bottom);
  await control.untilLayer(bottom.id, 'ready', isReady);
  execFileSync('qemu-io', ['-c', 'write -P 7 0 80M', join(path, 'layers', `${bottom.id}.qcow2`)]);
  control.wantLayer({ ...bottom, generation: 2, readOnly: true });
  const top = wantedLayer({ parentId: bottom.id });
  control.wantLayer(top);
  await control.untilLayer(top.id, 'ready', isReady);
  // The pool does not count as full, and has no room for the copy.
  writeFileSync(join(path, 'ballast'), Buffer.alloc(100 * mebibyte));
  control.wantLayer({ ...top, generation: 2, parentId: null });
  const { error } = await control.untilLayer(top.id, 'refused', (seen) => seen.error !== null);
  assert.equal(error?.code, 'no_capacity');
  execFileSync('qemu-img', ['check', '-q', checked(join(path, 'layers', `${top.id}.qcow2`))]);
  rmSync(join(path, 'ballast'));
  await control.untilLayer(top.id, 'flat', (seen) => seen.generation === 2 && isReady(seen));
  execFileSync('qemu-io', ['-c', 'read -P 7 0 80M', join(path, 'layers', `${top.id}.qcow2`)]);
});

test('a pool that was mounted read-only is told, and nothing is tried there', options, async (t) => {
  const { control, path, problem } = await smallPool(t);
  await until('the pool to be ours', () => readdirSync(path).includes('bothy-pool.json'));
  execFileSync('mount', ['-o', 'remount,ro', path]);
  await until('the pool to be closed', () => problem() === 'it is read-only');
  const layer = wantedLayer();
  control.wantLayer(layer);
  const { error } = await control.untilLayer(layer.id, 'refused', (seen) => seen.error !== null);
  assert.match(error!.message, /read-only/);
  execFileSync('mount', ['-o', 'remount,rw', path]);
  await control.untilLayer(layer.id, 'ready', isReady);
});

test(
  'a pool in memory begins anew with its machine; what it held is said to be lost and made by nobody',
  options,
  async (t) => {
    const { control, path, problem } = await smallPool(t);
    const layer = wantedLayer();
    control.wantLayer(layer);
    await control.untilLayer(layer.id, 'ready', isReady);
    execFileSync('umount', ['-l', path]);
    await until('the pool to be refused', () => /is gone/.test(problem() ?? ''));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m', 'none', path]);
    await until('the pool to be well', () => problem() === null);
    const { error } = await control.untilLayer(layer.id, 'missing', (seen) => seen.error?.code === 'layer_missing');
    assert.match(error!.message, /not there any more/);
    assert.deepEqual(readdirSync(path, { recursive: true }).sort(), ['bothy-pool.json', 'layers', 'opened']);
  },
);

/** Begins the work in a process of its own and kills that in its middle. */
const daemonScript = (file: string) => `
import { withStorageDaemon } from ${JSON.stringify(fileURLToPath(new URL('../../host/volume/storage-daemon.ts', import.meta.url)))};
const user = { uid: 0x6ffff001, gid: 0x6ffff001, groups: [] };
const node = { driver: 'null-co', 'node-name': 'n', size: 1024 };
await withStorageDaemon(node, { user, path: ${JSON.stringify(file)}, timeoutMs: 600000 }, async () => {
  process.stdout.write('at work\\n');
  await new Promise(() => setInterval(() => {}, 1000));
});`;

test('a storage daemon ends with the host process, however that ends', options, async (t) => {
  const world = await hostWorld(t);
  const marker = join(world.directory, 'marker');
  writeFileSync(marker, '');
  const child = spawn(process.execPath, ['--input-type=module', '-e', daemonScript(marker)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const daemons = () =>
    readdirSync('/proc').filter(
      (pid) => /^\d+$/.test(pid) && commandOf(pid).includes('qemu-storage-daemon') && commandOf(pid).includes(marker),
    );
  assert.ok(daemons().length > 0);
  child.kill('SIGKILL');
  await until('the daemon to end', () => daemons().length === 0);
});

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}
