/** Delete, in three ways: for good, for good whatever is set, and so that it can be restored for a while. */
import { deleteDeadlineMs, type ServerRow } from '../server.ts';
import type { ActionWork, Decision, ServerAction } from './action.ts';

const away = (server: ServerRow): Decision =>
  server.desired_presence === 'absent' ? undefined : { presence: 'absent' };

/** Always accepted unless locked, also twice. */
export const forceDelete: ServerAction = {
  verb: 'delete',
  doing: 'delete a server',
  deadlineMs: deleteDeadlineMs,
  decide: (_work, server) => away(server),
};

/** As DELETE does it: what has run can be restored until it is reclaimed, where the cloud is set so. */
export const remove: ServerAction = {
  ...forceDelete,
  decide: ({ deps }: ActionWork, server) => {
    const restorable = (deps.reclaimSeconds ?? 0) > 0 && server.launched_at !== null;
    return restorable && server.desired_presence === 'present' ? softly(server) : away(server);
  },
};

/** One that is suspended keeps its memory, and wakes up when it is restored. */
function softly(server: ServerRow): Decision {
  if (server.soft_deleted_at) return undefined;
  const power = server.desired_power === 'suspended' || server.desired_shelve ? {} : ({ power: 'off' } as const);
  return { softDeletedAt: new Date(), fault: null, ...power };
}
