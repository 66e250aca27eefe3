/** Steps that make a layer in the cluster: its image or snapshot first, then what is noted of it. */
import { writeFile } from 'node:fs/promises';
import type { DesiredLayer } from '../../../contract/host/index.ts';
import type { ImageId, LayerId } from '../../../contract/ids.ts';
import { HostFault } from '../../host-error.ts';
import type { LayerChain } from '../chain.ts';
import { wantedBase } from '../decide.ts';
import { type BuildsOn, sameBase } from '../names.ts';
import { writeOverlay } from '../overlay.ts';
import { imageFor } from '../steps/making.ts';
import type { StepWork } from '../steps/step.ts';
import type { LayerTask } from '../task.ts';
import { exists, noEntry, unless } from './client.ts';
import type { Placed } from './ledger.ts';
import { copiedImage, layerImage, type RbdPool } from './pool.ts';
import { anew, sizeOf } from './work.ts';
import { copySize, type RbdWorld, wholeSnapshot } from './world.ts';

/** Who has to do something first wakes nobody here. */
export const lookAgainMs = 500;
const awaitDigestMs = 30_000;

export async function made(world: RbdWorld, { task, desired }: StepWork): Promise<number | undefined> {
  await task.context.pools.require(desired.pool, { toMake: true });
  const pool = world.pools.get(desired.pool)!;
  const base = wantedBase(desired);
  task.say('making the layer');
  if (base === null) return empty(pool, task, desired);
  return base.kind === 'image' ? onImage(world, pool, task, desired) : onLayer(world, pool, { task, desired }, base.id);
}

async function empty(pool: RbdPool, task: LayerTask, desired: DesiredLayer): Promise<undefined> {
  const { client } = pool;
  const image = layerImage(task.id);
  await anew(client, image, () => client.rbd(['create', '--size', sizeOf(desired.sizeBytes), client.spec(image)]));
  await put(pool, task, { image: task.id, buildsOn: null, frozen: false });
}

/** It is there: noted in the pool, then by this host. */
async function put({ ledger }: RbdPool, task: LayerTask, placed: Placed): Promise<void> {
  const { context, id } = task;
  await context.step('place-layer');
  await ledger.note(id, placed);
  await context.step('note-layer');
  await context.ledger.mayBuildOn(id, [placed.buildsOn]);
  await context.ledger.made(id);
  context.files.changed(id);
}

async function clone(
  { client }: RbdPool,
  from: { spec: string; sizeBytes: number },
  { task, desired }: StepWork,
): Promise<true> {
  const image = layerImage(task.id);
  const spec = client.spec(image);
  await anew(client, image, () => client.rbd(['clone', from.spec, spec]));
  await task.context.step('clone-image');
  // Zeros beyond the end of what it was made of.
  if (from.sizeBytes < desired.sizeBytes) await client.rbd(['resize', '--size', sizeOf(desired.sizeBytes), spec]);
  return true;
}

/** On the pool's one copy of the image. */
async function onImage(
  world: RbdWorld,
  pool: RbdPool,
  task: LayerTask,
  desired: DesiredLayer,
): Promise<number | undefined> {
  const image = desired.image!;
  const { client } = pool;
  const whole = client.spec(copiedImage(image.id), wholeSnapshot);
  const copied = await copyOnce(world, pool, { task, desired });
  if (copied === undefined) return awaitDigestMs;
  if (copied > Math.ceil(desired.sizeBytes / 2 ** 20) * 2 ** 20) {
    const message = `the volume of ${desired.sizeBytes} bytes is smaller than the image, which needs ${copied}`;
    throw new HostFault('disk_too_small', message, { permanent: true });
  }
  if ((await clone(pool, { spec: whole, sizeBytes: copied }, { task, desired }).catch(unless(noEntry))) === undefined) {
    // It went with the last volume that needed it.
    world.copies.delete(client.spec(copiedImage(image.id)));
    return lookAgainMs;
  }
  await put(pool, task, { image: task.id, buildsOn: { kind: 'image', id: image.id }, frozen: false });
  return undefined;
}

const copying = new WeakMap<RbdPool, Map<ImageId, Promise<unknown>>>();

