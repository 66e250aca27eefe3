export { BackupController, type BackupControllerOptions, type BackupStep } from './controller.ts';
export type { BackupWish } from './create.ts';
export type { Restored } from './restore.ts';
export { BackupService } from './service.ts';
export type { BackupStatus, ListedBackup } from './store.ts';
