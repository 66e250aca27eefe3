export { SnapshotController, type SnapshotStep } from './controller.ts';
export { insertSnapshot, requireSnapshotQuota, SnapshotService } from './service.ts';
export type { ListedSnapshot } from './snapshot.ts';
export { lockSnapshot, type SnapshotFilter, type SnapshotSortKey } from './store.ts';
