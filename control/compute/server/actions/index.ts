export type { ServerAction } from './action.ts';
export { forceDelete, remove } from './delete.ts';
export { lock, unlock } from './lock.ts';
export { hardReboot, softReboot } from './reboot.ts';
export { resetState } from './reset-state.ts';
export { start } from './start.ts';
export { stop } from './stop.ts';
