/** Which layers somebody holds, and with them all that those build on. SQL, nothing else: what counts bytes asks here, so that all count alike. */
import { type RawBuilder, sql } from 'kysely';

/**
 * Rows (holder, of_volume, layer_id): a volume its top, and what a backup is being restored into; a snapshot its layer; an image or a backup in
 * the making the layer that it is made of. A holder's id is that of its row; the layer's own where it is held for what is made of it.
 * @param is says which layers, of an expression that is a layer's id
 */
export const layerHolders = (is: (layerId: RawBuilder<unknown>) => RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select id as holder, id as of_volume, layer_id from volume where desired_presence = 'present' and ${is(sql`layer_id`)}
  union all select id, volume_id, layer_id from volume_snapshot where desired_presence = 'present' and ${is(sql`layer_id`)}
  union all select id, id, ${restoredInto} from volume where desired_task ->> 'kind' = 'restore' and ${is(restoredInto)}
  union all select id, volume_id, id from volume_layer
    where (desired_captures <> '[]' or desired_backups <> '[]') and ${is(sql`id`)}`;

const restoredInto = sql`(desired_task #>> '{into,layer_id}')::uuid`;

/** What the layer that the query calls by this name builds on, and what its file still does until its host has followed: rows (id). */
export const basesOf = (layer: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`lateral unnest(array_remove(array[${layer}.parent_id, ${layer}.former_parent_id], null)) as base(id)`;
