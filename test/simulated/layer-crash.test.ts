/**
 * The host process dies after each step of each kind of work on layers and starts again: the end is always the same. The n-th run dies after
 * the n-th step; the runs end when a piece of work is through before its host would have died.
 */
import assert from 'node:assert/strict';
import { hash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { DesiredLayer, LayerEncryption, ObservedLayer } from '../../contract/host/index.ts';
import {
  type BackupId,
  type ImageId,
  type LayerId,
  newId,
  newOrderedId,
  type VolumeId,
  type VolumeKeyId,
} from '../../contract/ids.ts';
import { qcow2Overlay } from '../../host/image/qcow2.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { headerAt } from '../../host/volume/chain.ts';
import { wantedBase } from '../../host/volume/decide.ts';
import { type HostWorld, hostWorld } from '../support/host-world.ts';
import { until } from '../support/until.ts';

const size = 64 * 2 ** 20;

const wantedLayer = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'local', sizeBytes: size, parentId: null, image: null, readOnly: false },
  ...changes,
});

interface Act {
  change(layer: DesiredLayer, world: HostWorld): DesiredLayer | Promise<DesiredLayer>;
  done?(observed: ObservedLayer, layer: DesiredLayer): boolean;
}

interface Work extends Act {
  name: string;
  before?: Act[];
  /** What lies in the pool at its end, beside the mark and the layers below. */
  left?: 'nothing';
  /** What lies in the directory `manage`; absent: nothing. */
  leaves?: 'a file';
  /** How many files are below it. */
  below?: number;
  /** As large as the layer's file is, where it is not what its document says. */
  fileBytes?: number;
}

const create: Act = { change: (layer) => layer };
const onImage: Act = {
  change: async (layer, world) => ({ ...layer, image: await world.storeImage() }),
};
const grow: Act = {
  change: (layer) => ({ ...layer, sizeBytes: 2 * layer.sizeBytes }),
  done: (observed, layer) => observed.sizeBytes === layer.sizeBytes,
};
const freeze: Act = { change: (layer) => ({ ...layer, readOnly: true }) };
const flatten: Act = { change: (layer) => ({ ...layer, parentId: null, image: null }) };
const newEncryption = ({ control }: HostWorld): LayerEncryption => {
  const keyId = newId<VolumeKeyId>();
  control.keys.set(keyId, randomBytes(32).toString('hex'));
  return { keyId, cipher: 'aes-xts-plain64', keySizeBits: 256 };
};
/** On a frozen one whose content is encrypted otherwise. */
const onOther = (seal: { above: boolean; below: boolean }): Act => ({
  async change(layer, world) {
    const sealed = (yes: boolean) => yes && { encryption: newEncryption(world) };
    const below = wantedLayer({ volumeId: layer.volumeId, readOnly: true, ...sealed(seal.below) });
    world.control.wantLayer(below);
    await world.control.untilLayer(below.id, 'ready', ({ state }) => state === 'ready');
    return { ...layer, parentId: below.id, ...sealed(seal.above) };
  },
});
const capture: Act = {
  change: (layer) => ({ ...layer, captures: [{ imageId: newId<ImageId>(), format: 'qcow2' }] }),
  done: (observed, { captures }) =>
    observed.captures?.some(({ imageId, result }) => imageId === captures![0]!.imageId && result !== null) === true,
};
const largerImage: Act = {
  ...capture,
  change: async (layer, world) => ({ ...(await capture.change(layer, world)), sizeBytes: 2 * layer.sizeBytes }),
};
const backUp: Act = {
  change: (layer) => ({ ...layer, backups: [{ id: newId<BackupId>(), name: 'one.backup', parentName: null }] }),
  done: (observed, { backups }) =>
    observed.backups?.some(({ id, result }) => id === backups![0]!.id && result !== null) === true,
};
/** From a backup that lies in the directory for them. */
const restore: Act = {
  change(layer, { directory }) {
    const bytes = emptyQcow2();
    writeFileSync(join(directory, 'data/backups/one.backup'), bytes);
    const source = { backupId: newId<BackupId>(), name: 'one.backup', sha256: hash('sha256', bytes) };
    return { ...layer, source };
  },
};
const sealed: Act = { change: (layer, world) => ({ ...layer, encryption: newEncryption(world) }) };
const restoreSealed: Act = {
  async change(layer, world) {
    const { source, ...clear } = await restore.change(layer, world);
    return { ...clear, encryption: newEncryption(world), source: { ...source!, encrypted: true } };
  },
};
/** On a generation of a cache that is on a base. */
const onCache: Act = {
  async change(layer, { control }) {
    const cached = { volumeId: layer.volumeId, readOnly: true };
    const base = wantedLayer({ ...cached, readOnly: false, cache: { role: 'base', fullBytes: null } });
    const generation = wantedLayer({ ...cached, parentId: base.id, cache: { role: 'writes', fullBytes: size } });
    for (const below of [base, generation]) {
      control.wantLayer(below);
      await control.untilLayer(below.id, 'ready', ({ state }) => state === 'ready');
    }
    return { ...layer, parentId: generation.id, cache: { role: 'base', fullBytes: null } };
  },
};
const sink: Act = {
  change(layer, { control }) {
    const below = control.layers.find(({ id }) => id === layer.parentId)!;
    return { ...layer, parentId: below.parentId, sinks: true };
  },
};
/** Of a file that an administrator laid into the pool. */
const takeOver: Act = {
  change(layer, { directory }) {
    const place = join(directory, 'data/volumes/manage');
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'old.img'), emptyQcow2());
    return { ...layer, managed: { name: 'old.img' } };
  },
};
const leave: Act = {
  change: (layer) => ({
    ...layer,
    backups: [{ id: newId<BackupId>(), name: `${layer.volumeId}.qcow2`, parentName: null, managed: true }],
  }),
  done: backUp.done!,
};
const remove: Act = { change: (layer) => ({ ...layer, presence: 'absent' }) };

