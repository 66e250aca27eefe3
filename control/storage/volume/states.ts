/**
 * What Cinder calls the status of a volume: a function of what is desired, whether its first content is complete, and who has it. Pure,
 * and each table total. Nobody writes a status, so none can contradict the truth. Its SQL twin for lists is in states-sql.ts; a test
 * holds the two together.
 *
 * That its content is complete is written down once (the controller, `launched_at`) and not made of what hosts say now: that may turn,
 * as when the guest of what it is cloned from is told something new, and what was available would be `creating` again.
 */
import type { VolumeStatus } from './statuses.ts';
import type { StorageFault, VolumeTaskKind } from './tables.ts';

/** Cinder's attach_status, but of one attachment. */
export type AttachmentStatus = 'reserved' | 'attaching' | 'attached' | 'detaching';

/** What the state of an attachment is made of. */
export interface AttachmentState {
  /** Null: another machine's, or nobody's yet (Cinder's own API). */
  server_id: string | null;
  desired_presence: 'present' | 'absent';
  /** Of another machine: it has said how it would reach the volume. */
  connector: unknown;
  /** Another machine said that it has it. */
  completed_at: unknown;
  /** Since when the server has it. */
  attached_at: unknown;
}

export function attachmentStatus(attachment: AttachmentState): AttachmentStatus {
  if (attachment.desired_presence === 'absent') return 'detaching';
  // A server of this cloud has it once its host has said so.
  if (attachment.server_id !== null) return attachment.attached_at === null ? 'attaching' : 'attached';
  if (attachment.completed_at !== null) return 'attached';
  return attachment.connector === null ? 'reserved' : 'attaching';
}

export const statusOfAttachment = {
  ...{ reserved: 'reserved', attaching: 'attaching', attached: 'in-use', detaching: 'detaching' },
} as const satisfies Record<AttachmentStatus, VolumeStatus>;

/** What the status is made of. */
export interface VolumeState {
  desired_presence: 'present' | 'absent';
  desired_task: { kind: VolumeTaskKind } | null;
  fault: Pick<StorageFault, 'code' | 'status'> | null;
  /** Since when its first content is complete. */
  launched_at: Date | null;
  attachment: AttachmentState | null;
}

export const statusOfTask = {
  ...{ extend: 'extending', upload: 'uploading', backup: 'backing-up', restore: 'restoring-backup' },
  ...{ revert: 'reverting', reimage: 'downloading', transfer: 'awaiting-transfer', retype: 'retyping' },
  ...{ migrate: 'maintenance', carry: 'maintenance', bring: 'attaching', unmanage: 'deleting' },
} as const satisfies Record<VolumeTaskKind, VolumeStatus>;

/** By the fault's code; all others are plain errors. */
export const statusOfFault: Readonly<Record<string, VolumeStatus>> = {
  ...{ extend: 'error_extending', restore: 'error_restoring' },
};

export function volumeStatus(volume: VolumeState): VolumeStatus {
  const { fault, desired_task: task, attachment } = volume;
  if (volume.desired_presence === 'absent') return 'deleting';
  if (fault) return (fault.status as VolumeStatus | undefined) ?? statusOfFault[fault.code] ?? 'error';
  if (task) return statusOfTask[task.kind];
  if (volume.launched_at === null) return 'creating';
  return attachment ? statusOfAttachment[attachmentStatus(attachment)] : 'available';
}
