/** Steps of the guest's beginning: from a disk, or from a memory that was saved. */
import { copyFile, readFile, rename } from 'node:fs/promises';
import { isDeepStrictEqual } from 'node:util';
import type { DesiredServer } from '../../../contract/host/index.ts';
import { exists, makeConfigDrive } from '../../disk/disk.ts';
import {
  type Beginning,
  diskDeviceId,
  type GuestDisk,
  type GuestMachine,
  qemuArguments,
} from '../../guest/arguments.ts';
import { firmwareFiles } from '../../guest/hardware.ts';
import { throttledDevice } from '../../guest/volumes.ts';
import { HostFault } from '../../host-error.ts';
import { makeDirectories, openRunDirectory, own, sealRunDirectory } from '../ownership.ts';
import type { CardRecord, DiskRecord, MachineShape } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { volumesToOpen } from '../volumes.ts';
import { imageFor, userFor } from './disks.ts';
import { localDisksFor } from './local-disks.ts';
import { newGuest } from './new-guest.ts';
import { unpinned, volumesAtStart, volumesShape, withVolumes } from './starting-volumes.ts';
import type { StepFunction, StepWork } from './step.ts';
import { throttle, watchCache } from './volumes.ts';

/** A memory is read as fast as the disk gives it. */
const loadTimeoutMs = 10 * 60_000;
/** QEMU sends no event when it has loaded a memory. */
const loadingLookMs = 20;

export function plugAhead(task: ServerTask, desired: DesiredServer): void {
  const uid = task.user?.uid;
  task.plugging = Promise.all(desired.ports.map((port) => task.context.network.ensurePort(port, uid)));
  task.plugging.catch(() => {}); // launch sees it
}

async function plug(task: ServerTask, desired: DesiredServer): Promise<{ tap: string; vnetHeader: boolean }[]> {
  if (!task.plugging) {
    const ports = desired.ports.map((port) => port.id);
    const all = [...new Set([...(task.record?.ports ?? []), ...ports])];
    if (all.length > (task.record?.ports.length ?? 0)) await task.save({ ports: all });
    plugAhead(task, desired);
  }
  try {
    return await task.plugging!;
  } catch (cause) {
    throw new HostFault('network', `the ports could not be plugged: ${(cause as Error).message}`, { cause });
  } finally {
    task.plugging = undefined;
  }
}

export const launch: StepFunction<'launch'> = async ({ task, desired, signal }) => {
  const memory = await savedMemory(task, desired);
  task.say(memory ? 'resuming the guest from its memory' : 'starting the guest');
  await begin({ task, desired, signal }, memory === undefined ? { begins: 'boot' } : { begins: 'memory', memory });
  return undefined;
};

export type Begun = { begins: 'memory'; memory: string } | { begins: Exclude<Beginning, 'memory'>; ports?: false };

