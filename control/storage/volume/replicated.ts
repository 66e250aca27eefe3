/** The two places of a volume whose type asks for a replica (../replica): both are chosen in the transaction that makes it, or none is. */
import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { databaseNow } from '../../kit/database/clock.ts';
import type { Tx } from '../../kit/database/database.ts';
import { releaseLayers } from '../layer/index.ts';
import { chooseFrom, type PoolChoice, type PoolState, type PoolWish } from '../pool/index.ts';
import { changeReplica, chooseReplicaPool, deleteReplica, insertReplica } from '../replica/index.ts';
import { type ReplicationWords, replicationWords, type VolumeTypeRow } from '../volume-type/index.ts';
import type { ListedVolume } from './volume.ts';

interface Chosen {
  /** Without a pool where its replica has none. */
  found: PoolChoice;
  /** Absent: its type asks for none, or no pool takes both. */
  replica?: { rpoSeconds: number; synchronous: boolean; sizeBytes: number; poolId: string };
}

/** Under the lock of the pools. */
export async function chooseBoth(
  tx: Tx,
  { wish, pools, type }: { wish: PoolWish; pools: readonly PoolState[]; type: Pick<VolumeTypeRow, 'extra_specs'> },
): Promise<Chosen> {
  const found = await chooseFrom(tx, wish, pools);
  const words = replicationWords(type.extra_specs);
  if (!words || !found.pool) return { found };
  const { sizeBytes, extraSpecs, encrypted = false } = wish;
  const second = await chooseReplicaPool(tx, { hostId: found.pool.host_id, sizeBytes, extraSpecs, encrypted });
  if (!second.pool) {
    const message = `no pool on another host takes its replica: ${second.message}`;
    return { found: { ...found, pool: null, cachePool: null, message, fix: second.fix } };
  }
  return { found, replica: { ...words, sizeBytes, poolId: second.pool.id } };
}

/**
 * A volume that gets another type gets a replica with it, keeps it at another age, or has none any more. The volume's row must be locked.
 * @param alone nothing else changes for it: else a replica neither comes nor goes
 * @throws CloudError `invalid` where it would; `no_capacity` where no pool on another host takes one; `conflict` where it would go and may be all that there is
 */
export async function replicateAs(
  tx: Tx,
  volume: ListedVolume,
  type: Pick<VolumeTypeRow, 'name' | 'extra_specs'>,
  { alone }: { alone: boolean },
): Promise<void> {
  const { id, host_id: hostId, layer_bytes: sizeBytes, key_id } = volume;
  const words = replicationWords(type.extra_specs);
  const { rows } = await sql`select from volume_replica where volume_id = ${id}`.execute(tx);
  const has = rows.length > 0;
  if (words && has) return keepAs(tx, id, words);
  if (!words && !has) return;
  if (!alone || hostId === null)
    throw new CloudError('invalid', 'volume_type_unfit', { type: type.name, why: 'replica' });
  if (!words) {
    await requireNotAlone(tx, volume);
    await releaseLayers(tx, await deleteReplica(tx, id));
    return;
  }
  const wish = { hostId, sizeBytes, extraSpecs: type.extra_specs, encrypted: key_id !== null };
  const { pool, message: why, fix } = await chooseReplicaPool(tx, wish);
  if (!pool) throw new CloudError('no_capacity', 'no_pool', { why, fix });
  await insertReplica(tx, { volumeId: id, ...words, sizeBytes, poolId: pool.id });
}

/** One that is synchronous no more lets go of its second copy (../replication/second-copy.ts). */
const keepAs = async (tx: Tx, id: string, { rpoSeconds, synchronous }: ReplicationWords): Promise<void> =>
  changeReplica(tx, id, { rpo_seconds: rpoSeconds, synchronous, next_at: await databaseNow(tx) });

/** A host that is away may be lost: nobody gives up what there is beside it without knowing that. */
async function requireNotAlone(tx: Tx, { id, host_id }: ListedVolume): Promise<void> {
  const { rows } = await sql`select from volume_replica where volume_id = ${id} and layer_id is not null
    and not exists (select from host where id = ${host_id} and connected)`.execute(tx);
  if (rows.length > 0) throw new CloudError('conflict', 'volume_replica_alone', { id });
}
