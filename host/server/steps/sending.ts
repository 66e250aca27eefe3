/**
 * Steps of a server that goes to another host; which is next: ../migrating.ts. Each looks at what its QEMU says and does the next thing of it, so that a
 * process that comes after another's death goes on where that was: disks, then the memory, then the hand-over.
 *
 * The hand-over: QEMU holds the guest and waits (pause-before-switchover); the disks' last writes get through; the record says `handing_over`; then QEMU
 * sends the rest. Before that record the guest is this host's, whatever happens. After it QEMU's word counts: `completed`, and the guest stands still here
 * until control decides; anything else, and it is held here too, for its QEMU lets it run again although the target might have it: that it does until the
 * next look of this process, or of the one after it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { OutgoingServer } from '../../../contract/host/index.ts';
import { QmpError, QmpTimeoutError } from '../../../protocols/qmp/index.ts';
import { toHost } from '../../guest/migration-parameters.ts';
import { HostFault } from '../../host-error.ts';
import { breakWay, isSilence, type Way } from '../../migration/break.ts';
import { dropEnd, sendEnd } from '../../migration/end.ts';
import { dropKey, giveKey } from '../../migration/key.ts';
import { isUnderWay, type MigrationInfo, migrationOf, progressOf } from '../../migration/memory.ts';
import { type DisksTarget, dropMirrors, endMirrors, mirror } from '../../migration/mirrors.ts';
import { disksOf, endName } from '../../migration/names.ts';
import { silenceMs, watchWay } from '../../migration/way.ts';
import { layerNode, movedVolume } from '../../volume/index.ts';
import type { OutgoingRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { meansOf } from './breaking.ts';
import { quit } from './ending.ts';
import { refuse } from './receiving.ts';
import { begin, guard } from './starting.ts';
import type { StepFunction, StepWork } from './step.ts';

/** Between two looks; QEMU's events come before. */
const lookMs = 1000;
const handOverLookMs = 5;
/** How long a step may wait for the last of the memory; the next one goes on with it. */
const handOverMs = 5000;
/** After all is sent, for the word that the target has it, which comes by control: the guest runs nowhere until then. */
const takeOverMs = 10_000;
const cancelMs = 10_000;

type OutgoingError = OutgoingRecord['error'];

export const send: StepFunction<'send'> = async (work) => {
  const { task } = work;
  try {
    const waitMs = await goOn(work);
    task.sending.silentSinceMs = undefined;
    return waitMs;
  } catch (error) {
    if (isSilence(error)) return whileSilent(work, error);
    // What QEMU refuses it refuses again.
    const final = error instanceof QmpError || error instanceof HostFault;
    if (!final || outgoing(task)?.state === 'handing_over') throw error;
    const code = error instanceof HostFault ? error.code : 'migration_failed';
    await endSending(work, { code, message: error.message });
    return undefined;
  }
};

async function goOn(work: StepWork): Promise<number | undefined> {
  const { task, desired } = work;
  if (outgoing(task)?.state === 'handing_over') return finishHandOver(work);
  if (!outgoing(task)) await first(work);
  return desired.outgoing!.mode === 'live' ? sendRunning(work) : sendStopped(work);
}

/** It has ended, which the next look tells, or is busy; or it waits for the target, and its guest with it. */
async function whileSilent(work: StepWork, error: unknown): Promise<number | undefined> {
  const { task } = work;
  const { guest, sending, context } = task;
  if (outgoing(task)?.state === 'handing_over') return lookAgainOrLoseSight(task, lookMs);
  sending.silentSinceMs ??= performance.now();
  const { qemuTimeoutMs } = context.limits;
  const waits = error instanceof QmpTimeoutError || performance.now() - sending.silentSinceMs > qemuTimeoutMs;
  // One that is held by the lease's watchdog says nothing either.
  if (!waits || !guest?.process.alive || context.guard.held(guest.process.pid)) throw error;
  const message = `QEMU has done nothing for ${qemuTimeoutMs / 1000} s: the target takes nothing`;
  await endSending(work, { code: 'way_cut', message });
  return undefined;
}

const outgoing = ({ record }: ServerTask): OutgoingRecord | undefined =>
  record?.migration?.side === 'outgoing' ? record.migration : undefined;

