/** Everything that a step of a replica is decided by, read after its volume is locked. */
import { sql } from 'kysely';
import { isCloudError } from '../../../contract/errors.ts';
import type { Tx } from '../../kit/database/database.ts';
import { filesOf, isLost, type LayerRow } from '../layer/index.ts';
import { asOfSql, isIdleSql, isLateSql, replicaFrom, type VolumeReplicaRow } from '../replica/index.ts';
import { type ListedVolume, lockVolume } from '../volume/index.ts';

export interface Look {
  volume: ListedVolume;
  replica: VolumeReplicaRow;
  /** The replica was whole, and its host has some of its layers no more. */
  lost: boolean;
  /** `round`: that of which the round copies, or would. */
  hosts: {
    volume: { connected: boolean };
    replica: { id: string | null; connected: boolean };
    round: { id: string | null; connected: boolean };
  };
  /** Nothing was written since the replica was equal to the volume. */
  idle: boolean;
  late: boolean;
  /** See asOfSql. */
  asOf: Date | null;
  now: Date;
}

/** Undefined: the volume has none, or is gone. */
export async function lookAtReplica(tx: Tx, volumeId: string): Promise<Look | undefined> {
  const volume = await lockVolume(tx, 'all', volumeId).catch((error: unknown) => {
    if (isCloudError(error, 'not_found')) return undefined;
    throw error;
  });
  if (!volume) return undefined;
  const { rows } = await sql<
    { replica: VolumeReplicaRow } & Pick<Look, 'idle' | 'late' | 'asOf' | 'now'> & {
        from_here: boolean | null;
        to_id: string | null;
        to_here: boolean | null;
        round_id: string | null;
        round_here: boolean | null;
      }
  >`select r.*, ${isIdleSql} as idle, ${isLateSql} as late, ${asOfSql} as "asOf", now() as now, h.connected as from_here,
      p.host_id as to_id, b.connected as to_here, coalesce(x.id, p.host_id) as round_id, coalesce(x.connected, b.connected) as round_here
    from ${replicaFrom} left join storage_pool xp on xp.id = r.round_pool_id left join host x on x.id = xp.host_id where r.volume_id = ${volumeId}`.execute(
    tx,
  );
  const [row] = rows as unknown as (VolumeReplicaRow & (typeof rows)[number])[];
  if (!row) return undefined;
  const { idle, late, asOf, now, from_here, to_id, to_here, round_id, round_here, ...replica } = row;
  return {
    ...{ volume, replica, idle, late, asOf, now },
    lost: replica.layer_id !== null && isBroken(await filesOf(tx, replica.layer_id)),
    hosts: {
      ...{ volume: { connected: from_here === true }, replica: { id: to_id, connected: to_here === true } },
      round: { id: round_id, connected: round_here === true },
    },
  };
}

/** Its host has it no more, or does not find it at this moment. */
export const isGone = (layer: LayerRow): boolean =>
  isLost(layer) || (layer.observed_epoch === layer.epoch && layer.observed_error?.code === 'layer_missing');

const isBroken = (chain: readonly LayerRow[]): boolean => chain.length === 0 || chain.some(isGone);
