/** Layers of a host whose control, pools and files are not always as they should be. */
import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import { type BackupId, type ImageId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { type HostWorld, hostWorld } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const wantedLayer = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'local', sizeBytes: 2 ** 30, parentId: null, image: null, readOnly: false },
  ...changes,
});
const isReady = ({ state }: ObservedLayer) => state === 'ready';

async function started(t: TestContext, { leaseMs = 30_000 } = {}) {
  const world = await hostWorld(t);
  world.control.leaseMs = leaseMs;
  const host = world.host({ configuration: { sweepIntervalMs: 20 } });
  await host.start();
  const pool = join(world.directory, 'data/volumes');
  const file = ({ id }: DesiredLayer) => join(pool, 'layers', `${id}.qcow2`);
  await until('control to be heard', () => host.status().desired.known);
  return { world, host, control: world.control, pool, file };
}

/** The layer, made. */
async function made({ control }: HostWorld, changes: Partial<DesiredLayer> = {}): Promise<DesiredLayer> {
  const layer = wantedLayer(changes);
  control.wantLayer(layer);
  await control.untilLayer(layer.id, 'ready', isReady);
  return layer;
}

test('an image that is lost under a layer is fetched again', async (t) => {
  const other = await hostWorld(t);
  const source = other.host();
  await source.start();
  const stored = await other.storeImage();
  const world = await hostWorld(t, { authority: other.authority });
  const first = world.host();
  await first.start();
  const layer = await made(world, { image: { ...stored!, sources: [source.facts().url] } });
  const copy = join(world.directory, 'data/images/files', stored!.id);
  await first.stop();
  rmSync(copy);
  await world.host().start();
  await until('the image to be back', () => existsSync(copy));
  await world.control.untilLayer(layer.id, 'ready', ({ state, step }) => state === 'ready' && step === null);
});

test('a layer waits for the one that it builds on, and says so', async (t) => {
  const { control, file } = await started(t);
  const parent = wantedLayer();
  const child = wantedLayer({ parentId: parent.id });
  control.wantLayer(child);
  const waiting = await control.untilLayer(child.id, 'waiting', ({ step }) => step !== null);
  assert.deepEqual([waiting.state, waiting.step], ['building', 'waiting for the layer that it builds on']);
  assert.equal(existsSync(file(child)), false);
  control.wantLayer(parent);
  await control.untilLayer(child.id, 'ready', isReady);
});

test('of a layer that is watched it is told when something was first written to it', async (t) => {
  const { world, control, file } = await started(t);
  const layer = await made(world, { watched: true });
  await control.untilLayer(layer.id, 'empty', ({ written }) => written === false);
  const unasked = await made(world);
  assert.equal((await control.untilLayer(unasked.id, 'ready', isReady)).written, undefined);
  // As QEMU does: the table of the first cluster's table.
  const bytes = readFileSync(file(layer));
  const tableAt = Number(bytes.readBigUInt64BE(40));
  bytes.writeBigUInt64BE(0x80_00_00_00_00_04_00_00n, tableAt);
  writeFileSync(file(layer), bytes);
  await control.untilLayer(layer.id, 'written', ({ written }) => written === true);
});

test('a file that is lost is told and looked for, and no empty one is made in its place', async (t) => {
  const { world, control, file } = await started(t);
  const layer = await made(world);
  renameSync(file(layer), `${file(layer)}x`);
  const lost = await control.untilLayer(layer.id, 'missed', ({ error }) => error?.code === 'layer_missing');
  assert.equal(lost.state, 'building');
  assert.equal(existsSync(file(layer)), false);
  renameSync(`${file(layer)}x`, file(layer));
  const back = await control.untilLayer(layer.id, 'ready', isReady);
  assert.equal(back.error, null);
});

