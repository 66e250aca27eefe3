/**
 * The step that makes an image of a server's disk. What came of it, good or bad, is kept in the record until nobody asks for it any
 * more, so control hears of it whatever dies meanwhile. A failure is the image's, not the server's.
 */
import { rm } from 'node:fs/promises';
import type { CapturedImage } from '../../../contract/host/index.ts';
import type { ImageId } from '../../../contract/ids.ts';
import { asFault, HostFault } from '../../host-error.ts';
import { takeOverImage } from '../../image/take-over.ts';
import { ProcessDied } from '../../step-loop.ts';
import type { CaptureRecord } from '../record.ts';
import type { StepFunction, StepWork } from './step.ts';

export const capture: StepFunction<'capture'> = async (work, { imageId }) => {
  const { task, desired } = work;
  const wanted = () =>
    task.requireWanted(({ captures, presence, epoch }) => {
      const named = captures?.some((each) => each.imageId === imageId) === true;
      return named && presence === 'present' && epoch === desired.epoch;
    });
  let outcome: CaptureRecord;
  try {
    outcome = { imageId, result: await makeImage(work, imageId, wanted), error: null };
  } catch (error) {
    if (error instanceof ProcessDied || task.closed) throw error;
    wanted();
    task.context.log.error({ err: error, serverId: task.id, imageId }, 'server: no image could be made of its disk');
    const { code, message } = asFault(error);
    outcome = { imageId, result: null, error: { code, message } };
  }
  await task.context.step('adopt-image');
  const others = (task.record?.captures ?? []).filter(({ imageId: other }) =>
    desired.captures?.some((each) => each.imageId === other),
  );
  await task.save({ captures: [...others.filter((other) => other.imageId !== imageId), outcome] });
  if (outcome.result) task.context.laterDigests.find(imageId);
  return undefined;
};

async function makeImage({ task, desired }: StepWork, imageId: ImageId, asked: () => void): Promise<CapturedImage> {
  const { context, paths, guest, record } = task;
  const { imageId: below, sizeBytes } = record!.disk!;
  const base = context.images.base(below);
  if (!base) throw new HostFault('image_missing', `image ${below}, on which the disk builds, is not on this host`);
  // Control's word that the image goes may come before the document that asks for it no more.
  using deletion = context.images.deletions.watchOnce(imageId);
  const stillWanted = () => {
    asked();
    deletion.refuse();
  };
  stillWanted();
  const running = guest !== undefined && guest.state !== 'gone';
  task.say('copying the disk');
  try {
    await context.saveDisk({
      ...{ path: paths.disk, base, sizeBytes, to: paths.capture, user: task.user, stillWanted },
      guest: running ? guest : undefined,
      requireQuiesce: desired.hardware?.requireQuiesce === true,
      agentSocket: running && desired.hardware?.guestAgent ? paths.agent : undefined,
      progress: (part) => task.say(`copying the disk, ${part} %`),
    });
    await context.step('copy-disk');
    stillWanted();
    task.say('taking in the image');
    const wish = { id: imageId, format: 'qcow2', stillWanted } as const;
    const result = await takeOverImage(paths.capture, wish, context.upload);
    try {
      stillWanted();
    } catch (error) {
      await context.images.remove(imageId);
      throw error;
    }
    return result;
  } finally {
    await rm(paths.capture, { force: true });
  }
}
