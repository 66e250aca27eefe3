/**
 * Steps of second copies (../copies.ts): a mirror in the guest's QEMU, which answers a write when it is in both. The record has it from before it is begun; if this process dies QEMU goes on
 * with it, and the next one watches it.
 *
 * QEMU's mirror lets a write pass that the copy could not take (7.2, do_sync_target_write()), so nothing may come back as an error: where the connection ends its node waits for another one (`reconnect-delay`)
 * for longer than a lease lasts, and the guest with it, until control has given the copy up. A copy whose disk answers with an error is told at once; see decision 19 for what is left.
 */
import { join } from 'node:path';
import type { VolumeId } from '../../../contract/ids.ts';
import { QmpError } from '../../../protocols/qmp/index.ts';
import { asFault, HostFault } from '../../host-error.ts';
import { breakConnections } from '../../migration/break.ts';
import { dropKeyAs, giveKeyAs } from '../../migration/key.ts';
import { addRemote, dropJobs } from '../../migration/mirrors.ts';
import { copyNames, layerNode } from '../../volume/index.ts';
import { type CopyJob, judgeCopy } from '../copies.ts';
import type { ServerTask } from '../task.ts';
import { meansOf } from './breaking.ts';
import type { StepFunction } from './step.ts';
import { note } from './volumes.ts';

/** In seconds; longer than a host is lent (15 s) and than it takes to ask. */
const reconnectDelay = 60;
/** Control's word wakes the task; this is for the case that it does not. */
const leaveMs = 1000;

const keyOf = (task: ServerTask, id: VolumeId) => {
  const { credentials } = copyNames(id);
  return { id: credentials, directory: join(task.paths.run, credentials) };
};

export const beginCopy: StepFunction<'begin-copy'> = async ({ task }, { volume }) => {
  const { id, layerId, copy } = volume;
  if (!copy) return undefined;
  // Of the one before it.
  task.copies.seen.delete(id);
  await note(task, id, { copy: { id: copy.id, address: copy.address, port: copy.port } });
  await task.context.step('record-copy');
  const { job, node, credentials } = copyNames(id);
  try {
    await task.context.tryWay({ address: copy.address, port: copy.port });
    await giveKeyAs(task.execute, { ...keyOf(task, id), user: task.user, key: copy.key, endpoint: 'client' });
    const { address, port } = copy;
    await addRemote(task.execute, { node, address, port, exported: copy.id, credentials, reconnectDelay });
    await task.execute('blockdev-mirror', {
      ...{ 'job-id': job, device: layerNode(id, layerId), target: node, sync: 'top', 'copy-mode': 'write-blocking' },
      ...{ 'on-target-error': 'stop', 'on-source-error': 'report', 'auto-dismiss': false },
    });
  } catch (error) {
    // That it can not be begun is nobody's trouble but the copy's.
    if (!(error instanceof QmpError) && !(error instanceof HostFault && error.code !== 'guest_silent')) throw error;
    const { code, message } = asFault(error);
    task.copies.seen.set(id, { state: 'lost', error: { code, message } });
    task.context.log.warn({ serverId: task.id, volumeId: id, err: error }, 'server: a second copy could not be begun');
  }
  return undefined;
};

export const dropCopy: StepFunction<'drop-copy'> = async ({ task }, { volume: { id, copy } }) => {
  const { job, node } = copyNames(id);
  // Its QEMU may do nothing but wait for what is on its way there.
  const way = copy && { address: copy.address, ports: [copy.port] };
  await breakConnections({ nodes: [node], memory: false }, way, meansOf(task));
  await dropJobs(task.execute, [{ job, node }]);
  await dropKeyAs(task.execute, keyOf(task, id));
  task.copies.seen.delete(id);
  task.copies.progress.delete(id);
  await note(task, id, { copy: undefined });
  task.context.log.info(
    { serverId: task.id, volumeId: id, copyId: copy?.id },
    'server: written to without its second copy',
  );
  return undefined;
};

export const leaveCopies: StepFunction<'leave-copies'> = async ({ task }, { ids }) => {
  for (const id of ids) task.copies.left.add(id);
  task.say('waiting for control to know that its volumes are written to without their second copies');
  return leaveMs;
};

/** What its QEMU says of the mirrors; one that does not answer can not be vouched for. */
export async function lookAtCopies(task: ServerTask): Promise<void> {
  const mirrored = (task.record?.volumes ?? []).filter(({ copy }) => copy);
  if (mirrored.length === 0) return;
  const now = performance.now();
  const jobs = await task.execute<(CopyJob & { device: string })[]>('query-block-jobs').catch((error: Error) => error);
  for (const { id } of mirrored) {
    // It was never begun.
    if (task.copies.seen.get(id)?.state === 'lost') continue;
    if (jobs instanceof Error) {
      const before = task.copies.progress.get(id);
      if (!before) task.copies.progress.set(id, { offset: -1, atMs: now });
      else if (now - before.atMs >= silentMs)
        task.copies.seen.set(id, { state: 'lost', error: { code: 'copy_stalled', message: 'QEMU does not answer' } });
      continue;
    }
    const job = jobs.find(({ device }) => device === copyNames(id).job);
    const { verdict, progress } = judgeCopy(job, task.copies.progress.get(id), now);
    task.copies.seen.set(id, verdict);
    if (progress) task.copies.progress.set(id, progress);
    else task.copies.progress.delete(id);
  }
  // They are on one host: what one write waited for in vain the next one would wait for again.
  const stalled = mirrored
    .map(({ id }) => task.copies.seen.get(id))
    .find((each) => each?.error?.code === 'copy_stalled');
  if (stalled)
    for (const { id } of mirrored) if (task.copies.seen.get(id)?.state !== 'lost') task.copies.seen.set(id, stalled);
  if (jobs instanceof Error) throw jobs;
}

const silentMs = 8_000;
