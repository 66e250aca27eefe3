/**
 * Block jobs of a QEMU, a guest's or a storage daemon's: begun unless they are there already, watched to their end, and dismissed. Owns
 * one job of a fixed name for each layer. If this process dies the job goes on in its QEMU, and whoever comes next watches it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LayerId, VolumeId } from '../../contract/ids.ts';
import { QmpError } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { type BuildsOn, backingName, baseNode, layerNode } from './names.ts';
import type { ToolWork } from './tools.ts';

export type Execute = <T = unknown>(command: string, args?: Record<string, unknown>) => Promise<T>;

interface Job {
  id: string;
  status: string;
  'current-progress': number;
  'total-progress': number;
  error?: string;
}

/** In QEMU's words, which end in those of strerror(3). */
export const faultCode = (words: string, otherwise: string): string =>
  /No space left on device|Disk quota exceeded/.test(words) ? 'no_capacity' : otherwise;

const lookMs = { first: 10, longest: 500 };

export interface Streaming {
  volumeId: VolumeId;
  layerId: LayerId;
  onto: BuildsOn;
}

/** What is no part of the chain any more: a node of its own holds the file, and its space, as long as its QEMU runs. */
export async function closeNodes(execute: Execute, volumeId: VolumeId, layerIds: readonly LayerId[]): Promise<void> {
  for (const layerId of layerIds) {
    await execute('blockdev-del', { 'node-name': layerNode(volumeId, layerId) }).catch((error) => {
      // It went with the node above it, or was never one of its own.
      if (!(error instanceof QmpError)) throw error;
    });
  }
}

/** @throws HostFault where the job failed; the signal's reason where it was given up */
export async function streamJob(
  execute: Execute,
  { volumeId, layerId, onto }: Streaming,
  work: ToolWork,
): Promise<void> {
  const node = layerNode(volumeId, layerId);
  const job = `stream-${node}`;
  const below = onto && (onto.kind === 'layer' ? layerNode(volumeId, onto.id) : baseNode(volumeId));
  const begin = () =>
    execute('block-stream', {
      ...{ 'job-id': job, device: node, 'auto-dismiss': false },
      // The name is written with the last of the content: never one without the other.
      ...(onto && { 'base-node': below, 'backing-file': backingName(onto) }),
    });
  await runJob(execute, job, begin, work);
}

async function runJob(execute: Execute, id: string, begin: () => Promise<unknown>, work: ToolWork): Promise<void> {
  const find = async () => (await execute<Job[]>('query-jobs')).find((each) => each.id === id);
  if (!(await find())) await begin();
  let cancelled = false;
  for (let waitMs = lookMs.first; ; waitMs = Math.min(lookMs.longest, waitMs * 2)) {
    const job = await find();
    if (!job) throw new HostFault('job_lost', 'QEMU ended its work on a layer without a word');
    if (job.status === 'concluded') {
      await execute('job-dismiss', { id });
      work.signal.throwIfAborted();
      if (job.error !== undefined)
        throw new HostFault(
          faultCode(job.error, 'job_failed'),
          `QEMU could not move the content of a layer: ${job.error}`,
        );
      return;
    }
    const total = job['total-progress'];
    if (total > 0) work.progress(Math.floor((100 * job['current-progress']) / total));
    if (work.signal.aborted && !cancelled) {
      cancelled = true;
      await execute('job-cancel', { id });
    }
    await sleep(waitMs);
  }
}
