/** Steps that change a layer in the cluster, and its end. */
import type { LayerId } from '../../../contract/ids.ts';
import { wantedBase } from '../decide.ts';
import type { LayerFiles } from '../layer-files.ts';
import { type BuildsOn, sameBase } from '../names.ts';
import type { StepWork } from '../steps/step.ts';
import { longMs, noEntry, notEmpty, type RbdClient, unless } from './client.ts';
import type { Placed } from './ledger.ts';
import { lookAgainMs } from './making.ts';
import { layerImage, type RbdPool } from './pool.ts';
import { sizeOf } from './work.ts';
import { poolOf, type RbdWorld } from './world.ts';

/** What it builds on is a word here: its image keeps what it reads. Only to build on nothing moves content, while a guest may write. */
export async function flattened(
  world: RbdWorld,
  { task, desired }: StepWork,
  onto: BuildsOn,
): Promise<number | undefined> {
  const { context, id } = task;
  await context.pools.require(desired.pool, { toMake: true });
  const { client, ledger } = world.pools.get(desired.pool)!;
  const placed = ledger.of(id)!;
  const others = ledger.within(placed.image).filter((each) => each !== id);
  if (others.some((each) => context.files.open.writersOf(each).length > 0)) {
    task.say('waiting for the guest to be told that it writes to this layer');
    return lookAgainMs;
  }
  const spec = client.spec(layerImage(placed.image));
  if (onto === null && (await client.json<{ parent?: object }>(['info', spec])).parent) {
    task.say('moving what it builds on into it');
    const wanted = (now: typeof desired) => sameBase(wantedBase(now), onto);
    await task.whileWanted(wanted, (signal) => client.rbd(['flatten', spec], { timeoutMs: longMs, signal }));
    await context.step('flatten-image');
  }
  await context.ledger.mayBuildOn(id, [onto]);
  await ledger.note(id, { ...placed, buildsOn: onto });
  return undefined;
}

export async function grown(world: RbdWorld, { task, desired }: StepWork): Promise<number | undefined> {
  const { files } = task.context;
  const { client, ledger } = world.pools.get(desired.pool)!;
  task.say('growing the layer');
  return files.lock(task.id, async () => {
    if (files.open.writersOf(task.id).length > 0) return lookAgainMs;
    const spec = client.spec(layerImage(ledger.of(task.id)!.image));
    // Never smaller: what is beyond would be cut off.
    const { size } = await client.json<{ size: number }>(['info', spec]);
    if (size >= desired.sizeBytes) return undefined;
    await client.rbd(['resize', '--size', sizeOf(desired.sizeBytes), spec]);
    files.changed(task.id);
    return undefined;
  });
}

export async function removed(world: RbdWorld, { task, desired }: StepWork): Promise<undefined> {
  const { files, ledger, outcomes } = task.context;
  await ledger.erase(task.id, desired.epoch);
  await task.context.step('note-erased');
  const pool = poolOf(world, desired);
  if (pool) await oneOfImage(files, pool, task.id, () => removeFrom(pool, task.id, (name) => task.context.step(name)));
  if (outcomes.of(task.id)) await outcomes.forget(task.id);
}

/** Of two that go from one image at once, each would leave the image to the other. */
function oneOfImage(files: LayerFiles, { ledger }: RbdPool, id: LayerId, work: () => Promise<void>): Promise<void> {
  const image = ledger.of(id)?.image ?? id;
  return files.lock(id, () => (image === id ? work() : files.lock(image, work)));
}

async function removeFrom(pool: RbdPool, id: LayerId, step: (name: string) => unknown): Promise<void> {
  const { ledger } = pool;
  const placed = ledger.of(id);
  // What its making left, when it was given up.
  if (!placed) return discard(pool, layerImage(id));
  if (placed.after) await giveUp(pool, placed.after);
  else await removePart(pool, id, placed);
  await step('remove-part');
  if (ledger.within(placed.image).every((each) => each === id)) await discard(pool, layerImage(placed.image));
  await step('remove-image');
  await ledger.forget(id);
}

/** What it was to follow is the head again: the snapshot is taken back, for who has the image open may write to it. */
async function giveUp({ client, ledger }: RbdPool, after: LayerId): Promise<void> {
  const head = ledger.of(after);
  if (!head || head.frozen) return;
  await client.rbd(['snap', 'rm', client.spec(layerImage(head.image), after)]).catch(unless(noEntry));
}

/** A snapshot goes; the cluster keeps it for clones that read it. A head that has snapshots stays, without content. */
async function removePart({ client, ledger }: RbdPool, id: LayerId, { image, frozen }: Placed): Promise<void> {
  const spec = client.spec(layerImage(image));
  if (frozen) {
    await client.rbd(['snap', 'rm', `${spec}@${id}`], { timeoutMs: longMs }).catch(unless(noEntry));
    return;
  }
  if (ledger.within(image).every((each) => each === id)) return;
  await client.rbd(['resize', '--size', '1M', '--allow-shrink', spec], { timeoutMs: longMs }).catch(unless(noEntry));
}

interface Trashed {
  id: string;
  name: string;
}

/** An image goes by way of the trash: there it may wait for the clones that still read it. */
async function discard({ client }: RbdPool, name: string): Promise<void> {
  await client.rbd(['trash', 'mv', client.spec(name)]).catch(unless(noEntry));
  await emptyTrash({ client }, { isOurs: (each) => each === name, timeoutMs: longMs });
}

/** What nobody reads any more goes; the rest waits. */
export async function emptyTrash(
  { client }: { client: RbdClient },
  { isOurs, timeoutMs }: { isOurs(name: string): boolean; timeoutMs: number },
): Promise<void> {
  for (const { id, name } of (await client.list(['trash', 'ls'])) as Trashed[]) {
    if (!isOurs(name)) continue;
    await client.rbd(['trash', 'rm', client.spec(id)], { timeoutMs }).catch(unless(noEntry, notEmpty));
  }
}
