/** Steps of a resize: what the disk was is kept in it, what ephemeral disks were beside them, until somebody confirms or reverts. The record says first what is begun. */
import { forgetLocalDisks, keepLocalDisks, restoreLocalDisks } from '../../disk/local-disk.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

const kept = (task: ServerTask, sizeBytes: number) => ({ path: task.paths.disk, sizeBytes, user: task.user });

/** One that boots from a volume has none of its own. */
export const resizeDisk: StepFunction<'resize-disk'> = async ({ task, desired, signal }) => {
  task.say('growing the disk');
  const { disk } = task.record!;
  const fromBytes = task.record?.resize?.fromBytes ?? disk?.sizeBytes ?? 0;
  const sizeBytes = Math.max(fromBytes, desired.diskGiB * 2 ** 30);
  await task.save({ resize: { count: 0, fromBytes } });
  await task.context.step('record-resize');
  if (disk) await task.context.keeper.keep(kept(task, sizeBytes));
  await task.context.step('keep-disk');
  await keepLocalDisks(task.paths.data, signal);
  await task.context.step('keep-local-disks');
  await task.save({
    ...(disk && { disk: { ...disk, sizeBytes } }),
    resize: { count: desired.resize!.count, fromBytes },
  });
  return undefined;
};

export const restoreDisk: StepFunction<'restore-disk'> = async ({ task }) => {
  task.say('taking the resize back');
  const { disk, resize } = task.record!;
  if (disk) await task.context.keeper.restore(kept(task, disk.sizeBytes));
  await task.context.step('take-back-disk');
  await restoreLocalDisks(task.paths.data);
  await task.context.step('take-back-local-disks');
  await task.save({ ...(disk && { disk: { ...disk, sizeBytes: resize!.fromBytes } }), resize: null });
  return undefined;
};

export const forgetDisk: StepFunction<'forget-disk'> = async ({ task }) => {
  task.say('confirming the resize');
  const { guest, record } = task;
  const running = guest !== undefined && guest.state !== 'gone' ? guest : undefined;
  if (record?.disk) await task.context.keeper.forget(kept(task, record.disk.sizeBytes), running);
  await forgetLocalDisks(task.paths.data);
  await task.context.step('drop-kept');
  await task.save({ resize: null });
  return undefined;
};
