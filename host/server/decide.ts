/**
 * The next step towards a server's desired state. Pure: what shall be and what is in, one step out. Every step may be
 * repeated, and after each one everything is looked at again, so a crash between any two steps changes nothing.
 *
 * A memory that lies beside the disk is of a guest that has not run since: it goes before anything else may run on that disk.
 */
import type { DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, LayerId } from '../../contract/ids.ts';
import type { LocalDiskFile } from '../disk/local-disk.ts';
import type { RunState } from '../guest/guest.ts';
import { type CardFacts, type CardStep, cardStep } from './cards.ts';
import { copiesToLeave, copyToDrop } from './copies.ts';
import { type LocalDiskStep, localDiskStep } from './local-disks.ts';
import { comesBackToWhatItLeft, leftBehindStep, type MigrationStep, migrationStep, takeBackStep } from './migrating.ts';
import type { ServerRecord } from './record.ts';
import { awaitsNextStart, type VolumeFacts, type VolumeStep, volumeStep } from './volumes.ts';

export interface ServerFacts {
  record: ServerRecord | undefined;
  /** Anything of the server lies on this host: directory, sockets. */
  files: boolean;
  disk: boolean;
  rescueDisk: boolean;
  localDisks: readonly LocalDiskFile[];
  /** Of which there is what they were before a resize. */
  keptDisks: readonly LocalDiskFile[];
  /** A whole memory of a suspended guest. */
  memory: boolean;
  /** Ports that may be plugged. */
  plugged: boolean;
  guest: GuestFacts | undefined;
  /** The source has written its last word into this host's disks of a server that is off. */
  received: boolean;
  /** Of the guest that runs; absent: of before they came and went while it ran. */
  cards?: CardFacts | undefined;
  /** Of the guest that runs; absent: it has none and shall have none. */
  volumes?: VolumeFacts | undefined;
  /** Without which it can't be started now. */
  layer?: { layerId: LayerId; why: string } | undefined;
  bootId: string;
  /** The last epoch under which its disk was erased here, as a document had said. */
  erasedEpoch: number | undefined;
  /** Control is silent for longer than it lends servers, see ../lease/README.md. */
  leaseEnded: boolean;
  /** There is one, not only has none ended. */
  leaseHeld?: boolean;
  /** What the watchdog of the lease has of the guest, or of the one before it; absent: nothing. */
  guard?: GuardFacts | undefined;
}

export interface GuardFacts {
  /** The lease is there: not only has none ended. */
  leaseHeld: boolean;
  guarded: DesiredServer['onLeaseEnd'] | undefined;
  /** The guest stands still, since the lease ended. */
  held: boolean;
  /** The one before was stopped when it did. */
  ended: boolean;
}

export interface GuestFacts {
  state: RunState;
  ending: boolean;
}

type HaltError = { code: string; message: string } | null;

