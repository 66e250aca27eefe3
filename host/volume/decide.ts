/**
 * The next step towards a layer's desired state. Pure: what shall be and what is in, one step out. Every step may be repeated, and after
 * each one everything is looked at again, so a crash between any two steps changes nothing.
 *
 * No step touches a file before it is known what the guests that run have open, nor one that a guest writes to; what is to be done to such
 * a file its guest's QEMU does.
 */
import { isDeepStrictEqual } from 'node:util';
import type { DesiredLayer } from '../../contract/host/index.ts';
import type { BackupId, ImageId } from '../../contract/ids.ts';
import type { ExportRecord } from './export/record.ts';
import type { LayerLedger } from './ledger.ts';
import { type BuildsOn, sameBase } from './names.ts';
import type { Outcomes } from './outcomes.ts';

export interface LayerFacts {
  file: { sizeBytes: number; buildsOn: BuildsOn; owner: 'guest' | 'group' | 'root' } | undefined;
  /** It was once whole here. */
  made: boolean;
  /** It is noted what its file may say that it builds on. */
  baseNoted: boolean;
  /** The last epoch under which it was erased here, as a document had said. */
  erasedEpoch: number | undefined;
  outcomes: Outcomes | undefined;
  /** The file that it shall build on is here. */
  parentHere: boolean;
  /** So is the image, in a form that guests read. */
  imageHere: boolean;
  /** Guests that write to it. */
  writers: number;
  /** Its guest's QEMU has not all that belongs below it. */
  unfurnished: boolean;
  /** A guest has the volume of which it was made. */
  volumeOpen: boolean;
  /** All guests that run have been asked. */
  guestsKnown: boolean;
  /** Control is silent for longer than it lends, see ../lease/README.md. */
  leaseEnded: boolean;
  /** A file was taken from the directory `manage` of its pool, and is not dropped or given back yet. */
  taken: boolean;
  /** A machine outside has it open: as its document says, but for its limits, or otherwise. */
  exported: 'as-wanted' | 'limited-otherwise' | 'otherwise' | undefined;
  /** A guest of another host may write to it. */
  receiving: boolean;
}

export type Step =
  | { do: 'await-lease' }
  /** Somebody else has to do something first. */
  | { do: 'wait'; what: string }
  /** It was erased under this very epoch: no other is made for it. */
  | { do: 'stay-erased' }
  /** It was made, and its file is not there. */
  | { do: 'miss' }
  | { do: 'note-made' }
  | { do: 'make' }
  | { do: 'restore' }
  /** Of a file in the directory `manage` of its pool. */
  | { do: 'take-over' }
  /** Of another host's layer. */
  | { do: 'copy' }
  /** That file goes: its content is here. */
  | { do: 'drop-taken' }
  /** It is back at its place: nothing came of it. */
  | { do: 'give-back' }
  /** The image that it builds on was lost. */
  | { do: 'fetch' }
  | { do: 'rebase'; onto: BuildsOn }
  /** As rebase, but what lies between goes down, not up. */
  | { do: 'sink'; onto: NonNullable<BuildsOn> }
  | { do: 'grow' }
  /** Nobody writes to it any more: guests may read it. */
  | { do: 'seal' }
  /** No guest has it open any more. */
  | { do: 'take-back' }
  | { do: 'capture'; imageId: ImageId }
  | { do: 'back-up'; backupId: BackupId }
  /** A machine outside shall have it. */
  | { do: 'export' }
  | { do: 'limit-export' }
  | { do: 'end-export' }
  /** A guest of another host shall write to it. */
  | { do: 'receive-writes' }
  | { do: 'end-receiving' }
  | { do: 'forget-outcomes' }
  /** What its guest's QEMU has below it beside layers. */
  | { do: 'furnish' }
  | { do: 'remove' }
  | { do: 'nothing'; state: 'ready' | 'absent' };

export type Doing = Exclude<Step, { do: 'nothing' }>;

