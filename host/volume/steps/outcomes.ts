/**
 * Steps that make something of what a layer holds: images in this host's store, backups in the directory for them. What came of each, good
 * or bad, is kept until nobody asks any more. A failure is the image's or the backup's, not the layer's.
 */
import { randomUUID } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { CapturedImage, DesiredLayer } from '../../../contract/host/index.ts';
import type { VolumeKeyId } from '../../../contract/ids.ts';
import { asFault, HostFault } from '../../host-error.ts';
import { takeOverImage } from '../../image/take-over.ts';
import { ProcessDied, Superseded } from '../../step-loop.ts';
import type { LayerChain } from '../chain.ts';
import type { Outcomes } from '../outcomes.ts';
import type { LayerTask } from '../task.ts';
import { idsOf } from './changing.ts';
import { awaitKeyMs, awaitsKeys } from './making.ts';
import { sealDifference, sealInto } from './sealing.ts';
import type { StepFunction } from './step.ts';

type Capture = NonNullable<DesiredLayer['captures']>[number];
type Backup = NonNullable<DesiredLayer['backups']>[number];
type OutcomeError = { code: string; message: string };

export const capture: StepFunction<'capture'> = async ({ task, desired }, { imageId }) => {
  const wish = desired.captures!.find((each) => each.imageId === imageId)!;
  if (wish.encryption && (await awaitsAll(task, wish.encryption.keyId))) return awaitKeyMs;
  const made = await outcomeOf(task, 'no image could be made of it', () => makeImage(task, desired, wish));
  await task.context.step('adopt-image');
  await keep(task, desired, { captures: [{ imageId, ...made }], backups: [] });
  if (made.result) task.context.laterDigests.find(imageId);
  return undefined;
};

export const backUp: StepFunction<'back-up'> = async ({ task, desired }, { backupId }) => {
  const wish = desired.backups!.find(({ id }) => id === backupId)!;
  if (desired.encryption && (await awaitsAll(task))) return awaitKeyMs;
  const made = await outcomeOf(task, 'no backup could be made of it', () => makeBackup(task, desired, wish));
  await task.context.step('place-backup');
  await keep(task, desired, { captures: [], backups: [{ id: backupId, ...made }] });
  return undefined;
};

export const forgetOutcomes: StepFunction<'forget-outcomes'> = async ({ task }) => {
  await task.context.outcomes.forget(task.id);
  return undefined;
};

/** The keys that open the layer and all below it, and those beside them. */
async function awaitsAll(task: LayerTask, ...more: VolumeKeyId[]): Promise<boolean> {
  return awaitsKeys(task, [...idsOf(await task.context.files.chain(task.id)), ...more]);
}

/** What is no more asked for goes with the next that comes. */
async function keep(task: LayerTask, { captures, backups }: DesiredLayer, more: Outcomes): Promise<void> {
  const known = task.context.outcomes.of(task.id) ?? { captures: [], backups: [] };
  const asked = {
    captures: known.captures.filter(({ imageId }) => captures?.some((each) => each.imageId === imageId)),
    backups: known.backups.filter(({ id }) => backups?.some((each) => each.id === id)),
  };
  await task.context.outcomes.save(task.id, {
    captures: [...asked.captures, ...more.captures],
    backups: [...asked.backups, ...more.backups],
  });
}

async function outcomeOf<T>(
  task: LayerTask,
  words: string,
  make: () => Promise<T>,
): Promise<{ result: T | null; error: OutcomeError | null }> {
  try {
    return { result: await make(), error: null };
  } catch (error) {
    if (error instanceof ProcessDied || error instanceof Superseded || task.closed) throw error;
    const fault = asFault(error);
    // It may become ready: that is no outcome.
    if (fault.code === 'layer_not_ready') throw error;
    task.context.log.error({ err: error, layerId: task.id }, `layer: ${words}`);
    return { result: null, error: { code: fault.code, message: fault.message } };
  }
}

async function makeImage(task: LayerTask, desired: DesiredLayer, wish: Capture): Promise<CapturedImage> {
  const { imageId, format, encryption } = wish;
  if (!encryption) requireClear(desired);
  const { images, tools, upload } = task.context;
  const named = ({ captures }: DesiredLayer) => captures?.some((each) => each.imageId === imageId) === true;
  return task.whileWanted(named, async (signal, asked) => {
    // Control's word that the image goes may come before the document that asks for it no more.
    using deletion = images.deletions.watchOnce(imageId);
    const stillWanted = () => {
      asked();
      deletion.refuse();
    };
    stillWanted();
    task.say('copying the layer into an image');
    const to = await images.incoming(`upload-${randomUUID()}`);
    try {
      await (await open(to, 'wx', 0o600)).close();
      const progress = (part: number) => task.say(`copying the layer into an image, ${part} %`);
      const work = { signal, progress };
      const copy = (below: LayerChain) =>
        encryption
          ? sealInto(task, { to, encryption, sizeBytes: below.top.sizeBytes, below }, work)
          : tools.convert(below, to, format, work);
      await task.kind(desired).whileStill(task, desired, copy);
      await task.context.step('copy-layer');
      stillWanted();
      task.say('taking in the image');
      const result = await takeOverImage(
        to,
        { id: imageId, format, stillWanted, ...(encryption && { encrypted: true }) },
        upload,
      );
      try {
        stillWanted();
      } catch (error) {
        await images.remove(imageId);
        throw error;
      }
      return result;
    } finally {
      if (!task.closed) await rm(to, { force: true });
      images.letGo(to);
    }
  });
}

/** What is made of an encrypted one would hold its content in the clear. Control refuses it before. */
function requireClear({ encryption }: DesiredLayer): void {
  if (encryption) throw new HostFault('encrypted', 'the layer is encrypted, and what is made of it would not be');
}

async function makeBackup(
  task: LayerTask,
  desired: DesiredLayer,
  wish: Backup,
): Promise<{ sizeBytes: number; sha256: string }> {
  const { backups, tools } = task.context;
  const named = (now: DesiredLayer) => now.backups?.some(({ id }) => id === wish.id) === true;
  return task.whileWanted(named, async (signal) => {
    const earlier = wish.parentName === null ? [] : await backups.chain(wish.parentName, null, signal);
    const into = wish.managed ? await task.context.managed.outbox(desired) : backups;
    task.say(wish.managed ? 'copying the content out of the cloud' : 'making a backup');
    const work = { signal, progress: (part: number) => task.say(`making a backup, ${part} %`) };
    return into.make(wish, earlier, {
      write: (to) =>
        task.kind(desired).whileStill(task, desired, (chain) => {
          const { encryption } = desired;
          if (wish.managed) {
            requireClear(desired);
            return tools.convert(chain, to, 'qcow2', work);
          }
          if (!encryption) return tools.backUp(chain, to, { earlier }, work);
          if (earlier.length > 0) return sealDifference(task, { to, encryption, below: chain, earlier }, work);
          return sealInto(task, { to, encryption, sizeBytes: chain.top.sizeBytes, below: chain }, work);
        }),
      written: () => task.context.step('copy-layer'),
      signal,
    });
  });
}
