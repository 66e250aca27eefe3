/** A snapshot: its row and what is known beside it. What follows from it is in ../volume/snapshot-states.ts, since clones ask for it. */
import type { Selectable } from 'kysely';
import type { SnapshotState, VolumeTask } from '../volume/index.ts';
import type { VolumeSnapshotTable } from './tables.ts';

export type SnapshotRow = Selectable<VolumeSnapshotTable>;

export interface ListedSnapshot extends SnapshotRow, Omit<SnapshotState, keyof SnapshotRow> {
  task: VolumeTask['kind'] | null;
}
