/** What Cinder calls the status of a snapshot, derived as a volume's is (states.ts); here, since clones ask for it. Pure. */
import type { ObservedLayerState } from '../layer/tables.ts';
import { type SnapshotStatus, snapshotStatuses } from './statuses.ts';
import type { StorageFault, VolumeTaskKind } from './tables.ts';

/** What the status is made of. */
export interface SnapshotState {
  desired_presence: 'present' | 'absent';
  fault: Pick<StorageFault, 'code' | 'status'> | null;
  ready_at: Date | null;
  layer_state: ObservedLayerState | null;
  /** Its host knows that nobody writes to the layer any more, and nothing sinks into it. */
  layer_settled: boolean;
  /** A guest that has the volume has no layer but the present top open. */
  top_in_force: boolean;
  /** What is done with this very snapshot. */
  task: VolumeTaskKind | null;
}

export const statusOfSnapshotTask: Partial<Record<VolumeTaskKind, SnapshotStatus>> = {
  ...{ revert: 'restoring', backup: 'backing-up' },
};

/** Its content is final. */
export const isReady = ({ ready_at, layer_state, layer_settled, top_in_force }: SnapshotState): boolean =>
  ready_at !== null || (layer_state === 'ready' && layer_settled && top_in_force);

export function snapshotStatus(snapshot: SnapshotState): SnapshotStatus {
  const { fault, task } = snapshot;
  if (snapshot.desired_presence === 'absent') return 'deleting';
  if (fault) return isSnapshotStatus(fault.status) ? fault.status : 'error';
  if (!isReady(snapshot)) return 'creating';
  return (task && statusOfSnapshotTask[task]) ?? 'available';
}

export const isSnapshotStatus = (text: string | undefined): text is SnapshotStatus =>
  (snapshotStatuses as readonly (string | undefined)[]).includes(text);
