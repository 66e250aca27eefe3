/**
 * The steps of a server, one function each. A step does one thing that may be done again, says what it does, and answers
 * how long to wait before the next look (nothing: at once). The hook after each step is where crash tests die.
 */
import { readFile, rm } from 'node:fs/promises';
import type { DesiredServer } from '../../contract/host/index.ts';
import { diskSizeBytes, makeConfigDrive, makeOverlay } from '../disk/disk.ts';
import { removeTree } from '../files.ts';
import { qemuArguments } from '../guest/arguments.ts';
import { HostFault } from '../host-error.ts';
import { isWanted, type Step } from './decide.ts';
import { makeDirectories, openRunDirectory, own, sealRunDirectory } from './ownership.ts';
import { newRecord } from './record.ts';
import type { ServerTask } from './task.ts';

/** Its return wakes all tasks; this is for the case that nobody does. */
const awaitLeaseMs = 60_000;

type Doing = Exclude<Step, { do: 'nothing' }>;

export async function perform(
  task: ServerTask,
  step: Doing,
  desired: DesiredServer | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  const waitMs = await act(task, step, desired, signal);
  await task.context.step(step.do);
  return waitMs;
}

function act(
  task: ServerTask,
  step: Doing,
  desired: DesiredServer | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  switch (step.do) {
    case 'power-down':
      return powerDown(task, step);
    case 'quit':
      return quit(task, step.why);
    case 'halt':
      return halt(task, desired!, step.error);
    case 'adopt-epoch':
      return task.save({ epoch: desired!.epoch }).then(() => undefined);
    case 'keep-out':
      throw new HostFault(
        'disk_unknown',
        'a disk of the server is there, and the record of what it is made of is lost',
        {
          permanent: true,
        },
      );
    case 'await-lease':
      task.say('waiting for control, which has been silent for longer than it lends servers');
      return Promise.resolve(awaitLeaseMs);
    case 'stay-erased':
      throw new HostFault(
        'disk_erased',
        'its disk was erased here when the server was deleted: the database is older than that',
        { permanent: true },
      );
    case 'make-disk':
      return makeDisk(task, desired!, signal);
    case 'launch':
      return launch(task, desired!, signal);
    case 'wait-for-guest':
      return waitForGuest(task, signal);
    case 'note-running':
      return noteRunning(task);
    case 'resume':
      return resume(task, step.why);
    case 'unplug':
      return unplug(task);
    case 'erase':
      return erase(task);
  }
}

// --- the guest's end -------------------------------------------------------------------------------------------------

async function powerDown(task: ServerTask, step: Extract<Step, { do: 'power-down' }>): Promise<number | undefined> {
  const { limits, log } = task.context;
  const now = performance.now();
  const allowedMs = step.purpose === 'stop' ? limits.stopTimeoutMs : limits.softRebootTimeoutMs;
  task.powerdown ??= { deadlineMs: now + allowedMs, nextPressMs: now };
  const { powerdown } = task;
  if (now >= powerdown.deadlineMs) {
    log.info({ serverId: task.id }, 'server: the guest did not obey the power button');
    return quit(task, 'the guest did not obey the power button');
  }
  if (now >= powerdown.nextPressMs) {
    task.say(
      step.purpose === 'stop'
        ? 'waiting for the guest to shut down'
        : 'waiting for the guest to shut down, then starting it',
    );
    await task.guest!.powerdown();
    powerdown.nextPressMs = now + limits.powerdownRepeatMs;
  }
  return Math.min(powerdown.nextPressMs, powerdown.deadlineMs) - now;
}

/** `running` is taken back first: a host that dies in between must not take the end for a crash. */
async function quit(task: ServerTask, why: string): Promise<undefined> {
  task.say(`ending the guest: ${why}`);
  if (task.record?.running) await task.save({ running: null });
  await task.context.step('take-back-running');
  const guest = task.guest;
  if (!guest) return;
  await guest.quit();
  guest.release();
  if (task.guest === guest) task.guest = undefined;
}

async function halt(
  task: ServerTask,
  desired: DesiredServer,
  error: { code: string; message: string } | null,
): Promise<undefined> {
  task.context.log.info(
    { serverId: task.id, error },
    error ? 'server: the guest died' : 'server: the guest switched itself off',
  );
  await task.save({ running: null, halted: { generation: desired.generation, error } });
}

// --- its beginning ---------------------------------------------------------------------------------------------------

async function makeDisk(task: ServerTask, desired: DesiredServer, signal: AbortSignal): Promise<undefined> {
  const { context, paths } = task;
  if (!desired.image) throw new HostFault('invalid', 'the server has no image to boot from', { permanent: true });
  const facts = await imageFor(task, desired, signal);
  const sizeBytes = diskSizeBytes(desired, facts);
  task.say('making the disk');
  await makeDirectories(task.paths);
  const wanted = isWanted(desired, task.record);
  task.record ??= newRecord(desired.epoch);
  await task.save({
    uid: userFor(task),
    disk: { imageId: desired.image.id, imageFormat: facts.format, sizeBytes },
    ...(wanted && { ports: desired.ports.map((port) => port.id) }),
  });
  await context.step('record-disk');
  if (wanted) plugAhead(task, desired);
  const backing = { path: context.images.path(desired.image.id), format: facts.format };
  await makeOverlay(paths.disk, { sizeBytes, backing, owner: task.user });
}

async function imageFor(task: ServerTask, desired: DesiredServer, signal: AbortSignal) {
  const { fetcher, images } = task.context;
  const image = desired.image!;
  if (images.facts(image.id)) return fetcher.ensure(image, signal);
  task.say('fetching the image');
  const timer = setInterval(() => task.say(fetcher.progress(image) ?? 'fetching the image'), 1000);
  try {
    return await fetcher.ensure(image, signal);
  } finally {
    clearInterval(timer);
  }
}

