/**
 * Steps of a guest that stands still, with its memory where it is (paused) or in a file beside its disk (suspended).
 *
 * The file is whole or not there (written beside, synced, renamed), and as long as it is there the guest has not run since it
 * was saved: it goes before the guest goes on. So a disk never meets a memory that is older than what is on it. Where the
 * machine loses its power in the moment between, the guest is as after a power cut of its own, never torn.
 */
import { rm } from 'node:fs/promises';
import { receiveMemory } from '../../guest/memory.ts';
import { HostFault } from '../../host-error.ts';
import type { ServerTask } from '../task.ts';
import { closeReception } from './receiving.ts';
import { shapeOf } from './starting.ts';
import type { StepFunction } from './step.ts';
import { settleVolumes } from './volumes.ts';

export const pause: StepFunction<'pause'> = async ({ task }) => {
  task.say('pausing the guest');
  await task.guest!.pause();
  await settled(task, 'running');
  return undefined;
};

export const continueGuest: StepFunction<'continue'> = async ({ task, desired }) => {
  task.say('the guest goes on');
  // Of a process that died before it let the guest run that has come here.
  if (task.record?.migration?.state === 'taken_over') await closeReception(task, desired);
  const { state } = task.guest!;
  if (task.record?.memory) {
    await rm(`${task.paths.memory}.new`, { force: true });
    await task.save({ memory: null });
  }
  await task.guest!.resume();
  await settled(task, state);
  return undefined;
};

/** QEMU has answered; that it is no longer as it was shows at once. */
async function settled(task: ServerTask, before: string): Promise<void> {
  await task.guest?.look();
  if (task.guest?.state === before) throw new HostFault('guest_paused', `QEMU stays ${before}`);
}

/** Other news of the server does not begin it anew: it may take minutes. */
export const saveMemory: StepFunction<'save-memory'> = async ({ task, desired }) => {
  const { paths, context, guest } = task;
  task.say('saving the memory');
  for (const path of [paths.memory, `${paths.memory}.new`]) await rm(path, { force: true });
  await settleVolumes(task);
  await task.save({ memory: shapeOf(task, desired) });
  await context.step('record-memory');
  await receiveMemory(guest!, {
    ...{ path: paths.memory, socketPath: paths.memorySocket, user: task.user, durable: context.durable },
    limitBytes: desired.memoryMiB * 2 ** 20 * 1.05 + 256 * 2 ** 20,
    stillWanted: () =>
      task.requireWanted(({ power, presence, epoch }) => {
        return power === 'suspended' && presence === 'present' && epoch === desired.epoch;
      }),
    progress: (part) => task.say(`saving the memory, ${part} %`),
  });
  await rm(paths.memorySocket, { force: true });
  return undefined;
};

export const dropMemory: StepFunction<'drop-memory'> = async ({ task }) => {
  const { memory } = task.paths;
  for (const path of [memory, `${memory}.new`]) await rm(path, { force: true });
  await task.context.step('remove-memory');
  if (task.record?.memory) await task.save({ memory: null });
  return undefined;
};