test('one that was erased is not made again for a database that is older than that, but for a new epoch it is', async (t) => {
  const { world, control, file } = await started(t);
  const layer = await made(world);
  control.wantLayer({ ...layer, generation: 2, presence: 'absent' });
  await control.untilLayer(layer.id, 'gone', ({ state }) => state === 'absent');
  control.forgetLayer(layer.id);
  control.wantLayer({ ...layer, generation: 3 });
  const refused = await control.untilLayer(layer.id, 'refused', ({ state }) => state === 'failed');
  assert.equal(refused.error?.code, 'layer_erased');
  assert.equal(existsSync(file(layer)), false);
  control.wantLayer({ ...layer, epoch: 2, generation: 4 });
  await control.untilLayer(layer.id, 'ready', isReady);
});

test('what lies in a pool and nobody names is left alone and told; what a step left beside a layer goes', async (t) => {
  const { world, host, pool, file } = await started(t);
  const layer = await made(world);
  const stranger = wantedLayer();
  writeFileSync(file(stranger), 'somebody’s');
  writeFileSync(`${file(stranger)}.new`, '');
  writeFileSync(`${file(layer)}.rebased`, '');
  writeFileSync(join(pool, 'layers/notes.txt'), '');
  const name = `${stranger.id}.qcow2`;
  await until('the sweep', () => host.status().layers.unclaimed[0]?.files.includes(name) === true);
  await until('the rest to be swept', () => readdirSync(join(pool, 'layers')).length === 3);
  assert.deepEqual(readdirSync(join(pool, 'layers')).sort(), [`${layer.id}.qcow2`, name, 'notes.txt'].sort());
});

test('what a snapshot does not name is kept as it is and shown, also by the next host process', async (t) => {
  const { world, host, control, file } = await started(t);
  const layer = await made(world);
  control.layers = [];
  control.snapshot();
  await until('quarantine', () => host.status().layers.quarantined.includes(layer.id));
  await host.stop();
  const next = world.host();
  await next.start();
  await until('quarantine', () => next.status().layers.quarantined.includes(layer.id));
  assert.equal(existsSync(file(layer)), true);
  control.wantLayer({ ...layer, generation: 2 });
  await control.untilLayer(layer.id, 'ready', ({ generation, state }) => generation === 2 && state === 'ready');
  assert.deepEqual(next.status().layers.quarantined, []);
});

test('a document that can not be read fails alone, and the layer stays as it was', async (t) => {
  const { world, control, file } = await started(t);
  const layer = await made(world);
  const other = wantedLayer();
  const unreadable = { ...layer, generation: 2, sizeBytes: 'large' };
  control.send(
    JSON.stringify({ type: 'update', servers: [], layers: [unreadable, other], networks: [], removedNetworks: [] }),
  );
  const failed = await control.untilLayer(layer.id, 'failed', ({ state }) => state === 'failed');
  assert.deepEqual([failed.error?.code, failed.generation], ['unreadable', 2]);
  await control.untilLayer(other.id, 'ready', isReady);
  assert.equal(existsSync(file(layer)), true);
});

test('a pool that goes away fails its layers by name, touches nothing, and all goes on when it is back', async (t) => {
  const { world, control, pool } = await started(t);
  const first = await made(world);
  renameSync(pool, `${pool}-away`);
  const second = wantedLayer();
  control.wantLayer(second);
  const { error } = await control.untilLayer(second.id, 'refused', (seen) => seen.error !== null);
  assert.equal(error?.code, 'pool_unavailable');
  assert.match(error!.message, /local/);
  control.wantLayer({ ...first, generation: 2, presence: 'absent' });
  await control.untilLayer(first.id, 'refused', (seen) => seen.generation === 2 && seen.error !== null);
  assert.equal(existsSync(pool), false);
  renameSync(`${pool}-away`, pool);
  await control.untilLayer(second.id, 'ready', isReady);
  await control.untilLayer(first.id, 'gone', ({ state }) => state === 'absent');
});

test('how full pools are is told when it has changed, without a new greeting', async (t) => {
  const { world, control, pool } = await started(t);
  await until('the pool to be marked', () => existsSync(join(world.directory, 'data/pools.json')));
  const told = () => control.messages.flatMap((message) => (message.type === 'report' ? (message.pools ?? []) : []));
  renameSync(pool, `${pool}-away`);
  await until('the news', () => told().some(({ problem }) => problem !== null));
  renameSync(`${pool}-away`, pool);
  await until('the better news', () => told().at(-1)?.problem === null);
  assert.equal(control.connections, 1);
});

