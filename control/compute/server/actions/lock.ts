import { requireAdmin } from '../../../kit/caller.ts';
import { updateNotes } from '../store.ts';
import { type Decision, type ServerAction, shortlyMs } from './action.ts';

/** Nova's note of who locked it decides who may unlock it. */
export const lock: ServerAction<{ reason: string | null }> = {
  verb: 'lock',
  doing: 'lock a server',
  locked: true,
  deadlineMs: shortlyMs,
  async decide({ tx, caller }, server, { reason }): Promise<Decision> {
    const owner = caller.projectId === server.project_id;
    // As Nova: else what an administrator locked were its owner's, who then unlocks it.
    if (owner && server.locked) return undefined;
    await updateNotes(tx, server.id, { locked: true, locked_by: owner ? 'owner' : 'admin', locked_reason: reason });
    return 'done';
  },
};

/** What an administrator of another project locked, only an administrator unlocks. */
export const unlock: ServerAction = {
  verb: 'unlock',
  doing: 'unlock a server',
  locked: true,
  deadlineMs: shortlyMs,
  async decide({ tx, caller }, server): Promise<Decision> {
    if (server.locked_by === 'admin') requireAdmin(caller, 'unlock a server that an administrator locked');
    await updateNotes(tx, server.id, { locked: false, locked_by: null, locked_reason: null });
    return 'done';
  },
};
