/**
 * Guests of this machine, for stopping them when their host process is down already. What is desired of them stays as it
 * is in the database: the next start brings those that should run.
 */
import type { ServerId } from '../../contract/ids.ts';
import { userIds } from '../../engine/process.ts';
import type { QemuProcess } from '../../host/guest/launcher.ts';
import * as host from '../../host/stop-guests.ts';
import { guestUser, missingUsers } from '../install/users.ts';
import type { Settings } from '../settings.ts';
import type { Progress } from '../terminal.ts';
import { guestUidsOf } from './guest-uids.ts';
import { cloudLayout } from './layout.ts';

export interface Guest {
  serverId: ServerId;
  process: QemuProcess;
}

const place = (settings: Settings) => {
  const { hostData: dataDirectory, hostRun: runDirectory } = cloudLayout(settings.paths);
  // A machine without the user has never had a guest.
  const accounts = missingUsers().includes(guestUser)
    ? undefined
    : { ...userIds(guestUser), uids: guestUidsOf(settings) };
  return { dataDirectory, runDirectory, accounts };
};

/** Every QEMU of this cloud that runs on this machine. */
export function runningGuests(settings: Settings): Promise<Guest[]> {
  return host.findGuests(place(settings));
}

/** Volumes of this machine that machines outside have; the next start exports them again. */
export const stopExports = (settings: Settings): Promise<void> => host.stopExports(place(settings));

export async function stopGuests(
  settings: Settings,
  options: { deadlineMs: number; progress: Progress },
): Promise<void> {
  await host.stopGuests(place(settings), {
    deadlineMs: options.deadlineMs,
    onProgress: (left, all) => options.progress.detail(`${left} of ${all} left`),
  });
}
