/**
 * Steps of a server that comes from another host; which is next: ../migrating.ts.
 *
 * Files are made as for a new server (the disk above the same image, empty), QEMU is started with them and waits, and the source writes into it. What a
 * death of this process leaves is a QEMU of which the record does not say where it listens: it is ended, and another one started. If QEMU itself dies
 * nothing is lost either: the server is the source's until `taken_over` is in the record.
 */
import { rm } from 'node:fs/promises';
import type { DesiredImage, DesiredServer } from '../../../contract/host/index.ts';
import { diskSizeBytes, makeOverlay } from '../../disk/disk.ts';
import { localDiskFile, makeLocalDisk } from '../../disk/local-disk.ts';
import { removeTree } from '../../files.ts';
import { asFault, HostFault } from '../../host-error.ts';
import { dropEnd, makeEnd } from '../../migration/end.ts';
import { dropKey, giveKey } from '../../migration/key.ts';
import { configDriveName, disksOf, endName, endPath } from '../../migration/names.ts';
import { type Exported, listen, stopListening } from '../../migration/reception.ts';
import { ProcessDied } from '../../step-loop.ts';
import { layerNode, movedVolume } from '../../volume/index.ts';
import { isWanted } from '../decide.ts';
import { makeDirectories } from '../ownership.ts';
import { type IncomingRecord, newRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { imageFor, userFor } from './disks.ts';
import { quit } from './ending.ts';
import { unplugPorts } from './removing.ts';
import { begin, guard } from './starting.ts';
import type { StepFunction, StepWork } from './step.ts';

/** QEMU says when the memory is there; that the last byte of a server that is off is there shows on the disk. */
const awaitMs = { live: 30_000, cold: 500 };

/** Whatever goes wrong here goes wrong for good: control chooses another host, or tries again, by another migration. */
export const receive: StepFunction<'receive'> = async (work) => {
  const { task, signal } = work;
  try {
    await prepare(work);
    await startListening(work);
  } catch (error) {
    if (error instanceof ProcessDied || signal.aborted || task.closed) throw error;
    const { code, message } = asFault(error);
    task.context.log.warn({ err: error, serverId: task.id }, 'server: it can not come here');
    await leaveNothing(work, { code, message });
  }
  return undefined;
};

async function prepare({ task, desired, signal }: StepWork): Promise<void> {
  const { context, paths } = task;
  const { id, mode } = desired.incoming!;
  refuse(desired);
  task.say('making room for the server, which comes from another host');
  await makeDirectories(paths);
  task.record ??= newRecord(desired.epoch);
  await task.save({ uid: userFor(task), migration: { side: 'incoming', id, mode, state: 'receiving', error: null } });
  await context.step('record-receiving');
  const ports = mode === 'live' ? desired.ports.map((port) => port.id) : [];
  await task.save({ disk: null, resize: null, ports });
  if (desired.image) await makeDisk({ task, desired, signal }, desired.image);
  for (const disk of desired.localDisks ?? []) {
    await rm(`${paths.data}/${localDiskFile(disk)}`, { force: true });
    await makeLocalDisk(paths.data, disk, task.user);
  }
  if (mode === 'cold') await makeEnd(paths, task.user);
  await context.step('make-received');
}

/** The system's, above its image; a server that boots from a volume has none. */
async function makeDisk({ task, desired, signal }: StepWork, image: DesiredImage): Promise<void> {
  const { facts, base } = await imageFor(task, image, signal);
  const sizeBytes = diskSizeBytes(desired, facts);
  const count = desired.rootCount ?? 0;
  await task.save({ disk: { imageId: image.id, imageFormat: base.format, sizeBytes, count } });
  await makeOverlay(task.paths.disk, { sizeBytes, backing: base, owner: task.user });
}

/** What a server may have that is not moved, by the name of it. Control knows the same; this is for one that does not. */
export function refuse({ image, volumes = [], hardware, rescue, resize }: DesiredServer): void {
  const not = (code: string, message: string) => new HostFault(code, message, { permanent: true });
  if (!image && volumes.length === 0) throw not('no_disk', 'a server without a disk of its own is not moved');
  if (hardware?.tpm) throw not('tpm', 'a server with a TPM is not moved: what it knows is not sent');
  if (rescue) throw not('rescued', 'a server in rescue is not moved');
  if (resize) throw not('resize', 'a server whose resize is not confirmed is not moved: what its disk was is not sent');
}

async function startListening({ task, desired, signal }: StepWork): Promise<void> {
  const { context, paths } = task;
  const { key, mode } = desired.incoming!;
  await begin({ task, desired, signal }, { begins: 'host', ...(mode === 'cold' && { ports: false }) });
  if (!task.guest) throw new HostFault('lease_ended', 'control is silent for longer than it lends servers');
  await guard(task, desired);
  const { execute } = task;
  await giveKey(execute, { paths, user: task.user, key, endpoint: 'server' });
  const place = context.migrationPlace();
  const disks = exportedOf(task, desired, mode);
  const ports = await listen(execute, place, { disks, memory: mode === 'live' });
  await context.step('listen');
  const target = { address: place.address, ...ports, disks: disks.map(({ name }) => name) };
  await task.save({ migration: { ...receiving(task), target } });
}

const receiving = ({ record }: ServerTask) => record!.migration as IncomingRecord;

function exportedOf({ paths }: ServerTask, desired: DesiredServer, mode: 'live' | 'cold'): Exported[] {
  const volumes = new Map((desired.volumes ?? []).map(({ id, layerId }) => [movedVolume(id), layerNode(id, layerId)]));
  return disksOf(desired, mode).map((name) => {
    if (name === configDriveName) return { name, path: paths.configDrive };
    return name === endName ? { name, path: endPath(paths) } : { name, node: volumes.get(name) ?? name };
  });
}

export const awaitSource: StepFunction<'await-source'> = async ({ task, desired }) => {
  task.say('waiting for what comes from the other host');
  return awaitMs[desired.incoming!.mode];
};

/** The record first: from here on the guest is this host's, whoever dies. What is left undone the way on does, see continueGuest. */
export const takeOver: StepFunction<'take-over'> = async ({ task, desired }) => {
  const { context } = task;
  const migration: IncomingRecord = { ...receiving(task), state: 'taken_over' };
  const running = { startedAt: new Date().toISOString(), bootId: context.bootId };
  const { guest } = task;
  const { onLeaseEnd } = desired;
  await Promise.all([
    task.save({ migration, ...(guest && { running }) }),
    // Nothing of the guest's may be written by others once it runs; what was is flushed with their end.
    guest && closeReception(task, desired),
    guest && onLeaseEnd && context.guard.guard(task.id, guest.process.pid, onLeaseEnd),
  ]);
  await context.step('record-take-over');
  const { state } = context.lease;
  const lent = onLeaseEnd ? state === 'held' : state !== 'ended';
  const runs = lent && desired.power === 'on' && isWanted(desired, task.record);
  if (guest && runs) await guest.resume();
  context.log.info({ serverId: task.id, migrationId: migration.id }, 'server: taken over from another host');
  const held = desired.power === 'paused' ? ('paused' as const) : ('running' as const);
  task.show(guest ? held : 'stopped');
  await dropKey(guest && task.execute, task.paths);
  await dropEnd(task.paths);
  await guest?.look();
  return undefined;
};

/** Safe to repeat. */
export async function closeReception(task: ServerTask, desired: DesiredServer): Promise<void> {
  const { mode } = receiving(task);
  await stopListening(task.execute, exportedOf(task, desired, mode));
}

export const giveUp: StepFunction<'give-up'> = async (work, { error, keep }) => {
  const { task, desired } = work;
  if (!keep) await leaveNothing(work, error);
  else {
    const { id, mode } = desired.incoming!;
    await makeDirectories(task.paths);
    task.record ??= newRecord(desired.epoch);
    await task.save({ migration: { side: 'incoming', id, mode, state: 'given_up', error } });
  }
  return undefined;
};

/** The record last, and it stays: that it was given up outlives this process. It speaks of what has come, where the document names another migration, or none. */
async function leaveNothing(
  { task, desired }: Pick<StepWork, 'task' | 'desired'>,
  error: IncomingRecord['error'],
): Promise<void> {
  const { paths, context } = task;
  const known = task.record?.migration;
  const { id, mode } = known?.side === 'incoming' ? known : desired.incoming!;
  if (task.guest) await quit(task, 'it does not come here');
  context.guard.unguard(task.id);
  await unplugPorts(task);
  await makeDirectories(paths);
  const { disk, configDrive, firmwareVariables, consoleLog } = paths;
  const local = (desired.localDisks ?? []).map((each) => `${paths.data}/${localDiskFile(each)}`);
  for (const path of [disk, configDrive, firmwareVariables, consoleLog, ...local]) await rm(path, { force: true });
  await dropEnd(paths);
  await context.images.closeFor(task.id);
  await removeTree(paths.run);
  await context.step('leave-nothing');
  task.record ??= newRecord(desired.epoch);
  const migration: IncomingRecord = { side: 'incoming', id, mode, state: 'given_up', error };
  await task.save({ ...newRecord(desired.epoch), uid: task.record.uid, migration });
}
