/** A replica that has no pool gets one: after a failover, where none took it before, or where the host of its pool is away and has nothing of it. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { changeReplica, chooseReplicaPool } from '../replica/index.ts';
import type { Look } from './look.ts';

const retryMs = 30_000;

export async function giveItAPool(tx: Tx, { volume, now }: Look): Promise<'placed' | undefined> {
  const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
    where id = ${volume.volume_type_id}`.execute(tx);
  const wish = { hostId: volume.host_id!, sizeBytes: volume.layer_bytes, extraSpecs: rows[0]!.extra_specs };
  const { pool, message } = await chooseReplicaPool(tx, { ...wish, encrypted: volume.key_id !== null, here: true });
  if (!pool) {
    const fault = { code: 'no_pool' as const, message: `No pool on another host takes the replica: ${message}.` };
    await changeReplica(tx, volume.id, { fault, next_at: new Date(now.getTime() + retryMs) });
    return undefined;
  }
  await changeReplica(tx, volume.id, { pool_id: pool.id, size_bytes: volume.layer_bytes, fault: null, next_at: now });
  return 'placed';
}
