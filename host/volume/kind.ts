/**
 * What the layers of a pool are: files in a directory (directory.ts), or images of a Ceph cluster (rbd/). What a task does for one is the
 * same for all kinds and asks here for what differs: how it is looked at, changed, and read as files.
 */
import type { StepFunction } from './steps/step.ts';
import type { LayerReading } from './task.ts';

/** Steps that touch what is there of a layer. */
export type KindStep =
  | 'make'
  | 'restore'
  | 'take-over'
  | 'copy'
  | 'fetch'
  | 'rebase'
  | 'sink'
  | 'grow'
  | 'seal'
  | 'take-back'
  | 'remove';

export interface LayerKind extends LayerReading {
  readonly steps: { [Name in KindStep]: StepFunction<Name> };
}
