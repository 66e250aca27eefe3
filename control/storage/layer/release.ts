/**
 * Layers that nobody needs any more become absent; what is left only for a layer that builds on it is noted as spare. What needs a layer: a volume whose top it is, a snapshot, a layer that builds on it or
 * whose file still does, an image, a backup or another host's copy that is being made of it. Whoever lets go of one says so here, in the transaction that
 * does it.
 *
 * Exact under concurrency: of two that let go of one layer at once the second waits for the first, and sees what it did; so does
 * whoever builds on it meanwhile (`insertLayer`).
 */
import { type RawBuilder, sql } from 'kysely';
import type { LayerId } from '../../../contract/ids.ts';
import type { Tx } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';

/** Somebody needs the layer that the query calls `l`, beside those layers that build on it. */
export const isNeededByOthers: RawBuilder<boolean> = sql<boolean>`(
  l.desired_captures <> '[]' or l.desired_backups <> '[]'
  or exists (select from volume v where v.layer_id = l.id and v.desired_presence = 'present')
  or exists (select from volume_snapshot s where s.layer_id = l.id and s.desired_presence = 'present')
  or exists (select from volume_layer c where c.former_parent_id = l.id and c.desired_presence = 'present')
  or exists (select from volume_layer c where c.desired_source ->> 'copy_of' = l.id::text and c.desired_presence = 'present')
  or exists (select from volume_replica r where r.volume_id = l.volume_id and l.id in (r.source_layer_id, r.layer_id,
    r.round_source_layer_id, r.round_layer_id, r.former_layer_id, r.copy_layer_id)))`;

const isNeeded: RawBuilder<boolean> = sql<boolean>`(${isNeededByOthers}
  or exists (select from volume_layer c where c.parent_id = l.id and c.desired_presence = 'present'))`;

/**
 * Makes those of the layers absent that nobody needs, and then what they built on, and so on down. Call it last in the transaction, after
 * the rows of volumes and snapshots that referred to them are changed or `absent`.
 * @returns those that go. Their rows follow when their host has said that nothing is left: then volumes and snapshots that are absent and
 *   referred to them have `layer_id` null and are woken (queue tasks `volume`, `volume_snapshot`).
 */
export async function releaseLayers(tx: Tx, layerIds: readonly string[]): Promise<LayerId[]> {
  const gone: LayerId[] = [];
  let ids = [...new Set(layerIds)];
  while (ids.length > 0) {
    const these = isOneOf(sql`l.id`, ids);
    // One round trip, but two statements: the look must not see the world as it was before the rows were ours.
    const [, { rows }] = await Promise.all([
      sql`select from volume_layer l where ${these} and desired_presence = 'present' order by l.id for no key update`.execute(
        tx,
      ),
      sql<{ id: LayerId; parents: string[] }>`
        update volume_layer l set desired_presence = 'absent', generation = generation + 1, updated_at = now()
        where ${these} and desired_presence = 'present' and not ${isNeeded}
        returning id, array_remove(array[parent_id, former_parent_id, (desired_source ->> 'copy_of')::uuid], null) as parents`.execute(
        tx,
      ),
    ]);
    gone.push(...rows.map(({ id }) => id));
    if (rows.length < ids.length) await markSpare(tx, ids);
    ids = [...new Set(rows.flatMap(({ parents }) => parents))];
  }
  return gone;
}

/** Those that are left only for what builds on them: they may be merged into that (shorten.ts). */
async function markSpare(tx: Tx, ids: readonly string[]): Promise<void> {
  await sql`with spare as (
      update volume_layer l set shorten_at = now()
      where ${isOneOf(sql`l.id`, ids)} and desired_presence = 'present' and read_only and shorten_at is null and not ${isNeededByOthers}
      returning id)
    select enqueue('volume_layer', id::text, now()) from spare`.execute(tx);
}
