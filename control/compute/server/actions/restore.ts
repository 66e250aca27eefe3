import { checkQuota } from '../../../kit/quota/quota.ts';
import { server as descriptor, shareOf } from '../resource.ts';
import { bytesMs, type Decision, type ServerAction } from './action.ts';

/** Brings a deleted server back before it is reclaimed, running as in Nova, if there is quota for it. */
export const restore: ServerAction = {
  verb: 'restore',
  doing: 'restore a server',
  deadlineMs: bytesMs,
  async decide({ tx }, server): Promise<Decision> {
    const wanted = { servers: 1, vcpus: server.vcpus, memory_mib: server.memory_mib };
    await checkQuota(tx, server.project_id, descriptor.usage, wanted, shareOf(server));
    // What was shelved still is.
    return { softDeletedAt: null, ...(!server.desired_shelve && { power: 'on' }) };
  },
};
