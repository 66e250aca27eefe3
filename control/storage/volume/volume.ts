/** A volume: its row, what is shown of it, and its sizes. What follows from the row is in states.ts. Pure. */
import type { Selectable } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { type DiskFormat, isKeyProperty } from '../../image/index.ts';
import type { VolumeVerb } from './reasons.ts';
import { type AttachmentState, type VolumeState, volumeStatus } from './states.ts';
import type { VolumeStatus } from './statuses.ts';
import type { StorageFault, VolumeTable } from './tables.ts';

export type VolumeRow = Selectable<VolumeTable>;

/** What is shown of who has it. */
export interface ShownAttachment extends AttachmentState {
  id: string;
  /** The server; or what another machine is called by who attached it there. */
  instance_id: string | null;
  device: string | null;
  mode: 'rw' | 'ro';
  /** As large as its guest sees it; null: no guest has it open. */
  observed_size_bytes: number | null;
  attached_at: string | null;
}

/** A row with what is known beside it. */
export interface ListedVolume extends VolumeRow, Omit<VolumeState, keyof VolumeRow> {
  type_name: string;
  host_name: string | null;
  host_zone: string | null;
  pool_name: string | null;
  /** Of its top; 0: there is none. */
  layer_bytes: number;
  /** That its content is encrypted with; null: it is in the clear. */
  key_id: string | null;
  attachment: ShownAttachment | null;
  replication_status: ReplicationStatus | null;
}

/** Of Cinder's words. failed-over: its replica has taken its place, and there is no other one yet. */
export type ReplicationStatus = 'enabling' | 'enabled' | 'error' | 'failed-over';

export const gibBytes = 1024 ** 3;

/** What fits into whole GiB. */
export const gibOf = (bytes: number): number => Math.max(1, Math.ceil(bytes / gibBytes));

export const faultOf = (
  code: string,
  message: string,
  generation: number,
  more: Pick<StorageFault, 'status' | 'progress'> = {},
): StorageFault => ({ code, message, generation, ...more });

/** The zone that clients see: the host's own once there is one. */
export const zoneOf = (volume: Pick<ListedVolume, 'host_zone' | 'availability_zone'>): string =>
  volume.host_zone ?? volume.availability_zone ?? defaultZone;

/** Of hosts that nobody gave another. */
export const defaultZone = 'nova';

/** @throws CloudError `invalid`, as Cinder's InvalidVolume */
export function requireStatus(
  volume: VolumeState & { id: string },
  call: VolumeVerb,
  wanted: readonly VolumeStatus[],
): VolumeStatus {
  const status = volumeStatus(volume);
  if (wanted.includes(status)) return status;
  throw new CloudError('invalid', 'volume_status_unfit', { id: volume.id, call, status, wanted });
}

/** @throws CloudError `invalid` where something holds it in its pool, as Cinder's migrate_volume refuses it */
export function requireUnmoved(volume: ListedVolume, hasSnapshots: boolean): void {
  const { id, group_id, attachment, host_id } = volume;
  const unfit = (why: 'snapshots' | 'group' | 'connected' | 'nowhere') =>
    new CloudError('invalid', 'volume_migration_unfit', { id, why, to: null });
  if (hasSnapshots) throw unfit('snapshots');
  if (group_id !== null) throw unfit('group');
  // Another machine would have to be told where it is now.
  if (attachment && attachment.server_id === null) throw unfit('connected');
  if (host_id === null) throw unfit('nowhere');
}

/** New layers may come on it. @throws CloudError `invalid` where a machine outside has it, or it lies nowhere */
export function requireSwitchable({ id, attachment, host_id }: ListedVolume): void {
  const unfit = (why: 'connected' | 'nowhere') =>
    new CloudError('invalid', 'volume_migration_unfit', { id, why, to: null });
  if (attachment && attachment.server_id === null) throw unfit('connected');
  if (host_id === null) throw unfit('nowhere');
}

/** Cinder's migration_status. */
export const migrationStatus = ({ desired_task: task, move_outcome }: VolumeRow): string | null =>
  task?.kind === 'retype' || task?.kind === 'migrate' || task?.kind === 'carry' ? 'migrating' : move_outcome;

/** What is kept of an image. */
export interface ImageFacts {
  id: string;
  name: string | null;
  container_format: string | null;
  disk_format: DiskFormat | null;
  min_disk_gib: number;
  min_memory_mib: number;
  size_bytes: number | null;
  md5: string | null;
  owner_properties: Readonly<Record<string, string>>;
}

/** Cinder's: what it copies of an image to a volume made from it. */
export function imageMetadataOf(image: ImageFacts): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(image.owner_properties).filter(([name]) => !isKeyProperty(name))),
    signature_verified: 'False',
    image_id: image.id,
    image_name: image.name ?? '',
    ...(image.md5 !== null && { checksum: image.md5 }),
    container_format: image.container_format ?? 'bare',
    disk_format: image.disk_format ?? 'raw',
    min_disk: String(image.min_disk_gib),
    min_ram: String(image.min_memory_mib),
    size: String(image.size_bytes ?? 0),
  };
}
