/**
 * What is next of a server on its way from one host to another (contract/host/migration.ts). Pure.
 *
 * The target: nothing runs before `taken_over` is written down, and nothing is written down after it was told that nobody wants it. The source: from
 * `handing_over` on the guest is not its own any more until control says so, by `cancelled` or by another epoch; a document that merely names no
 * migration is no such word.
 */
import type { DesiredServer, IncomingServer, OutgoingServer } from '../../contract/host/index.ts';
import type { LayerId } from '../../contract/ids.ts';
import type { RunState } from '../guest/guest.ts';
import type { IncomingRecord, OutgoingRecord, ServerRecord } from './record.ts';

type MigrationError = { code: string; message: string };

export type MigrationStep =
  /** What its volumes build on is not here yet. */
  | { do: 'await-layer'; layerId: LayerId; why: string }
  /** The target makes room for it and listens. */
  | { do: 'receive' }
  | { do: 'await-source' }
  | { do: 'take-over' }
  /** Nothing of it remains here (`keep`: but what was here before), and never runs by this migration. */
  | { do: 'give-up'; error: MigrationError | null; keep?: true }
  /** The source's next step, by what its QEMU says. */
  | { do: 'send' }
  /** The guest does not go: it is again as if it never had been sent. */
  | { do: 'stay'; error: MigrationError | null }
  /** It was handed over, or nearly, and is this host's again under another epoch: its guest goes on from its memory. */
  | { do: 'take-back' }
  | { do: 'lose-sight' }
  /** Its QEMU lets it run again by itself, and the target may have it. */
  | { do: 'hold' }
  /** QEMU has sent all of the guest; nobody has said yet that the target has it. */
  | { do: 'await-take-over' }
  | { do: 'forget-migration' }
  /** It came here only in part, and the document says that it is here. */
  | { do: 'keep-incomplete' };

type Rest = { do: 'nothing'; state: 'stopped' | 'paused'; error: null };
type Quit = { do: 'quit'; why: string };

interface Facts {
  record: ServerRecord | undefined;
  disk: boolean;
  guest: { state: RunState; ending: boolean } | undefined;
  received: boolean;
  /** A layer that it needs and that can't be opened yet. */
  layer?: { layerId: LayerId; why: string } | undefined;
}

const rest = (state: Rest['state']): Rest => ({ do: 'nothing', state, error: null });
const given = (code: string, message: string) => ({ do: 'give-up' as const, error: { code, message } });
const stays = (code: string, message: string) => ({ do: 'stay' as const, error: { code, message } });

/** Undefined: what shall be done is what shall be done of any other server. */
export function migrationStep(desired: DesiredServer, facts: Facts): MigrationStep | Rest | Quit | undefined {
  const known = facts.record?.migration;
  if (desired.incoming || known?.side === 'incoming')
    return incomingStep(desired.incoming, known?.side === 'incoming' ? known : undefined, facts);
  if (desired.outgoing || known?.side === 'outgoing') return outgoingStep(desired, known, facts);
  return undefined;
}

/** Before a guest of an older epoch is ended: it may be one that comes back. */
export function takeBackStep(desired: DesiredServer, { record, guest }: Facts): MigrationStep | undefined {
  const { epoch, outgoing, incoming } = desired;
  const migration = record?.migration;
  if (migration?.side !== 'outgoing' || migration.mode !== 'live' || outgoing || !guest || record!.epoch >= epoch)
    return undefined;
  return incoming ? undefined : { do: 'take-back' };
}

/**
 * The server comes back before what it had left here is removed. All of it had gone to another host, and by the newer epoch control has given it
 * away since: what is left goes first, as it would have gone.
 */
export function comesBackToWhatItLeft({ epoch, incoming }: DesiredServer, { record }: Facts): boolean {
  const migration = record?.migration;
  if (!incoming || migration?.side !== 'outgoing' || record!.epoch >= epoch) return false;
  return migration.state === 'handed_over' || migration.state === 'lost_sight';
}

/**
 * Before a newer epoch is taken over: the server is given to this host as one that never was here, and what had come of it in part is in the way. Under
 * the same epoch control says that all of it had come.
 */
export function leftBehindStep({ epoch, incoming }: DesiredServer, { record }: Facts): MigrationStep | undefined {
  const migration = record?.migration;
  const left = migration?.side === 'incoming' && migration.state === 'receiving' && !incoming && record!.epoch < epoch;
  return left ? { do: 'give-up', error: null } : undefined;
}

