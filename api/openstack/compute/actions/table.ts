/** Every action of a server by its name on the wire, a line each. */
import type { ServerAction } from './action.ts';
import { getConsoleOutput } from './console-output.ts';
import { getRdpConsole, getSerialConsole, getSpiceConsole, getVncConsole } from './consoles.ts';
import { createBackup, createImage } from './create-image.ts';
import { forceDelete, restore } from './delete.ts';
import { addFixedIp, removeFixedIp } from './fixed-ips.ts';
import { addFloatingIp, removeFloatingIp } from './floating-ips.ts';
import { changePassword, triggerCrashDump } from './guest-requests.ts';
import { lock, unlock } from './lock.ts';
import { evacuate, liveMigrate, migrate } from './move.ts';
import { pause, unpause } from './pause.ts';
import { reboot, start, stop } from './power.ts';
import { rebuild } from './rebuild.ts';
import { rescue, unrescue } from './rescue.ts';
import { injectNetworkInfo, resetNetwork, resetState } from './reset-state.ts';
import { confirmResize, resize, revertResize } from './resize.ts';
import { addSecurityGroup, removeSecurityGroup } from './security-groups.ts';
import { shelve, shelveOffload, unshelve } from './shelve.ts';
import { resume, suspend } from './suspend.ts';

export const actions: Readonly<Record<string, ServerAction>> = {
  addFixedIp,
  addFloatingIp,
  addSecurityGroup,
  changePassword,
  confirmResize,
  createBackup,
  createImage,
  evacuate,
  forceDelete,
  lock,
  migrate,
  'os-getConsoleOutput': getConsoleOutput,
  'os-getRDPConsole': getRdpConsole,
  'os-getSPICEConsole': getSpiceConsole,
  'os-getSerialConsole': getSerialConsole,
  'os-getVNCConsole': getVncConsole,
  'os-migrateLive': liveMigrate,
  'os-resetState': resetState,
  'os-start': start,
  'os-stop': stop,
  pause,
  reboot,
  rebuild,
  removeFixedIp,
  removeFloatingIp,
  removeSecurityGroup,
  rescue,
  injectNetworkInfo,
  resetNetwork,
  resize,
  restore,
  resume,
  revertResize,
  shelve,
  shelveOffload,
  suspend,
  trigger_crash_dump: triggerCrashDump,
  unlock,
  unpause,
  unrescue,
  unshelve,
};
