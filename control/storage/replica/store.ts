/** Rows of replicas: made with their volumes, gone with them. SQL, nothing else. Whoever changes one holds its volume's row. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { json } from '../../kit/database/schema.ts';
import type { ReplicaFault, VolumeReplicaRow } from './tables.ts';

export interface NewReplica {
  volumeId: string;
  rpoSeconds: number;
  synchronous: boolean;
  sizeBytes: number;
  /** Null: one is looked for again and again (../replication). */
  poolId: string | null;
}

export async function insertReplica(
  tx: Tx,
  { volumeId, rpoSeconds, synchronous, sizeBytes, poolId }: NewReplica,
): Promise<void> {
  await sql`insert into volume_replica (volume_id, rpo_seconds, synchronous, size_bytes, pool_id)
    values (${volumeId}, ${rpoSeconds}, ${synchronous}, ${sizeBytes}, ${poolId})`.execute(tx);
}

/** The volume has no second place any more. @returns the layers that were kept for it, to be released after this */
export async function deleteReplica(tx: Tx, volumeId: string): Promise<string[]> {
  const { rows } =
    await sql<VolumeReplicaRow>`delete from volume_replica where volume_id = ${volumeId} returning *`.execute(tx);
  return rows.flatMap(layersOfReplica);
}

/** The host leaves the cloud, and has nothing of them: replicas that were to be there are looked for another place. Ask only where no layer is there. */
export async function forgetHostReplicas(tx: Tx, hostId: string): Promise<void> {
  const there = (column: string) => sql`${sql.ref(column)} in (select id from storage_pool where host_id = ${hostId})`;
  await sql`update volume_replica set pool_id = case when ${there('pool_id')} then null else pool_id end,
      round_pool_id = case when ${there('round_pool_id')} then null else round_pool_id end,
      next_at = now(), generation = generation + 1, updated_at = now()
    where ${there('pool_id')} or ${there('round_pool_id')}`.execute(tx);
}

/** All that is kept for a replica, on either host. */
const layersOfReplica = (replica: VolumeReplicaRow): string[] =>
  [
    ...[replica.source_layer_id, replica.layer_id, replica.round_source_layer_id, replica.round_layer_id],
    ...[replica.former_layer_id, replica.copy_layer_id],
  ].flatMap((id) => id ?? []);

export type ReplicaChange = Partial<
  Pick<
    VolumeReplicaRow,
    | ('pool_id' | 'size_bytes' | 'source_layer_id' | 'layer_id' | 'as_of' | 'round_began_at' | 'round_source_layer_id')
    | ('round_layer_id' | 'round_full' | 'former_layer_id' | 'failed_over_at' | 'rounds' | 'last_round_bytes')
    | ('round_moved_at' | 'round_copied_bytes' | 'round_pool_id' | 'round_moment' | 'moment')
    | ('last_round_seconds' | 'failures' | 'late_since' | 'next_at' | 'rpo_seconds' | 'synchronous')
    | (
        | 'copy_state'
        | 'copy_layer_id'
        | 'copy_of_layer_id'
        | 'copy_since'
        | 'copy_as_of'
        | 'copy_ended_at'
        | 'copy_failures'
      )
  >
> & { fault?: ReplicaFault | null; copy_place?: { address: string; port: number } | null };

/** None is under way. */
export const noRound = {
  ...{ round_began_at: null, round_source_layer_id: null, round_layer_id: null, round_full: false },
  ...{ round_pool_id: null, round_moment: null },
} satisfies ReplicaChange;

/** There is no second copy. */
export const noCopy = {
  ...{ copy_state: null, copy_layer_id: null, copy_of_layer_id: null, copy_place: null, copy_since: null },
} satisfies ReplicaChange;

export async function changeReplica(
  tx: Tx,
  volumeId: string,
  { fault, copy_place, ...change }: ReplicaChange,
): Promise<void> {
  await tx
    .updateTable('volume_replica')
    .set({
      ...change,
      ...(fault !== undefined && { fault: fault && json(fault) }),
      ...(copy_place !== undefined && { copy_place: copy_place && json(copy_place) }),
      generation: sql`generation + 1`,
      updated_at: sql`now()`,
    })
    .where('volume_id', '=', volumeId)
    .execute();
}
