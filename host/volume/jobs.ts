/**
 * Block jobs of a QEMU, a guest's or a storage daemon's: begun unless they are there already, watched to their end, and dismissed. Owns
 * one job of a fixed name for each layer. If this process dies the job goes on in its QEMU, and whoever comes next watches it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LayerId, VolumeId } from '../../contract/ids.ts';
import { QmpError } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { type BuildsOn, backingName, baseNode, cacheNode, layerFileNode, layerNode, throttleNode } from './names.ts';
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

export interface Sinking {
  volumeId: VolumeId;
  /** `device`: a guest has it as a disk, which is of the cache's own node; `layer`: nobody has it, and the layer is the root of all there is. */
  root: 'device' | 'layer';
  layerId: LayerId;
  /** Between it and what it shall build on, the nearest first. */
  sunk: readonly LayerId[];
  onto: LayerId;
}

/**
 * What the layers between hold goes into the base. QEMU's own end of a commit says in the file above that it builds on the base before the
 * base's data is sure to be on the disk (7.2: commit_prepare(), commit_clean()), and writes the name of a filter as its format. So the job is cancelled
 * when all is copied: QEMU then takes the base back to be read, which flushes it, and the rest is ours.
 * @throws HostFault where the job failed; the signal's reason where it was given up
 */
export async function sinkJob(execute: Execute, sinking: Sinking, work: ToolWork): Promise<void> {
  const { volumeId, layerId, sunk, onto } = sinking;
  const node = layerNode(volumeId, layerId);
  const root = sinking.root === 'device' ? cacheNode(volumeId) : node;
  const job = `sink-${node}`;
  const limit = throttleNode(volumeId, onto);
  const base = (await nodesOf(execute)).some((each) => each['node-name'] === limit) ? limit : layerNode(volumeId, onto);
  const begin = () =>
    execute('block-commit', {
      ...{ 'job-id': job, device: root, 'top-node': layerNode(volumeId, sunk[0]!), 'base-node': base },
      ...{ 'auto-finalize': false, 'auto-dismiss': false },
    });
  await runJob(execute, job, begin, work, { endsPending: true });
  await execute('change-backing-file', {
    ...{ device: root, 'image-node-name': node, 'backing-file': backingName({ kind: 'layer', id: onto }) },
  });
  await buildOn(execute, { node, file: layerFileNode(volumeId, layerId), base });
  await closeNodes(execute, volumeId, sunk);
}

interface NodeInfo {
  'node-name': string;
  ro: boolean;
  cache: { direct: boolean };
}

const nodesOf = (execute: Execute) => execute<NodeInfo[]>('query-named-block-nodes', { flat: true });

/** The node reads what it does not hold from the base. All else of it is said as it is: what is not said would change. */
async function buildOn(execute: Execute, { node, file, base }: { node: string; file: string; base: string }) {
  const known = (await nodesOf(execute)).find((each) => each['node-name'] === node);
  if (!known) throw new HostFault('layer_not_ready', 'QEMU has the layer open no more');
  const { ro, cache } = known;
  const options = { driver: 'qcow2', 'node-name': node, 'read-only': ro, cache: { direct: cache.direct }, file };
  await execute('blockdev-reopen', { options: [{ ...options, ...(!ro && { discard: 'unmap' }), backing: base }] });
}

/** @param options.endsPending it is cancelled as soon as all is done that it does before its end, and that is its end */
async function runJob(
  execute: Execute,
  id: string,
  begin: () => Promise<unknown>,
  work: ToolWork,
  { endsPending = false }: { endsPending?: boolean } = {},
): Promise<void> {
  const find = async () => (await execute<Job[]>('query-jobs')).find((each) => each.id === id);
  if (!(await find())) await begin();
  let [cancelled, pending] = [false, false];
  for (let waitMs = lookMs.first; ; waitMs = Math.min(lookMs.longest, waitMs * 2)) {
    const job = await find();
    if (!job) throw new HostFault('job_lost', 'QEMU ended its work on a layer without a word');
    if (job.status === 'concluded') {
      await execute('job-dismiss', { id });
      work.signal.throwIfAborted();
      if (pending) return;
      if (job.error !== undefined || endsPending)
        throw new HostFault(
          faultCode(job.error ?? '', 'job_failed'),
          `QEMU could not move the content of a layer: ${job.error ?? 'it ended too early'}`,
        );
      return;
    }
    const total = job['total-progress'];
    if (total > 0) work.progress(Math.floor((100 * job['current-progress']) / total));
    pending ||= endsPending && job.status === 'pending' && !cancelled;
    if ((work.signal.aborted || pending) && !cancelled) {
      cancelled = true;
      await execute('job-cancel', { id });
      waitMs = lookMs.first;
    }
    await sleep(waitMs);
  }
}