export type Step =
  /** A soft end was asked for; `asked` by the caller's clock. */
  | { do: 'power-down'; purpose: 'stop' | 'reboot' | 'rescue' | 'resize' }
  /** End QEMU at once; `begins`: so that the next one begins. */
  | { do: 'quit'; why: string; begins?: true }
  /** The guest switched itself off, or died: remember it. */
  | { do: 'halt'; error: HaltError }
  | { do: 'adopt-epoch' }
  /** Something shall begin, and may not before control answers. */
  | { do: 'await-lease' }
  /** The watchdog is told of the guest, before that runs. */
  | { do: 'guard'; onLeaseEnd: NonNullable<DesiredServer['onLeaseEnd']> }
  | { do: 'unguard' }
  /** It stood still when the lease ended, and is still this host's. */
  | { do: 'release' }
  | { do: 'make-disk' }
  /** A disk lies there that was not made for this record: it is not touched. */
  | { do: 'keep-out' }
  /** Its disk was erased under this very epoch: no other is made for it. */
  | { do: 'stay-erased' }
  /** It shall be made anew: a rebuild. */
  | { do: 'drop-disk' }
  | { do: 'make-rescue-disk' }
  | { do: 'drop-rescue' }
  | { do: 'launch' }
  | { do: 'wait-for-guest' }
  /** QEMU runs: note it. */
  | { do: 'note-running' }
  /** A guest that the machine's trouble stopped goes on. */
  | { do: 'resume' }
  /** A guest that we stopped goes on. */
  | { do: 'continue' }
  | { do: 'pause' }
  | { do: 'save-memory' }
  | { do: 'drop-memory' }
  | { do: 'resize-disk' }
  | { do: 'restore-disk' }
  | { do: 'forget-disk' }
  /** An image of its disk is wanted, and all else is as it shall be. */
  | { do: 'capture'; imageId: ImageId }
  /** Its volumes are about to be written to without their second copies, which control has to know first. */
  | { do: 'leave-copies'; ids: readonly LayerId[] }
  /** It has no disk of its own. */
  | { do: 'make-record' }
  | CardStep
  | LocalDiskStep
  | VolumeStep
  | MigrationStep
  | { do: 'unplug' }
  | { do: 'erase' }
  | {
      do: 'nothing';
      state: 'running' | 'stopped' | 'paused' | 'suspended' | 'absent';
      error: HaltError;
      /** What comes with the next start, in words. */
      waits?: string;
    };

type Rest = Extract<Step, { do: 'nothing' }>;
const nothing = (state: Rest['state'], error: HaltError = null): Step => ({ do: 'nothing', state, error });

export function decide(desired: DesiredServer | undefined, facts: ServerFacts): Step {
  const step = nextStep(desired, facts);
  if (!mayBegin(desired, facts) && beginsSomething(step)) return { do: 'await-lease' };
  const left = leaves.has(step.do) ? copiesToLeave(desired!, facts.record) : [];
  if (left.length > 0) return { do: 'leave-copies', ids: left };
  const imageId = step.do === 'nothing' ? captureWanted(desired, facts) : undefined;
  return imageId === undefined ? step : { do: 'capture', imageId };
}

/** With which a QEMU begins or goes on that nobody has watched, or does what it can not do while a mirror is under way. */
const leaves: ReadonlySet<Step['do']> = new Set(['launch', 'release', 'save-memory', 'send']);

function mayBegin(desired: DesiredServer | undefined, { leaseEnded, leaseHeld, guard }: ServerFacts): boolean {
  if (leaseEnded) return false;
  if (desired?.onLeaseEnd !== undefined) return guard?.leaseHeld === true;
  return desired?.beginsLent !== true || leaseHeld === true;
}

function captureWanted(desired: DesiredServer | undefined, { record, disk }: ServerFacts): ImageId | undefined {
  if (desired?.presence !== 'present' || !disk || !record?.disk) return undefined;
  const made = new Set(record.captures?.map(({ imageId }) => imageId));
  return desired.captures?.find(({ imageId }) => !made.has(imageId))?.imageId;
}

/** What a host whose lease has ended does not do. */
function beginsSomething(step: Step): boolean {
  switch (step.do) {
    case 'make-disk':
    case 'make-record':
    case 'drop-disk':
    case 'make-rescue-disk':
    case 'make-local-disk':
    case 'grow-local-disk':
    case 'drop-local-disk':
    case 'resize-disk':
    case 'restore-disk':
    case 'launch':
    case 'continue':
    case 'release':
    case 'receive':
    case 'take-over':
      return true;
    case 'quit':
      return step.begins === true;
    case 'power-down':
      return step.purpose !== 'stop';
    default:
      return false;
  }
}

