/** What volumes and their snapshots refuse (see contract/errors.ts). */
import type { NoFields } from '../../../contract/errors.ts';

/** What was asked of a volume whose status does not allow it. */
export type VolumeVerb =
  | 'accept_transfer'
  | 'attach'
  | 'backup'
  | 'clone'
  | 'delete'
  | 'detach'
  | 'extend'
  | 'group'
  | 'metadata'
  | 'migrate'
  | 'read_only'
  | 'reimage'
  | 'restore'
  | 'retype'
  | 'revert'
  | 'snapshot'
  | 'transfer'
  | 'upload';

export interface VolumeReasons {
  volume_not_found: { id: string };
  /** `wanted`: any of them would do. */
  volume_status_unfit: { id: string; call: VolumeVerb; status: string; wanted: readonly string[] };
  /** It can't go: `why` says what is in the way. */
  volume_in_the_way: {
    id: string;
    why: 'attached' | 'group' | 'snapshots' | 'snapshots_of_group' | 'snapshots_of_others' | 'snapshots_busy';
  };
  /** It goes with all of its group, or not. */
  snapshot_of_group: { id: string };
  volume_size_missing: NoFields;
  volume_size_below: { size_gib: number; of: 'snapshot' | 'volume' | 'backup'; minimum_gib: number };
  volume_image_too_large: { image_gib: number; size_gib: number };
  volume_below_minimum_disk: { size_gib: number; minimum_gib: number };
  volume_size_beyond_type: { size_gib: number; type: string; minimum_gib: number | null; maximum_gib: number | null };
  volume_extend_not_larger: { size_gib: number; wanted_gib: number };
  volume_sources_exclusive: { sources: readonly string[] };
  volume_zone_unknown: { zone: string };
  volume_zone_of_source: { zone: string };
  volume_type_unfit: {
    type: string;
    why: 'multiattach' | 'cache_and_replica' | 'replica' | 'other_pool' | 'other_encryption' | 'same' | 'group';
  };
  /** Somebody waits for what is still in its cache. */
  volume_cache_sinks: { id: string };
  /** Another disk is in its place: the hint names what is not there. */
  volume_hint_unknown: { hint: string; id: string };
  /** It, or the snapshot, is in another state than `available`. */
  volume_revert_unfit: { id: string; of: 'volume' | 'snapshot'; status: string };
  volume_revert_snapshot: { id: string; why: 'none' | 'not_latest' | 'size'; snapshot: string | null };
  /** It stays in its pool: `why` says what holds it, or what is wrong with where it shall go. */
  volume_migration_unfit: {
    id: string;
    why:
      | 'snapshots'
      | 'group'
      | 'connected'
      | 'nowhere'
      | 'cluster'
      | 'unknown'
      | 'same'
      | 'with_server'
      | 'cached'
      | 'replicated'
      | 'in_cluster'
      | 'host_too_old';
    to: string | null;
  };
  /** No whole one: it is not made yet, or the type of the volume asks for none. */
  volume_replica_missing: { id: string };
  /** Its host is away: the replica, which would go, may be all that there is of it. */
  volume_replica_alone: { id: string };
  /** A server has it, which is evacuated as a whole. */
  volume_failover_attached: { id: string };
  /** Its host runs, or nothing proves that it does not. */
  volume_failover_unproven: { id: string; host: string; why: 'in_use' | 'unproven' };
  volume_image_format_unserved: { format: string; container: string };
  volume_reset_unserved: { id: string; status: string };
  volume_marker_not_found: { id: string };
  /** Its content is not laid out of the cloud. */
  volume_unmanaged: { id: string; why: 'cache' | 'cluster' };
  /** No volume is made of the file of a pool. */
  managed_file_unfit: { name: string; why: string };
}

export interface SnapshotReasons {
  volume_snapshot_not_found: { id: string };
  /** `wanted`: any of them would do. */
  snapshot_status_unfit: { id: string; status: string; wanted: readonly string[] };
  /** What a tool may say of a snapshot depends on what it is. */
  snapshot_progress_unfit: { id: string; status: string; wanted: string };
  snapshot_marker_not_found: { id: string };
  snapshot_reset_unserved: { id: string; status: string };
}

declare module '../../../contract/errors.ts' {
  interface Reasons extends VolumeReasons, SnapshotReasons {}
}
