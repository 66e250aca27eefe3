/** The volume's table as Kysely sees it; the columns' meaning stands in migrations 0303, 0440 and 0460. */
import type { Generated } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';
import type { VolumeCache } from '../cache/index.ts';
import type { LayerBase } from '../layer/index.ts';
import type { VolumeEncryption } from '../volume-key/index.ts';
import type { CachePolicy } from '../volume-type/index.ts';
import type { SnapshotStatus, VolumeStatus } from './statuses.ts';

/** Of a volume or a snapshot; without a generation that it ended, it lasts until something new is asked. */
export interface StorageFault {
  code: string;
  message: string;
  generation: number;
  /** An administrator declared this status (os-reset_status): it is shown, and holds, until another one takes it back. */
  status?: VolumeStatus | SnapshotStatus;
  /** What an administrator's tool said of how far a snapshot is. */
  progress?: string;
}

/** To another pool of its host, to another encryption, or both; see move.ts. */
export interface MoveTask {
  kind: 'retype' | 'migrate';
  stage: 'switching' | 'moving' | 'returning' | 'settling';
  /** Where it goes. */
  pool_id: string;
  /** That it has when it is there; null: its own. */
  type_id: string | null;
  /** Its top, and what was its top before. */
  layer_id: string;
  below_id: string;
  /** What its content is encrypted with until it is there, null: it is in the clear. Absent: it stays as it is. */
  former_key_id?: string | null;
  /** Its cache when it is there, and if it comes back. Absent: it has none. */
  cache?: { then: VolumeCache | null; former: VolumeCache | null };
}

/** What its cache holds goes down first, see sink-first.ts. */
export interface SinkTask {
  kind: 'retype' | 'migrate';
  stage: 'sinking';
  /** Where it goes then; null: nowhere, its cache alone changes. */
  pool_id: string | null;
  /** That it has when all is done; null: its own. */
  type_id: string | null;
  /** How it is encrypted then, null: not at all. Absent: as it is. */
  encryption?: VolumeEncryption | null;
  /** That it has when all is done. */
  cache: VolumeCache | null;
}

/** To a pool of another host, see change-host.ts; `bring`: since that is where its server is, see bring.ts. */
export interface ChangeHostTask {
  kind: 'retype' | 'migrate' | 'bring';
  stage: 'copying';
  /** Where it goes. */
  pool_id: string;
  target_host_id: string;
  /** That it has when it is there; null: its own. */
  type_id: string | null;
  /** Its top there; null: others are at work in its chain, which is copied after that. */
  layer_id: string | null;
  /** What each layer of its chain is there; absent: an earlier release began it. */
  copies?: Record<string, string>;
}

/** With its server to another host, see carry.ts. */
export interface CarryTask {
  kind: 'carry';
  migration_id: string;
  /** Where it goes. */
  pool_id: string;
  target_host_id: string;
  /** Its top there, into which its guest's QEMU writes what the present one holds. */
  layer_id: string;
  /** What each layer of its chain is there. */
  copies: Record<string, string>;
}

/** The one thing that holds a volume, until it is done. */
export type VolumeTask =
  /** Its size is the new one from the start. */
  | { kind: 'extend'; from_gib: number }
  /** Of the layer, which is its top or was. */
  | { kind: 'upload'; image_id: string; layer_id: string }
  | { kind: 'backup'; backup_id: string; snapshot_id: string | null }
  /** Of a new volume its first layer is made of the backup; another one gets this layer, with what else the backup says, once it is whole. */
  | { kind: 'restore'; backup_id: string; into: RestoredLayer | null }
  /** `onto`: what its new top shall build on, as soon as nobody waits for what is in its cache; absent: it does. */
  | { kind: 'revert'; snapshot_id: string; onto?: LayerBase }
  | { kind: 'reimage'; image_id: string; onto?: LayerBase }
  | { kind: 'transfer'; transfer_id: string }
  /** Its content goes into a file of its pool; then it is none of the cloud's. */
  | { kind: 'unmanage' }
  | MoveTask
  | SinkTask
  | ChangeHostTask
  | CarryTask;

export interface RestoredLayer {
  layer_id: string;
  bootable: boolean;
  metadata: Record<string, string>;
  image_metadata: Record<string, string> | null;
}

export type VolumeTaskKind = VolumeTask['kind'];

export interface VolumeTable {
  id: string;
  project_id: string;
  user_id: string;
  name: Generated<string>;
  description: string | null;
  size_gib: number;
  volume_type_id: string;
  availability_zone: string | null;
  host_id: string | null;
  pool_id: string | null;
  layer_id: string | null;
  cache_pool_id: string | null;
  cache_bytes: number | null;
  cache_policy: CachePolicy | null;
  bootable: Generated<boolean>;
  read_only: Generated<boolean>;
  /** Somebody has said which. */
  read_only_said: Generated<boolean>;
  multiattach: Generated<boolean>;
  consumes_quota: Generated<boolean>;
  metadata: Json<Record<string, string>>;
  image_metadata: Json<Record<string, string>> | null;
  group_id: string | null;
  source_volume_id: string | null;
  source_snapshot_id: string | null;
  source_image_id: string | null;
  desired_task: Json<VolumeTask> | null;
  desired_presence: Generated<'present' | 'absent'>;
  generation: Generated<number>;
  fault: Json<StorageFault> | null;
  /** What came of its last move to another pool; null: none, or one that is under way. */
  move_outcome: 'success' | 'error' | null;
  launched_at: Timestamp | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

interface VolumeTables {
  volume: VolumeTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends VolumeTables {}
}
