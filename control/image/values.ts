/** What columns of images, their members and their tasks can hold. Pure. */
import type { ImageFormat } from '../../contract/host/index.ts';

export const visibilities = ['public', 'private', 'shared', 'community'] as const;
export type Visibility = (typeof visibilities)[number];

/**
 * queued: no bytes; saving: an upload runs; uploading: bytes are staged, or an upload there runs; importing: a task fills the image;
 * active: usable; deactivated: kept, but only administrators may read the bytes. Images that are being deleted have desired_presence 'absent' and are seen by no one.
 */
export type ImageStatus =
  | 'queued'
  | 'saving'
  | 'uploading'
  | 'importing'
  | 'active'
  | 'killed'
  | 'deactivated'
  | 'pending_delete';

/** What an upload is for: the image's status meanwhile, after it, and where it was cut off. */
export const uploadStates = {
  upload: { from: 'queued', meanwhile: 'saving', after: 'active', undone: 'queued' },
  stage: { from: 'queued', meanwhile: 'uploading', after: 'uploading', undone: 'queued' },
  // The task goes on, or gives up.
  import: { from: 'importing', meanwhile: 'importing', after: 'active', undone: 'importing' },
} as const satisfies Record<string, Record<'from' | 'meanwhile' | 'after' | 'undone', ImageStatus>>;
export type UploadPurpose = keyof typeof uploadStates;

/** The purpose of an upload that somebody else began. */
export const purposeOf = (status: ImageStatus): UploadPurpose | undefined =>
  (Object.keys(uploadStates) as UploadPurpose[]).find((purpose) => uploadStates[purpose].meanwhile === status);

export const memberStatuses = ['pending', 'accepted', 'rejected'] as const;
export type MemberStatus = (typeof memberStatuses)[number];

/** What hosts can inspect and unpack. */
export const diskFormats = [
  'raw',
  'qcow2',
  'vmdk',
  'vdi',
  'vhd',
  'vhdx',
  'iso',
  'ploop',
] as const satisfies ImageFormat[];
export type DiskFormat = (typeof diskFormats)[number];

/** Only an appliance (ova) is something else than the disk itself. */
export const containerFormats = ['bare', 'ovf', 'ova'] as const;

export const importMethods = ['glance-direct', 'web-download', 'glance-download', 'copy-image'] as const;
export type ImportMethod = (typeof importMethods)[number];

/** Of where the bytes come from. */
export type ImportSource =
  /** What was staged. */
  | { method: 'glance-direct' }
  | { method: 'web-download'; uri: string }
  /** Another image; of another region's only where regions know each other, which they do not. */
  | { method: 'glance-download'; imageId: string; region: string; interface: string }
  /** To more hosts: who holds how many copies is the controller's to decide. */
  | { method: 'copy-image' };

/** As its task keeps it: with what was asked, in the dialect's words. */
export interface ImportInput {
  source: ImportSource;
  request: unknown;
}
