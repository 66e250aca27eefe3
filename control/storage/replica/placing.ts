/**
 * Which pool has a volume's replica: chosen as any other, on none of the hosts that would be lost with the volume's own. Where no other has room,
 * one that only shares a rack, a feed or a switch is better than none.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { choosePool, type PoolChoice } from '../pool/index.ts';

export interface ReplicaWish {
  /** Where the volume is. */
  hostId: string;
  sizeBytes: number;
  /** Of the volume's type. */
  extraSpecs: Readonly<Record<string, string>>;
  encrypted: boolean;
  /** Only on hosts that are here at this moment. */
  here?: boolean;
  /** On this one alone. Absent: any. */
  on?: string;
}

/** Under the lock of the pools (as {@link choosePool}). A `pool` of null: none takes it, `message` and `fix` say why. */
export async function chooseReplicaPool(tx: Tx, wish: ReplicaWish): Promise<PoolChoice> {
  const { hostId, sizeBytes, encrypted } = wish;
  // A replica in another zone is as good as any.
  const { 'RESKEY:availability_zones': _, ...extraSpecs } = wish.extraSpecs;
  const away = wish.here ? await hostsAway(tx) : [];
  const lostTogether = await hostsLostWith(tx, hostId);
  const notOnHosts = [hostId, ...away];
  const poolWish = { sizeBytes, extraSpecs, encrypted, ...(wish.on !== undefined && { hostId: wish.on }) };
  const apart = await choosePool(tx, { ...poolWish, notOnHosts: [...notOnHosts, ...lostTogether] });
  if (apart.pool || lostTogether.length === 0) return apart;
  return choosePool(tx, { ...poolWish, notOnHosts });
}

/** Those that share a failure domain with it (control/compute/survival). */
async function hostsLostWith(tx: Tx, hostId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select o.id from host h join host o on o.id <> h.id
    where h.id = ${hostId} and exists (select from jsonb_each(h.failure_domains) mine
      where o.failure_domains -> mine.key = mine.value)`.execute(tx);
  return rows.map(({ id }) => id);
}

async function hostsAway(tx: Tx): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`select id from host where not connected`.execute(tx);
  return rows.map(({ id }) => id);
}
