/**
 * The next step towards a server's desired state. Pure: what shall be and what is in, one step out. Every step may be
 * repeated, and after each one everything is looked at again, so a crash between any two steps changes nothing.
 */
import type { DesiredServer } from '../../contract/host/index.ts';
import type { RunState } from '../guest/guest.ts';
import type { ServerRecord } from './record.ts';

export interface ServerFacts {
  record: ServerRecord | undefined;
  /** Anything of the server lies on this host: directory, sockets. */
  files: boolean;
  disk: boolean;
  /** Ports that may be plugged. */
  plugged: boolean;
  guest: { state: RunState; ending: boolean } | undefined;
  bootId: string;
  /** The last epoch under which its disk was erased here, as a document had said. */
  erasedEpoch: number | undefined;
  /** Control is silent for longer than it lends servers, see ../lease/README.md. */
  leaseEnded: boolean;
}

export type Step =
  /** A soft end was asked for; `asked` by the caller's clock. */
  | { do: 'power-down'; purpose: 'stop' | 'reboot' }
  /** End QEMU at once; `reboot`: so that the next one begins. */
  | { do: 'quit'; why: string; reboot?: true }
  /** The guest switched itself off, or died: remember it. */
  | { do: 'halt'; error: { code: string; message: string } | null }
  | { do: 'adopt-epoch' }
  /** Something shall begin, and may not before control answers. */
  | { do: 'await-lease' }
  | { do: 'make-disk' }
  /** A disk lies there that was not made for this record: it is not touched. */
  | { do: 'keep-out' }
  /** Its disk was erased under this very epoch: no other is made for it. */
  | { do: 'stay-erased' }
  | { do: 'launch' }
  | { do: 'wait-for-guest' }
  /** QEMU runs: note it. */
  | { do: 'note-running' }
  | { do: 'resume'; why: string }
  | { do: 'unplug' }
  | { do: 'erase' }
  | { do: 'nothing'; state: 'running' | 'stopped' | 'absent'; error: { code: string; message: string } | null };

const nothing = (
  state: 'running' | 'stopped' | 'absent',
  error: { code: string; message: string } | null = null,
): Step => ({
  do: 'nothing',
  state,
  error,
});

export function decide(desired: DesiredServer | undefined, facts: ServerFacts): Step {
  const step = nextStep(desired, facts);
  return facts.leaseEnded && beginsSomething(step) ? { do: 'await-lease' } : step;
}

/** What a host whose lease has ended does not do. */
function beginsSomething(step: Step): boolean {
  switch (step.do) {
    case 'make-disk':
    case 'launch':
      return true;
    case 'quit':
      return step.reboot === true;
    case 'power-down':
      return step.purpose === 'reboot';
    default:
      return false;
  }
}

function nextStep(desired: DesiredServer | undefined, facts: ServerFacts): Step {
  // Nobody has said that it shall be absent: it is kept as it is, see unclaimed servers in reconciler.ts.
  if (!desired) return nothing(facts.guest ? 'running' : facts.files ? 'stopped' : 'absent');
  if (desired.presence === 'absent') return decideAbsent(facts);
  const { record, guest } = facts;
  if (record && record.epoch !== desired.epoch) {
    if (guest) return { do: 'quit', why: 'it ran under an older epoch' };
    return { do: 'adopt-epoch' };
  }
  const wanted = isWanted(desired, record);
  if (guest) return wanted ? decideRunning(desired, facts, guest) : decideStopping(facts, guest);
  if (record?.running && wanted && !rebootPending(desired, record)) {
    if (record.running.bootId === facts.bootId) {
      return { do: 'halt', error: { code: 'guest_died', message: 'QEMU ended without being told to' } };
    }
    // The machine itself was restarted: the guest comes back with it.
  }
  // The record is written before the disk is made: a disk without one is somebody's, of whom we know nothing.
  if (facts.disk && !record?.disk) return { do: 'keep-out' };
  if (!facts.disk) {
    const erased = !record?.disk && facts.erasedEpoch !== undefined && facts.erasedEpoch >= desired.epoch;
    return erased ? { do: 'stay-erased' } : { do: 'make-disk' };
  }
  if (wanted) return { do: 'launch' };
  if (facts.plugged) return { do: 'unplug' };
  return nothing('stopped', isHalted(desired, record) ? record!.halted!.error : null);
}

/** The guest shall run: it is on, and has not gone off by itself since control last asked. */
export function isWanted(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return desired.power === 'on' && !isHalted(desired, record);
}

function isHalted(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return record?.halted != null && desired.generation <= record.halted.generation && !rebootPending(desired, record);
}

export function rebootPending(desired: DesiredServer, record: ServerRecord | undefined): boolean {
  return desired.reboot.count > (record?.rebootCount ?? 0);
}

function decideAbsent(facts: ServerFacts): Step {
  if (facts.guest) return { do: 'quit', why: 'the server is deleted' };
  if (facts.plugged) return { do: 'unplug' };
  if (facts.files) return { do: 'erase' };
  return nothing('absent');
}

function decideRunning(desired: DesiredServer, facts: ServerFacts, guest: { state: RunState; ending: boolean }): Step {
  const record = facts.record!;
  if (guest.ending) return { do: 'quit', why: 'it was being ended' };
  const reboot = rebootPending(desired, record);
  if (guest.state === 'shutdown') {
    return reboot ? { do: 'quit', why: 'rebooting', reboot: true } : { do: 'halt', error: null };
  }
  if (reboot && desired.reboot.type === 'hard') return { do: 'quit', why: 'rebooting', reboot: true };
  if (guest.state === 'starting') return { do: 'wait-for-guest' };
  if (reboot) return { do: 'power-down', purpose: 'reboot' };
  switch (guest.state) {
    case 'running':
      return record.running ? nothing('running') : { do: 'note-running' };
    case 'paused':
    case 'prelaunch':
      return { do: 'resume', why: 'the guest was paused' };
    case 'io-error':
      return { do: 'resume', why: 'the guest waits for its disk: the disk of the host is full or fails' };
    case 'internal-error':
    case 'guest-panicked':
      return { do: 'halt', error: { code: 'guest_died', message: `the machine stopped with ${guest.state}` } };
    default:
      return { do: 'wait-for-guest' };
  }
}

function decideStopping(facts: ServerFacts, guest: { state: RunState; ending: boolean }): Step {
  const over = guest.state === 'shutdown' || guest.state === 'internal-error' || guest.ending;
  if (over || facts.record?.halted) return { do: 'quit', why: 'the guest is off' };
  if (guest.state === 'starting') return { do: 'quit', why: 'the guest has not started yet' };
  return { do: 'power-down', purpose: 'stop' };
}
