/** The layer's table as Kysely sees it; the columns' meaning stands in migrations 0302, 0310, 0313, 0440, 0450, 0560, 0830, 0930 and 1096. */
import type { Generated, Selectable } from 'kysely';
import type {
  DesiredLayer,
  ImageFormat,
  LayerEncryption,
  ObservedExport,
  ObservedLayer,
} from '../../../contract/host/index.ts';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

/** What hosts report, see contract/host/layer.ts; none: nothing yet. */
export type ObservedLayerState = 'none' | 'building' | 'ready' | 'absent' | 'failed';

/** The image that a layer builds on, as it was. */
export interface LayerImage {
  format: ImageFormat;
  size_bytes: number;
  sha256: string | null;
  /** With the image's own key. Absent: it is in the clear. */
  encryption?: LayerEncryption;
}

export interface LayerSource {
  backup_id: string;
  name: string;
  sha256: string | null;
  /** With the layer's own key. */
  encrypted?: true;
}

/** A file in the directory `manage` of its pool. */
export interface ManagedSource {
  managed: string;
}

/** A layer of another host, whose row stays as long as it is copied. */
export interface CopySource {
  copy_of: string;
}

/** Where a layer's content comes from, until it is ready. */
export type AnySource = LayerSource | ManagedSource | CopySource;

export interface LayerCapture {
  image_id: string;
  format: NonNullable<DesiredLayer['captures']>[number]['format'];
  /** With the image's own key. Absent: it is in the clear. */
  encryption?: LayerEncryption;
}

export interface LayerBackup {
  id: string;
  name: string;
  parent_name: string | null;
  /** It leaves the cloud: into the directory `manage` of its pool. */
  managed?: true;
}

/** What came of a capture or a backup: one of `result` and `error`. */
export interface LayerCaptureOutcome {
  image_id: string;
  result: NonNullable<ObservedLayer['captures']>[number]['result'];
  error: LayerError | null;
}

export interface LayerBackupOutcome {
  id: string;
  result: { size_bytes: number; sha256: string } | null;
  error: LayerError | null;
}

/** In the words of the host's engines: for administrators. */
export interface LayerError {
  code: string;
  message: string;
}

export interface VolumeLayerTable {
  id: string;
  volume_id: string;
  host_id: string;
  pool_id: string;
  parent_id: string | null;
  former_parent_id: string | null;
  image_id: string | null;
  image: Json<LayerImage> | null;
  /** Its file is encrypted with this key. */
  key_id: string | null;
  size_bytes: number;
  read_only: Generated<boolean>;
  desired_source: Json<AnySource> | null;
  observed_written: boolean | null;
  written_at: Timestamp | null;
  desired_captures: Json<LayerCapture[]>;
  desired_backups: Json<LayerBackup[]>;
  cache_role: 'base' | 'writes' | null;
  full_bytes: number | null;
  sinks: Generated<boolean>;
  moment: string | null;
  desired_presence: Generated<'present' | 'absent'>;
  epoch: Generated<number>;
  generation: Generated<number>;
  observed_epoch: Generated<number>;
  observed_generation: Generated<number>;
  observed_state: Generated<ObservedLayerState>;
  observed_size_bytes: Generated<number>;
  observed_allocated_bytes: Generated<number>;
  observed_full: Generated<boolean>;
  observed_step: string | null;
  observed_error: Json<LayerError> | null;
  observed_captures: Json<LayerCaptureOutcome[]>;
  observed_backups: Json<LayerBackupOutcome[]>;
  observed_at: Timestamp | null;
  shorten_at: Timestamp | null;
  /** Once a machine outside was to have it. */
  exported: Generated<boolean>;
  observed_export: Json<ObservedExport> | null;
  /** Of a second copy: where its host takes writes to it. */
  observed_receiver: Json<{ address: string; port: number }> | null;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type LayerRow = Selectable<VolumeLayerTable>;

interface LayerTables {
  volume_layer: VolumeLayerTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends LayerTables {}
}
