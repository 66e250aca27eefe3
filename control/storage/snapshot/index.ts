export { SnapshotController, type SnapshotControllerOptions, type SnapshotStep } from './controller.ts';
export { insertSnapshot, requireSnapshotQuota, SnapshotService, type SnapshotWish } from './service.ts';
export type { ListedSnapshot, SnapshotRow } from './snapshot.ts';
export {
  findSnapshot,
  lockSnapshot,
  type SnapshotFilter,
  type SnapshotPage,
  type SnapshotSortKey,
  snapshotSortKeys,
} from './store.ts';
