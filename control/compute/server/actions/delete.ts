/** Delete, in three ways: for good, for good whatever is set, and so that it can be restored for a while. */
import { databaseNow } from '../../../kit/database/clock.ts';
import { confirmResizeOfDeleted } from '../confirming.ts';
import { deleteDeadlineMs, type ServerRow } from '../server.ts';
import type { ActionWork, Decision, ServerAction } from './action.ts';

async function away({ tx }: ActionWork, server: ServerRow): Promise<Decision> {
  if (server.desired_presence === 'absent') return undefined;
  await confirmResizeOfDeleted(tx, server);
  return { presence: 'absent' };
}

/** Always accepted unless locked, also twice. */
export const forceDelete: ServerAction = {
  verb: 'delete',
  doing: 'delete a server',
  deadlineMs: deleteDeadlineMs,
  decide: away,
};

/** As DELETE does it: what has run can be restored until it is reclaimed, where the cloud is set so. */
export const remove: ServerAction = {
  ...forceDelete,
  decide: (work: ActionWork, server) => {
    const { deps } = work;
    const restorable = (deps.reclaimSeconds ?? 0) > 0 && server.launched_at !== null;
    return restorable && server.desired_presence === 'present' ? softly(work, server) : away(work, server);
  },
};

/** One that is suspended keeps its memory, and wakes up when it is restored. */
async function softly({ tx }: ActionWork, server: ServerRow): Promise<Decision> {
  if (server.soft_deleted_at) return undefined;
  const power = server.desired_power === 'suspended' || server.desired_shelve ? {} : ({ power: 'off' } as const);
  return { softDeletedAt: await databaseNow(tx), fault: null, ...power };
}