const works: Work[] = [
  { name: 'create', ...create },
  { name: 'create on an image', ...onImage },
  { name: 'grow', before: [create], ...grow },
  { name: 'flatten', before: [onImage], ...flatten },
  { name: 'flatten of one that nobody writes to any more', before: [onImage, freeze], ...flatten },
  { name: 'flatten into an encrypted one', before: [onOther({ above: true, below: false })], below: 1, ...flatten },
  {
    name: 'flatten of an encrypted one into a clear one',
    before: [onOther({ above: false, below: true })],
    below: 1,
    ...flatten,
  },
  { name: 'flatten from one key to another', before: [onOther({ above: true, below: true })], below: 1, ...flatten },
  { name: 'image', before: [create, freeze], ...capture },
  {
    name: 'image of one that was frozen before it was grown',
    before: [create, freeze],
    ...largerImage,
    fileBytes: size,
  },
  { name: 'backup', before: [create, freeze], ...backUp },
  { name: 'sink of a generation', before: [onCache], below: 2, ...sink },
  { name: 'restore', ...restore },
  { name: 'take over of a file', ...takeOver },
  { name: 'leaving the cloud', before: [create], leaves: 'a file', ...leave },
  { name: 'backup of an encrypted one', before: [sealed, freeze], ...backUp },
  { name: 'restore of an encrypted one', ...restoreSealed },
  { name: 'delete', before: [create], left: 'nothing', ...remove },
  { name: 'delete after an image and a backup', before: [create, freeze, capture, backUp], left: 'nothing', ...remove },
];

function emptyQcow2(): Buffer {
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes: size, backing: undefined });
  const bytes = Buffer.alloc(fileBytes);
  for (const piece of pieces) piece.bytes.copy(bytes, piece.offset);
  return bytes;
}

/** A host that dies after the n-th step from the moment that it is armed. */
function mortal(world: HostWorld) {
  let left = Number.POSITIVE_INFINITY;
  const steps: string[] = [];
  let dead = false;
  const host = world.host({
    dependencies: {
      step: (name) => {
        steps.push(name);
        if (--left <= 0) throw new ProcessDied(name);
      },
    },
  });
  void host.died.then(() => {
    dead = true;
  });
  const arm = (n: number) => {
    left = n;
  };
  return { host, steps, arm, isDead: () => dead };
}

for (const work of works) {
  test(`layer, ${work.name}: the end is the same wherever the host process dies`, async (t) => {
    const died: string[] = [];
    for (let n = 1; n < 20; n++) {
      const step = await runOnce(t, work, n);
      if (step === undefined) break;
      died.push(step);
    }
    assert.ok(died.length >= 1, `steps: ${died}`);
    t.diagnostic(`died after: ${died.join(', ')}`);
  });
}

async function runOnce(t: TestContext, work: Work, n: number): Promise<string | undefined> {
  const world = await hostWorld(t);
  const { control } = world;
  const first = mortal(world);
  await first.host.start();
  let layer = wantedLayer({ generation: 0 });
  const isDone = (act: Act) => (observed: ObservedLayer) => {
    const state = layer.presence === 'absent' ? 'absent' : 'ready';
    const served = observed.state === state && observed.generation === layer.generation;
    return served && observed.step === null && (act.done?.(observed, layer) ?? true);
  };
  const want = async (act: Act) => {
    layer = { ...(await act.change(layer, world)), generation: layer.generation + 1 };
    control.wantLayer(layer);
  };
  for (const act of work.before ?? []) {
    await want(act);
    await control.untilLayer(layer.id, 'as before', isDone(act));
  }
  first.arm(n);
  await want(work);
  const isThrough = () => {
    const observed = control.observedLayers.get(layer.id);
    return observed !== undefined && isDone(work)(observed);
  };
  await until('death or the end', () => first.isDead() || isThrough());
  const step = first.isDead() ? first.steps.at(-1) : undefined;
  if (step !== undefined) {
    control.observedLayers.clear();
    await world.host().start();
  }
  const observed = await control.untilLayer(layer.id, 'as it shall be', isDone(work));
  assert.equal(observed.error, null);
  await check(world, work, layer);
  return step;
}

async function check({ directory }: HostWorld, work: Work, layer: DesiredLayer): Promise<void> {
  const data = join(directory, 'data');
  const pool = join(data, 'volumes/layers');
  const file = `${layer.id}.qcow2`;
  const others = readdirSync(pool).filter((name) => name !== file);
  assert.equal(others.length, work.below ?? 0);
  assert.equal(readdirSync(pool).includes(file), work.left !== 'nothing');
  assert.deepEqual(
    readdirSync(join(data, 'images/incoming')).filter((name) => name.startsWith('upload-')),
    [],
  );
  assert.equal(
    readdirSync(join(data, 'backups')).some((name) => name.endsWith('.new')),
    false,
  );
  if (work.left === 'nothing') {
    assert.deepEqual(readdirSync(join(data, 'layer-outcomes')), []);
    return;
  }
  const manage = join(data, 'volumes/manage');
  const left = existsSync(manage) ? readdirSync(manage) : [];
  assert.deepEqual(left, work.leaves ? [`${layer.volumeId}.qcow2`] : []);
  const base = wantedBase(layer);
  const header = await headerAt(join(pool, file), [base]);
  assert.deepEqual(header, { sizeBytes: work.fileBytes ?? layer.sizeBytes, buildsOn: base });
}
