export { begin, onLockedVolume } from './act.ts';
export { beginBring, callOffBrings } from './bring.ts';
export { type CacheReport, cacheReport } from './cache-report.ts';
export { arriveWithServer, beginCarry, hostsForVolumes, wakeCarried } from './carry.ts';
export { VolumeController, type VolumeStep } from './controller.ts';
export { createVolumeIn, emptyWish, restoreDeadlineMs, type VolumeImages, type VolumeWish } from './create.ts';
export { freezeTop } from './freeze.ts';
export { launchComplete } from './launch.ts';
export {
  contains,
  containsAny,
  type TimeComparison,
  timeConditions,
  type VolumeFilter,
  type VolumeSortKey,
} from './list.ts';
export { recordLoss } from './loss.ts';
export { holdVolumeQuota, requireTypeQuota, requireVolumeQuota, typesAreLimited } from './quota.ts';
export { removeVolume } from './remove.ts';
export { replaceTop } from './revert.ts';
export type { ShownImages } from './server-image.ts';
export { type ListOptions, VolumeService } from './service.ts';
export { requireImageFits } from './sizes.ts';
export { type SnapshotState, snapshotStatus } from './snapshot-states.ts';
export { contentIsFinalSql, snapshotStatusSql, snapshotTaskSql } from './snapshot-states-sql.ts';
export { volumeSpace } from './space.ts';
export { attachmentStatus, volumeStatus } from './states.ts';
export { attachmentStatusSql, volumeStatusSql } from './states-sql.ts';
export { type SnapshotStatus, snapshotStatuses, volumeStatuses } from './statuses.ts';
export { changeVolume, findVolume, lockVolume, lockVolumesOf, type Reach, reachOf } from './store.ts';
export type { StorageFault, VolumeTask } from './tables.ts';
export {
  faultOf,
  gibBytes,
  gibOf,
  imageMetadataOf,
  type ListedVolume,
  migrationStatus,
  requireStatus,
  zoneOf,
} from './volume.ts';
export { volumeWay } from './way.ts';
