/**
 * What hosts say of a migration between them (contract/host/migration.ts), and what follows. Pure: the migration's row and one word in, what
 * is to be noted and what is to be done out. Only the two hosts that take part are heard, each under its own epoch; whoever calls this
 * has looked at that.
 *
 * The target's `taken_over` counts whenever it comes: the guest runs there. The source's `stayed` counts as well: it runs there. Both can't be,
 * by the contract. All else is progress.
 */
import type { ObservedIncoming, ObservedOutgoing, ObservedServer } from '../../../contract/host/index.ts';
import { beginningOf } from '../../kit/text.ts';
import type { MigrationKind, MigrationPhase } from './tables.ts';

/** A migration that is under way, or whose disks are kept. */
export interface Migration {
  id: string;
  server_id: string;
  kind: MigrationKind;
  phase: Exclude<MigrationPhase, 'ended'>;
  /** The source. */
  host_id: string;
  target_host_id: string;
  other_host_id: string;
  other_epoch: number;
  target: ObservedIncoming['target'] | null;
  source_state: ObservedOutgoing['state'] | null;
  target_state: ObservedIncoming['state'] | null;
  progress: MigrationProgress | null;
  reached: number;
  downtime_ms: number | null;
  error: MigrationError | null;
}

export interface MigrationError {
  code: string;
  message: string;
}

/** As the source has said it last. */
export type MigrationProgress = Pick<ObservedOutgoing, 'disks' | 'memory' | 'forecastMs'>;

/** The columns that words may change. */
export type MigrationPatch = Pick<
  Migration,
  'id' | 'phase' | 'target' | 'source_state' | 'target_state' | 'progress' | 'reached' | 'downtime_ms' | 'error'
>;

export interface Heard {
  patch: MigrationPatch;
  /** Undefined: it goes on. */
  then: 'taken over' | 'came to nothing' | undefined;
}

const longest = 500;
const cut = ({ code, message }: MigrationError): MigrationError => ({
  ...{ code: beginningOf(code, longest), message: beginningOf(message, longest) },
});

const patchOf = (migration: Migration): MigrationPatch => {
  const { id, phase, target, source_state, target_state, progress, reached, downtime_ms, error } = migration;
  return { id, phase, target, source_state, target_state, progress, reached, downtime_ms, error };
};

const isUnderWay = (phase: MigrationPhase): boolean =>
  phase === 'preparing' || phase === 'copying' || phase === 'handing-over' || phase === 'cancelling';

/** From the target, before it is the owner; from a source that keeps the disks nothing is to be heard. */
export function hearOther(migration: Migration, report: ObservedServer): Heard {
  const patch = patchOf(migration);
  const heard = (then?: Heard['then']): Heard => ({ patch, then });
  if (!isUnderWay(migration.phase)) return heard();
  const { incoming } = report;
  if (incoming?.id !== migration.id) {
    // It has nothing of it, or can't read what it was told.
    if (report.state !== 'absent' && report.state !== 'failed') return heard();
    patch.error ??= cut(report.error ?? { code: 'unavailable', message: 'The other host has nothing of the server.' });
    return heard('came to nothing');
  }
  patch.target_state = incoming.state;
  if (incoming.error) patch.error ??= cut(incoming.error);
  switch (incoming.state) {
    case 'preparing':
      return heard();
    case 'ready':
      if (migration.phase === 'preparing' && incoming.target) {
        patch.phase = 'copying';
        patch.target = incoming.target;
      }
      return heard();
    case 'taken_over':
      return heard('taken over');
    case 'given_up':
      patch.error ??= { code: 'unavailable', message: 'The other host has given it up.' };
      return heard('came to nothing');
  }
}

/** From the source, while it is the owner. */
export function hearOwner(migration: Migration, { outgoing }: ObservedServer): Heard {
  const patch = patchOf(migration);
  const heard = (then?: Heard['then']): Heard => ({ patch, then });
  if (outgoing?.id !== migration.id || !isUnderWay(migration.phase)) return heard();
  const { disks, memory, forecastMs } = outgoing;
  patch.source_state = outgoing.state;
  patch.progress = { disks, ...(memory && { memory }), ...(forecastMs !== undefined && { forecastMs }) };
  patch.reached = Math.max(migration.reached, disks.copied + (memory ? memory.total - memory.remaining : 0));
  if (outgoing.error) patch.error ??= cut(outgoing.error);
  if (outgoing.downtimeMs !== undefined) patch.downtime_ms = outgoing.downtimeMs;
  switch (outgoing.state) {
    case 'preparing':
    case 'copying':
      return heard();
    case 'handing_over':
    case 'handed_over':
      if (patch.phase === 'copying') patch.phase = 'handing-over';
      return heard();
    case 'lost_sight':
      // Whether the target has it the target knows: it is asked to give up, and says that it did or that it runs.
      patch.phase = 'cancelling';
      return heard();
    case 'stayed':
      patch.error ??= { code: 'unavailable', message: 'The server stayed where it was.' };
      return heard('came to nothing');
  }
}

/** Has the source said that it lets go? Then it takes the guest back only under a new epoch. */
export const hasLetGo = ({ source_state: state }: Pick<Migration, 'source_state'>): boolean =>
  state === 'handing_over' || state === 'handed_over' || state === 'lost_sight';

export const isLive = ({ kind }: Pick<Migration, 'kind'>): boolean => kind === 'live-migration';

/** What it waits for, for people; how far it is stands in the row and is no event. */
export function waitingForOf({ phase, progress }: Pick<Migration, 'phase' | 'progress'>): string {
  switch (phase) {
    case 'preparing':
      return 'the other host to make ready for the server';
    case 'copying':
      return progress?.memory ? 'the memory to be copied' : 'the disks to be copied';
    case 'handing-over':
      return 'the other host to take over';
    case 'cancelling':
      return 'both hosts to call it off';
    case 'moved':
      return 'the other host to start the server';
    case 'reverting':
      return 'the server to be shut down before it goes back';
  }
}
