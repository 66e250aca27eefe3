/** What a server's document says of its volumes has changed: its host has to hear of it, and to say what came of it. */
import { type RawBuilder, sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/**
 * To be called in the transaction that changes a volume's top, its size, its mode or its limits. What its server's host said before
 * counts for the volume no more ({@link topIsInForceSql}); one that nobody has, or whose server has no host, tells nobody. What is
 * being done to the server goes on, and is called what it was.
 */
export async function tellServers(tx: Tx, volumeIds: readonly string[]): Promise<void> {
  if (volumeIds.length === 0) return;
  await sql`with told as (
      update server s set generation = s.generation + 1, updated_at = now(),
        desired_verb = case when exists (select from operation o where o.resource_id = s.id and o.state = 'running')
          then s.desired_verb else 'volume' end
      from (select distinct server_id from volume_attachment a where ${isOneOf(sql`a.volume_id`, volumeIds)}
        and a.server_id is not null) w
      where s.id = w.server_id and s.host_id is not null and s.desired_presence = 'present'
      returning s.id, s.generation)
    update volume_attachment a set server_generation = told.generation from told
    where a.server_id = told.id and ${isOneOf(sql`a.volume_id`, volumeIds)}`.execute(tx);
}

/**
 * No guest writes to what is below the volume's top any more: nobody has it, or the server's host has heard of the present top and says
 * that its guest has that one open, or none. Then what a snapshot froze is final. `v` is the volume's row.
 */
export const topIsInForceSql: RawBuilder<boolean> = sql`(not exists (select from volume_attachment a
  join server s on s.id = a.server_id where a.volume_id = v.id and s.host_id is not null
    and (s.observed_generation < a.server_generation
      or (a.observed_state is not null and a.observed_layer_id is distinct from v.layer_id))))`;