function incomingStep(
  incoming: IncomingServer | undefined,
  known: IncomingRecord | undefined,
  facts: Facts,
): MigrationStep | Rest | Quit | undefined {
  if (!incoming) return known!.state === 'receiving' ? { do: 'keep-incomplete' } : { do: 'forget-migration' };
  if (known && known.id !== incoming.id)
    return known.state === 'receiving' ? { do: 'give-up', error: null } : { do: 'forget-migration' };
  if (!known) {
    if (facts.record?.disk || facts.disk || facts.guest)
      return { ...given('server_here', 'the server is on this host already, or what is left of it'), keep: true };
    if (incoming.cancelled) return { do: 'give-up', error: null };
    return facts.layer ? { do: 'await-layer', ...facts.layer } : { do: 'receive' };
  }
  switch (known.state) {
    case 'taken_over':
      return undefined;
    case 'given_up':
      return rest('stopped');
    case 'receiving':
      if (incoming.cancelled) return { do: 'give-up', error: null };
      return facts.guest ? receivingStep(known, facts) : withoutGuest(known, facts);
  }
}

function receivingStep({ mode, target }: IncomingRecord, { guest, received }: Facts): MigrationStep | Quit {
  if (mode === 'live' && guest!.state === 'paused') return { do: 'take-over' };
  if (mode === 'cold' && received) return { do: 'quit', why: 'all of the server has arrived' };
  // Where it listens nobody knows: of a process that died before it had said so.
  return target ? { do: 'await-source' } : { do: 'quit', why: 'it waits where nobody finds it' };
}

function withoutGuest({ mode, target }: IncomingRecord, { received }: Facts): MigrationStep {
  if (mode === 'cold' && received) return { do: 'take-over' };
  return target ? given('guest_died', 'QEMU ended before all of the server had arrived') : { do: 'receive' };
}

function outgoingStep(desired: DesiredServer, record: ServerRecord['migration'], facts: Facts) {
  const { outgoing } = desired;
  const known = record?.side === 'outgoing' ? record : undefined;
  if (known && known.id !== outgoing?.id) {
    if (known.state === 'stayed') return { do: 'forget-migration' } as const;
    return known.state === 'sending' ? stays('cancelled', 'nobody wants the migration any more') : still(known, facts);
  }
  if (known) return knownOutgoingStep(outgoing!, known, facts);
  // Nothing of it is here, or was erased since: there is nothing to send, and nothing to write that down in.
  if (!facts.record) return undefined;
  if (outgoing!.cancelled) return stays('cancelled', 'nobody wants the migration any more');
  return outgoing!.target ? firstStep(desired, outgoing!, facts) : undefined;
}

/** Before the first: the server is first as its document says. */
function firstStep(
  { power }: DesiredServer,
  { mode }: OutgoingServer,
  { record, guest }: Facts,
): MigrationStep | undefined {
  if (mode === 'cold') return guest ? undefined : { do: 'send' };
  if (!guest && (record?.halted || power === 'off')) return stays('not_running', 'the guest does not run');
  const begins = record?.running != null && (guest?.state === 'running' || guest?.state === 'paused');
  return begins && !guest.ending ? { do: 'send' } : undefined;
}

/** In which a guest has something that could be sent. */
const alive: ReadonlySet<RunState> = new Set([
  'running',
  'paused',
  'finish-migrate',
  'postmigrate',
  'io-error',
  'prelaunch',
  'starting',
]);

function knownOutgoingStep({ cancelled, target }: OutgoingServer, known: OutgoingRecord, facts: Facts) {
  const { guest } = facts;
  switch (known.state) {
    case 'stayed':
      return undefined;
    case 'sending':
      if (cancelled || !target) return stays('cancelled', 'nobody wants the migration any more');
      if (known.mode === 'cold') return { do: 'send' } as const;
      if (!guest) return stays('guest_died', 'QEMU ended while the guest was sent');
      return alive.has(guest.state)
        ? ({ do: 'send' } as const)
        : stays('not_running', 'the guest went off while it was sent');
    case 'handing_over':
      if (cancelled) return stays('cancelled', 'the target has given the migration up');
      return guest ? ({ do: 'send' } as const) : ({ do: 'lose-sight' } as const);
    case 'handed_over':
      if (!cancelled && known.mode === 'live' && guest) return { do: 'await-take-over' } as const;
      return cancelled ? stays('cancelled', 'the target has given the migration up') : still(known, facts);
    default:
      return cancelled ? stays('cancelled', 'the target has given the migration up') : still(known, facts);
  }
}

/** The guest is not this host's to run. */
function still({ mode }: OutgoingRecord, { guest }: Facts): MigrationStep | Rest | Quit {
  if (mode === 'cold' && guest) return { do: 'quit', why: 'its disks are sent' };
  if (guest?.state === 'running') return { do: 'hold' };
  return rest(guest ? 'paused' : 'stopped');
}

/** Whether all of a server is here, for whoever does not know of its way. */
export function wayOf({ incoming }: DesiredServer, record: ServerRecord | undefined): { way?: 'arriving' | 'left' } {
  const { side, state } = record?.migration ?? {};
  if (side === 'incoming' ? state !== 'taken_over' : incoming) return { way: 'arriving' };
  return state === 'handed_over' || state === 'lost_sight' ? { way: 'left' } : {};
}
