/** The two places of a volume whose type asks for a replica (../replica): both are chosen in the transaction that makes it, or none is. */
import type { Tx } from '../../kit/database/database.ts';
import { chooseFrom, type PoolChoice, type PoolState, type PoolWish } from '../pool/index.ts';
import { chooseReplicaPool } from '../replica/index.ts';
import { replicationWords, type VolumeTypeRow } from '../volume-type/index.ts';

interface Chosen {
  /** Without a pool where its replica has none. */
  found: PoolChoice;
  /** Absent: its type asks for none, or no pool takes both. */
  replica?: { rpoSeconds: number; sizeBytes: number; poolId: string };
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
  return { found, replica: { rpoSeconds: words.rpoSeconds, sizeBytes, poolId: second.pool.id } };
}
