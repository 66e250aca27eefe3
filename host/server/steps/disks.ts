/** Steps that make the disks that a guest boots from. */
import { rm } from 'node:fs/promises';
import type { DesiredImage } from '../../../contract/host/index.ts';
import { diskSizeBytes, makeOverlay } from '../../disk/disk.ts';
import { removeTree } from '../../files.ts';
import { HostFault } from '../../host-error.ts';
import type { BaseFile, ImageFacts } from '../../image/store.ts';
import { isWanted } from '../decide.ts';
import { makeDirectories } from '../ownership.ts';
import { newRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { dropLocalDisks } from './local-disks.ts';
import { plugAhead } from './starting.ts';
import type { StepFunction } from './step.ts';

export const makeDisk: StepFunction<'make-disk'> = async ({ task, desired, signal }) => {
  const { context, paths } = task;
  if (!desired.image) throw new HostFault('invalid', 'the server has no image to boot from', { permanent: true });
  if (awaitsDigest(task, desired.image)) return awaitDigestMs;
  const { facts, base: backing } = await imageFor(task, desired.image, signal);
  const sizeBytes = diskSizeBytes(desired, facts);
  task.say('making the disk');
  await makeDirectories(task.paths);
  const wanted = isWanted(desired, task.record);
  task.record ??= newRecord(desired.epoch);
  await task.save({
    uid: userFor(task),
    disk: { imageId: desired.image.id, imageFormat: backing.format, sizeBytes, count: desired.rootCount ?? 0 },
    resize: null,
    ...(wanted && { ports: desired.ports.map((port) => port.id) }),
  });
  await context.step('record-disk');
  if (wanted) plugAhead(task, desired);
  await makeOverlay(paths.disk, { sizeBytes, backing, owner: task.user });
  return undefined;
};

/** Of a server that boots from a volume: only its volumes hold what it is. */
export const makeRecord: StepFunction<'make-record'> = async ({ task, desired }) => {
  await makeDirectories(task.paths);
  task.record ??= newRecord(desired.epoch);
  await task.save({ uid: userFor(task) });
  return undefined;
};

/** Not before the image is here that the next one is made of: where it can't be had, what was there is not lost for it. */
export const dropDisk: StepFunction<'drop-disk'> = async ({ task, desired, signal }) => {
  if (!desired.image) throw new HostFault('invalid', 'the server has no image to boot from', { permanent: true });
  if (awaitsDigest(task, desired.image)) return awaitDigestMs;
  const { facts } = await imageFor(task, desired.image, signal);
  diskSizeBytes(desired, facts);
  task.say('removing the disk');
  // Another system: what the firmware and the TPM know of the one before goes first, so that it does not meet it.
  await rm(task.paths.firmwareVariables, { force: true });
  await removeTree(task.paths.tpmState);
  await dropLocalDisks(task);
  await task.context.step('drop-local-disks');
  await rm(task.paths.disk, { force: true });
  return undefined;
};

/** As large as its image: it is thrown away. The record comes first, so that the image stays as long as a disk builds on it. */
export const makeRescueDisk: StepFunction<'make-rescue-disk'> = async ({ task, desired, signal }) => {
  const { context, paths } = task;
  const { count, image } = desired.rescue!;
  if (awaitsDigest(task, image)) return awaitDigestMs;
  const { facts, base: backing } = await imageFor(task, image, signal);
  task.say('making the disk of the rescue');
  const sizeBytes = diskSizeBytes({ diskGiB: 0 }, facts);
  await task.save({ rescue: { count, imageId: image.id, imageFormat: backing.format, sizeBytes } });
  await context.step('record-rescue');
  await makeOverlay(paths.rescueDisk, { sizeBytes, backing, owner: task.user });
  return undefined;
};

/** The disk first: as long as the record names the rescue, there may be one. */
export const dropRescue: StepFunction<'drop-rescue'> = async ({ task }) => {
  task.say('removing the disk of the rescue');
  await rm(task.paths.rescueDisk, { force: true });
  await task.context.step('remove-rescue-disk');
  await task.save({ rescue: null });
  return undefined;
};

/** The document that has it wakes the task; this is for the case that the image comes here otherwise. */
const awaitDigestMs = 30_000;

/** It was made on another host a moment ago: what comes from there can't be verified yet. */
function awaitsDigest(task: ServerTask, image: DesiredImage): boolean {
  if (image.sha256 !== null || task.context.images.facts(image.id)) return false;
  task.say('waiting for the digest of the image');
  return true;
}

/** The image on this host, in the form in which guests read it. */
export async function imageFor(
  task: ServerTask,
  image: DesiredImage,
  signal: AbortSignal,
): Promise<{ facts: ImageFacts; base: BaseFile }> {
  const { fetcher, images } = task.context;
  const found = async () => {
    const facts = await fetcher.ensure(image, signal);
    // Control refuses it before.
    if (facts.encrypted)
      throw new HostFault('image_refused', 'the image is encrypted, and only volumes are made of it', {
        permanent: true,
      });
    return { facts, base: images.base(image.id)! };
  };
  if (images.base(image.id)) return found();
  task.say('fetching the image');
  const timer = setInterval(() => task.say(fetcher.progress(image) ?? 'fetching the image'), 1000);
  try {
    return await found();
  } finally {
    clearInterval(timer);
  }
}

/** The number that the record has, or a free one for it: saved before anything is given to it. */
export const userFor = (task: ServerTask): number | null =>
  task.context.guestUsers?.claim(task.id, task.record?.uid ?? null) ?? null;
