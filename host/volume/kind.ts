/**
 * What the layers of a pool are: files in a directory (directory/), or images of a Ceph cluster (rbd/). What a task does for one is the same
 * for all kinds and asks here for what differs: how it is looked at, changed, and read as files.
 */
import type { DesiredLayer } from '../../contract/host/index.ts';
import type { LayerChain } from './chain.ts';
import type { LayerFacts } from './decide.ts';
import type { StepFunction } from './steps/step.ts';
import type { LayerTask } from './task.ts';

/** Steps that touch what is there of a layer. */
export type KindStep = 'make' | 'restore' | 'fetch' | 'rebase' | 'grow' | 'seal' | 'take-back' | 'remove';

export type SeenLayer = NonNullable<LayerFacts['file']> & { allocatedBytes: number };

export interface LayerKind {
  /** What is there of it; undefined: nothing. @throws HostFault where its pool can't be used */
  look(task: LayerTask, desired: DesiredLayer): Promise<SeenLayer | undefined>;
  readonly steps: { [Name in KindStep]: StepFunction<Name> };
  /**
   * Runs work on what the layer holds, as a chain of files of this host, at the size that its document says. Nobody opens it to write meanwhile.
   * @throws Superseded
   */
  whileStill<T>(task: LayerTask, desired: DesiredLayer, work: (chain: LayerChain) => Promise<T>): Promise<T>;
  /** What it builds on has to be on this host even after it was made. */
  readonly readsImages: boolean;
}
