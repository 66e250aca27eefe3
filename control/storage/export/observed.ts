/** What hosts say of exports, and what that ends. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { wakeOf } from '../attachment/index.ts';

/** A machine outside may have the layer open that the query calls so: its host says so, or has not heard yet what shall be. */
export const exportIsOpenSql = (layer: string): RawBuilder<boolean> => {
  const column = (name: string) => sql.ref(`${layer}.${name}`);
  return sql<boolean>`(${column('exported')} and ${column('desired_presence')} = 'present'
    and (${column('observed_export')} is not null or ${column('observed_generation')} < ${column('generation')}))`;
};

/**
 * After reports on exported layers of these volumes: attachments whose export has ended go, and who waits for what they held looks
 * again. An attachment stays as long as any layer of its volume may be open.
 */
export async function recordEnded(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  await sql`
    with gone as (delete from volume_attachment a using volume_export x
      where ${isOneOf(sql`a.volume_id`, volumeIds)} and x.attachment_id = a.id and x.desired_presence = 'absent'
        and not exists (select from volume_layer l where l.volume_id = a.volume_id and ${exportIsOpenSql('l')})
      returning a.volume_id),
    touched as (select unnest(${volumeIds}::uuid[]) as volume_id)
    ${wakeOf(sql`touched`)}`.execute(tx);
}
