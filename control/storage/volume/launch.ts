/**
 * Volumes that the word of a host makes complete are launched with it, in the same transaction: most are created so, and a job of the
 * controller's for each cost more than all the rest of it. Only the plain ones; whoever waits for something else, or whose row somebody
 * holds, is left to the controller, which does the same one by one.
 */
import { sql } from 'kysely';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { contentIsCompleteSql } from './states-sql.ts';

/** Those whose tops these are. Whose `launched_at` is the transaction's own time afterwards needs no look. */
export async function launchComplete(tx: Tx, layerIds: readonly string[]): Promise<void> {
  await sql`
    with complete as materialized (
      select v.id, v.generation from volume v join volume_layer l on l.id = v.layer_id
      where ${isOneOf(sql`v.layer_id`, layerIds)} and v.launched_at is null and v.desired_presence = 'present'
        and v.fault is null and v.desired_task is null and v.cache_pool_id is null and ${contentIsCompleteSql}
        and not exists (select from volume_attachment a where a.volume_id = v.id)
      order by v.id for no key update of v skip locked),
    launched as (update volume v set launched_at = now() from complete c where v.id = c.id)
    update operation o set state = 'succeeded', finished_at = now(), updated_at = now(), waiting_for = null
      from complete c where o.resource_id = c.id and o.state = 'running' and o.generation <= c.generation`.execute(tx);
}
