/** The steps of a server: a function each, a line each. */
import type { DesiredServer } from '../../../contract/host/index.ts';
import { HostFault } from '../../host-error.ts';
import type { ServerTask } from '../task.ts';
import { capture } from './capturing.ts';
import { awaitCard, forgetCard, plugCard, unplugCard } from './cards.ts';
import { beginCopy, dropCopy, leaveCopies } from './copies.ts';
import { dropDisk, dropRescue, makeDisk, makeRecord, makeRescueDisk } from './disks.ts';
import { halt, powerDown, quit } from './ending.ts';
import { guardGuest, releaseGuest, unguardGuest } from './guarding.ts';
import { dropDisk as dropLocalDisk, growDisk, makeLocalDisk } from './local-disks.ts';
import { continueGuest, dropMemory, pause, saveMemory } from './memory.ts';
import { awaitSource, giveUp, receive, takeOver } from './receiving.ts';
import { erase, unplug } from './removing.ts';
import { forgetDisk, resizeDisk, restoreDisk } from './resizing.ts';
import { resume } from './resuming.ts';
import { awaitTakeOver, forgetMigration, hold, loseSight, send, stay, takeBack } from './sending.ts';
import { launch, noteRunning, waitForGuest } from './starting.ts';
import type { Doing, StepFunction } from './step.ts';
import {
  awaitLayer,
  awaitVolume,
  closeVolume,
  growVolume,
  limitVolume,
  plugVolume,
  switchVolumes,
  unplugVolume,
} from './volumes.ts';

/** Its return wakes all tasks; this is for the case that nobody does. */
const awaitLeaseMs = 60_000;

const refuse = (code: string, message: string): StepFunction => {
  return async () => {
    throw new HostFault(code, message, { permanent: true });
  };
};

/** Under another epoch it is this host's own again, whatever was handed over under the one before: it begins anew from its disk. */
const adoptEpoch: StepFunction<'adopt-epoch'> = async ({ task, desired }) => {
  const sent = task.record?.migration?.side === 'outgoing' && { migration: undefined, running: null };
  await task.save({ epoch: desired.epoch, ...sent });
  return undefined;
};

const functions: { [Name in Doing['do']]: StepFunction<Name> } = {
  'power-down': powerDown,
  quit: ({ task }, { why }) => quit(task, why),
  halt,
  'adopt-epoch': adoptEpoch,
  'keep-out': refuse('disk_unknown', 'a disk of the server is there, and the record of what it is made of is lost'),
  async 'await-lease'({ task }) {
    task.say('waiting for control, which has been silent for longer than it lends servers');
    return awaitLeaseMs;
  },
  'stay-erased': refuse(
    'disk_erased',
    'its disk was erased here when the server was deleted: the database is older than that',
  ),
  guard: guardGuest,
  unguard: unguardGuest,
  release: releaseGuest,
  'make-disk': makeDisk,
  'make-record': makeRecord,
  'drop-disk': dropDisk,
  'make-rescue-disk': makeRescueDisk,
  'drop-rescue': dropRescue,
  'make-local-disk': makeLocalDisk,
  'grow-local-disk': growDisk,
  'drop-local-disk': dropLocalDisk,
  launch,
  'wait-for-guest': waitForGuest,
  'note-running': noteRunning,
  resume,
  continue: continueGuest,
  pause,
  'save-memory': saveMemory,
  'drop-memory': dropMemory,
  capture,
  'resize-disk': resizeDisk,
  'restore-disk': restoreDisk,
  'forget-disk': forgetDisk,
  'plug-card': plugCard,
  'unplug-card': unplugCard,
  'await-card': awaitCard,
  'forget-card': forgetCard,
  'plug-volume': plugVolume,
  'unplug-volume': unplugVolume,
  'await-volume': awaitVolume,
  'close-volume': closeVolume,
  'switch-volumes': switchVolumes,
  'grow-volume': growVolume,
  'limit-volume': limitVolume,
  'await-layer': awaitLayer,
  'begin-copy': beginCopy,
  'drop-copy': dropCopy,
  'leave-copies': leaveCopies,
  receive,
  'await-source': awaitSource,
  'take-over': takeOver,
  'give-up': giveUp,
  send,
  stay,
  'take-back': takeBack,
  'lose-sight': loseSight,
  hold,
  'await-take-over': awaitTakeOver,
  'forget-migration': forgetMigration,
  'keep-incomplete': refuse('migration_incomplete', 'the server came to this host only in part'),
  unplug,
  erase,
};

export async function perform(
  task: ServerTask,
  step: Doing,
  desired: DesiredServer | undefined,
  signal: AbortSignal,
): Promise<number | undefined> {
  const act = functions[step.do] as StepFunction;
  const waitMs = await act({ task, desired: desired!, signal }, step);
  await task.context.step(step.do);
  return waitMs;
}