export function decide(desired: DesiredLayer, facts: LayerFacts): Step {
  const step = desired.presence === 'absent' ? decideAbsent(facts) : decidePresent(desired, facts);
  return facts.leaseEnded && begins.has(step.do) ? { do: 'await-lease' } : step;
}

/** What a host whose lease has ended does not do. */
const begins: ReadonlySet<Step['do']> = new Set([
  'make',
  'restore',
  'take-over',
  'copy',
  'fetch',
  'rebase',
  'sink',
  'grow',
  'capture',
  'back-up',
  'export',
  'receive-writes',
]);

/** Whether a machine outside has the layer, and as its document says. */
export function exportedAs({ export: wanted }: DesiredLayer, open: ExportRecord | undefined): LayerFacts['exported'] {
  if (!open) return undefined;
  const same = ['id', 'initiator', 'user', 'port', 'readOnly'] as const;
  if (!wanted || same.some((each) => wanted[each] !== open[each])) return 'otherwise';
  if (isDeepStrictEqual(wanted.limits, open.limits)) return 'as-wanted';
  return open.throttled ? 'limited-otherwise' : 'otherwise';
}

/** What its document says that it builds on. What comes from a backup stands for itself, and so does an encrypted one of an image. */
export const wantedBase = ({ parentId, image, source, managed, encryption }: DesiredLayer): BuildsOn => {
  if (source || managed || (encryption && image)) return null;
  if (parentId !== null) return { kind: 'layer', id: parentId };
  return image && { kind: 'image', id: image.id };
};

/** What its file may say that it builds on: what was noted, else its document's word. Never more: a guest may have written the file. */
export const basesOf = (desired: DesiredLayer, ledger: Pick<LayerLedger, 'basesOf'>): readonly BuildsOn[] =>
  ledger.basesOf(desired.id) ?? [wantedBase(desired)];

/** As large as its file may say that it is: a document may be older than what a guest was shown. */
export const largestOf = (desired: DesiredLayer, ledger: Pick<LayerLedger, 'sizeOf'>): number =>
  Math.max(desired.sizeBytes, ledger.sizeOf(desired.id) ?? 0);

/** Its file is as its document says, whatever else is to be made of it. */
export const isReady = (desired: DesiredLayer, { file }: Pick<LayerFacts, 'file'>): boolean =>
  file !== undefined &&
  sameBase(file.buildsOn, wantedBase(desired)) &&
  (desired.readOnly || file.sizeBytes >= desired.sizeBytes);

/** Nobody writes to it, and it is not of a cache: whoever builds on it may read it. */
export const isShared = ({ readOnly, cache }: Pick<DesiredLayer, 'readOnly' | 'cache'>): boolean => readOnly && !cache;

function decideAbsent(facts: LayerFacts): Step {
  const { file, made, taken, outcomes, writers, guestsKnown, exported } = facts;
  if (facts.receiving) return { do: 'end-receiving' };
  if (exported) return { do: 'end-export' };
  // What it was to be made of is somebody's; what was made of it is what shall go.
  if (taken) return made || file ? { do: 'drop-taken' } : { do: 'give-back' };
  if (file && !guestsKnown) return waitForGuests;
  if (file && writers > 0) return { do: 'wait', what: 'waiting for the guest to let go of it' };
  return file || outcomes ? { do: 'remove' } : { do: 'nothing', state: 'absent' };
}

const waitForWriter: Step = { do: 'wait', what: 'waiting for the guest to write to it no more' };
const waitForGuests: Step = { do: 'wait', what: 'waiting until it is known what guests have open' };

