export type { ServerAction } from './action.ts';
export { changePassword } from './change-password.ts';
export { triggerCrashDump } from './crash-dump.ts';
export { type BackupWish, createBackup, createImage, type ImageWish } from './create-image.ts';
export { forceDelete, remove } from './delete.ts';
export { evacuate } from './evacuate.ts';
export { type AttachWish, addFixedIp, attachInterface, detachInterface, removeFixedIp } from './interfaces.ts';
export { lock, unlock } from './lock.ts';
export { type LiveMoveWish, liveMigrate, type MoveWish, migrate } from './move.ts';
export { pause, unpause } from './pause.ts';
export { hardReboot, softReboot } from './reboot.ts';
export { type RebuildWish, rebuild } from './rebuild.ts';
export type { GuestRequest } from './request.ts';
export { type RescueWish, rescue, unrescue } from './rescue.ts';
export { resetState } from './reset-state.ts';
export { confirmResize, type ResizeWish, resize, revertResize } from './resize.ts';
export { restore } from './restore.ts';
export { shelve, shelveOffload, type UnshelveWish, unshelve } from './shelve.ts';
export { start } from './start.ts';
export { stop } from './stop.ts';
export { resume, suspend } from './suspend.ts';
export {
  type AttachVolumeWish,
  attachVolume,
  detachVolume,
  type TerminationWish,
  updateAttachment,
} from './volumes.ts';
