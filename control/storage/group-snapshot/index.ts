export { GroupSnapshotService, type ListedGroupSnapshot } from './service.ts';
