/**
 * What a host's word on a layer changes. Pure: a row and a report in, the new observed columns out. A report is never trusted: it counts
 * only from the owner, of the present epoch, and never goes back. It moves desired columns in three ways: a layer whose content has come
 * from a backup needs that no more; one whose file builds on what it shall lets go of what it built on before; and where the host could
 * not make it so it builds on that again, since nobody asked for it (shorten.ts).
 */
import { isDeepStrictEqual } from 'node:util';
import type { ObservedExport, ObservedLayer } from '../../../contract/host/index.ts';
import { beginningOf } from '../../kit/text.ts';
import type {
  AnySource,
  LayerBackupOutcome,
  LayerCaptureOutcome,
  LayerError,
  LayerRow,
  ObservedLayerState,
} from './tables.ts';

export type ReportedLayer = Pick<
  LayerRow,
  | 'id'
  | 'host_id'
  | 'epoch'
  | 'generation'
  | 'parent_id'
  | 'former_parent_id'
  | 'sinks'
  | 'desired_presence'
  | 'desired_source'
  | 'desired_captures'
  | 'desired_backups'
  | 'observed_epoch'
  | 'observed_generation'
  | 'observed_state'
  | 'observed_size_bytes'
  | 'observed_allocated_bytes'
  | 'observed_full'
  | 'observed_written'
  | 'observed_step'
  | 'observed_error'
  | 'observed_captures'
  | 'observed_backups'
  | 'observed_export'
  | 'observed_receiver'
>;

/** The columns that a report may write. */
export interface LayerPatch {
  id: string;
  generation: number;
  parent_id: string | null;
  /** On a layer again, and on no image. */
  put_back: boolean;
  former_parent_id: string | null;
  sinks: boolean;
  desired_source: AnySource | null;
  observed_full: boolean;
  /** Null: the host does not say. */
  observed_written: boolean | null;
  observed_epoch: number;
  observed_generation: number;
  observed_state: Exclude<ObservedLayerState, 'none'>;
  observed_size_bytes: number;
  observed_allocated_bytes: number;
  observed_step: string | null;
  observed_error: LayerError | null;
  observed_captures: LayerCaptureOutcome[];
  observed_backups: LayerBackupOutcome[];
  observed_export: ObservedExport | null;
  observed_receiver: LayerRow['observed_receiver'];
}

export type LayerOutcome =
  | { kind: 'ignored'; reason: 'not the owner' | 'other epoch' | 'older generation' | 'generation from the future' }
  | { kind: 'unchanged' }
  /** Nothing is left, as it shall be: the row may go. */
  | { kind: 'gone' }
  | {
      kind: 'recorded';
      patch: LayerPatch;
      /** Somebody may wait for it: more has changed than how far it is and how much it takes, and than that the host has begun. */
      news: boolean;
    };

const maxText = 500;
const cut = (text: string): string => (text.length > maxText ? `${beginningOf(text, maxText - 1)}…` : text);
const cutError = (error: LayerError | null): LayerError | null =>
  error && { code: cut(error.code), message: cut(error.message) };

export function applyReport(row: ReportedLayer, hostId: string, report: ObservedLayer): LayerOutcome {
  if (row.host_id !== hostId) return { kind: 'ignored', reason: 'not the owner' };
  if (row.epoch !== report.epoch) return { kind: 'ignored', reason: 'other epoch' };
  if (report.generation > row.generation) return { kind: 'ignored', reason: 'generation from the future' };
  // A layer that shall not be is never made again, whatever else was asked of it first.
  const absent = row.desired_presence === 'absent';
  if (absent && report.state === 'absent') return { kind: 'gone' };
  if (report.generation < row.observed_generation) return { kind: 'ignored', reason: 'older generation' };
  const ofNow = report.generation === row.generation;
  const served = ofNow && report.state === 'ready';
  const putBack = !absent && ofNow && report.state === 'failed' && row.former_parent_id !== null && !row.sinks;
  const patch: LayerPatch = {
    ...{ id: row.id, put_back: putBack, generation: row.generation + (putBack ? 1 : 0) },
    parent_id: putBack ? row.former_parent_id : row.parent_id,
    former_parent_id: served || putBack ? null : row.former_parent_id,
    // What could not sink stays where it is, and its host tries again.
    sinks: row.sinks && !served,
    desired_source: served ? null : row.desired_source,
    observed_full: report.full ?? false,
    observed_written: report.written ?? null,
    observed_epoch: report.epoch,
    observed_generation: report.generation,
    observed_state: report.state,
    observed_size_bytes: report.sizeBytes,
    observed_allocated_bytes: report.allocatedBytes,
    observed_step: report.step === null ? null : cut(report.step),
    observed_error: cutError(report.error),
    observed_captures: capturesOf(row, report),
    observed_backups: backupsOf(row, report),
    observed_export: report.export ?? null,
    observed_receiver: report.receiver ?? null,
  };
  if (same(row, patch, watched) && same(row, patch, unwatched)) return { kind: 'unchanged' };
  // Whoever waits does so for what comes of it: a look at each volume that is begun costs more than its making.
  const begun = report.state === 'building' && same(row, patch, outcomes);
  return { kind: 'recorded', patch, news: !begun && !same(row, patch, watched) };
}

/** Of those that are wanted; what was said once stays said until somebody has taken note. */
function capturesOf(row: ReportedLayer, { captures = [] }: ObservedLayer): LayerCaptureOutcome[] {
  const said = captures.map(({ imageId, result, error }) => ({ image_id: imageId, result, error: cutError(error) }));
  return merged(
    row.desired_captures,
    (each) => each.image_id,
    [...row.observed_captures, ...said],
    (each) => each.image_id,
  );
}

function backupsOf(row: ReportedLayer, { backups = [] }: ObservedLayer): LayerBackupOutcome[] {
  const said = backups.map(({ id, result, error }) => ({
    id,
    result: result && { size_bytes: result.sizeBytes, sha256: result.sha256 },
    error: cutError(error),
  }));
  return merged(
    row.desired_backups,
    (each) => each.id,
    [...row.observed_backups, ...said],
    (each) => each.id,
  );
}

/** @param outcomes the first word on each counts */
function merged<Wanted, Outcome>(
  wanted: readonly Wanted[],
  idOf: (each: Wanted) => string,
  outcomes: readonly Outcome[],
  idOfOutcome: (each: Outcome) => string,
): Outcome[] {
  return wanted.flatMap((each) => outcomes.find((outcome) => idOfOutcome(outcome) === idOf(each)) ?? []);
}

type Column = Exclude<keyof LayerPatch, 'put_back'>;
const outcomes = [
  ...[
    'former_parent_id',
    'sinks',
    'desired_source',
    'observed_full',
    'observed_written',
    'observed_size_bytes',
    'observed_error',
  ],
  ...['observed_captures', 'observed_backups', 'observed_export', 'observed_receiver'],
] as Column[];
const watched = [...outcomes, ...['observed_epoch', 'observed_generation', 'observed_state']] as Column[];
const unwatched = ['observed_step', 'observed_allocated_bytes'] as const;

const same = (row: ReportedLayer, patch: LayerPatch, columns: readonly Column[]): boolean =>
  columns.every((column) => isDeepStrictEqual(row[column], patch[column]));