function nextStep(desired: DesiredServer | undefined, facts: ServerFacts): Step {
  // Nobody has said that it shall be absent: it is kept as it is, see unclaimed servers in reconciler.ts.
  if (!desired) return nothing(facts.guest ? 'running' : facts.files ? 'stopped' : 'absent');
  if (desired.presence === 'absent') return decideAbsent(facts, 'the server is deleted');
  if (comesBackToWhatItLeft(desired, facts)) return decideAbsent(facts, 'it had gone to another host');
  const { record, guest } = facts;
  const before = takeBackStep(desired, facts) ?? leftBehindStep(desired, facts);
  if (before) return goingOn(before, desired, facts);
  if (record && record.epoch !== desired.epoch) {
    if (guest) return { do: 'quit', why: 'it ran under an older epoch' };
    return { do: 'adopt-epoch' };
  }
  const dropped = facts.volumes && copyToDrop(desired, facts.volumes.volumes);
  if (guest && dropped) return { do: 'drop-copy', volume: dropped };
  const moving = migrationStep(desired, facts);
  if (moving) return goingOn(moving, desired, facts);
  if (!guest) return decideWithoutGuest(desired, facts);
  const guarding = guardStep(desired, facts);
  if (guarding) return guarding;
  // Nobody asks the guest: nothing of what it would write down is kept.
  if (rebuildPending(desired, record)) {
    const why = 'its disk is made anew';
    return isWanted(desired, record) ? { do: 'quit', why, begins: true } : { do: 'quit', why };
  }
  if (!isWanted(desired, record)) return decideStopping(facts, guest);
  if (resizeStep(desired, record)) return decideForResize(guest);
  if (isConfirmed(desired, record)) return { do: 'forget-disk' };
  if (rescueStep(desired, facts)) return decideChangingDisks(desired, guest);
  const step = decideRunning(desired, facts, guest);
  if (step.do !== 'nothing' || (step.state !== 'running' && step.state !== 'paused')) return step;
  const coming =
    (facts.cards && cardStep(desired, facts.cards)) ?? (facts.volumes && volumeStep(desired, facts.volumes));
  const waits = facts.volumes && awaitsNextStart(desired, facts.volumes);
  return coming ?? (waits ? { ...step, waits } : step);
}

/** Steps of a migration for which QEMU must answer. One that stands still with the lease goes on first: its guest does not run by that if it was sent. */
const asksQemu: ReadonlySet<Step['do']> = new Set(['send', 'stay', 'take-back', 'take-over']);

function goingOn(step: Step, desired: DesiredServer, { guard }: ServerFacts): Step {
  if (guard?.held && step.do === 'hold') return nothing('paused');
  return guard?.held && asksQemu.has(step.do) ? releaseStep(desired, guard) : step;
}

const releaseStep = ({ onLeaseEnd }: DesiredServer, { guarded }: GuardFacts): Step =>
  onLeaseEnd === undefined || guarded === onLeaseEnd ? { do: 'release' } : { do: 'guard', onLeaseEnd };

/** What a guest that may not outlive the lease needs before anything else; one that stands still with it can't be asked anything. */
function guardStep(desired: DesiredServer, { record, guard }: ServerFacts): Step | undefined {
  const { onLeaseEnd } = desired;
  if (guard?.held) {
    if (!isWanted(desired, record)) return { do: 'quit', why: 'the guest stands still' };
    return releaseStep(desired, guard);
  }
  if (guard?.guarded === onLeaseEnd) return undefined;
  return onLeaseEnd === undefined ? { do: 'unguard' } : { do: 'guard', onLeaseEnd };
}

/** The guest shall be there: it is not off, and has not gone off by itself since control last asked. */
export function isWanted(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return desired.power !== 'off' && !isHalted(desired, record);
}

function isHalted(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return record?.halted != null && desired.generation <= record.halted.generation && !rebootPending(desired, record);
}

function rebootPending(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return desired.reboot.count > (record?.rebootCount ?? 0);
}

function rebuildPending(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  // Never back: a database that is older than the disk has forgotten a rebuild, and that is no reason to lose what came of it.
  return record?.disk != null && (record.disk.count ?? 0) < (desired.rootCount ?? 0);
}

