/**
 * The host process dies after each step of each kind of work on layers of a Ceph cluster and starts again: the end is always the same, in the
 * cluster and in what is noted of it. Over a fake `rbd` that refuses what Ceph refuses (test/support/fake-rbd.sh).
 */
import assert from 'node:assert/strict';
import { hash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import { type BackupId, type ImageId, type LayerId, newId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { qcow2Overlay } from '../../host/image/qcow2.ts';
import { ProcessDied } from '../../host/step-loop.ts';
import { type HostWorld, hostWorld } from '../support/host-world.ts';
import { partOf } from '../support/part-of.ts';
import { until } from '../support/until.ts';

const size = 64 * 2 ** 20;
const program = (name: string) => fileURLToPath(new URL(`../support/${name}.sh`, import.meta.url));
const programs = { rbd: program('fake-rbd'), ceph: program('fake-ceph') };

const wantedLayer = (changes: Partial<DesiredLayer> = {}): DesiredLayer => ({
  ...{ id: newOrderedId<LayerId>(), volumeId: newId<VolumeId>(), epoch: 1, generation: 1, presence: 'present' },
  ...{ pool: 'big', sizeBytes: size, parentId: null, image: null, readOnly: false },
  ...changes,
});
const next = (layer: DesiredLayer, changes: Partial<DesiredLayer>): DesiredLayer => ({
  ...layer,
  ...changes,
  generation: layer.generation + 1,
});

interface Rack {
  world: HostWorld;
  /** What the cluster is, as files. */
  cluster: string;
  /** A host process that dies after its n-th step from `arm` on. */
  host(): Promise<{ arm(n: number): void; lastStep(): string; isDead(): boolean }>;
  want(...layers: DesiredLayer[]): Promise<void>;
}

async function rack(t: Pick<TestContext, 'after'>, sweeps: { sweepIntervalMs?: number } = {}): Promise<Rack> {
  const world = await hostWorld(t);
  const cluster = join(world.directory, 'cluster');
  mkdirSync(cluster);
  const [conf, keyring] = [join(cluster, 'ceph.conf'), join(cluster, 'keyring')];
  for (const file of [conf, keyring]) writeFileSync(file, '');
  const rbd = { conf, keyring, user: 'bothy', pool: 'vols', programs };
  const storage = { pools: [{ name: 'big', tier: 'disk' as const, rbd }] };
  return {
    ...{ world, cluster },
    async host() {
      let [left, dead, last] = [Number.POSITIVE_INFINITY, false, ''];
      const step = (name: string) => {
        last = name;
        if (--left <= 0) throw new ProcessDied(name);
      };
      const host = world.host({ configuration: { storage, ...sweeps }, dependencies: { step } });
      void host.died.then(() => {
        dead = true;
      });
      await host.start();
      return {
        arm(n) {
          left = n;
        },
        lastStep: () => last,
        isDead: () => dead,
      };
    },
    async want(...layers) {
      for (const layer of layers) world.control.wantLayer(layer);
      for (const layer of layers) await world.control.untilLayer(layer.id, 'as it shall be', isServed(layer));
    },
  };
}

const isServed =
  ({ generation, presence, sizeBytes, captures = [], backups = [] }: DesiredLayer) =>
  (seen: ObservedLayer): boolean => {
    if (seen.generation !== generation || seen.step !== null || seen.error !== null) return false;
    if (presence === 'absent') return seen.state === 'absent';
    const made = [...(seen.captures ?? []), ...(seen.backups ?? [])].filter(({ result }) => result !== null).length;
    return seen.state === 'ready' && seen.sizeBytes >= sizeBytes && made === captures.length + backups.length;
  };

const names = (directory: string): string[] => readdirSync(directory).sort();

/** What the cluster holds, by the images' names: their size, their snapshots and whether they read another one; and what is noted of layers. */
function inCluster({ cluster }: Rack) {
  const read = (...path: string[]) => readFileSync(join(cluster, ...path), 'utf8').trim();
  const found: Record<string, { bytes: number; snapshots: string[]; reads: boolean }> = {};
  const noted: Record<string, string> = {};
  for (const image of names(join(cluster, 'images'))) {
    if (image.startsWith('bothy-pool.')) {
      for (const key of names(join(cluster, 'images', image, 'meta')))
        noted[key.slice(2)] = read('images', image, 'meta', key);
      continue;
    }
    const snapshots = names(join(cluster, 'images', image, 'snaps'));
    found[image] = {
      bytes: Number(read('images', image, 'size')),
      snapshots,
      reads: read('images', image, 'parent') !== '',
    };
  }
  return { images: found, noted, trash: names(join(cluster, 'trash')).length };
}

interface Work {
  name: string;
  /** What is there before. */
  before?(rack: Rack): DesiredLayer[] | Promise<DesiredLayer[]>;
  /** What shall be then; by `before`'s. */
  act(before: DesiredLayer[], rack: Rack): DesiredLayer[] | Promise<DesiredLayer[]>;
  /** The images that there are at the end, each by the layer that it was made for, with its snapshots; `reads`: it is a clone. */
  left(layers: DesiredLayer[]): Record<string, { snapshots?: string[]; reads?: true }>;
}

const one = () => [wantedLayer()];
const frozen = () => [wantedLayer({ readOnly: true })];
/** One that nobody writes to any more, and what its volume went on with. */
const followed = async ({ want }: Rack): Promise<DesiredLayer[]> => {
  const below = wantedLayer();
  await want(below);
  const shut = next(below, { readOnly: true });
  const top = wantedLayer({ volumeId: below.volumeId, parentId: below.id });
  await want(shut, top);
  return [shut, top];
};
const alone = ([layer]: DesiredLayer[]) => ({ [layer!.id]: {} });
const onImage = async (rack: Rack) => [wantedLayer({ image: await rack.world.storeImage() })];

const works: Work[] = [
  { name: 'create', act: one, left: alone },
  {
    name: 'create on an image',
    act: (_, rack) => onImage(rack),
    left: ([layer]) => ({ [layer!.id]: { reads: true } }),
  },
  { name: 'grow', before: one, act: ([layer]) => [next(layer!, { sizeBytes: 2 * size })], left: alone },
  {
    name: 'go on from one that is frozen',
    before: one,
    act: ([below]) => [
      next(below!, { readOnly: true }),
      wantedLayer({ volumeId: below!.volumeId, parentId: below!.id }),
    ],
    left: ([below]) => ({ [below!.id]: { snapshots: [below!.id] } }),
  },
  {
    name: 'clone',
    before: frozen,
    act: ([below]) => [wantedLayer({ parentId: below!.id, sizeBytes: 2 * size })],
    left: ([clone]) => ({ [clone!.parentId!]: { snapshots: [clone!.parentId!] }, [clone!.id]: { reads: true } }),
  },
  {
    name: 'put back to what is frozen',
    before: followed,
    act: ([below, top]) => [
      next(top!, { presence: 'absent' }),
      wantedLayer({ volumeId: below!.volumeId, parentId: below!.id }),
    ],
    left: ([, again]) => ({ [again!.parentId!]: { snapshots: [again!.parentId!] }, [again!.id]: { reads: true } }),
  },
  { name: 'flatten', before: onImage, act: ([layer]) => [next(layer!, { image: null })], left: alone },
  {
    name: 'let go of what is below',
    before: followed,
    act: ([below, top]) => [next(top!, { parentId: null }), next(below!, { presence: 'absent' })],
    left: ([, below]) => ({ [below!.id]: {} }),
  },
  {
    name: 'restore',
    act: (_, { world }) => [wantedLayer({ source: writeBackup(world) })],
    left: alone,
  },
  {
    name: 'backup',
    before: frozen,
    act: ([layer]) => [next(layer!, { backups: [{ id: newId<BackupId>(), name: 'one.backup', parentName: null }] })],
    left: alone,
  },
  {
    name: 'image',
    before: frozen,
    act: ([layer]) => [next(layer!, { captures: [{ imageId: newId<ImageId>(), format: 'qcow2' }] })],
    left: alone,
  },
  { name: 'delete', before: one, act: ([layer]) => [next(layer!, { presence: 'absent' })], left: () => ({}) },
  {
    name: 'delete of a volume and its snapshot',
    before: followed,
    act: (layers) => layers.map((layer) => next(layer, { presence: 'absent' })),
    left: () => ({}),
  },
];

function writeBackup({ directory }: HostWorld): NonNullable<DesiredLayer['source']> {
  const { fileBytes, pieces } = qcow2Overlay({ sizeBytes: size, backing: undefined });
  const bytes = Buffer.alloc(fileBytes);
  for (const piece of pieces) piece.bytes.copy(bytes, piece.offset);
  writeFileSync(join(directory, 'data/backups/one.backup'), bytes);
  return { backupId: newId<BackupId>(), name: 'one.backup', sha256: hash('sha256', bytes) };
}

for (const work of partOf(works, 2)) {
  test(`layer in a cluster, ${work.name}: the end is the same wherever the host process dies`, async (t) => {
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
  const here = await rack(t);
  const { control } = here.world;
  const first = await here.host();
  const before = (await work.before?.(here)) ?? [];
  await here.want(...before);
  first.arm(n);
  const after = await work.act(before, here);
  for (const layer of after) control.wantLayer(layer);
  const isThrough = () =>
    after.every((layer) => isServed(layer)(control.observedLayers.get(layer.id) ?? ({} as never)));
  await until('death or the end', () => first.isDead() || isThrough());
  const step = first.isDead() ? first.lastStep() : undefined;
  if (step !== undefined) {
    control.observedLayers.clear();
    await here.host();
  }
  await here.want(...after);
  check(here, work, after);
  return step;
}

function check(here: Rack, work: Work, after: DesiredLayer[]): void {
  const { images, noted } = inCluster(here);
  const wanted = work.left(after);
  const layers = Object.keys(images).filter((name) => name.startsWith('bothy-'));
  assert.deepEqual(
    layers,
    Object.keys(wanted)
      .map((id) => `bothy-${id}`)
      .sort(),
  );
  for (const [id, { snapshots = [], reads = false }] of Object.entries(wanted)) {
    const image = images[`bothy-${id}`]!;
    assert.deepEqual({ snapshots: image.snapshots, reads: image.reads }, { snapshots, reads });
  }
  for (const { id, presence } of after) assert.equal(noted[id] !== undefined, presence === 'present', noted[id]);
  assert.deepEqual(names(join(here.world.directory, 'data/rbd-work')), []);
}

test('the copy of an image goes with the last volume that needs it, and comes again with the next', async (t) => {
  const here = await rack(t, { sweepIntervalMs: 200 });
  await here.host();
  const [layer] = await onImage(here);
  // By names alone: what goes meanwhile has no size any more.
  const copies = () => names(join(here.cluster, 'images')).filter((name) => name.startsWith('image-'));
  await here.want(layer!);
  assert.deepEqual(copies(), [`image-${layer!.image!.id}`]);
  await here.want(next(layer!, { presence: 'absent' }));
  await until('the copy to go', () => copies().length === 0);
  await here.want(wantedLayer({ image: layer!.image }));
  assert.equal(copies().length, 1);
});

test('layers of a cluster go in any order, and nothing is left but the mark', async (t) => {
  const here = await rack(t, { sweepIntervalMs: 500 });
  await here.host();
  const everyThird = ordersOf([0, 1, 2, 3]).filter((_, n) => n % 3 === 0);
  for (const order of partOf(everyThird, 2)) {
    const [below, top] = await followed(here);
    const clone = wantedLayer({ parentId: below!.id, readOnly: true });
    await here.want(clone);
    const ofClone = wantedLayer({ parentId: clone.id });
    await here.want(ofClone);
    const all = [below!, top!, clone, ofClone];
    // Whoever builds on what goes is told so first, as control does it.
    for (const at of order) await here.want(next(all[at]!, { presence: 'absent' }));
    const { images, noted } = inCluster(here);
    assert.deepEqual({ images, noted }, { images: {}, noted: {} }, `${order}`);
  }
  // What clones read has waited there for their end.
  await until('the trash to be empty', () => inCluster(here).trash === 0);
});

function ordersOf(items: number[]): number[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item) => ordersOf(items.filter((each) => each !== item)).map((rest) => [item, ...rest]));
}
