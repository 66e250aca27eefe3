/** Steps that take a server from this host. */
import { rm } from 'node:fs/promises';
import { removeTree } from '../../files.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

export const unplug: StepFunction<'unplug'> = async ({ task }) => {
  task.say('unplugging the ports');
  await unplugPorts(task);
  return undefined;
};

/** Safe to repeat. */
export async function unplugPorts(task: ServerTask): Promise<void> {
  await task.plugging?.catch(() => {});
  task.plugging = undefined;
  const ports = task.record?.ports ?? [];
  await Promise.all(ports.map((id) => task.context.network.removePort(id)));
  await task.context.step('remove-ports');
  if (task.record) await task.save({ ports: [] });
}

/** The disk goes first and the record last: as long as there is a record, there may be something to find by it. */
export const erase: StepFunction<'erase'> = async ({ task }) => {
  task.say('removing the disk');
  const { paths } = task;
  if (task.record?.disk) await task.context.erased.add(task.id, task.record.epoch);
  await task.context.tpm.end(paths, task.user);
  task.context.cpuGroups?.leave(task.id);
  task.context.guard.unguard(task.id);
  const { disk, rescueDisk, memory, configDrive, consoleLog, firmwareVariables } = paths;
  for (const path of [disk, rescueDisk, memory, configDrive, consoleLog, firmwareVariables])
    await rm(path, { force: true });
  await task.context.images.closeFor(task.id);
  await removeTree(paths.run);
  await task.context.step('remove-disk');
  await removeTree(paths.data);
  task.record = undefined;
  task.context.guestUsers?.release(task.id);
  return undefined;
};