/** Of a server that is off those that the target has: its flavor there may be another. */
function sentDisks({ desired }: StepWork): string[] {
  const { mode, target } = desired.outgoing!;
  const all = disksOf(desired, mode).filter((name) => name !== endName);
  const volumes = (desired.volumes ?? []).map(({ id }) => movedVolume(id));
  const always = ['disk', ...volumes];
  return mode === 'live' ? all : all.filter((name) => always.includes(name) || target!.disks.includes(name));
}

const targetOf = ({ task, desired }: StepWork): DisksTarget => {
  const { address, disksPort: port } = desired.outgoing!.target!;
  const volumes = new Map(
    (task.record?.volumes ?? []).map(({ id, layerId }) => [movedVolume(id), layerNode(id, layerId)]),
  );
  return { address, port, nodeOf: (disk) => volumes.get(disk) ?? disk };
};

const wayTo = ({ address, disksPort, memoryPort }: NonNullable<OutgoingServer['target']>): Way => ({
  ...{ address, ports: memoryPort === null ? [disksPort] : [disksPort, memoryPort] },
});

async function first(work: StepWork): Promise<void> {
  const { task, desired } = work;
  const { id, mode, target } = desired.outgoing!;
  const way = wayTo(target!);
  await task.save({ migration: { side: 'outgoing', id, mode, state: 'sending', way, error: null } });
  await task.context.step('record-sending');
  task.sending = {};
  refuse(desired);
  await task.context.tryWay(targetOf(work));
  const missing = sentDisks(work).find((name) => !target!.disks.includes(name));
  const message = `the target has no place for disk ${missing}`;
  if (missing !== undefined) throw new HostFault('disks_not_sent', message, { permanent: true });
  const held = mode === 'live' && (task.record?.cards?.length ?? 0) !== desired.ports.length;
  if (held)
    throw new HostFault('cards', 'its guest has a card that it shall not have, or the reverse', { permanent: true });
  if (mode === 'live' && !hasItsVolumes(work))
    throw new HostFault('volumes', 'its guest has a volume that it shall not have, or the reverse', {
      permanent: true,
    });
}

/** As the target's machine will have them. */
function hasItsVolumes({ task, desired }: StepWork): boolean {
  const [open, wanted] = [task.record?.volumes ?? [], desired.volumes ?? []];
  const settled = open.every(({ plugged, askedAt }) => plugged && askedAt === undefined);
  const same = wanted.every((volume) => open.some(({ id, layerId }) => id === volume.id && layerId === volume.layerId));
  return settled && same && open.length === wanted.length;
}

/** @returns when to look again; undefined: now */
async function sendDisks(work: StepWork): Promise<boolean> {
  const { task, desired } = work;
  const { key } = desired.outgoing!;
  if (!task.sending.keyGiven) {
    await giveKey(task.execute, { paths: task.paths, user: task.user, key, endpoint: 'client' });
    task.sending.keyGiven = true;
  }
  const { ready, ...disks } = await mirror(task.execute, sentDisks(work), targetOf(work));
  task.sending.progress = { ...task.sending.progress, disks };
  if (!ready) task.sending.passed = watchWay(task.sending.passed, disks.copied);
  return ready;
}

// --- a guest that runs -------------------------------------------------------------------------------------------------

async function sendRunning(work: StepWork): Promise<number | undefined> {
  const { task } = work;
  const info = await migrationOf(task.execute);
  if (info.status === 'pre-switchover') return handOver(work);
  if (isUnderWay(info)) return sendMemory(work, info);
  if (task.sending.memorySent) {
    const why = info['error-desc'] ?? info.status ?? 'QEMU does not say why';
    throw new HostFault('memory_not_sent', `the memory could not be sent: ${why}`, { permanent: true });
  }
  const ready = await sendDisks(work);
  task.show(task.guest!.state === 'paused' ? 'paused' : 'running');
  await task.context.step('mirror');
  if (!ready) return lookMs;
  const { address, memoryPort } = work.desired.outgoing!.target!;
  const host = address.includes(':') ? `[${address}]` : address;
  await toHost(task.execute);
  await task.execute('migrate', { uri: `tcp:${host}:${memoryPort}` });
  task.sending.memorySent = true;
  await task.context.step('migrate');
  return undefined;
}