/** QEMU runs, and answers. One that only has the disks open has no ports. */
export async function begin({ task, desired, signal }: StepWork, how: Begun): Promise<void> {
  const { context, paths } = task;
  if (desired.hardware?.cpuLimits && !context.cpuGroups)
    throw new HostFault('cpu_limits', 'this host can not limit the processors of a guest', { permanent: true });
  const memory = how.begins === 'memory' ? how.memory : undefined;
  await makeDirectories(paths);
  // A server of before there was a user for each guest gets its own with its next QEMU.
  const uid = userFor(task);
  if (uid !== (task.record!.uid ?? null)) await task.save({ uid });
  const disks = await disksFor(task, desired, signal);
  const plugging = how.begins !== 'memory' && how.ports === false ? [] : plug(task, desired);
  const [plugged] = await Promise.all([plugging, prepareFiles(task, desired, { fresh: !memory })]);
  await context.step('prepare-launch');
  // Whatever reboots were asked for so far, this start serves them.
  const volumes = volumesAtStart(task, desired, disks);
  const anew = memory === undefined && { memory: null, cards: desiredCards(desired) };
  await task.save({ rebootCount: desired.reboot.count, halted: null, running: null, ...anew, ...volumes.record });
  await context.step('record-launch');
  await withVolumes(task, volumes.open, async (opened) => {
    const args = qemuArguments({
      ...machineFor(task, desired, plugged),
      ...{ disks, volumes: opened, volumeBus: volumes.record.volumeBus, begins: how.begins },
    });
    if (task.closed || context.lease.state === 'ended') return;
    const process = await context.launcher.launch({
      // One that may not outlive the lease runs no moment before the watchdog knows of it.
      ...{
        serverId: task.id,
        args: desired.onLeaseEnd && !args.includes('-S') ? [...args, '-S'] : args,
        logFile: paths.qemuLog,
        user: task.user,
      },
      ...(memory !== undefined && { incoming: memory }),
      secrets: opened.flatMap(({ secrets }) => secrets),
    });
    task.guest = newGuest(task, process);
    await context.step('spawn');
    await answering(task, signal, { waits: how.begins === 'host' });
  });
}

/** The path of the memory to begin with; undefined where there is none. @throws HostFault where it is another machine's */
async function savedMemory(task: ServerTask, desired: DesiredServer): Promise<string | undefined> {
  if (!(await exists(task.paths.memory))) return undefined;
  if (isDeepStrictEqual(task.record!.memory, shapeOf(task, desired))) return task.paths.memory;
  const message =
    'the machine is no longer what it was when the server was suspended, and does not fit its memory; a hard reboot starts it without';
  throw new HostFault('resume_failed', message, { permanent: true });
}

/** All by which one machine's memory differs from another's. */
export const shapeOf = (task: ServerTask, desired: DesiredServer): MachineShape => ({
  accelerator: task.context.accelerator(),
  vcpus: desired.vcpus,
  memoryMiB: desired.memoryMiB,
  configDrive: desired.configDrive,
  rescued: task.record?.rescue != null,
  guestAgent: desired.hardware?.guestAgent ?? false,
  ...machineShape(desired),
  ...hardwareShape(desired),
  ...localDisksShape(desired),
  cards: cardsOf(task, desired).map(({ mac, mtu }) => `${mac} ${mtu}`),
  ...volumesShape(task),
});

const machineShape = ({ machine }: DesiredServer): Pick<MachineShape, 'machine'> =>
  // What was saved before there were other layouts is of this one.
  machine && machine.layout > 0 ? { machine: `${machine.type} ${machine.cpuModel} ${machine.layout}` } : {};

/** Beyond the agent's channel. Absent where there is nothing, as in what was saved before there was more. */
function hardwareShape({ hardware: { guestAgent: _, ...more } = {} }: DesiredServer): Pick<MachineShape, 'hardware'> {
  return Object.keys(more).length > 0 ? { hardware: more } : {};
}

function localDisksShape({ localDisks = [] }: DesiredServer): Pick<MachineShape, 'localDisks'> {
  if (localDisks.length === 0) return {};
  return { localDisks: localDisks.map(({ name, sizeMiB }) => `${name} ${sizeMiB}`) };
}

const desiredCards = ({ ports }: DesiredServer): CardRecord[] =>
  ports.map(({ id, mac, mtu, slot }, index) => ({ id, slot: slot ?? index, mac, mtu }));

/** A guest that goes on has the cards that its memory knows, also those whose port has gone since; others come when it runs. */
const cardsOf = ({ record }: ServerTask, desired: DesiredServer): readonly CardRecord[] =>
  (record?.memory || record?.running) && record.cards
    ? record.cards.toSorted((a, b) => a.slot - b.slot)
    : desiredCards(desired);

