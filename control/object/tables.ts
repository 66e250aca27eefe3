import type { ColumnType, Generated, Selectable } from 'kysely';
import type { Json, Timestamp } from '../kit/database/schema.ts';
import type { Checksums, ContainerSettings, Manifest, ObjectHeaders, ObjectLock, StoredWish } from './object.ts';

type MaybeTime = ColumnType<Date | null, Date | string | null | undefined, Date | string | null>;

const diskStates = ['in_use', 'draining', 'gone'] as const;
const versionings = ['none', 'enabled', 'suspended'] as const;
export type Versioning = (typeof versionings)[number];

export interface ObjectDiskTable {
  id: string;
  host_id: string;
  name: string;
  state: Generated<(typeof diskStates)[number]>;
  path: Generated<string>;
  total_bytes: Generated<number>;
  free_bytes: Generated<number>;
  problem: string | null;
  seen_at: Timestamp;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

/** See migrations/1181-object-intent.sql. */
export interface ObjectIntentTable {
  id: string;
  holder: string;
  deadline: Timestamp;
  state: Generated<'open' | 'closed' | 'kept'>;
  created_at: Timestamp;
}

export interface ObjectIntentDiskTable {
  intent_id: string;
  disk_id: string;
  dead_bytes: Generated<number>;
  look_at: Timestamp;
}

export interface ObjectAccountTable {
  project_id: string;
  metadata: Json<Record<string, string>>;
  quota_bytes: number | null;
  containers: Generated<number>;
  objects: Generated<number>;
  bytes: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ContainerTable {
  id: string;
  project_id: string;
  name: string;
  bucket_name: string | null;
  metadata: Json<Record<string, string>>;
  read_acl: Generated<string>;
  write_acl: Generated<string>;
  versioning: Generated<Versioning>;
  quota_bytes: number | null;
  quota_objects: number | null;
  settings: Json<ContainerSettings>;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ContainerUseTable {
  container_id: string;
  objects: Generated<number>;
  bytes: Generated<number>;
  past_objects: Generated<number>;
  past_bytes: Generated<number>;
  upload_bytes: Generated<number>;
  changed_at: Timestamp;
}

/** A version of a name; see migrations/1184-object.sql. */
export interface ObjectTable {
  container_id: string;
  name: string;
  sequence: Generated<number>;
  id: string;
  current: boolean;
  null_version: boolean;
  delete_marker: Generated<boolean>;
  size_bytes: number;
  etag: string;
  content_type: string;
  metadata: Json<Record<string, string> | null>;
  headers: Json<ObjectHeaders | null>;
  checksums: Json<Checksums | null>;
  tags: Json<Record<string, string> | null>;
  lock: Json<ObjectLock | null>;
  manifest: Json<Manifest | null>;
  blob_id: string | null;
  parts: Generated<number>;
  owner_id: Generated<string>;
  expires_at: MaybeTime;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export interface ObjectBlobTable {
  id: string;
  disk_id: string;
  intent_id: string;
  file: string;
  offset_bytes: number;
  length: number;
}

export interface ObjectPartTable {
  object_id: string;
  number: number;
  blob_id: string | null;
  size_bytes: number;
  etag: string;
  checksums: Json<Checksums | null>;
}

export interface ObjectRemovalTable {
  blob_id: string;
  removed_at: Timestamp;
}

export interface ObjectUploadTable {
  id: string;
  container_id: string;
  name: string;
  wish: Json<StoredWish>;
  initiator_id: Generated<string>;
  created_at: Timestamp;
}

export interface ObjectUploadPartTable {
  upload_id: string;
  number: number;
  blob_id: string | null;
  size_bytes: number;
  etag: string;
  checksums: Json<Checksums | null>;
  created_at: Timestamp;
}

export type ContainerRow = Selectable<ContainerTable>;
export type ObjectRow = Selectable<ObjectTable>;
export type ObjectBlobRow = Selectable<ObjectBlobTable>;

interface ObjectTables {
  object_disk: ObjectDiskTable;
  object_intent: ObjectIntentTable;
  object_intent_disk: ObjectIntentDiskTable;
  object_account: ObjectAccountTable;
  container: ContainerTable;
  container_use: ContainerUseTable;
  object: ObjectTable;
  object_blob: ObjectBlobTable;
  object_part: ObjectPartTable;
  object_removal: ObjectRemovalTable;
  object_upload: ObjectUploadTable;
  object_upload_part: ObjectUploadPartTable;
}

declare module '../kit/database/schema.ts' {
  interface Schema extends ObjectTables {}
}
