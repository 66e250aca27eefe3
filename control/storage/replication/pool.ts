/** Where a replica goes: after a failover, where no pool took it before, where the host of its pool is away and has nothing of it; or to those of its server's other volumes. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import type { PoolChoice } from '../pool/index.ts';
import { changeReplica, chooseReplicaPool } from '../replica/index.ts';
import { hostOfCompanions } from './companions.ts';
import type { Look } from './look.ts';

const retryMs = 30_000;

/** @param on the one host that it may be on; absent: any that is here */
export async function poolFor(tx: Tx, { volume }: Look, on?: string): Promise<PoolChoice> {
  const { rows } = await sql<{ extra_specs: Record<string, string> }>`select extra_specs from volume_type
    where id = ${volume.volume_type_id}`.execute(tx);
  const wish = { hostId: volume.host_id!, sizeBytes: volume.layer_bytes, extraSpecs: rows[0]!.extra_specs, here: true };
  return chooseReplicaPool(tx, { ...wish, encrypted: volume.key_id !== null, ...(on !== undefined && { on }) });
}

export async function giveItAPool(tx: Tx, look: Look): Promise<'placed' | undefined> {
  const { volume, now } = look;
  const together = await hostOfCompanions(tx, look, 'any');
  const near = together === undefined ? undefined : (await poolFor(tx, look, together)).pool;
  const { pool, message } = near ? { pool: near, message: '' } : await poolFor(tx, look);
  if (!pool) {
    const fault = { code: 'no_pool' as const, message: `No pool on another host takes the replica: ${message}.` };
    await changeReplica(tx, volume.id, { fault, next_at: new Date(now.getTime() + retryMs) });
    return undefined;
  }
  await changeReplica(tx, volume.id, { pool_id: pool.id, size_bytes: volume.layer_bytes, fault: null, next_at: now });
  return 'placed';
}
