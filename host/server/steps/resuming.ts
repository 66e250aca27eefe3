/**
 * The step that lets a guest try again what the machine had no room for: QEMU has stopped it (`werror=enospc`) and keeps what it was about to
 * write. Nobody is told that there is room, so it is tried until there is.
 */
import type { VolumeId } from '../../../contract/ids.ts';
import { volumeDeviceId } from '../../guest/volumes.ts';
import { HostFault } from '../../host-error.ts';
import type { ServerTask } from '../task.ts';
import type { StepFunction } from './step.ts';

/** A try is one write. */
const retryMs = 2000;
/** Within which QEMU meets the same error again, where there is no room yet. */
const settledMs = 1000;

export const resume: StepFunction<'resume'> = async ({ task }) => {
  task.full = await fullVolumes(task);
  // What a cache keeps it could also do without.
  for (const { id } of task.record?.volumes ?? [])
    task.context.layers.open.troubled({ serverId: task.id, volumeId: id });
  const of = [...task.full].map((id) => `volume ${id}`).join(', ');
  const why = `the guest waits for its disk: ${of ? `there is no room for ${of}` : 'the disk of the host is full or fails'}`;
  task.say(why);
  const guest = task.guest!;
  await guest.resume();
  await guest.look();
  const end = performance.now() + settledMs;
  for (let leftMs = settledMs; guest.state === 'running' && leftMs > 0; leftMs = end - performance.now())
    await guest.changed(leftMs);
  if (guest.state !== 'running') throw new HostFault('guest_paused', why, { retryMs });
  task.full = new Set();
  return undefined;
};

/** QEMU says it of each disk until the guest goes on. */
async function fullVolumes(task: ServerTask): Promise<ReadonlySet<VolumeId>> {
  interface Block {
    qdev?: string;
    'io-status'?: string;
  }
  const full = (await task.guest!.execute<Block[]>('query-block')).filter((each) => each['io-status'] === 'nospace');
  const ids = (task.record?.volumes ?? []).map(({ id }) => id);
  return new Set(ids.filter((id) => full.some(({ qdev }) => qdev?.includes(volumeDeviceId(id)))));
}