const machineFor = (
  task: ServerTask,
  desired: DesiredServer,
  plugged: readonly { tap: string; vnetHeader: boolean }[],
): Omit<GuestMachine, 'disks' | 'volumes' | 'volumeBus' | 'begins'> => ({
  id: desired.id,
  accelerator: task.context.accelerator(),
  machine: desired.machine ?? unpinned,
  vcpus: desired.vcpus,
  memoryMiB: desired.memoryMiB,
  paths: task.paths,
  configDrive: desired.configDrive,
  hardware: desired.hardware ?? {},
  ports: cardsOf(task, desired).map(({ id, mac, mtu, slot }) => {
    const port = plugged[desired.ports.findIndex((each) => each.id === id)];
    return { ...(port ?? { tap: null, vnetHeader: false }), mac, mtu, slot };
  }),
});

/** In the order in which the guest sees them; it boots from the first. */
async function disksFor(task: ServerTask, desired: DesiredServer, signal: AbortSignal): Promise<GuestDisk[]> {
  const { paths, record, context } = task;
  const { disk, rescue } = record!;
  await context.images.closeFor(task.id);
  const one = async (name: string, path: string, made: DiskRecord): Promise<GuestDisk> => {
    const base = { path: await baseFor(task, desired, made, signal), format: made.imageFormat };
    return { ...{ name, path }, base: { ...base, path: await context.images.openFor(task.id, base, task.user) } };
  };
  const root = disk ? [await one('disk', paths.disk, disk)] : [];
  // A rescue has its own disk and that of the system, as Nova's.
  if (rescue) return [await one('rescue', paths.rescueDisk, rescue), ...root];
  return [...root, ...(await localDisksFor(task, desired))];
}

/** @param options.fresh false: the guest goes on, and finds on its config drive what it knew */
async function prepareFiles(task: ServerTask, desired: DesiredServer, options: { fresh: boolean }): Promise<void> {
  const { paths, context } = task;
  if (desired.configDrive && options.fresh) {
    await makeConfigDrive(paths.configDrive, await context.metadataFiles(desired), task.user);
  }
  const { firmware, tpm } = desired.hardware ?? {};
  if (firmware !== undefined && firmware !== 'bios') await makeFirmwareVariables(task, firmware);
  await own(paths, task.user);
  await openRunDirectory(paths, task.user);
  if (tpm) await context.tpm.start({ paths, version: tpm.version, user: task.user });
}

/** As the firmware comes; what the guest makes of it stays. */
async function makeFirmwareVariables({ paths }: ServerTask, firmware: keyof typeof firmwareFiles): Promise<void> {
  if (await exists(paths.firmwareVariables)) return;
  const beside = `${paths.firmwareVariables}.new`;
  try {
    await copyFile(firmwareFiles[firmware].variables, beside);
  } catch (cause) {
    throw new HostFault('firmware_missing', 'this host has no UEFI firmware for its guests', {
      permanent: true,
      cause,
    });
  }
  await rename(beside, paths.firmwareVariables);
}

/** The image below a disk; fetched again if this host has lost it. */
async function baseFor(
  task: ServerTask,
  desired: DesiredServer,
  { imageId }: DiskRecord,
  signal: AbortSignal,
): Promise<string> {
  const { images } = task.context;
  const base = images.base(imageId);
  if (base) return base.path;
  const image = [desired.image, desired.rescue?.image].find((each) => each?.id === imageId);
  if (!image) throw new HostFault('image_missing', `image ${imageId}, on which the disk builds, is not on this host`);
  return (await imageFor(task, image, signal)).base.path;
}

