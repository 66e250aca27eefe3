/** Steps of the disks beside the one with the system; which is next: ../local-disks.ts. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredServer } from '../../../contract/host/index.ts';
import {
  dropLocalDisk,
  forgetLocalDisks,
  growLocalDisk,
  type LocalDiskFile,
  localDiskFile,
  localDisksAmong,
  makeLocalDisk as make,
} from '../../disk/local-disk.ts';
import type { GuestDisk } from '../../guest/arguments.ts';
import { HostFault } from '../../host-error.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

export const makeLocalDisk: StepFunction<'make-local-disk'> = async ({ task }, { disk }) => {
  task.say(`making the ${disk.name} disk`);
  await make(task.paths.data, disk, task.user);
  return undefined;
};

export const growDisk: StepFunction<'grow-local-disk'> = async ({ task }, { from, to }) => {
  task.say(`growing the ${to.name} disk`);
  await growLocalDisk(task.paths.data, from, to);
  return undefined;
};

export const dropDisk: StepFunction<'drop-local-disk'> = async ({ task }, { disk }) => {
  task.say(`removing the ${disk.name} disk`);
  await dropLocalDisk(task.paths.data, disk);
  return undefined;
};

const filesOf = async ({ paths }: ServerTask): Promise<LocalDiskFile[]> => localDisksAmong(await readdir(paths.data));

/** Also where the process died between two of them, nothing is left of them in the end. */
export async function dropLocalDisks(task: ServerTask): Promise<void> {
  await forgetLocalDisks(task.paths.data);
  for (const disk of await filesOf(task)) await dropLocalDisk(task.paths.data, disk);
}

/** In the order of the document, in which the guest sees them. */
export async function localDisksFor(task: ServerTask, { localDisks = [] }: DesiredServer): Promise<GuestDisk[]> {
  if (localDisks.length === 0) return [];
  const files = await filesOf(task);
  return localDisks.map(({ name }) => {
    const file = files.find((each) => each.name === name);
    if (!file) throw new HostFault('disk_missing', `the ${name} disk is not there`);
    return { name, path: join(task.paths.data, localDiskFile(file)), base: null };
  });
}
