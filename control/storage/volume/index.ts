export { begin, done, onLockedVolume } from './act.ts';
export { beginBring, callOffBring, callOffBrings } from './bring.ts';
export { type CacheReport, cacheReport } from './cache-report.ts';
export { arriveWithServer, beginCarry, type CarryProblem, hostsForVolumes, wakeCarried } from './carry.ts';
export { VolumeController, type VolumeControllerOptions, type VolumeStep } from './controller.ts';
export {
  type CreateDependencies,
  createVolumeIn,
  emptyWish,
  type MadeVolume,
  restoreDeadlineMs,
  type VolumeImage,
  type VolumeImages,
  type VolumeWish,
} from './create.ts';
export { freezeTop } from './freeze.ts';
export { launchComplete } from './launch.ts';
export {
  contains,
  containsAny,
  keysetBehind,
  type TimeComparison,
  timeConditions,
  type VolumeFilter,
  type VolumePage,
  type VolumeSortKey,
  volumeSortKeys,
} from './list.ts';
export { recordLoss } from './loss.ts';
export { holdVolumeQuota, requireTypeQuota, requireVolumeQuota, typesAreLimited } from './quota.ts';
export { removeVolume, removeWithServer } from './remove.ts';
export { replaceTop } from './revert.ts';
export type { ShownImages } from './server-image.ts';
export { type ListOptions, type MetadataKind, VolumeService } from './service.ts';
export { requireImageFits } from './sizes.ts';
export { type SnapshotState, snapshotStatus } from './snapshot-states.ts';
export { contentIsFinalSql, snapshotStatusSql, snapshotTaskSql } from './snapshot-states-sql.ts';
export { type VolumeSpace, volumeSpace } from './space.ts';
export {
  type AttachmentState,
  type AttachmentStatus,
  attachmentStatus,
  type VolumeState,
  volumeStatus,
} from './states.ts';
export { attachmentStatusSql, volumeStatusSql } from './states-sql.ts';
export { type SnapshotStatus, snapshotStatuses, type VolumeStatus, volumeStatuses } from './statuses.ts';
export { changeVolume, findVolume, lockVolume, lockVolumesOf, type Reach, reachCondition, reachOf } from './store.ts';
export type { StorageFault, VolumeTask } from './tables.ts';
export type { Uploaded, UploadWish } from './upload.ts';
export {
  faultOf,
  gibBytes,
  gibOf,
  type ListedVolume,
  migrationStatus,
  requireStatus,
  type ShownAttachment,
  zoneOf,
} from './volume.ts';
export { type VolumeWay, volumeWay } from './way.ts';
