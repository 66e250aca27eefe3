/** How a guest that runs is doing, as QEMU and the kernel count it. Asks nothing of the guest. */
import { readFile } from 'node:fs/promises';
import type { DesiredServer, GuestDiagnostics } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { startTimeOf } from '../../engine/process-identity.ts';
import type { PortStatistics } from '../host-network.ts';
import type { Guest } from './guest.ts';

interface BlockStats {
  qdev?: string;
  'node-name'?: string;
  stats: Record<string, number>;
}

export interface Diagnosed {
  guest: Guest;
  desired: DesiredServer;
  statistics(ports: readonly PortId[]): Promise<ReadonlyMap<PortId, PortStatistics>>;
}

const states: Readonly<Record<string, GuestDiagnostics['state']>> = {
  paused: 'paused',
  'io-error': 'paused',
  shutdown: 'shutdown',
  'internal-error': 'crashed',
  'guest-panicked': 'crashed',
};

export async function diagnose({ guest, desired, statistics }: Diagnosed): Promise<GuestDiagnostics> {
  const ports = desired.ports.map(({ id }) => id);
  const [cpus, blocks, counted, uptimeSeconds] = await Promise.all([
    guest.execute<{ 'cpu-index': number; 'thread-id': number }[]>('query-cpus-fast'),
    guest.execute<BlockStats[]>('query-blockstats'),
    statistics(ports),
    secondsSinceStart(guest.process.pid),
  ]);
  return {
    state: states[guest.state] ?? 'running',
    uptimeSeconds,
    memoryMiB: desired.memoryMiB,
    configDrive: desired.configDrive,
    cpus: await Promise.all(
      cpus.map(async (cpu) => ({
        index: cpu['cpu-index'],
        timeNs: await threadTimeNs(guest.process.pid, cpu['thread-id']),
      })),
    ),
    disks: blocks.filter(({ qdev }) => qdev).map(disk),
    cards: desired.ports.map((port) => card(port, counted.get(port.id))),
  };
}

/** By the machine's own clock, which nobody sets; in ticks of a hundredth of a second, as on every Linux for x86. */
async function secondsSinceStart(pid: number): Promise<number> {
  const uptime = await readFile('/proc/uptime', 'utf8').catch(() => '');
  const seconds = Number.parseFloat(uptime) - Number(startTimeOf(pid)) / 100;
  return seconds > 0 ? Math.floor(seconds) : 0;
}

/** Of the threads of QEMU, and of no other process: which they are is QEMU's word. */
async function threadTimeNs(pid: number, thread: number): Promise<number | null> {
  if (!Number.isSafeInteger(thread)) return null;
  const text = await readFile(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').catch(() => '');
  const [nanoseconds] = text.split(' ');
  return /^\d{1,15}$/.test(nanoseconds ?? '') ? Number(nanoseconds) : null;
}

const whole = (value: unknown): number => (Number.isSafeInteger(value) && Number(value) > 0 ? Number(value) : 0);

function disk({ qdev, stats }: BlockStats): GuestDiagnostics['disks'][number] {
  // `/machine/peripheral/disk0/virtio-backend`: the id that the command line gave it.
  const name = /\/peripheral\/([^/]{1,60})/.exec(qdev!)?.[1] ?? 'disk';
  return {
    name,
    readBytes: whole(stats.rd_bytes),
    readRequests: whole(stats.rd_operations),
    writeBytes: whole(stats.wr_bytes),
    writeRequests: whole(stats.wr_operations),
    errors: whole(stats.failed_rd_operations) + whole(stats.failed_wr_operations),
  };
}

function card({ id, mac }: DesiredServer['ports'][number], seen?: PortStatistics): GuestDiagnostics['cards'][number] {
  const { rx, tx } = seen ?? { rx: null, tx: null };
  return {
    ...{ portId: id, mac },
    ...{ rxBytes: rx?.bytes ?? null, rxPackets: rx?.packets ?? null },
    ...{ rxErrors: rx?.errors ?? null, rxDropped: rx?.dropped ?? null },
    ...{ txBytes: tx?.bytes ?? null, txPackets: tx?.packets ?? null },
    ...{ txErrors: tx?.errors ?? null, txDropped: tx?.dropped ?? null },
  };
}
