/** The table of replicas as Kysely sees it; the columns' meaning stands in migrations 0940, 1005, 1050, 1051 and 1095. */
import type { Generated, Selectable } from 'kysely';
import type { Json, Timestamp } from '../../kit/database/schema.ts';

/** Why there is no newer replica. */
export interface ReplicaFault {
  code: 'no_pool' | 'host_away' | 'connected' | 'busy' | 'round_failed' | 'replica_lost' | 'out_of_sync';
  message: string;
}

export interface VolumeReplicaTable {
  volume_id: string;
  rpo_seconds: number;
  size_bytes: number;
  pool_id: string | null;
  source_layer_id: string | null;
  layer_id: string | null;
  as_of: Timestamp | null;
  round_began_at: Timestamp | null;
  round_source_layer_id: string | null;
  round_layer_id: string | null;
  round_full: Generated<boolean>;
  round_pool_id: string | null;
  round_moment: string | null;
  round_moved_at: Timestamp | null;
  round_copied_bytes: Generated<number>;
  moment: string | null;
  former_layer_id: string | null;
  failed_over_at: Timestamp | null;
  synchronous: Generated<boolean>;
  /** See ../replication/second-copy.ts; null: there is none. */
  copy_state: 'preparing' | 'copying' | 'in_sync' | 'ended' | 'kept' | null;
  copy_layer_id: string | null;
  copy_of_layer_id: string | null;
  copy_place: Json<{ address: string; port: number }> | null;
  copy_since: Timestamp | null;
  copy_as_of: Timestamp | null;
  copy_ended_at: Timestamp | null;
  copy_failures: Generated<number>;
  rounds: Generated<number>;
  last_round_bytes: number | null;
  last_round_seconds: number | null;
  failures: Generated<number>;
  fault: Json<ReplicaFault> | null;
  late_since: Timestamp | null;
  next_at: Timestamp | null;
  generation: Generated<number>;
  created_at: Timestamp;
  updated_at: Timestamp;
}

export type VolumeReplicaRow = Selectable<VolumeReplicaTable>;

interface ReplicaTables {
  volume_replica: VolumeReplicaTable;
}

declare module '../../kit/database/schema.ts' {
  interface Schema extends ReplicaTables {}
}
