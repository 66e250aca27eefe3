import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type ImageId, type LayerId, newId, newOrderedId, type ServerId, type VolumeId } from '../../contract/ids.ts';
import { qcow2Overlay } from '../image/qcow2.ts';
import { chainNodes, type LayerChain, lowerNodes } from './chain.ts';
import { LayerKeys } from './keys.ts';
import { LayerFiles } from './layer-files.ts';
import { type BuildsOn, backingName, layerNode, parseBackingName } from './names.ts';
import type { OpenLayer } from './open-layers.ts';

const noKeys = new LayerKeys({ ask() {}, told() {} });

function pool(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'bl-'));
  t.after(() => rmSync(directory, { recursive: true }));
  const pathOf = (id: LayerId) => join(directory, `${id}.qcow2`);
  const images = new Map<ImageId, { path: string; format: 'raw' | 'qcow2' }>();
  const bases = new Map<LayerId, BuildsOn[]>();
  const files = new LayerFiles({
    layerPath: pathOf,
    imageBase: (id) => images.get(id),
    basesOf: (id) => bases.get(id) ?? [null],
    keys: noKeys,
    guestGid: undefined,
  });
  const make = (buildsOn: BuildsOn, sizeBytes = 2 ** 30): LayerId => {
    const id = newOrderedId<LayerId>();
    const backing = buildsOn ? { path: backingName(buildsOn), format: 'qcow2' as const } : undefined;
    const { fileBytes, pieces } = qcow2Overlay({ sizeBytes, backing });
    const bytes = Buffer.alloc(fileBytes);
    for (const piece of pieces) piece.bytes.copy(bytes, piece.offset);
    writeFileSync(pathOf(id), bytes);
    bases.set(id, [buildsOn]);
    return id;
  };
  return { files, make, images, pathOf, bases };
}

test('a chain is spelled out down to the image, and only its top can be written', async (t) => {
  const { files, make, images, pathOf } = pool(t);
  const imageId = newId<ImageId>();
  images.set(imageId, { path: '/images/one', format: 'raw' });
  const lowest = make({ kind: 'image', id: imageId }, 2 ** 20);
  const middle = make({ kind: 'layer', id: lowest });
  const top = make({ kind: 'layer', id: middle });
  const chain = await files.chain(top);
  assert.deepEqual(
    chain.lower.map(({ layerId, sizeBytes }) => [layerId, sizeBytes]),
    [
      [middle, 2 ** 30],
      [lowest, 2 ** 20],
    ],
  );
  const file = (path: string, readOnly: boolean) => ({ driver: 'file', filename: path, 'read-only': readOnly });
  const below = { driver: 'qcow2', 'read-only': true };
  const base = { driver: 'raw', 'read-only': true, file: file('/images/one', true) };
  const low = { ...below, file: file(pathOf(lowest), true), backing: base };
  assert.deepEqual(lowerNodes(chain), { ...below, file: file(pathOf(middle), true), backing: low });
  assert.equal(chainNodes(chain, { readOnly: false })['read-only'], false);
});

test('a file that says that it builds on what was not noted of it is refused; of two that were noted it says which', async (t) => {
  const { files, make, bases } = pool(t);
  const [mine, foreign] = [make(null), make(null)];
  const top = make({ kind: 'layer', id: foreign });
  const image = make({ kind: 'image', id: newId<ImageId>() });
  for (const id of [top, image]) {
    bases.set(id, [{ kind: 'layer', id: mine }, null]);
    await assert.rejects(files.chain(id), { code: 'layer_damaged' });
  }
  bases.set(top, [
    { kind: 'layer', id: mine },
    { kind: 'layer', id: foreign },
  ]);
  assert.equal((await files.chain(top)).lower[0]!.layerId, foreign);
});

test('a file whose content would lie in another one is refused', async (t) => {
  const { files, make, pathOf } = pool(t);
  const top = make(null);
  const file = openSync(pathOf(top), 'r+');
  // The external data file bit of the incompatible features.
  writeSync(file, Buffer.from([4]), 0, 1, 79);
  closeSync(file);
  await assert.rejects(files.chain(top), { code: 'layer_damaged' });
});

test('what builds on nothing says so, and a missing part is waited for', async (t) => {
  const { files, make } = pool(t);
  assert.equal(lowerNodes(await files.chain(make(null))), null);
  const orphan = make({ kind: 'layer', id: newOrderedId<LayerId>() });
  await assert.rejects(files.chain(orphan), { code: 'layer_not_ready', permanent: false });
  const imageless = make({ kind: 'image', id: newId<ImageId>() });
  await assert.rejects(files.chain(imageless), { code: 'image_missing' });
});

