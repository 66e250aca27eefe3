/** What keeps a round from being begun, and whether it is its turn. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { topIsInForceSql } from '../attachment/index.ts';
import type { ReplicaFault } from '../replica/index.ts';
import type { Look } from './look.ts';

/**
 * Of one host, as that of a volume or as that of its replica: what its disks and its network are for is guests. Those of one moment are one. Beside them as
 * many that copy all of a volume, which may take hours: the others would be late.
 */
const roundsAtOnce = 2;

export const retryMs = { host: 5_000, turn: 1_000, hold: 5_000, outside: 30_000, first: 15_000, longest: 600_000 };

export interface Hindrance {
  /** It is looked at again then. */
  ms: number;
  /** Null: it is nobody's. */
  fault: ReplicaFault | null;
}

/** Undefined: its top may be frozen now. */
export async function hindranceOf(tx: Tx, look: Look): Promise<Hindrance | undefined> {
  const { volume, hosts } = look;
  const away = (of: string) => ({ code: 'host_away' as const, message: `The host of the ${of} is away.` });
  if (!hosts.volume.connected) return { ms: retryMs.host, fault: away('volume') };
  if (!hosts.replica.connected) return { ms: retryMs.host, fault: away('replica') };
  if (volume.attachment && volume.attachment.server_id === null) {
    const message = 'A machine outside has the volume: it would be cut off for each round.';
    return { ms: retryMs.outside, fault: { code: 'connected', message } };
  }
  if (volume.desired_task || volume.fault) {
    return { ms: retryMs.hold, fault: { code: 'busy', message: 'Something else is done to the volume.' } };
  }
  if (!(await isFinal(tx, volume.id))) {
    return { ms: retryMs.hold, fault: { code: 'busy', message: 'A guest still writes to what was frozen before.' } };
  }
  return undefined;
}

/** It copies all of its volume, or will, as far as is known. */
const isWhole = sql<boolean>`(r.round_full or r.round_layer_id is null
  and (r.layer_id is null or r.source_layer_id is null or r.round_pool_id is not null))`;

/** A round of which a host is away takes nothing of the other one. @param round.whole it would copy all of the volume */
export async function isTheirTurn(tx: Tx, { volume, hosts }: Look, round: { whole: boolean }): Promise<boolean> {
  const rounds = sql`count(distinct coalesce(r.round_moment, r.volume_id))`;
  const { rows } = await sql<{ most: number }>`select greatest(
      ${rounds} filter (where v.host_id = ${volume.host_id}), ${rounds} filter (where p.host_id = ${hosts.replica.id}))::integer as most
    from volume_replica r join volume v on v.id = r.volume_id join storage_pool p on p.id = coalesce(r.round_pool_id, r.pool_id)
      join host h on h.id = v.host_id join host b on b.id = p.host_id
    where r.round_began_at is not null and h.connected and b.connected and ${isWhole} = ${round.whole}::boolean`.execute(
    tx,
  );
  return rows[0]!.most < roundsAtOnce;
}

/** Nobody writes to what was frozen last. */
export async function isFinal(tx: Tx, volumeId: string): Promise<boolean> {
  const { rows } = await sql`select from volume v where v.id = ${volumeId} and ${topIsInForceSql}`.execute(tx);
  return rows.length > 0;
}