async function sendMemory(work: StepWork, info: MigrationInfo): Promise<number> {
  const { task, desired } = work;
  task.sending.memorySent = true;
  const { disks } = await progressOfDisks(work);
  task.sending.progress = { disks, ...progressOf(info) };
  task.sending.passed = watchWay(task.sending.passed, disks.copied + (info.ram?.transferred ?? 0));
  task.show(task.guest!.state === 'paused' ? 'paused' : 'running');
  // What it no longer writes need not be sent again: its end is near, however fast it wrote.
  if (desired.outgoing!.force && task.guest!.state === 'running') await task.guest!.pause();
  return lookMs;
}

/** Also where a disk's job has failed meanwhile: then nothing goes on. */
async function progressOfDisks(work: StepWork): Promise<{ disks: { total: number; copied: number } }> {
  const { total, copied } = await mirror(work.task.execute, sentDisks(work), targetOf(work));
  return { disks: { total, copied } };
}

async function handOver(work: StepWork): Promise<number | undefined> {
  const { task } = work;
  const migration: OutgoingRecord = { ...outgoing(task)!, state: 'handing_over' };
  const recorded = task.save({ migration });
  await lastWrites(work, recorded);
  await task.context.step('record-hand-over');
  return finishHandOver(work, { ended: true });
}

/** QEMU waits: it has not sent the end, and has the guest for certain. */
async function lastWrites(work: StepWork, recorded?: Promise<void>): Promise<void> {
  const { task } = work;
  try {
    await endMirrors(task.execute, sentDisks(work));
  } catch (error) {
    await recorded;
    await task.save({ migration: { ...outgoing(task)!, state: 'sending' } });
    throw error;
  }
  await recorded;
}

/** @param options.ended the disks' last writes are known to be there */
async function finishHandOver(work: StepWork, options: { ended?: true } = {}): Promise<number | undefined> {
  const { task, signal } = work;
  const migration = outgoing(task)!;
  const started = performance.now();
  task.sending.handsOverSinceMs ??= started;
  let told = false;
  while (performance.now() - started < handOverMs) {
    const info = await migrationOf(task.execute);
    if (info.status === 'pre-switchover') {
      if (!told) {
        if (!options.ended) await lastWrites(work);
        await task.execute('migrate-continue', { state: 'pre-switchover' });
        told = true;
        await task.context.step('migrate-continue');
      }
    } else if (info.status === 'completed') {
      await task.save({
        migration: { ...migration, state: 'handed_over', downtimeMs: Math.round(info.downtime ?? 0) },
      });
      task.context.log.info(
        { serverId: task.id, migrationId: migration.id, downtimeMs: info.downtime },
        'server: handed over',
      );
      await task.guest!.look();
      return undefined;
    } else if (!isUnderWay(info)) {
      // QEMU lets it run again by itself.
      await task.guest!.pause();
      await task.save({ migration: { ...migration, state: 'lost_sight', error: lost(info) } });
      await task.guest!.look();
      return undefined;
    }
    signal.throwIfAborted();
    await sleep(handOverLookMs);
  }
  return lookAgainOrLoseSight(task, handOverLookMs);
}

async function lookAgainOrLoseSight(task: ServerTask, waitMs: number): Promise<number | undefined> {
  task.sending.handsOverSinceMs ??= performance.now();
  if (performance.now() - task.sending.handsOverSinceMs <= silenceMs) return waitMs;
  // Not called off: QEMU would let the guest run again, and the target may have it. The target is asked first.
  const error = { code: 'lost_sight', message: `the last of the memory has not got through in ${silenceMs / 1000} s` };
  await task.save({ migration: { ...outgoing(task)!, state: 'lost_sight', error } });
  return undefined;
}

const lost = ({ status, ...rest }: MigrationInfo): OutgoingError => ({
  code: 'lost_sight',
  message: `the last of the memory did not get through: ${rest['error-desc'] ?? status ?? 'QEMU does not say why'}`,
});