/** The number that the record has, or a free one for it: saved before anything is given to it. */
const userFor = (task: ServerTask): number | null =>
  task.context.guestUsers?.claim(task.id, task.record?.uid ?? null) ?? null;

function plugAhead(task: ServerTask, desired: DesiredServer): void {
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

async function launch(task: ServerTask, desired: DesiredServer, signal: AbortSignal): Promise<undefined> {
  const { context, paths } = task;
  const disk = task.record!.disk!;
  task.say('starting the guest');
  await makeDirectories(paths);
  // A server of before there was a user for each guest gets its own with its next QEMU.
  const uid = userFor(task);
  if (uid !== (task.record!.uid ?? null)) await task.save({ uid });
  const base = await baseFor(task, desired, signal);
  const [plugged] = await Promise.all([plug(task, desired), prepareFiles(task, desired)]);
  await context.step('prepare-launch');
  // Whatever reboots were asked for so far, this start serves them.
  await task.save({ rebootCount: desired.reboot.count, halted: null, running: null });
  await context.step('record-launch');
  const args = qemuArguments({
    id: desired.id,
    accelerator: context.accelerator(),
    vcpus: desired.vcpus,
    memoryMiB: desired.memoryMiB,
    paths,
    base: { path: base, format: disk.imageFormat },
    configDrive: desired.configDrive,
    ports: desired.ports.map((port, index) => ({ ...plugged[index]!, mac: port.mac, mtu: port.mtu })),
  });
  if (task.closed || context.lease.state === 'ended') return;
  const process = await context.launcher.launch({ serverId: task.id, args, logFile: paths.qemuLog, user: task.user });
  task.guest = task.newGuest(process);
  await context.step('spawn');
  await answering(task, signal);
}

async function prepareFiles(task: ServerTask, desired: DesiredServer): Promise<void> {
  const { paths, context } = task;
  if (desired.configDrive) await makeConfigDrive(paths.configDrive, context.metadataFiles(desired), task.user);
  await own(paths, task.user);
  await openRunDirectory(paths, task.user);
}

/** The image below the disk; fetched again if this host has lost it. */
async function baseFor(task: ServerTask, desired: DesiredServer, signal: AbortSignal): Promise<string> {
  const { imageId } = task.record!.disk!;
  if (!task.context.images.facts(imageId)) {
    if (desired.image?.id !== imageId) {
      throw new HostFault('image_missing', `image ${imageId}, on which the disk builds, is not on this host`);
    }
    await imageFor(task, desired, signal);
  }
  return task.context.images.path(imageId);
}

/** Until QEMU has answered or died. */
async function answering(task: ServerTask, signal: AbortSignal): Promise<void> {
  const guest = task.guest!;
  const deadline = performance.now() + task.context.limits.launchTimeoutMs;
  while (guest.state === 'starting') {
    signal.throwIfAborted();
    if (performance.now() > deadline) {
      await guest.kill();
      throw new HostFault('guest_start_failed', 'QEMU did not answer in time');
    }
    await guest.changed(Math.min(1000, deadline - performance.now()));
  }
  if (guest.state === 'gone') throw new HostFault('guest_start_failed', await lastWords(task));
}

async function lastWords(task: ServerTask): Promise<string> {
  const log = await readFile(task.paths.qemuLog, 'utf8').catch(() => '');
  const last = log.trimEnd().split('\n').at(-1) ?? '';
  return last === '' ? 'QEMU ended at its start and did not say why' : `QEMU ended at its start: ${last.slice(-300)}`;
}

async function waitForGuest(task: ServerTask, signal: AbortSignal): Promise<number | undefined> {
  task.say('waiting for QEMU to answer');
  // A guest that has run is never ended for its silence.
  if (task.record?.running || task.guest?.state !== 'starting') return 1000;
  await answering(task, signal);
  return undefined;
}

async function noteRunning(task: ServerTask): Promise<undefined> {
  if (!(await sealRunDirectory(task.paths, task.user))) {
    await task.guest!.kill();
    throw new HostFault('guest_start_failed', 'QEMU laid something else where its sockets should be');
  }
  await task.save({ running: { startedAt: new Date().toISOString(), bootId: task.context.bootId } });
}

async function resume(task: ServerTask, why: string): Promise<undefined> {
  task.say(why);
  await task.guest!.resume();
  await task.guest!.changed(100);
  if (task.guest?.state !== 'running') throw new HostFault('guest_paused', why);
}

// --- taking away -----------------------------------------------------------------------------------------------------

async function unplug(task: ServerTask): Promise<undefined> {
  task.say('unplugging the ports');
  await task.plugging?.catch(() => {});
  task.plugging = undefined;
  const ports = task.record?.ports ?? [];
  await Promise.all(ports.map((id) => task.context.network.removePort(id)));
  await task.context.step('remove-ports');
  if (task.record) await task.save({ ports: [] });
}

/** The disk goes first and the record last: as long as there is a record, there may be something to find by it. */
async function erase(task: ServerTask): Promise<undefined> {
  task.say('removing the disk');
  const { paths } = task;
  if (task.record?.disk) await task.context.erased.add(task.id, task.record.epoch);
  for (const path of [paths.disk, paths.configDrive, paths.consoleLog]) await rm(path, { force: true });
  await removeTree(paths.run);
  await task.context.step('remove-disk');
  await removeTree(paths.data);
  task.record = undefined;
  task.context.guestUsers?.release(task.id);
}
