/**
 * What a volume takes on its host's disk, by who else needs it: of the volume alone (its deletion gives that back), of its snapshots, shared
 * with other volumes (clones, what it was cloned from) and their snapshots, or of nobody any more. In bytes that its host has seen allocated, some
 * time ago. An image that it builds on is no layer, and counts nowhere. Costs as much as the tree of what it shares layers with is large.
 */
import { sql } from 'kysely';
import type { Caller } from '../../kit/caller.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { basesOf, layerHolders } from '../pool/index.ts';
import { findVolume, reachOf } from './store.ts';
import { gibBytes } from './volume.ts';

export interface VolumeSpace {
  /** That its guest sees. */
  size_bytes: number;
  own_bytes: number;
  /** Of the part that is its own: in layers that nobody needs but the one on them. Some of it comes back when they are merged. */
  mergeable_bytes: number;
  snapshot_bytes: number;
  shared_bytes: number;
  reclaimable_bytes: number;
}

/** @throws CloudError `not_found`, also for a volume that is hidden from the caller */
export async function volumeSpace(db: Queryable, caller: Caller, volumeId: string): Promise<VolumeSpace> {
  const { id, size_gib } = await findVolume(db, reachOf(caller), volumeId);
  return { size_bytes: size_gib * gibBytes, ...(await readSpace(db, id)) };
}

/** Of a volume by its id, whoever may see it. */
export async function readSpace(db: Queryable, id: string): Promise<Omit<VolumeSpace, 'size_bytes'>> {
  const bytes = sql`l.observed_allocated_bytes`;
  // One by one: a chain is short, but how short PostgreSQL can not know, and reads all layers where it may.
  const layerOf = (name: string) => sql`lateral (select * from volume_layer where id = ${sql.ref(name)}.id offset 0) l`;
  const down = (name: string) =>
    sql`select base.id from ${sql.ref(name)} as above, ${layerOf('above')}, ${basesOf(sql`l`)}`;
  const { rows } = await sql<Omit<VolumeSpace, 'size_bytes'>>`
    with recursive
    snapshots (layer_id) as (
      select layer_id from volume_snapshot where volume_id = ${id}::uuid and desired_presence = 'present' and layer_id is not null),
    tops (id) as (
      select unnest(array_remove(array[layer_id, (desired_task #>> '{into,layer_id}')::uuid], null)) from volume where id = ${id}::uuid),
    own (id) as (select id from tops union ${down('own')}),
    kept (id) as (select layer_id from snapshots union ${down('kept')}),
    mine (id) as (select id from own union select id from kept),
    tree (id) as (
      select id from mine
      union select above.id from tree, lateral (
        select id from volume_layer where parent_id = tree.id
        union all select id from volume_layer where former_parent_id = tree.id) above),
    others (id) as (
      select tree.id from tree, lateral (${layerHolders((layerId) => sql`${layerId} = tree.id`)}) held where held.of_volume <> ${id}::uuid
      union ${down('others')}),
    taken as (
      select ${bytes} as bytes, l.read_only and l.id not in (select id from tops) as merges,
        l.id in (select id from others) as shared, l.id in (select id from kept) as kept
      from mine, ${layerOf('mine')})
    select
      coalesce(sum(bytes) filter (where not shared and not kept), 0)::float8 as own_bytes,
      coalesce(sum(bytes) filter (where not shared and not kept and merges), 0)::float8 as mergeable_bytes,
      coalesce(sum(bytes) filter (where not shared and kept), 0)::float8 as snapshot_bytes,
      coalesce(sum(bytes) filter (where shared), 0)::float8 as shared_bytes,
      (select coalesce(sum(${bytes}), 0)::float8 from volume_layer l
        where l.volume_id = ${id}::uuid and l.desired_presence = 'absent') as reclaimable_bytes
    from taken`.execute(db);
  return rows[0]!;
}
