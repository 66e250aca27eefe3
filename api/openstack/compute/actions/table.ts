/** Every action of a server by its name on the wire, a line each. */
import type { ServerAction } from './action.ts';
import { getConsoleOutput } from './console-output.ts';
import { forceDelete } from './delete.ts';
import { laterActions } from './later.ts';
import { lock, unlock } from './lock.ts';
import { reboot, start, stop } from './power.ts';
import { resetState } from './reset-state.ts';
import { addSecurityGroup, removeSecurityGroup } from './security-groups.ts';

export const actions: Readonly<Record<string, ServerAction>> = {
  ...laterActions,
  addSecurityGroup,
  forceDelete,
  lock,
  'os-getConsoleOutput': getConsoleOutput,
  'os-resetState': resetState,
  'os-start': start,
  'os-stop': stop,
  reboot,
  removeSecurityGroup,
  unlock,
};