/** One without boots from a volume. */
const hasDisk = (desired: DesiredServer, record: ServerRecord | undefined): boolean =>
  desired.image !== null || record?.disk != null;

/** What is to be done to its disk for a resize, or to take one back. */
function resizeStep(desired: DesiredServer, record: ServerRecord | undefined): Step | undefined {
  if (!record?.disk && (!record || hasDisk(desired, record))) return undefined;
  const { resize } = desired;
  if (resize?.state === 'reverted') return record.resize ? { do: 'restore-disk' } : undefined;
  return resize && resize.count > (record.resize?.count ?? 0) ? { do: 'resize-disk' } : undefined;
}

const isConfirmed = (desired: DesiredServer, record: ServerRecord | undefined): boolean =>
  record?.resize != null && desired.resize == null;

/** As a stop: the guest is asked first. */
const decideForResize = (guest: GuestFacts): Step =>
  guest.ending || guest.state !== 'running'
    ? { do: 'quit', why: 'it is resized', begins: true }
    : { do: 'power-down', purpose: 'resize' };

/** What is to be done to its disks before it may run as desired. */
function rescueStep(desired: DesiredServer, { record, rescueDisk }: ServerFacts): Step | undefined {
  const [wanted, has] = [desired.rescue?.count ?? 0, record?.rescue?.count ?? 0];
  if (has === wanted) return wanted > 0 && !rescueDisk ? { do: 'make-rescue-disk' } : undefined;
  return has > 0 ? { do: 'drop-rescue' } : { do: 'make-rescue-disk' };
}

function decideAbsent(facts: ServerFacts, why: string): Step {
  if (facts.guest) return { do: 'quit', why };
  if (facts.plugged) return { do: 'unplug' };
  if (facts.files) return { do: 'erase' };
  return nothing('absent');
}

function decideWithoutGuest(desired: DesiredServer, facts: ServerFacts): Step {
  const { record } = facts;
  const wanted = isWanted(desired, record);
  const suspended = wanted && desired.power === 'suspended';
  const rebuilt = rebuildPending(desired, record);
  const resized = resizeStep(desired, record) !== undefined;
  const anew = rebuilt || resized || rebootPending(desired, record) || rescueStep(desired, facts) !== undefined;
  if (wanted && !facts.memory && !rebuilt && !rebootPending(desired, record)) {
    const error = whatIsLost(desired, facts);
    if (error) return { do: 'halt', error };
    // Else the machine itself was restarted: the guest comes back with it.
  }
  // The record is written before the disk is made: a disk without one is somebody's, of whom we know nothing.
  if (facts.disk && !record?.disk) return { do: 'keep-out' };
  if (!facts.disk && !hasDisk(desired, record)) {
    if (!record) return { do: 'make-record' };
  } else if (!facts.disk) {
    const erased = !record?.disk && facts.erasedEpoch !== undefined && facts.erasedEpoch >= desired.epoch;
    return erased ? { do: 'stay-erased' } : { do: 'make-disk' };
  }
  if (facts.memory && (!wanted || anew)) return { do: 'drop-memory' };
  if (rebuilt) return { do: 'drop-disk' };
  const size = resizeStep(desired, record);
  if (size) return size;
  if (isConfirmed(desired, record)) return { do: 'forget-disk' };
  const disks = rescueStep(desired, facts);
  if (disks) return disks;
  // A memory knows its disks as they are.
  const local = facts.memory ? undefined : localDiskStep(desired, facts.localDisks, facts.keptDisks);
  if (local) return local;
  if (wanted && !(suspended && facts.memory))
    return facts.layer ? { do: 'await-layer', ...facts.layer } : { do: 'launch' };
  if (facts.plugged) return { do: 'unplug' };
  if (suspended) return nothing('suspended');
  return nothing('stopped', isHalted(desired, record) ? record!.halted!.error : null);
}