test('what is as it was is not reported again and again', async (t) => {
  const { world, host, control } = await started(t);
  await made(world);
  await until('everything to be told', () => host.idle);
  const reports = () =>
    control.messages.filter((message) => message.type === 'report' && message.layers?.length).length;
  const before = reports();
  const again = await made(world);
  control.wantLayer({ ...again, generation: 2, sizeBytes: 2 ** 31 });
  await control.untilLayer(again.id, 'larger', ({ sizeBytes }) => sizeBytes === 2 ** 31);
  assert.ok(reports() - before <= 6, `${reports() - before} reports`);
});

test('what was made of a layer is told as long as somebody asks', async (t) => {
  const { world, control } = await started(t);
  const layer = await made(world, { readOnly: true });
  const imageId = newId<ImageId>();
  control.wantLayer({ ...layer, generation: 2, captures: [{ imageId, format: 'qcow2' }] });
  const { captures } = await control.untilLayer(layer.id, 'captured', (seen) => (seen.captures?.length ?? 0) > 0);
  assert.equal(captures![0]!.error, null);
  control.wantLayer({ ...layer, generation: 3, captures: [] });
  const forgotten = (seen: ObservedLayer) => seen.generation === 3 && seen.captures?.length === 0 && isReady(seen);
  await control.untilLayer(layer.id, 'ready', forgotten);
  assert.equal(existsSync(join(world.directory, 'data/layer-outcomes', `${layer.id}.json`)), false);
});

test('an image that control has deleted before it was made of a layer is not made', async (t) => {
  const { world, control } = await started(t);
  const parent = wantedLayer();
  const imageId = newId<ImageId>();
  const child = wantedLayer({ parentId: parent.id, readOnly: true, captures: [{ imageId, format: 'qcow2' }] });
  control.wantLayer(child);
  await control.untilLayer(child.id, 'waiting', ({ step }) => step !== null);
  await world.client.deleteImage(world.endpoint(), imageId);
  control.wantLayer(parent);
  const { captures } = await control.untilLayer(child.id, 'ready', isReady);
  assert.equal(captures![0]!.error?.code, 'conflict');
});

test('while control is silent nothing is begun, and what shall go goes', async (t) => {
  const { world, host, control, pool, file } = await started(t, { leaseMs: 500 });
  const gone = await made(world);
  renameSync(pool, `${pool}-away`);
  const layer = wantedLayer();
  control.wantLayer(layer);
  await control.untilLayer(layer.id, 'refused', ({ error }) => error !== null);
  control.wantLayer({ ...gone, generation: 2, presence: 'absent' });
  await control.untilLayer(gone.id, 'refused', ({ generation, error }) => generation === 2 && error !== null);
  control.freeze();
  await until('the lease to end', () => host.status().lease.state === 'ended');
  renameSync(`${pool}-away`, pool);
  const busy = () => host.status().layers.busy.find(({ id }) => id === layer.id);
  await until('it to be held back', () => busy()?.step?.startsWith('waiting for control') === true);
  await until('the other to be erased', () => !existsSync(file(gone)));
  assert.equal(existsSync(file(layer)), false);
  control.thaw();
  await control.untilLayer(layer.id, 'ready', isReady);
});

