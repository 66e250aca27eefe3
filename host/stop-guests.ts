/**
 * Stopping the guests of a machine whose host process is down already, for whoever takes a cloud down. Each is asked to
 * power off and ended after the deadline. What is desired of them stays: the record is told first that the end is ours, so
 * that the next host process starts those that shall run instead of taking them for dead.
 */
import type { ServerId } from '../contract/ids.ts';
import { QmpClient } from '../protocols/qmp/index.ts';
import { ProcessLauncher, type QemuProcess } from './guest/launcher.ts';
import { guestsDirectory, serverPaths } from './paths.ts';
import { readRecord, writeRecord } from './server/record.ts';

interface Directories {
  dataDirectory: string;
  runDirectory: string;
}

/** Every QEMU of this host that runs. */
export function findGuests({ runDirectory }: Directories): Promise<{ serverId: ServerId; process: QemuProcess }[]> {
  return new ProcessLauncher({ guestsDirectory: guestsDirectory(runDirectory), user: undefined }).list();
}

export async function stopGuests(
  directories: Directories,
  options: { deadlineMs: number; onProgress?: (left: number, all: number) => void },
): Promise<void> {
  const guests = await findGuests(directories);
  let left = guests.length;
  // The watch over an adopted process keeps no event loop alive; this call must.
  const awake = setInterval(() => {}, 1000);
  try {
    await Promise.all(
      guests.map(async ({ serverId, process }) => {
        await stopGuest(directories, serverId, process, options.deadlineMs);
        options.onProgress?.(--left, guests.length);
      }),
    );
  } finally {
    clearInterval(awake);
  }
}

async function stopGuest(
  directories: Directories,
  id: ServerId,
  process: QemuProcess,
  deadlineMs: number,
): Promise<void> {
  const paths = serverPaths(directories, id);
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
