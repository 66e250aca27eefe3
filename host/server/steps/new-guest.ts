/** A QEMU of a server's, whose news wake the server's task. */
import { Guest } from '../../guest/guest.ts';
import type { QemuProcess } from '../../guest/launcher.ts';
import type { ServerTask } from '../task.ts';

export function newGuest(task: ServerTask, process: QemuProcess): Guest {
  const guest = new Guest({
    process,
    qmpPath: task.paths.qmp,
    timeoutMs: task.context.limits.qemuTimeoutMs,
    onChange: () => {
      if (guest.state === 'gone' && task.guest === guest && !guest.ending) {
        task.context.log.warn({ serverId: task.id, pid: process.pid }, 'QEMU ended without being told to');
      }
      task.wake();
    },
    onGrown: () => {
      for (const { layerId } of task.record?.volumes ?? []) task.context.layers.open.grew(layerId);
    },
  });
  return guest;
}
