/**
 * Stopping the guests of a machine whose host process is down already, for whoever takes a cloud down. Each is asked to
 * power off and ended after the deadline. What is desired of them stays: the record is told first that the end is ours, so
 * that the next host process starts those that shall run instead of taking them for dead.
 */
import type { ServerId } from '../contract/ids.ts';
import { QmpClient } from '../protocols/qmp/index.ts';
import { ProcessLauncher, type QemuProcess } from './guest/launcher.ts';
import type { GuestAccounts } from './guest/users.ts';
import { stopWatchdog } from './lease/guard.ts';
import { guestsDirectory, serverPaths } from './paths.ts';
import { readRecord, writeRecord } from './server/record.ts';
import { endProcesses } from './volume/export/processes.ts';
import { exportRecords } from './volume/export/record.ts';
import { receiverRecords } from './volume/receive/record.ts';

/** Whose guests. */
export interface GuestsPlace {
  dataDirectory: string;
  runDirectory: string;
  /** Undefined where the machine never had guests, or in tests. */
  accounts: GuestAccounts | undefined;
}

/**
 * Volumes of machines outside, and second copies of volumes of other hosts: their connections end. The next host process exports them again; a copy is begun anew, which control sees.
 */
export async function stopExports({ dataDirectory }: Pick<GuestsPlace, 'dataDirectory'>): Promise<void> {
  for (const record of exportRecords.read(dataDirectory)) await endProcesses(record);
  for (const { uid } of receiverRecords.read(dataDirectory)) if (uid !== null) await endProcesses({ uid });
}

/** Every QEMU of this host that runs. */
export function findGuests(place: GuestsPlace): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
  const { dataDirectory, runDirectory, accounts } = place;
  return new ProcessLauncher({ dataDirectory, guestsDirectory: guestsDirectory(runDirectory), accounts }).list();
}

export async function stopGuests(
  place: GuestsPlace,
  options: { deadlineMs: number; onProgress?: (left: number, all: number) => void },
): Promise<void> {
  const guests = await findGuests(place);
  let left = guests.length;
  // The watch over an adopted process keeps no event loop alive; this call must.
  const awake = setInterval(() => {}, 1000);
  try {
    await Promise.all(
      guests.map(async ({ serverId, process }) => {
        await stopGuest(place, serverId, process, options.deadlineMs);
        options.onProgress?.(--left, guests.length);
      }),
    );
    await stopWatchdog(place.runDirectory);
  } finally {
    clearInterval(awake);
  }
}

async function stopGuest(place: GuestsPlace, id: ServerId, process: QemuProcess, deadlineMs: number): Promise<void> {
  const paths = serverPaths(place, id);
  const record = await readRecord(paths.record);
  if (record?.running) await writeRecord(paths.record, { ...record, running: null }, { durable: true });
  try {
    const client = await QmpClient.connect({ path: paths.qmp, timeoutMs: 2000 });
    await poweredOff(client, deadlineMs);
    await client.execute('quit');
    client.close();
  } catch {
    // No answer on its socket: nothing is left but to end it.
  }
  const grace = new Promise((end) => setTimeout(end, 3000).unref());
  await Promise.race([process.exited, grace]);
  if (process.alive) process.kill();
  await process.exited;
}

/** QEMU stands still in state 'shutdown' once the guest has gone (-action shutdown=pause). */
async function poweredOff(client: QmpClient, deadlineMs: number): Promise<void> {
  // One that stands still hears no power button.
  const { running } = await client.execute<{ running?: unknown }>('query-status');
  if (running !== true) return;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, deadlineMs);
    client.listen(({ name }) => {
      if (name === 'SHUTDOWN') resolve();
    });
  });
  await client.execute('system_powerdown');
  await Promise.race([over, client.closed]);
  clearTimeout(timer);
}
