/**
 * The source's disks on their way: a job of its QEMU for each, which copies what is the server's own (nothing of the image below) and then every write
 * of the guest too. Owns these jobs and the nodes behind them. If this process dies they go on, and whoever comes next finds them by their names.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Execute, QmpError } from '../../protocols/qmp/index.ts';
import { credentials } from '../guest/migration-parameters.ts';
import { HostFault } from '../host-error.ts';
import { movedVolumeNode } from '../volume/index.ts';
import { closeNode, nodesOf } from '../volume/nodes.ts';
import { jobOf, remoteNode } from './names.ts';

interface Job {
  device: string;
  status: string;
  offset: number;
  len: number;
  error?: string;
  /** Other than `ok`: a disk could not be read or written, and the job stands still. */
  'io-status': 'ok' | 'failed' | 'nospace';
}

export interface DisksTarget {
  address: string;
  port: number;
  /** The guest's node of the disk. Absent: it is called as the disk. */
  nodeOf?: (disk: string) => string;
}

const lookMs = 5;
/** A way that is cut holds a job up for ever; the guest stands still meanwhile. */
const endMs = 10_000;
/** In seconds: while QEMU (7.2) opens a node of another host's it does nothing else, and its guest may stand still. */
const openTimeout = 3;

const jobsOf = async (execute: Execute, disks: readonly string[]): Promise<Map<string, Job>> => {
  const jobs = await execute<Job[]>('query-block-jobs');
  return new Map(
    disks.flatMap((disk) => jobs.filter(({ device }) => device === jobOf(disk)).map((job) => [disk, job])),
  );
};

const failed = (disk: string, why: string): HostFault =>
  new HostFault('disks_not_sent', `disk ${disk} could not be sent: ${why}`, { permanent: true });

/**
 * Begins what is not begun. Safe to repeat.
 * @returns whether all are as the source's by now (also where that was the end of it, before a death of this process), and bytes
 * @throws HostFault where one has failed
 */
export async function mirror(
  execute: Execute,
  disks: readonly string[],
  { nodeOf = (disk) => disk, ...target }: DisksTarget,
): Promise<{ ready: boolean; total: number; copied: number }> {
  const jobs = await jobsOf(execute, disks);
  for (const disk of disks) if (!jobs.has(disk)) await begin(execute, { disk, device: nodeOf(disk) }, target);
  const all = [...(await jobsOf(execute, disks))];
  for (const [disk, job] of all) requireWell(disk, job);
  return {
    ready: all.length === disks.length && all.every(([, { status }]) => status === 'ready' || status === 'concluded'),
    total: all.reduce((sum, [, { len }]) => sum + len, 0),
    copied: all.reduce((sum, [, { offset }]) => sum + offset, 0),
  };
}

function requireWell(disk: string, { error, 'io-status': status }: Job): void {
  if (error !== undefined) throw failed(disk, error);
  if (status !== 'ok') throw failed(disk, status === 'nospace' ? 'No space left on device' : 'Input/output error');
}

/** What it builds on is at the target. */
const isOnBase = (disk: string): boolean => disk === 'disk' || movedVolumeNode(disk) !== undefined;

async function begin(
  execute: Execute,
  { disk, device }: { disk: string; device: string },
  { address, port }: DisksTarget,
): Promise<void> {
  const node = remoteNode(disk);
  try {
    if (!(await nodesOf(execute)).some((each) => each['node-name'] === node))
      await addRemote(execute, { node, address, port, exported: disk, credentials });
    await execute('blockdev-mirror', {
      ...{ 'job-id': jobOf(disk), device, target: node, 'copy-mode': 'background', 'auto-dismiss': false },
      // What fails stands still until it is called off. A job that ended by itself while QEMU (7.2) flushes all disks for the hand-over, and goes through their
      // nodes for that, would leave its own above the disk for ever (findings/qemu-keeps-the-node-of-a-mirror-that-fails-while-it-flushes.sh).
      ...{ sync: isOnBase(disk) ? 'top' : 'full', 'on-target-error': 'stop', 'on-source-error': 'stop' },
    });
  } catch (error) {
    if (!(error instanceof QmpError)) throw error;
    if (!/cancelled by timeout/.test(error.message)) throw failed(disk, error.message);
    const message = `disk ${disk}: the target does not answer in ${openTimeout} s`;
    throw new HostFault('way_cut', message, { permanent: true });
  }
}