/** Many volumes begin on one image: one of them copies it. Undefined where the image can't be verified yet. */
async function copyOnce(world: RbdWorld, pool: RbdPool, work: StepWork): Promise<number | undefined> {
  const { id } = work.desired.image!;
  const under = copying.get(pool) ?? new Map<ImageId, Promise<unknown>>();
  copying.set(pool, under);
  const before = under.get(id) ?? Promise.resolve();
  const mine = before.then(async () => (await copySize(world, pool, id)) ?? copy(world, pool, work));
  const over = mine.catch(() => {});
  under.set(id, over);
  try {
    return await mine;
  } finally {
    if (under.get(id) === over) under.delete(id);
  }
}

async function copy(world: RbdWorld, pool: RbdPool, { task, desired }: StepWork): Promise<number | undefined> {
  const image = desired.image!;
  const format = await imageFor(task, image, desired);
  if (format === undefined) return undefined;
  const { images, files } = task.context;
  const base = images.base(image.id)!;
  const sizeBytes = images.facts(image.id)!.virtualSizeBytes!;
  const to = copiedImage(image.id);
  task.say('copying the image into the pool');
  const wanted = (now: DesiredLayer) => sameBase(wantedBase(now), { kind: 'image', id: image.id });
  await task.whileWanted(wanted, (signal) =>
    world.work.withFile(async (path) => {
      const buildsOn: BuildsOn = { kind: 'image', id: image.id };
      await writeOverlay(path, { sizeBytes, buildsOn, format }, { durable: false });
      await files.seal(path);
      const top = { layerId: task.id, path, sizeBytes };
      const chain: LayerChain = { top, lower: [], base: { ...base, imageId: image.id } };
      const progress = (part: number) => task.say(`copying the image into the pool, ${part} %`);
      await world.work.putIn(task.context, pool.client, { chain, to }, { signal, progress });
    }),
  );
  await task.context.step('copy-image');
  await pool.client.rbd(['snap', 'create', pool.client.spec(to, wholeSnapshot)]);
  return copySize(world, pool, image.id);
}

async function onLayer(world: RbdWorld, pool: RbdPool, work: StepWork, below: LayerId): Promise<number | undefined> {
  const { task, desired } = work;
  const { files } = task.context;
  const parent = world.desired(below);
  const placed = pool.ledger.of(below);
  if (!placed) return fromElsewhere(world, pool, work, below);
  const buildsOn: BuildsOn = { kind: 'layer', id: below };
  return files.lock(below, async () => {
    const claimant = pool.ledger.claimantOf(below);
    const follows = parent?.volumeId === desired.volumeId && parent.readOnly && claimant === undefined;
    // Also where this process died when it was a snapshot already: a guest may have written to what comes after it.
    if (claimant === task.id || (follows && !pool.ledger.of(below)!.frozen)) {
      await follow(pool, task, { image: placed.image, below });
      return undefined;
    }
    if (!pool.ledger.of(below)!.frozen) {
      if (!(await frozen(world, pool, task, below))) {
        task.say('waiting for the volume that it is made of to go on from it');
        return lookAgainMs;
      }
    }
    const spec = pool.client.spec(layerImage(placed.image), below);
    const snapshots = await pool.client.json<{ name: string; size: number }[]>([
      ...['snap', 'ls', pool.client.spec(layerImage(placed.image))],
    ]);
    const found = snapshots.find(({ name }) => name === below);
    if (!found) throw new HostFault('layer_missing', `the snapshot of layer ${below} is not in the cluster any more`);
    await clone(pool, { spec, sizeBytes: found.size }, work);
    await put(pool, task, { image: task.id, buildsOn, frozen: false });
    return undefined;
  });
}

/**
 * It becomes the image's head, and what was that a snapshot. Whoever is noted first as what follows is it: what is written from the moment of
 * the snapshot on, also by a guest that has the image open all the time, is this layer's.
 */
