/** A guest's volumes at its start. */
import type { DesiredServer } from '../../../contract/host/index.ts';
import { hasVolumeBus } from '../../guest/layout.ts';
import { type GuestVolume, placeVolumes } from '../../guest/volumes.ts';
import { HostFault } from '../../host-error.ts';
import { limitOf, secretObjects } from '../../volume/index.ts';
import type { MachineShape, ServerRecord } from '../record.ts';
import type { ServerTask } from '../task.ts';
import { type VolumeToOpen, volumesToOpen } from '../volumes.ts';
import { newVolume, spelled, withLayer } from './volumes.ts';

/** Where control does not say: as an older one would have it. */
export const unpinned = { type: 'q35', cpuModel: 'host', layout: 0 } as const;

/** Which it starts with, and what the record says of them. @throws HostFault where there is nothing to boot from */
export function volumesAtStart(
  { record }: ServerTask,
  desired: DesiredServer,
  disks: readonly { name: string }[],
): { open: VolumeToOpen[]; record: Required<Pick<ServerRecord, 'volumes' | 'volumeBus'>> } {
  const all = volumesToOpen(desired, record);
  const bus = desired.hardware?.diskBus ?? 'virtio';
  const names = disks.map(({ name }) => name);
  const placed = placeVolumes(
    names,
    all.map((volume) => ({ ...volume, node: {} })),
    bus,
  ).map(({ volume }) => volume.id);
  const open = all.filter(({ id }) => placed.includes(id));
  const boots =
    names.some((name) => name === 'disk' || name === 'rescue') || open.some((each) => each.bootIndex !== null);
  if (!boots)
    throw new HostFault('invalid', 'the server has neither an image nor a volume to boot from', { permanent: true });
  const always = hasVolumeBus((desired.machine ?? unpinned).layout);
  const volumeBus = record?.memory ? (record.volumeBus ?? always) : bus === 'virtio' && (always || open.length > 0);
  return { open, record: { volumes: open.map((volume) => newVolume(desired, volume, true)), volumeBus } };
}

/** With what its QEMU needs before it can open it. */
export interface OpenedVolume extends GuestVolume {
  secrets: ReturnType<typeof secretObjects>;
}

/** Runs the work, which starts a guest, within the locks of all, with their files open to its user. */
export async function withVolumes<T>(
  task: ServerTask,
  volumes: readonly VolumeToOpen[],
  work: (opened: OpenedVolume[]) => Promise<T>,
): Promise<T> {
  // Before the files are given to the guest's user: they would be taken back at once.
  for (const volume of volumes) task.tellOpen(volume);
  try {
    return await withinLocks(task, volumes, work);
  } finally {
    if (!task.guest) task.tellClosed();
  }
}

async function withinLocks<T>(
  task: ServerTask,
  volumes: readonly VolumeToOpen[],
  work: (opened: OpenedVolume[]) => Promise<T>,
): Promise<T> {
  const [first, ...rest] = volumes;
  if (!first) return work([]);
  return withLayer(task, first, async (chain) => {
    const { id, slot, bootIndex } = first;
    const node = await spelled(task, chain, first);
    const opened = { id, slot, bootIndex, node, limit: limitOf(chain, id), secrets: secretObjects(chain) };
    return withinLocks(task, rest, (others) => work([opened, ...others]));
  });
}

/** What a memory knows of them. */
export const volumesShape = ({ record }: ServerTask): Pick<MachineShape, 'volumes' | 'volumeBus'> => ({
  ...(record?.volumes?.length && { volumes: record.volumes.map(({ id, slot }) => `${id} ${slot}`) }),
  ...(record?.volumeBus && { volumeBus: true }),
});
