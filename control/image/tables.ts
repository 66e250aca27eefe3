import type { ColumnType, Generated, Selectable } from 'kysely';
import type { Json, Timestamp } from '../kit/database/schema.ts';
import type { DiskFormat, ImageStatus, ImportInput, MemberStatus, Visibility } from './values.ts';

export interface ImageTable {
  id: string;
  /** Its owner; null where that is no project of this cloud. */
  project_id: string | null;
  /** What an administrator said of whose it is, where that is no project. */
  foreign_owner: string | null;
  name: string | null;
  visibility: Generated<Visibility>;
  status: Generated<ImageStatus>;
  disk_format: DiskFormat | null;
  container_format: string | null;
  size_bytes: number | null;
  virtual_size_bytes: number | null;
  md5: string | null;
  sha256: string | null;
  sha512: string | null;
  min_disk_gib: Generated<number>;
  min_memory_mib: Generated<number>;
  protected: Generated<boolean>;
  hidden: Generated<boolean>;
  owner_properties: Json<Record<string, string>>;
  tags: Generated<string[]>;
  /** Of the last import: null, there was none; empty, it came; else why it did not. */
  import_failure: string | null;
  desired_presence: Generated<'present' | 'absent'>;
  upload_id: string | null;
  /** The server or volume of whose disk its host makes it, while it does. */
  captured_from: string | null;
  captured_by: Generated<'server' | 'volume'>;
  /** Its file is encrypted with it (control/storage/volume-key): it was made of an encrypted volume. */
  key_id: string | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ImageUploadTable {
  upload_id: string;
  image_id: string;
  deadline: ColumnType<Date, Date | string, Date | string>;
}

export interface ImageMemberTable {
  image_id: string;
  /** The member. */
  project_id: string;
  status: Generated<MemberStatus>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ImageLocationTable {
  image_id: string;
  host_id: string;
  created_at: Timestamp;
}

/** See copies.ts. */
export interface ImageCopyTable {
  image_id: string;
  host_id: string;
  copy_id: string;
  deadline: ColumnType<Date, Date | string, Date | string>;
}

export interface ImageTaskTable {
  id: string;
  image_id: string;
  user_id: string;
  request_id: string;
  input: Json<ImportInput>;
  status: Generated<'pending' | 'processing' | 'success' | 'failure'>;
  message: Generated<string>;
  attempts: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
  ended_at: ColumnType<Date | null, Date | string | null, Date | string | null>;
}

/** With its image's owner. */
export type ImageTaskRow = Selectable<ImageTaskTable> & Pick<ImageRow, 'project_id' | 'foreign_owner'>;
export type ImageRow = Selectable<ImageTable>;
export type ImageMemberRow = Selectable<ImageMemberTable>;

interface ImageTables {
  image: ImageTable;
  image_upload: ImageUploadTable;
  image_member: ImageMemberTable;
  image_location: ImageLocationTable;
  image_task: ImageTaskTable;
  image_copy: ImageCopyTable;
}

declare module '../kit/database/schema.ts' {
  interface Schema extends ImageTables {}
}
