/**
 * Steps that make a layer of a file that an administrator laid into its pool (../managed.ts): the file is taken, judged and copied; it goes when
 * the copy is the layer, on the disk and noted, and comes back where nothing comes of it.
 */
import { open, rm } from 'node:fs/promises';
import { syncFile } from '../../files.ts';
import { HostFault } from '../../host-error.ts';
import { putInPlace } from './making.ts';
import type { StepFunction } from './step.ts';

export const takeOver: StepFunction<'take-over'> = async ({ task, desired }) => {
  const { managed, tools, files, durable } = task.context;
  const { name } = desired.managed!;
  task.say('taking over the file');
  const taken = await managed.take(desired.pool, name, task.id);
  await task.context.step('take-file');
  const path = (await task.path(desired))!;
  const beside = `${path}.restored`;
  try {
    const file = await managed.judge(taken, desired.sizeBytes);
    const wanted = (now: typeof desired) => now.managed?.name === name;
    await task.whileWanted(wanted, async (signal) => {
      await (await open(beside, 'w', 0o600)).close();
      await tools.takeOver(file, beside, { signal, progress: (part) => task.say(`taking over the file, ${part} %`) });
    });
    await files.takeBack(beside);
    if (durable) await syncFile(beside);
    await task.context.step('copy-file');
    await putInPlace(task, { beside, path, base: null });
  } catch (error) {
    // Nothing will come of it: its owner finds it where it was.
    if (error instanceof HostFault && error.permanent && !task.closed) await managed.giveBack(task.id);
    throw error;
  } finally {
    if (!task.closed) await rm(beside, { force: true });
  }
  return undefined;
};

export const dropTaken: StepFunction<'drop-taken'> = async ({ task }) => {
  await task.context.managed.drop(task.id);
  return undefined;
};

export const giveBack: StepFunction<'give-back'> = async ({ task }) => {
  await task.context.managed.giveBack(task.id);
  return undefined;
};