test('a backup goes when control says so, once or twice; a name that leads elsewhere is refused', async (t) => {
  const { world, control } = await started(t);
  const layer = await made(world, { readOnly: true });
  const backup = { id: newId<BackupId>(), name: 'volume-1.backup', parentName: null };
  control.wantLayer({ ...layer, generation: 2, backups: [backup] });
  const { backups } = await control.untilLayer(layer.id, 'saved', (seen) => (seen.backups?.length ?? 0) > 0);
  assert.equal(backups![0]!.error, null);
  const directory = join(world.directory, 'data/backups');
  assert.deepEqual(readdirSync(directory), ['volume-1.backup']);
  for (const client of [world.client, world.client]) await client.deleteBackup(world.endpoint(), backup.name);
  assert.deepEqual(readdirSync(directory), []);
  for (const wrong of ['../desired.json', '', '.', '-rf', 'a/b']) {
    await assert.rejects(world.client.deleteBackup(world.endpoint(), wrong), wrong);
  }
  control.wantLayer({
    ...layer,
    generation: 3,
    backups: [{ ...backup, id: newId<BackupId>(), name: '../desired.json' }],
  });
  const refused = (seen: ObservedLayer) => seen.generation === 3 && seen.backups?.[0]?.error?.code === 'invalid';
  await control.untilLayer(layer.id, 'refused', refused);
});

test('a layer whose file says that it builds on somebody else’s is refused, and the other stays closed to its guests', async (t) => {
  const { world, host, control, file } = await started(t);
  const [foreign, parent] = [await made(world, { readOnly: true }), await made(world, { readOnly: true })];
  const top = await made(world, { parentId: parent.id });
  // As a guest's QEMU may, which has the file to write.
  const bytes = readFileSync(file(top));
  bytes.write(foreign.id, bytes.indexOf(parent.id));
  writeFileSync(file(top), bytes);
  control.wantLayer({ ...top, generation: 2, readOnly: true, captures: [{ imageId: newId(), format: 'raw' }] });
  const refused = await control.untilLayer(top.id, 'refused', ({ state }) => state === 'failed');
  assert.equal(refused.error?.code, 'layer_damaged');
  assert.deepEqual(refused.captures, []);
  await host.stop();
  await world.host({ configuration: { sweepIntervalMs: 20 } }).start();
  control.wantLayer({ ...top, generation: 3, parentId: null });
  const again = await control.untilLayer(top.id, 'refused', (seen) => seen.generation === 3 && seen.state === 'failed');
  assert.equal(again.error?.code, 'layer_damaged');
  // Deleted it can be, as any.
  control.wantLayer({ ...top, generation: 4, presence: 'absent' });
  await control.untilLayer(top.id, 'gone', ({ state }) => state === 'absent');
  assert.equal(existsSync(file(foreign)), true);
});

test('no image or backup is made of a layer whose file says that it is larger than the layer', async (t) => {
  const { world, control, file } = await started(t);
  const layer = await made(world, { readOnly: true });
  const bytes = readFileSync(file(layer));
  bytes.writeBigUInt64BE(2n ** 50n, 24);
  writeFileSync(file(layer), bytes);
  const captures = [{ imageId: newId<ImageId>(), format: 'raw' as const }];
  const backups = [{ id: newId<BackupId>(), name: 'one.backup', parentName: null }];
  control.wantLayer({ ...layer, generation: 2, captures, backups });
  const both = (seen: ObservedLayer) => seen.captures?.length === 1 && seen.backups?.length === 1;
  const seen = await control.untilLayer(layer.id, 'refused', both);
  assert.deepEqual([seen.captures![0]!.error?.code, seen.backups![0]!.error?.code], ['layer_damaged', 'layer_damaged']);
  assert.deepEqual(readdirSync(join(world.directory, 'data/backups')), []);
});

test('what a cache holds and can not go down now is said in words, tried again, and goes down when it can', async (t) => {
  const { world, control, file } = await started(t);
  const volumeId = newId<VolumeId>();
  const base = await made(world, { volumeId, cache: { role: 'base', fullBytes: null } });
  const cache = { role: 'writes', fullBytes: 2 ** 20 } as const;
  const generation = await made(world, { volumeId, parentId: base.id, cache });
  control.wantLayer({ ...generation, generation: 2, readOnly: true });
  const above = await made(world, { volumeId, parentId: generation.id, cache });
  const bytes = readFileSync(file(generation));
  writeFileSync(file(generation), Buffer.from(bytes).fill(0, 0, 4));
  control.wantLayer({ ...above, generation: 2, parentId: base.id, sinks: true });
  const failing = await control.untilLayer(above.id, 'refused', ({ error }) => error !== null);
  assert.equal(failing.error?.code, 'layer_damaged');
  assert.notEqual(failing.state, 'failed');
  writeFileSync(file(generation), bytes);
  const sunk = await control.untilLayer(above.id, 'sunk', (seen) => isReady(seen) && seen.generation === 2);
  assert.equal(sunk.error, null);
});

