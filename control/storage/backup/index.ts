export { BackupController, type BackupStep } from './controller.ts';
export type { BackupWish } from './create.ts';
export { BackupService } from './service.ts';
export type { ListedBackup } from './store.ts';
