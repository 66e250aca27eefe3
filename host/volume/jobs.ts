/**
 * Block jobs of a QEMU, a guest's or a storage daemon's: begun unless they are there already, watched to their end, and dismissed. Owns
 * one job of a fixed name for each layer. If this process dies the job goes on in its QEMU, and whoever comes next watches it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import type { Execute } from '../../protocols/qmp/index.ts';
import { HostFault } from '../host-error.ts';
import { type BuildsOn, backingName, baseNode, cacheNode, layerFileNode, layerNode, throttleNode } from './names.ts';
import { buildOn, closeNode, closeNodes, nodesOf, type Rebuilt } from './nodes.ts';
import { readFilesBelow } from './reads.ts';
import type { ToolWork } from './tools.ts';

/** What QEMU says of a block job. */
interface Job {
  device: string;
  status: string;
  offset: number;
  len: number;
  /** Other than ok: a job that stops at an error has stopped. */
  'io-status': 'ok' | 'failed' | 'nospace';
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

/**
 * What the layer builds on goes up into it. QEMU's own end of a stream says in the file that it builds on nothing of that any more before it has
 * written which clusters it has copied (7.2: stream_prepare(); findings/qemu-says-that-a-stream-is-done-before-its-data-is-found.sh): killed
 * then, it leaves none of the content. So that is flushed first.
 *
 * The job dismisses itself, and stops at an error instead of failing: one that has ended, well or not, and waits to be dismissed leaves its filter among
 * the nodes without what it filters, and QEMU does not survive that anybody asks for its nodes then (7.2). What its end was the file says.
 * @param flush of the node, as this QEMU knows to
 * @throws HostFault where the job failed; the signal's reason where it was given up
 */
export async function streamJob(
  execute: Execute,
  { volumeId, layerId, onto }: Streaming,
  work: ToolWork,
  flush: () => Promise<void> = () => flushed(execute, layerNode(volumeId, layerId)),
): Promise<void> {
  const node = layerNode(volumeId, layerId);
  const job = `stream-${node}`;
  const below = onto && (onto.kind === 'layer' ? layerNode(volumeId, onto.id) : baseNode(volumeId));
  const begin = () =>
    execute('block-stream', {
      ...{ 'job-id': job, device: node, 'auto-finalize': false, 'auto-dismiss': true, 'on-error': 'stop' },
      // The name is written with the last of the content: never one without the other.
      ...(onto && { 'base-node': below, 'backing-file': backingName(onto) }),
    });
  await runJob(execute, job, begin, work, { beforeEnd: flush });
}

/** By a guest's QEMU, whose protocol has no command for it; its words are those of a failure. */
async function flushed(execute: Execute, node: string): Promise<void> {
  const words = await execute<string>('human-monitor-command', { 'command-line': `qemu-io ${node} flush` });
  if (words.trim() !== '')
    throw new HostFault(faultCode(words, 'job_failed'), `QEMU could not flush a layer: ${words}`);
}

export interface Sinking {
  volumeId: VolumeId;
  /** Its guest's top; where nobody has the volume, the layer itself. */
  top: LayerId;
  layerId: LayerId;
  /** That it is encrypted with. */
  keyId?: VolumeKeyId | undefined;
  /** Between it and what it shall build on, the nearest first. */
  sunk: readonly LayerId[];
  onto: LayerId;
  /**
   * Of the base, in a guest's QEMU: the node that it builds on, and what it is encrypted with. Absent: the base came with the limit that is on it, if
   * there is one, and is opened to write with that.
   */
  base?: Pick<Rebuilt, 'base' | 'keyId'>;
  /** It is a base itself: what its guest asks for has come through a limit already. */
  isBase?: boolean;
}

/**
 * What the layers between hold goes into the base. QEMU's own end of a commit says in the file above that it builds on the base before the
 * base's data is sure to be on the disk (7.2: commit_prepare(), commit_clean()), and writes the name of a filter as its format. So the job is cancelled
 * when all is copied: QEMU then takes the base back to be read, which flushes it, and the rest is ours.
 * @param ending runs the end, at which nobody else may change what the volume's QEMU has
 * @throws HostFault where the job failed; the signal's reason where it was given up
 */
export async function sinkJob(
  execute: Execute,
  sinking: Sinking,
  work: ToolWork,
  ending: (end: () => Promise<void>) => Promise<void> = (end) => end(),
): Promise<void> {
  const { volumeId, layerId, sunk, onto } = sinking;
  const job = sinkJobOf(volumeId, layerId);
  const names = new Set((await nodesOf(execute)).map((each) => each['node-name']));
  const oneOf = (first: string, otherwise: string) => (names.has(first) ? first : otherwise);
  const root = oneOf(cacheNode(volumeId), layerNode(volumeId, sinking.top));
  const own = layerNode(volumeId, onto);
  const base = oneOf(throttleNode(volumeId, onto), own);
  const openBase = async (readOnly: boolean) => {
    const node = { node: own, file: layerFileNode(volumeId, onto), readOnly };
    if (base !== own && sinking.base) await buildOn(execute, { ...node, ...sinking.base });
  };
  const begin = async () => {
    await openBase(false);
    await execute('block-commit', {
      ...{ 'job-id': job, device: root, 'top-node': layerNode(volumeId, sunk[0]!), 'base-node': base },
      ...{ 'auto-finalize': false, 'auto-dismiss': false },
    });
  };
  await runJob(execute, job, begin, work, { endsPending: true });
  await ending(async () => {
    await openBase(true);
    await execute('change-backing-file', {
      ...{ device: root, 'image-node-name': layerNode(volumeId, layerId) },
      'backing-file': backingName({ kind: 'layer', id: onto }),
    });
    // Who reads through one limit reads through no other.
    await buildOn(execute, {
      ...(await lowestAbove(execute, sinking)),
      base: sinking.isBase ? own : base,
    });
    await closeNodes(execute, volumeId, sunk);
    // Nobody asks it for anything any more, and it would keep the base open.
    if (sinking.isBase && base !== own) await closeNode(execute, base);
  });
}

/** The job by which what is below the layer goes down. */
export const sinkJobOf = (volumeId: VolumeId, layerId: LayerId): string => `sink-${layerNode(volumeId, layerId)}`;

/** What reads from below the layer: the file in which that stays, where there is one; else the layer. */
async function lowestAbove(execute: Execute, { volumeId, layerId, keyId }: Sinking): Promise<Omit<Rebuilt, 'base'>> {
  const names = new Set((await nodesOf(execute)).map((each) => each['node-name']));
  const reads = readFilesBelow(names, volumeId, layerId).at(-1);
  const { node, file } = reads ?? { node: layerNode(volumeId, layerId), file: layerFileNode(volumeId, layerId) };
  return { node, file, keyId };
}

interface JobEnd {
  /** Done when all is done but its end. */
  beforeEnd?: () => Promise<void>;
  endsPending?: boolean;
}

/** @param options.endsPending it is cancelled as soon as all is done that it does before its end, and that is its end */
async function runJob(
  execute: Execute,
  id: string,
  begin: () => Promise<unknown>,
  work: ToolWork,
  { endsPending = false, beforeEnd }: JobEnd = {},
): Promise<void> {
  const find = async () => (await execute<Job[]>('query-block-jobs')).find((each) => each.device === id);
  const earlier = await find();
  // Of another life of this process, which was about to dismiss it: whether what comes after was done nobody knows.
  if (earlier?.status === 'concluded') await execute('job-dismiss', { id });
  if (!earlier || earlier.status === 'concluded') await begin();
  let [cancelled, pending, finalized] = [false, false, false];
  let failed: HostFault | undefined;
  for (let waitMs = lookMs.first; ; waitMs = Math.min(lookMs.longest, waitMs * 2)) {
    const job = await find();
    if (!job) {
      work.signal.throwIfAborted();
      if (finalized && !cancelled) return;
      throw failed ?? new HostFault('job_lost', 'QEMU ended its work on a layer without a word');
    }
    if (job.status === 'concluded') {
      await execute('job-dismiss', { id });
      work.signal.throwIfAborted();
      if (pending) return;
      if (job.error !== undefined || endsPending) throw faultOf(job.error ?? 'it ended too early');
      return;
    }
    if (job.len > 0) work.progress(Math.floor((100 * job.offset) / job.len));
    if (job['io-status'] !== 'ok')
      failed = faultOf(job['io-status'] === 'nospace' ? 'No space left on device' : 'Input/output error');
    if (beforeEnd && job.status === 'pending' && !cancelled && !work.signal.aborted) {
      await beforeEnd();
      await execute('job-finalize', { id });
      finalized = true;
      waitMs = lookMs.first;
    }
    pending ||= endsPending && job.status === 'pending' && !cancelled;
    if ((work.signal.aborted || pending || failed) && !cancelled) {
      cancelled = true;
      const cancel = execute('job-cancel', { id });
      // One that is given up may have ended since it was looked at.
      await (pending ? cancel : cancel.catch(() => {}));
      waitMs = lookMs.first;
    }
    await sleep(waitMs);
  }
}

const faultOf = (words: string): HostFault =>
  new HostFault(faultCode(words, 'job_failed'), `QEMU could not move the content of a layer: ${words}`);
