/** What Cinder calls the status of a snapshot, derived as a volume's is (states.ts); here, since clones ask for it. Pure. */
import { type SnapshotStatus, snapshotStatuses } from './statuses.ts';
import type { StorageFault, VolumeTaskKind } from './tables.ts';

/** What the status is made of. */
export interface SnapshotState {
  desired_presence: 'present' | 'absent';
  fault: Pick<StorageFault, 'code' | 'status'> | null;
  /** Since when its content is final. */
  ready_at: Date | null;
  /** What is done with this very snapshot. */
  task: VolumeTaskKind | null;
}

const statusOfSnapshotTask: Partial<Record<VolumeTaskKind, SnapshotStatus>> = {
  ...{ revert: 'restoring', backup: 'backing-up' },
};

export function snapshotStatus(snapshot: SnapshotState): SnapshotStatus {
  const { fault, task } = snapshot;
  if (snapshot.desired_presence === 'absent') return 'deleting';
  if (fault) return isSnapshotStatus(fault.status) ? fault.status : 'error';
  if (snapshot.ready_at === null) return 'creating';
  return (task && statusOfSnapshotTask[task]) ?? 'available';
}

const isSnapshotStatus = (text: string | undefined): text is SnapshotStatus =>
  (snapshotStatuses as readonly (string | undefined)[]).includes(text);
