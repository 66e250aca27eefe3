/**
 * Administrators: `error` declares a server broken until someone acts on it; `active` takes a fault away and has the cloud try
 * again what failed (placement, or the host's work). Neither writes a state: what is shown is what is.
 */
import { faultOf } from '../server.ts';
import { setFault } from '../store.ts';
import { bytesMs, type Decision, type ServerAction } from './action.ts';

export const resetState: ServerAction<'active' | 'error'> = {
  verb: 'resetState',
  doing: 'reset a server’s state',
  needs: 'admin',
  locked: true,
  deadlineMs: bytesMs,
  async decide({ tx }, server, state): Promise<Decision> {
    if (state === 'active') return { fault: null };
    const message = 'An administrator reset the server’s state to error.';
    // No new generation: the host has nothing to do for it.
    await setFault(tx, server.id, faultOf('reset', message, server.generation));
    return 'done';
  },
};