test('of a missing part in a pool that is away it is said that the pool is, not that the part has yet to come', async () => {
  const files = new LayerFiles({
    ...{
      layerPath: () => '/nowhere',
      imageBase: () => undefined,
      basesOf: () => [],
      keys: noKeys,
      guestGid: undefined,
    },
    whyAway: () => "the storage pool quick can't be used: is its file system mounted?",
  });
  await assert.rejects(files.chain(newOrderedId<LayerId>()), {
    code: 'layer_not_ready',
    message: /pool quick .* mounted/,
  });
});

test('a file that names a path, or is no qcow2, is refused and not followed', async (t) => {
  const { files, make, pathOf } = pool(t);
  for (const name of ['/etc/shadow', 'layer:../x', 'json:{}', 'layer:']) {
    const id = newOrderedId<LayerId>();
    const { fileBytes, pieces } = qcow2Overlay({ sizeBytes: 1024, backing: { path: name, format: 'raw' } });
    const bytes = Buffer.alloc(fileBytes);
    for (const piece of pieces) piece.bytes.copy(bytes, piece.offset);
    writeFileSync(pathOf(id), bytes);
    await assert.rejects(files.chain(id), { code: 'layer_damaged' }, name);
    assert.equal(parseBackingName(name), undefined);
  }
  const cut = make(null);
  writeFileSync(pathOf(cut), 'QFI');
  await assert.rejects(files.chain(cut), { code: 'layer_damaged' });
});

test('two volumes on one layer have nodes of their own, with names that QEMU takes', () => {
  const layer = newOrderedId<LayerId>();
  const [one, other] = [newId<VolumeId>(), newId<VolumeId>()];
  assert.notEqual(layerNode(one, layer), layerNode(other, layer));
  assert.ok(layerNode(one, layer).length <= 31);
  const chain: LayerChain = {
    top: { layerId: layer, path: '/a', sizeBytes: 512 },
    lower: [],
    base: { path: '/b', format: 'qcow2', imageId: newId<ImageId>() },
  };
  assert.equal(chainNodes(chain, { volumeId: one, readOnly: true })['node-name'], layerNode(one, layer));
  assert.equal((lowerNodes(chain) as { backing: unknown }).backing, null);
});

test('the cost of a write does not grow with what was written before: QEMU is told to compare it with no list of tables', () => {
  const chain: LayerChain = {
    top: { layerId: newOrderedId<LayerId>(), path: '/a', sizeBytes: 512 },
    ...{ lower: [], base: null },
  };
  assert.equal(chainNodes(chain, { readOnly: false })['overlap-check'], 'constant');
  assert.equal('overlap-check' in chainNodes(chain, { readOnly: true }), false);
});

test('who writes to a layer is known from what guests opened, and changes are told', () => {
  const { open } = new LayerFiles({
    ...{ layerPath: () => undefined, imageBase: () => undefined, basesOf: () => [], keys: noKeys, guestGid: undefined },
  });
  const told: (LayerId | undefined)[] = [];
  open.listen((id) => told.push(id));
  const [first, second] = [newOrderedId<LayerId>(), newOrderedId<LayerId>()];
  const guest: OpenLayer = {
    ...{ serverId: newOrderedId<ServerId>(), volumeId: newId<VolumeId>(), layerId: first },
    execute: async () => undefined as never,
  };
  open.opened(guest);
  assert.deepEqual(open.writersOf(first), [guest]);
  open.opened({ ...guest, layerId: second });
  assert.deepEqual(open.writersOf(first), []);
  assert.equal(open.writersOf(second).length, 1);
  open.closed(guest);
  assert.deepEqual(open.writersOf(second), []);
  assert.deepEqual(told, [first, first, second, second]);
});

test('work on one layer is done one after the other, whatever becomes of it; work on others is not held up', async () => {
  const files = new LayerFiles({
    ...{ layerPath: () => undefined, imageBase: () => undefined, basesOf: () => [], keys: noKeys, guestGid: undefined },
  });
  const [id, other] = [newOrderedId<LayerId>(), newOrderedId<LayerId>()];
  const order: string[] = [];
  let go = () => {};
  const first = files.lock(id, async () => {
    await new Promise<void>((resolve) => {
      go = resolve;
    });
    order.push('first');
    throw new Error('no');
  });
  const second = files.lock(id, async () => void order.push('second'));
  await files.lock(other, async () => void order.push('other'));
  go();
  await assert.rejects(first, /no/);
  await second;
  assert.deepEqual(order, ['other', 'first', 'second']);
});