test('what a layer was before is no word on what is asked of it now, where nobody can look at it', async (t) => {
  const { world, control, pool } = await started(t);
  const volumeId = newId<VolumeId>();
  const base = await made(world, { volumeId, cache: { role: 'base', fullBytes: null } });
  const generation = await made(world, {
    ...{ volumeId, parentId: base.id, readOnly: true },
    cache: { role: 'writes', fullBytes: 2 ** 20 },
  });
  const above = await made(world, {
    ...{ volumeId, parentId: generation.id },
    cache: { role: 'base', fullBytes: null },
  });
  renameSync(pool, `${pool}-away`);
  await control.untilLayer(above.id, 'away', ({ error }) => error?.code === 'pool_unavailable');
  control.wantLayer({ ...above, generation: 2, parentId: base.id, sinks: true });
  const failing = await control.untilLayer(above.id, 'refused', (seen) => seen.generation === 2);
  // Said to be ready, what has not gone down would be erased.
  assert.deepEqual([failing.state, failing.error?.code], ['building', 'pool_unavailable']);
  renameSync(`${pool}-away`, pool);
  await control.untilLayer(above.id, 'sunk', isReady);
});

test('files that an administrator lays into a pool are listed as what they are, and taken over or left where they are', async (t) => {
  const { world, control, pool, file } = await started(t);
  const place = join(pool, 'manage');
  const listed = async () => (await world.client.manageable(world.endpoint(), 'local')).files;
  assert.deepEqual(await listed(), []);
  await assert.rejects(world.client.manageable(world.endpoint(), 'none'), { code: 'not_found' });
  mkdirSync(place);
  writeFileSync(join(place, 'good.raw'), 'x');
  truncateSync(join(place, 'good.raw'), 2 ** 20);
  writeFileSync(join(place, 'other.vmdk'), 'KDMV');
  writeFileSync(join(place, 'empty'), '');
  writeFileSync(join(place, '-rf'), 'x');
  symlinkSync('/etc/passwd', join(place, 'link'));
  const found = Object.fromEntries(
    (await listed()).map(({ name, sizeBytes, problem }) => [name, sizeBytes ?? problem]),
  );
  assert.deepEqual(found, {
    'good.raw': 2 ** 20,
    'other.vmdk': 'the file is vmdk, not raw as declared',
    empty: 'it is no disk',
    link: 'it is no plain file',
  });
  for (const [name, why] of [
    ['other.vmdk', /is vmdk/],
    ['link', /no plain file/],
    ['none', /there is no file/],
    ['..', /./],
  ] as const) {
    const layer = wantedLayer({ managed: { name } });
    control.wantLayer(layer);
    const refused = await control.untilLayer(layer.id, 'refused', ({ error }) => error !== null);
    assert.match(refused.error!.message, why);
    assert.equal(existsSync(file(layer)), false);
    control.wantLayer({ ...layer, generation: 2, presence: 'absent' });
    await control.untilLayer(layer.id, 'gone', ({ state }) => state === 'absent');
  }
  assert.deepEqual(readdirSync(place).toSorted(), ['-rf', 'empty', 'good.raw', 'link', 'other.vmdk']);
  const layer = wantedLayer({ managed: { name: 'good.raw' } });
  control.wantLayer(layer);
  const taken = await control.untilLayer(layer.id, 'taken over', isReady);
  assert.equal(taken.sizeBytes, 2 ** 30, 'as large as its document says');
  assert.deepEqual(readdirSync(place).toSorted(), ['-rf', 'empty', 'link', 'other.vmdk']);
});
