/** By what the connections of a guest to another host are broken (../../migration/break.ts). */
import type { Means } from '../../migration/break.ts';
import type { ServerTask } from '../task.ts';

/** What QEMU has broken by itself is broken, also where the kernel can't: that is told, and holds up nothing. */
export const meansOf = (task: Pick<ServerTask, 'id' | 'guest' | 'context'>): Means => ({
  outOfBand: (command, args) => task.guest!.executeOutOfBand(command, args),
  reset: (way) =>
    task.context
      .resetConnections(way, task.guest!.process.pid)
      .catch((err) => task.context.log.warn({ err, serverId: task.id, way }, 'server: connections were not reset')),
});