export const loseSight: StepFunction<'lose-sight'> = async ({ task }) => {
  const error = { code: 'guest_died', message: 'QEMU ended while it handed the guest over' };
  await task.save({ migration: { ...outgoing(task)!, state: 'lost_sight', error } });
  return undefined;
};

export const hold: StepFunction<'hold'> = async ({ task }) => {
  task.context.log.warn(
    { serverId: task.id },
    'server: QEMU let the guest run again, which was handed over: it is held',
  );
  await task.guest!.pause();
  await task.guest!.look();
  return undefined;
};

/**
 * QEMU calls the memory sent when the kernel has taken the last of it, which is lost where the way is cut just then. The guest stands still meanwhile, so it
 * is not waited for long; the target knows whether it has it, and is asked.
 */
export const awaitTakeOver: StepFunction<'await-take-over'> = async ({ task }) => {
  task.sending.handedOverSinceMs ??= performance.now();
  const leftMs = takeOverMs - (performance.now() - task.sending.handedOverSinceMs);
  task.show('paused');
  if (leftMs > 0) return leftMs;
  const error = {
    code: 'lost_sight',
    message: `nobody has said in ${takeOverMs / 1000} s that the target has the guest`,
  };
  await task.save({ migration: { ...outgoing(task)!, state: 'lost_sight', error } });
  return undefined;
};

// --- a server that is off ----------------------------------------------------------------------------------------------

async function sendStopped(work: StepWork): Promise<number | undefined> {
  const { task, desired, signal } = work;
  if (!task.guest) {
    await begin({ task, desired, signal }, { begins: 'never', ports: false });
    if (!task.guest) return lookMs;
    await guard(task, desired);
  }
  const ready = await sendDisks(work);
  task.show('stopped');
  await task.context.step('mirror');
  if (!ready) return lookMs;
  await endMirrors(task.execute, sentDisks(work));
  await task.context.step('end-mirrors');
  await sendEnd(task.execute, { paths: task.paths, user: task.user, target: targetOf(work) });
  await task.context.step('send-end');
  await task.save({ migration: { ...outgoing(task)!, state: 'handed_over' } });
  await dropEnd(task.paths);
  return undefined;
}

// --- it does not go ----------------------------------------------------------------------------------------------------

export const stay: StepFunction<'stay'> = async (work, { error }) => {
  await endSending(work, error);
  return undefined;
};

export const takeBack: StepFunction<'take-back'> = async (work) => {
  await endSending(work, null);
  await work.task.save({ epoch: work.desired.epoch, migration: undefined });
  return undefined;
};

async function endSending(work: StepWork, error: OutgoingError): Promise<void> {
  const { task, desired } = work;
  const known = outgoing(task);
  const { id, mode } = known ?? desired.outgoing!;
  task.context.log.warn({ serverId: task.id, migrationId: id, error }, 'server: it stays on this host');
  if (task.guest && mode === 'cold' && known) {
    await quit(task, 'it does not go');
  } else if (task.guest) {
    const disks = disksOf(desired, mode);
    await breakWay(disks, known?.way, meansOf(task));
    await endMemory(task);
    await dropMirrors(task.execute, disks);
    await task.guest.look();
  }
  await dropKey(task.guest && task.execute, task.paths);
  await task.context.step('end-sending');
  task.sending = {};
  const migration: OutgoingRecord = { side: 'outgoing', mode, id, state: 'stayed', error };
  // Without a QEMU of what was handed over it begins anew from its disk, which has all that the guest wrote.
  const left = known?.state === 'handing_over' || known?.state === 'handed_over' || known?.state === 'lost_sight';
  await task.save({ migration, ...(left && !task.guest && { running: null }) });
}

async function endMemory(task: ServerTask): Promise<void> {
  const started = performance.now();
  for (let told = false; isUnderWay(await migrationOf(task.execute)); told = true) {
    if (!told) await task.execute('migrate_cancel');
    if (performance.now() - started > cancelMs) throw new HostFault('guest_silent', 'QEMU does not end the migration');
    await sleep(handOverLookMs);
  }
}

export const forgetMigration: StepFunction<'forget-migration'> = async ({ task }) => {
  task.sending = {};
  await task.save({ migration: undefined });
  return undefined;
};