/** A node of another host's export. */
export async function addRemote(
  execute: Execute,
  { node, address, port, exported, credentials: creds, reconnectDelay }: Remote,
): Promise<void> {
  const server = { type: 'inet', host: address, port: String(port) };
  await execute('blockdev-add', {
    ...{ driver: 'nbd', 'node-name': node, server, export: exported, 'tls-creds': creds },
    ...{ 'open-timeout': openTimeout, ...(reconnectDelay !== undefined && { 'reconnect-delay': reconnectDelay }) },
  });
}

interface Remote {
  node: string;
  address: string;
  port: number;
  exported: string;
  credentials: string;
  /** In seconds: so long what is asked of it waits where its connection has ended. Absent: not at all. */
  reconnectDelay?: number;
}

/**
 * The guest stands still, and the target has all of it when this resolves. The jobs stay to be seen: where this process dies now, the next one sees that
 * they have ended well. Safe to repeat.
 * @throws HostFault where one has failed, or does not end
 */
export async function endMirrors(execute: Execute, disks: readonly string[]): Promise<void> {
  const started = performance.now();
  const told = new Set<string>();
  for (;;) {
    const jobs = await jobsOf(execute, disks);
    const missing = disks.find((disk) => !jobs.has(disk));
    if (missing !== undefined) throw failed(missing, 'there is no job of it any more');
    for (const [disk, job] of jobs) {
      requireWell(disk, job);
      const { status } = job;
      if (status !== 'concluded' && !told.has(disk)) {
        told.add(disk);
        if (status === 'ready') await execute('block-job-cancel', { device: jobOf(disk) });
        else throw failed(disk, `its job is ${status}`);
      }
    }
    if ([...jobs.values()].every(({ status }) => status === 'concluded')) return;
    if (performance.now() - started > endMs)
      throw failed([...jobs.keys()].join(', '), 'the last of it does not get through');
    await sleep(lookMs);
  }
}

/**
 * Nothing of them is left in QEMU, and nobody wants what they have sent. Their way is broken already (break.ts): over one that is cut a job does not end
 * otherwise, and with the closing of its node, which is flushed, QEMU (7.2) would stand still until the kernel gives the connection up. Safe to repeat.
 */
export const dropMirrors = (execute: Execute, disks: readonly string[]): Promise<void> =>
  dropJobs(
    execute,
    disks.map((disk) => ({ job: jobOf(disk), node: remoteNode(disk) })),
  );

/** The same, of any mirrors to other hosts. */
export async function dropJobs(execute: Execute, mirrors: readonly { job: string; node: string }[]): Promise<void> {
  const started = performance.now();
  for (;;) {
    const jobs = (await execute<Job[]>('query-block-jobs')).filter(({ device }) =>
      mirrors.some(({ job }) => job === device),
    );
    for (const { device, status } of jobs) {
      const command =
        status === 'concluded'
          ? execute('job-dismiss', { id: device })
          : execute('block-job-cancel', { device, force: true });
      await command.catch((error) => {
        if (!(error instanceof QmpError)) throw error;
      });
    }
    if (jobs.length === 0) break;
    if (performance.now() - started > endMs)
      throw new HostFault('disks_not_sent', 'QEMU does not end the jobs of a mirror');
    await sleep(lookMs);
  }
  for (const { node } of mirrors) await closeNode(execute, node);
}