function decidePresent(desired: DesiredLayer, facts: LayerFacts): Step {
  const { file, made, baseNoted, writers, guestsKnown } = facts;
  if (facts.receiving && (!desired.receives || desired.readOnly)) return { do: 'end-receiving' };
  if (facts.exported === 'otherwise') return { do: 'end-export' };
  if (facts.exported === 'limited-otherwise') return { do: 'limit-export' };
  if (!file) return decideWithoutFile(desired, facts);
  if (!made || !baseNoted) return { do: 'note-made' };
  if (facts.taken) return { do: 'drop-taken' };
  const onto = wantedBase(desired);
  if (!sameBase(file.buildsOn, onto)) {
    if (!guestsKnown) return waitForGuests;
    if (desired.readOnly && writers > 0) return waitForWriter;
    if (!facts.parentHere) return waitForParent;
    if (!facts.imageHere && desired.image && onto === null) return { do: 'fetch' };
    return desired.sinks && onto ? { do: 'sink', onto } : { do: 'rebase', onto };
  }
  if (!isReady(desired, facts)) {
    if (!guestsKnown) return waitForGuests;
    const below = desired.cache && writers === 0 && facts.volumeOpen;
    if (below) return { do: 'wait', what: 'waiting for the guest to let go of it' };
    // The server's task tells it, which knows the size that the guest has been shown: one of two sizes in flight would shrink it.
    return writers > 0 ? { do: 'wait', what: 'waiting for the guest to be shown the new size' } : { do: 'grow' };
  }
  if (!facts.imageHere) return { do: 'fetch' };
  if (guestsKnown && writers === 0) {
    if (isShared(desired)) {
      if (file.owner !== 'group') return { do: 'seal' };
    } else if (file.owner !== 'root' && !(desired.cache && facts.volumeOpen)) return { do: 'take-back' };
  }
  if (facts.unfurnished) return { do: 'furnish' };
  return (
    outcomeWanted(desired, facts) ??
    exportWanted(desired, facts) ??
    writesWanted(desired, facts) ?? { do: 'nothing', state: 'ready' }
  );
}

/** Nobody has the volume, and a machine outside shall. */
function exportWanted({ export: wanted }: DesiredLayer, { exported, guestsKnown, volumeOpen }: LayerFacts) {
  if (!wanted || exported) return undefined;
  if (!guestsKnown) return waitForGuests;
  return volumeOpen ? waitForWriter : ({ do: 'export' } as const);
}

/** Nobody has the volume here, and a guest of another host shall write to this. */
function writesWanted({ receives, readOnly }: DesiredLayer, { receiving, guestsKnown, volumeOpen }: LayerFacts) {
  if (!receives || readOnly || receiving) return undefined;
  if (!guestsKnown) return waitForGuests;
  return volumeOpen ? waitForWriter : ({ do: 'receive-writes' } as const);
}

const waitForParent: Step = { do: 'wait', what: 'waiting for the layer that it builds on' };

function decideWithoutFile(desired: DesiredLayer, { made, erasedEpoch, parentHere }: LayerFacts): Step {
  if (made) return { do: 'miss' };
  if (erasedEpoch !== undefined && erasedEpoch >= desired.epoch) return { do: 'stay-erased' };
  if (desired.managed) return { do: 'take-over' };
  if (desired.source) return { do: 'restore' };
  if (!parentHere) return waitForParent;
  return desired.copyOf ? { do: 'copy' } : { do: 'make' };
}

function outcomeWanted({ captures, backups, readOnly, cache }: DesiredLayer, facts: LayerFacts): Step | undefined {
  const { outcomes, guestsKnown, writers } = facts;
  const capture = captures?.find(({ imageId }) => !outcomes?.captures.some((each) => each.imageId === imageId));
  const backup = backups?.find(({ id }) => !outcomes?.backups.some((each) => each.id === id));
  if (capture || backup) {
    if (!guestsKnown) return waitForGuests;
    if (writers > 0) return waitForWriter;
    if (readOnly && cache) return { do: 'wait', what: 'waiting for what sinks into it' };
  }
  if (capture) return { do: 'capture', imageId: capture.imageId };
  if (backup) return { do: 'back-up', backupId: backup.id };
  const asked = (captures?.length ?? 0) + (backups?.length ?? 0) > 0;
  return outcomes && !asked ? { do: 'forget-outcomes' } : undefined;
}
