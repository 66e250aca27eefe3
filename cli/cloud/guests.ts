/**
 * Guests of this machine, for stopping them when their host process is down already. What is desired of them stays as it
 * is in the database: the next start brings those that should run.
 */
import type { ServerId } from '../../contract/ids.ts';
import type { QemuProcess } from '../../host/guest/launcher.ts';
import * as host from '../../host/stop-guests.ts';
import type { Settings } from '../settings.ts';
import type { Progress } from '../terminal.ts';
import { cloudLayout } from './layout.ts';

export interface Guest {
  serverId: ServerId;
  process: QemuProcess;
}

const directories = (settings: Settings) => {
  const { hostData: dataDirectory, hostRun: runDirectory } = cloudLayout(settings.paths);
  return { dataDirectory, runDirectory };
};

/** Every QEMU of this cloud that runs on this machine. */
export function runningGuests(settings: Settings): Promise<Guest[]> {
  return host.findGuests(directories(settings));
}

export async function stopGuests(
  settings: Settings,
  options: { deadlineMs: number; progress: Progress },
): Promise<void> {
  await host.stopGuests(directories(settings), {
    deadlineMs: options.deadlineMs,
    onProgress: (left, all) => options.progress.detail(`${left} of ${all} left`),
  });
}
