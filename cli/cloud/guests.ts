/**
 * Guests of this machine, for stopping them when their host process is down already: asked to power off by ACPI, all at
 * once, and ended after the deadline. What is desired of them stays as it is in the database: the next start brings
 * those that should run.
 */
import type { ServerId } from '../../contract/ids.ts';
import { ProcessLauncher, type QemuProcess } from '../../host/guest/launcher.ts';
import { guestsDirectory, serverPaths } from '../../host/paths.ts';
import { QmpClient } from '../../protocols/qmp/index.ts';
import type { Settings } from '../settings.ts';
import type { Progress } from '../terminal.ts';
import { cloudLayout } from './layout.ts';

export interface Guest {
  serverId: ServerId;
  process: QemuProcess;
}

/** Every QEMU of this cloud that runs on this machine. */
export function runningGuests(settings: Settings): Promise<Guest[]> {
  const guests = guestsDirectory(cloudLayout(settings.paths).hostRun);
  return new ProcessLauncher({ guestsDirectory: guests, user: undefined }).list();
}

export async function stopGuests(
  settings: Settings,
  options: { deadlineMs: number; progress: Progress },
): Promise<void> {
  const guests = await runningGuests(settings);
  let left = guests.length;
  await Promise.all(
    guests.map(async (guest) => {
      await stopGuest(settings, guest, options.deadlineMs);
      left -= 1;
      options.progress.detail(`${left} of ${guests.length} left`);
    }),
  );
}

async function stopGuest(settings: Settings, guest: Guest, deadlineMs: number): Promise<void> {
  const { hostData: dataDirectory, hostRun: runDirectory } = cloudLayout(settings.paths);
  const { qmp } = serverPaths({ dataDirectory, runDirectory }, guest.serverId);
  const late = AbortSignal.timeout(deadlineMs);
  try {
    const client = await QmpClient.connect({ path: qmp, timeoutMs: 2000 });
    // A guest that was started to stay off after a power-down ends its QEMU; one that ignores ACPI is quit below.
    await client.execute('system_powerdown');
    await Promise.race([
      guest.process.exited,
      client.closed,
      new Promise((end) => late.addEventListener('abort', end)),
    ]);
    if (client.open) await client.execute('quit').catch(() => {});
    client.close();
  } catch {
    // No answer on its socket: nothing is left but to end it.
  }
  const grace = new Promise((end) => setTimeout(end, 3000).unref());
  await Promise.race([guest.process.exited, grace]);
  if (guest.process.alive) guest.process.kill();
  await guest.process.exited;
}
