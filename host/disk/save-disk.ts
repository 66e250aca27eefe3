/**
 * A server's disk as one qcow2 file that needs no other: of a guest that runs by a backup job of its own QEMU, which copies the disk
 * as it was at one moment while the guest goes on; of one that is off by a walled-in qemu-img. Both work as the guest's own user, and
 * what comes of it is the guest's word: whoever takes it in treats it as an upload.
 *
 * Owns the file that it writes, and in QEMU one job and one node of fixed names. If this process dies, QEMU goes on writing a file
 * that nobody takes; the next save ends the job first and begins anew.
 */
import { open } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { AgentError, askAgent } from '../../protocols/guest-agent/index.ts';
import { syncFile } from '../files.ts';
import type { Guest } from '../guest/guest.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { below, inside, outside, runWalledIn } from '../image/walls.ts';
import { makeEmptyDisk } from './disk.ts';

export interface DiskToSave {
  path: string;
  /** The image below it. */
  base: { path: string; format: 'raw' | 'qcow2' };
  sizeBytes: number;
  to: string;
  user: GuestUser | undefined;
  /** Its QEMU, where one runs. */
  guest: Guest | undefined;
  /** The channel of the agent in the guest, where it has one: its file systems are asked to hold still for the moment. */
  agentSocket: string | undefined;
  /** No copy of a guest that runs without that. */
  requireQuiesce: boolean;
  /** @throws where it is wanted no longer: asked again and again */
  stillWanted(): void;
  progress(percent: number): void;
}

/** @throws HostFault */
export type DiskSaver = (disk: DiskToSave) => Promise<void>;

const name = 'capture';
const lookMs = 100;
const writeDownMs = 50;
const agentMs = 5000;
/** It may take long, and a core as long. */
const convertMs = 4 * 3_600_000;
/** What a qcow2 file has beside the data. */
const tableBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / 512) + 64 * 2 ** 20;

export const saveDisk: DiskSaver = (disk) =>
  writtenDown(disk.to, disk.guest ? saveLive(disk, disk.guest) : saveStopped(disk));

/**
 * Has the disk write what has come while the rest is copied: else it would stand idle until the end, and who waits for the image would
 * wait for it to write all of it.
 */
async function writtenDown(path: string, copying: Promise<void>): Promise<void> {
  let over = false;
  const end = copying.then(
    () => (over = true),
    () => (over = true),
  );
  const writing = async () => {
    while (!over) {
      await Promise.race([end, sleep(writeDownMs, undefined, { ref: false })]);
      // Whoever takes the file in asks once more, and hears of what fails.
      await syncFile(path).catch(() => {});
    }
  };
  await Promise.all([copying, writing()]);
}

interface Job {
  id: string;
  status: string;
  'current-progress': number;
  'total-progress': number;
  error?: string;
}

async function saveLive(disk: DiskToSave, guest: Guest): Promise<void> {
  const { to, sizeBytes, user } = disk;
  await endJob(guest);
  await makeEmptyDisk(to, { sizeBytes, owner: user });
  const file = { driver: 'file', filename: to, discard: 'unmap' };
  await guest.execute('blockdev-add', { driver: 'qcow2', 'node-name': name, discard: 'unmap', file });
  try {
    await heldStill(disk, () => {
      // What changes from now on is copied before it is overwritten.
      return guest.execute('blockdev-backup', {
        ...{ 'job-id': name, device: 'disk', target: name, sync: 'full', 'auto-dismiss': false },
        'x-perf': { 'max-workers': 16 },
      });
    });
    for (;;) {
      disk.stillWanted();
      const job = (await guest.execute<Job[]>('query-jobs')).find(({ id }) => id === name);
      if (!job) throw new HostFault('capture_failed', 'the copy of the disk ended without a word');
      if (job.status === 'concluded') {
        if (job.error !== undefined)
          throw new HostFault('capture_failed', `the disk could not be copied: ${job.error}`);
        break;
      }
      const total = job['total-progress'];
      disk.progress(total > 0 ? Math.floor((100 * job['current-progress']) / total) : 0);
      await guest.changed(lookMs);
    }
  } finally {
    await endJob(guest);
  }
}

/** Leaves nothing of a save in QEMU, whoever began it. */
async function endJob(guest: Guest): Promise<void> {
  const tell = (command: string, args?: Record<string, unknown>) => guest.execute(command, args).catch(() => undefined);
  for (;;) {
    const jobs = (await tell('query-jobs')) as Job[] | undefined;
    const job = jobs?.find(({ id }) => id === name);
    if (!job) break;
    if (job.status === 'concluded') await tell('job-dismiss', { id: name });
    else await tell('block-job-cancel', { device: name, force: true });
    await guest.changed(lookMs);
  }
  await tell('blockdev-del', { 'node-name': name });
}

/**
 * A guest whose agent says nothing, or that has none, is saved as a power cut would leave it, where that is allowed.
 * @throws HostFault where it is not
 */
export async function heldStill(
  { agentSocket, requireQuiesce }: Pick<DiskToSave, 'agentSocket' | 'requireQuiesce'>,
  act: () => Promise<unknown>,
): Promise<void> {
  const ask = async (command: string) => {
    if (agentSocket === undefined) return false;
    try {
      await askAgent(agentSocket, command, undefined, { timeoutMs: agentMs });
      return true;
    } catch (error) {
      if (error instanceof AgentError) return false;
      throw error;
    }
  };
  const held = await ask('guest-fsfreeze-freeze');
  try {
    if (requireQuiesce && !held)
      throw new HostFault('not_quiesced', 'the guest did not hold its file systems still, and its image demands it');
    await act();
  } finally {
    // Also where the answer did not come: the guest may have done it all the same.
    if (held || agentSocket !== undefined) await ask('guest-fsfreeze-thaw');
  }
}

async function saveStopped(disk: DiskToSave): Promise<void> {
  const { path, base, to, sizeBytes, user } = disk;
  const made = await open(to, 'w', 0o600);
  if (user) await made.chown(user.uid, user.gid);
  await made.close();
  const [from, under, into] = user ? [inside, below, outside] : [path, base.path, to];
  // The whole chain is told, nothing that the file says of others is followed.
  const node = {
    driver: 'qcow2',
    file: { driver: 'file', filename: from },
    backing: {
      ...{ driver: base.format, 'read-only': true, file: { driver: 'file', filename: under } },
      ...(base.format === 'qcow2' && { backing: null }),
    },
  };
  const stop = new AbortController();
  const look = setInterval(() => {
    try {
      disk.stillWanted();
    } catch (error) {
      stop.abort(error);
    }
  }, lookMs);
  try {
    const { stderr, failed } = await runWalledIn(
      ['qemu-img', 'convert', '-W', '-O', 'qcow2', `json:${JSON.stringify(node)}`, into],
      {
        ...{ user, path, below: base.path, output: { path: to, maxBytes: sizeBytes + tableBytes(sizeBytes) } },
        ...{ timeoutMs: convertMs, signal: stop.signal },
      },
    );
    stop.signal.throwIfAborted();
    if (failed) throw new HostFault('capture_failed', `the disk could not be copied: ${stderr.trim().slice(-300)}`);
  } finally {
    clearInterval(look);
  }
}