/** There is no guest, and there should be one: where what it had in memory can't come back, its owner decides. */
function whatIsLost(desired: DesiredServer, { record, bootId, guard }: ServerFacts): HaltError {
  // As after a restart of the machine: it comes back if it is still this host's.
  if (guard?.ended && desired.power === 'on') return null;
  if (record?.running?.bootId === bootId) return { code: 'guest_died', message: 'QEMU ended without being told to' };
  const kept = desired.power !== 'on' && (record?.running || (desired.power === 'suspended' && record?.memory));
  if (!kept) return null;
  return { code: 'memory_lost', message: `the guest was ${desired.power}, and what it had in memory is lost` };
}

function decideRunning(desired: DesiredServer, facts: ServerFacts, guest: GuestFacts): Step {
  const record = facts.record!;
  if (guest.ending) return { do: 'quit', why: 'it was being ended' };
  const reboot = rebootPending(desired, record);
  if (guest.state === 'shutdown') {
    return reboot ? { do: 'quit', why: 'rebooting', begins: true } : { do: 'halt', error: null };
  }
  if (reboot && desired.reboot.type === 'hard') return { do: 'quit', why: 'rebooting', begins: true };
  if (guest.state === 'starting' || guest.state === 'inmigrate') return { do: 'wait-for-guest' };
  if (reboot) return { do: 'power-down', purpose: 'reboot' };
  switch (guest.state) {
    case 'running':
      if (facts.memory) return { do: 'drop-memory' };
      if (!record.running) return { do: 'note-running' };
      return desired.power === 'on' ? nothing('running') : { do: 'pause' };
    case 'paused':
    case 'postmigrate':
    case 'prelaunch':
      return decideHeld(desired, facts, guest.state);
    case 'watchdog':
      // It was to stand still where it is: its owner looks why, then reboots it.
      return nothing('paused');
    case 'io-error':
      return { do: 'resume' };
    case 'internal-error':
    case 'guest-panicked':
      return { do: 'halt', error: { code: 'guest_died', message: `the machine stopped with ${guest.state}` } };
    default:
      return { do: 'wait-for-guest' };
  }
}

/** QEMU runs and the guest stands still: by our wish, or before its first moment. */
function decideHeld(desired: DesiredServer, facts: ServerFacts, state: RunState): Step {
  if (desired.power === 'suspended') {
    if (facts.memory) return { do: 'quit', why: 'its memory is saved' };
    // QEMU saves one that was saved before only after it has run again.
    return state === 'paused' ? { do: 'save-memory' } : { do: 'continue' };
  }
  if (facts.memory) return { do: 'drop-memory' };
  if (desired.power === 'on' || state !== 'paused') return { do: 'continue' };
  return facts.record!.running ? nothing('paused') : { do: 'note-running' };
}

/** The guest ends, for its next start has other disks: asked first on the way into a rescue, as in Nova, not on the way out. */
function decideChangingDisks(desired: DesiredServer, guest: GuestFacts): Step {
  const why = desired.rescue ? 'rescuing' : 'the rescue is over';
  if (!desired.rescue || guest.ending || guest.state !== 'running') return { do: 'quit', why, begins: true };
  return { do: 'power-down', purpose: 'rescue' };
}

/** States in which nobody hears the power button. */
const over: ReadonlySet<RunState> = new Set(['shutdown', 'internal-error', 'guest-panicked']);
const held: ReadonlySet<RunState> = new Set(['paused', 'postmigrate', 'inmigrate', 'watchdog']);

function decideStopping(facts: ServerFacts, guest: GuestFacts): Step {
  if (guest.ending || over.has(guest.state) || facts.record?.halted) return { do: 'quit', why: 'the guest is off' };
  if (guest.state === 'starting') return { do: 'quit', why: 'the guest has not started yet' };
  if (held.has(guest.state)) return { do: 'quit', why: 'the guest stands still' };
  return { do: 'power-down', purpose: 'stop' };
}
