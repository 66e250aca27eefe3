/** A volume whose content its host has no more: nobody makes it anew, since an empty one would pass for it. */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isLost, type LayerRow } from '../layer/index.ts';

/** The layer was made and is not there any more; where its host finds it again it says so. */
export const isMissing = (top: LayerRow): boolean =>
  isLost(top) ||
  (top.desired_presence === 'present' &&
    top.observed_epoch === top.epoch &&
    top.observed_error?.code === 'layer_missing');

/** Why, for whoever has the volume. */
export async function whyMissing(tx: Tx, top: LayerRow): Promise<string> {
  const { rows } = await sql<{ name: string; tier: string }>`
    select name, tier from storage_pool where id = ${top.pool_id}`.execute(tx);
  return rows[0]?.tier === 'ram'
    ? `What the volume held is lost: its pool ${rows[0].name} lies in memory, which a restart of its host empties.`
    : 'Its host has the volume’s file no more.';
}