/** Until QEMU has answered, with its memory loaded where there is one, or died. @param options.waits its memory comes from elsewhere, later */
async function answering(task: ServerTask, signal: AbortSignal, options: { waits?: boolean } = {}): Promise<void> {
  const guest = task.guest!;
  const started = performance.now();
  while (guest.state === 'starting' || (guest.state === 'inmigrate' && !options.waits)) {
    signal.throwIfAborted();
    const loading = guest.state === 'inmigrate';
    const leftMs = started + (loading ? loadTimeoutMs : task.context.limits.launchTimeoutMs) - performance.now();
    if (leftMs < 0) {
      await guest.kill();
      throw new HostFault('guest_start_failed', 'QEMU did not answer in time');
    }
    await guest.changed(Math.min(loading ? loadingLookMs : 1000, leftMs));
    if (loading) await guest.look();
  }
  if (guest.state !== 'gone') return;
  const words = await lastWords(task);
  if (!(await exists(task.paths.memory))) throw new HostFault('guest_start_failed', words);
  const message = `the guest could not be resumed from its memory, which is kept; a hard reboot starts it without: ${words}`;
  throw new HostFault('resume_failed', message);
}

async function lastWords(task: ServerTask): Promise<string> {
  const log = await readFile(task.paths.qemuLog, 'utf8').catch(() => '');
  const last = log.trimEnd().split('\n').at(-1) ?? '';
  return last === '' ? 'QEMU ended at its start and did not say why' : `QEMU ended at its start: ${last.slice(-300)}`;
}

export const waitForGuest: StepFunction<'wait-for-guest'> = async ({ task, signal }) => {
  task.say('waiting for QEMU to answer');
  const state = task.guest?.state;
  // A guest that has run is never ended for its silence.
  if (task.record?.running || (state !== 'starting' && state !== 'inmigrate')) return 1000;
  await answering(task, signal);
  return undefined;
};

export const noteRunning: StepFunction<'note-running'> = async ({ task, desired }) => {
  try {
    await guard(task, desired);
    await task.save({ running: { startedAt: new Date().toISOString(), bootId: task.context.bootId } });
  } catch (error) {
    // Nobody looks after a guest that is given up, whatever failed: it would run on, with the disk to itself.
    await task.guest?.kill();
    throw error;
  }
  return undefined;
};

/** Its sockets are where they were made, and it gets what its flavor says. Safe to repeat. @throws HostFault */
export async function guard(task: ServerTask, desired: DesiredServer): Promise<void> {
  const guestAgent = desired.hardware?.guestAgent ?? false;
  if (!(await sealRunDirectory(task.paths, task.user, { guestAgent })))
    throw new HostFault('guest_start_failed', 'QEMU laid something else where its sockets should be');
  await limit(task, desired);
}

async function limit(task: ServerTask, desired: DesiredServer): Promise<void> {
  try {
    limitProcessors(task, desired);
    await limitDisks(task, desired);
  } catch (cause) {
    const message = `the guest could not be limited as its flavor says: ${(cause as Error).message}`;
    throw new HostFault('guest_start_failed', message, { cause });
  }
}

/** Safe to repeat. A guest that nothing limits has a group too: what others weigh is measured against it. */
function limitProcessors({ context, id, guest }: ServerTask, { vcpus, hardware }: DesiredServer): void {
  if (!context.cpuGroups || !guest!.process.alive) return;
  context.cpuGroups.enter({ id, pid: guest!.process.pid, vcpus, limits: hardware?.cpuLimits });
}

/** For each disk; QEMU forgets it with each end. */
async function limitDisks(task: ServerTask, desired: DesiredServer): Promise<void> {
  const { hardware, localDisks = [] } = desired;
  for (const volume of volumesToOpen(desired, task.record)) {
    await watchCache(task, volume);
    await throttle(task, desired, volume);
  }
  if (!hardware?.diskLimits) return;
  const { disk, rescue } = task.record!;
  const system = [...(rescue ? ['rescue'] : []), ...(disk ? ['disk'] : [])];
  const names = rescue ? system : [...system, ...localDisks.map(({ name }) => name)];
  for (const name of names) {
    const id = throttledDevice(hardware.diskBus, diskDeviceId(name));
    await task.guest!.execute('block_set_io_throttle', { id, ...hardware.diskLimits });
  }
}