async function follow(
  pool: RbdPool,
  task: LayerTask,
  { image, below }: { image: LayerId; below: LayerId },
): Promise<void> {
  const { client, ledger } = pool;
  const buildsOn: BuildsOn = { kind: 'layer', id: below };
  await ledger.note(task.id, { image, buildsOn, frozen: false, after: below });
  await task.context.step('claim-head');
  await client.rbd(['snap', 'create', client.spec(layerImage(image), below)]).catch(unless(exists));
  await task.context.step('freeze-image');
  await ledger.note(below, { ...ledger.of(below)!, frozen: true });
  await put(pool, task, { image, buildsOn, frozen: false });
}

/** Makes a snapshot of a layer that nobody writes to and whose volume does not go on from it here. False: not yet. Within its lock. */
async function frozen(world: RbdWorld, pool: RbdPool, { context }: LayerTask, id: LayerId): Promise<boolean> {
  const { client, ledger } = pool;
  const layer = world.desired(id);
  const goesOn = world.children(id).some(({ volumeId }) => volumeId === layer?.volumeId);
  if (!layer?.readOnly || goesOn || ledger.claimantOf(id) || !context.files.open.complete) return false;
  if (context.files.open.writersOf(id).length > 0) return false;
  const placed = ledger.of(id)!;
  await client.rbd(['snap', 'create', client.spec(layerImage(placed.image), id)]).catch(unless(exists));
  await ledger.note(id, { ...placed, frozen: true });
  return true;
}

/** What it builds on lies in another pool: all of it is copied, as soon as nobody writes to it. */
async function fromElsewhere(
  world: RbdWorld,
  pool: RbdPool,
  { task, desired }: StepWork,
  below: LayerId,
): Promise<number | undefined> {
  const { files } = task.context;
  if (!files.open.complete || files.open.writersOf(below).length > 0) {
    task.say('waiting for the guest to write no more to what is copied');
    return lookAgainMs;
  }
  const wanted = (now: DesiredLayer) => sameBase(wantedBase(now), { kind: 'layer', id: below });
  const progress = (part: number) => task.say(`copying what it builds on into the pool, ${part} %`);
  await task.whileWanted(wanted, (signal) =>
    files.lock(below, async () => {
      const chain = await files.chain(below);
      if (chain.top.remote) throw new HostFault('invalid', 'layers are not copied from one cluster pool to another');
      for (const { path } of [chain.top, ...chain.lower]) await files.seal(path);
      await world.work.putIn(task.context, pool.client, { chain, to: layerImage(task.id) }, { signal, progress });
    }),
  );
  await enlarge(pool, { task, desired });
  await put(pool, task, { image: task.id, buildsOn: { kind: 'layer', id: below }, frozen: false });
  return undefined;
}

async function enlarge({ client }: RbdPool, { task, desired }: StepWork): Promise<void> {
  const spec = client.spec(layerImage(task.id));
  const { size } = await client.json<{ size: number }>(['info', spec]);
  if (size < desired.sizeBytes) await client.rbd(['resize', '--size', sizeOf(desired.sizeBytes), spec]);
}

/** What a backup holds, as an image that stands for itself. */
export async function restored(world: RbdWorld, { task, desired }: StepWork): Promise<undefined> {
  const { pools, backups, tools, files } = task.context;
  await pools.require(desired.pool, { toMake: true });
  const pool = world.pools.get(desired.pool)!;
  const { name, sha256, backupId } = desired.source!;
  task.say('verifying the backup');
  const wanted = (now: DesiredLayer) => now.source?.backupId === backupId;
  const progress = (part: number) => task.say(`restoring the backup, ${part} %`);
  await task.whileWanted(wanted, async (signal) => {
    const chain = await backups.chain(name, sha256, signal);
    task.say('restoring the backup');
    await world.work.withFile(async (path) => {
      await writeFile(path, '', { mode: 0o600, flag: 'wx' });
      await tools.restore(chain, path, { signal, progress });
      await files.seal(path);
      const top = { layerId: task.id, path, sizeBytes: desired.sizeBytes };
      const whole: LayerChain = { top, lower: [], base: null };
      const to = layerImage(task.id);
      await world.work.putIn(task.context, pool.client, { chain: whole, to }, { signal, progress });
    });
  });
  await task.context.step('copy-backup');
  await enlarge(pool, { task, desired });
  await put(pool, task, { image: task.id, buildsOn: null, frozen: false });
}
