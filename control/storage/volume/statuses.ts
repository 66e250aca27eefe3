/** Cinder's words for what a volume or a snapshot is (cinder/objects/fields.py, and its manager's own). */
export const volumeStatuses = [
  ...(['creating', 'available', 'reserved', 'attaching', 'in-use', 'detaching', 'maintenance', 'deleting'] as const),
  ...(['error', 'error_deleting', 'error_extending', 'error_restoring', 'error_backing-up', 'error_managing'] as const),
  ...(['extending', 'uploading', 'downloading', 'backing-up', 'restoring-backup', 'reverting', 'retyping'] as const),
  ...(['awaiting-transfer', 'managing'] as const),
] as const;
export type VolumeStatus = (typeof volumeStatuses)[number];

export const snapshotStatuses = [
  ...(['error', 'available', 'creating', 'deleting', 'deleted', 'updating', 'error_deleting'] as const),
  ...(['unmanaging', 'backing-up', 'restoring'] as const),
] as const;
export type SnapshotStatus = (typeof snapshotStatuses)[number];
