/** What pools hold, for those who run the cloud: read when asked, from all layers. */
import { type RawBuilder, sql } from 'kysely';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { hostExportsSql } from './capabilities.ts';
import { roomOf } from './choose.ts';
import { basesOf, layerHolders } from './holders.ts';
import { iopsOf, type VolumesOfKind, volumesOfPool } from './iops.ts';
import type { StoragePoolRow } from './tables.ts';

export interface PoolFigures
  extends Pick<
    StoragePoolRow,
    | ('id' | 'host_id' | 'name' | 'tier' | 'kind' | 'total_bytes' | 'free_bytes' | 'problem' | 'disabled')
    | ('disabled_reason' | 'over_subscription' | 'reserved_percentage' | 'declared' | 'source' | 'iops_per_volume')
    | ('iops' | 'iops_over_subscription' | 'created_at' | 'updated_at')
  > {
  host_name: string;
  host_enabled: boolean;
  connected: boolean;
  availability_zone: string;
  exports: boolean;
  /** How many volumes are in it, and how large they are together. */
  volumes: number;
  volume_gib: number;
  /** The full size of all that may still grow; Cinder's provisioned capacity. */
  promised_bytes: number;
  /** Reads and writes a second that the types of its volumes promise. */
  promised_iops: number;
  /** What may still be promised. */
  room_bytes: number;
  /** What the files of layers take that are of one volume or snapshot alone, of several, of none any more: all that they take, each layer once. */
  own_bytes: number;
  shared_bytes: number;
  reclaimable_bytes: number;
}

/** Of all: from who holds layers down to what they stand on. */
const chainsOfAll = sql`chains (holder, layer_id) as (
      select holder, layer_id from (${layerHolders((layerId) => sql`${layerId} is not null`)}) held
      union select holder, base.id from chains join volume_layer l on l.id = chains.layer_id, ${basesOf(sql`l`)})`;
const usesOfAll = sql`select layer_id, count(*) as holders from chains group by layer_id`;

/** Of one pool's: from these up to who holds what stands on them. One by one, since all others are many. */
const aboveSome = sql`above (layer_id, id) as (
      select id, id from layers
      union select above.layer_id, l.id from above, lateral (
        select id from volume_layer where parent_id = above.id
        union all select id from volume_layer where former_parent_id = above.id offset 0) l)`;
const usesOfSome = sql`select above.layer_id, count(distinct held.holder) as holders
      from above, lateral (${layerHolders((layerId) => sql`${layerId} = above.id`)}) held group by above.layer_id`;

/** Of all pools, or of some: those of all take a second for each fifty thousand volumes. */
export async function poolFigures(db: Queryable, ids: readonly string[] | null = null): Promise<PoolFigures[]> {
  const inPools = (of: RawBuilder<unknown>) => (ids === null ? sql`${of} is not null` : isOneOf(of, ids));
  const { rows } = await sql<Omit<PoolFigures, 'room_bytes' | 'promised_iops'> & { kinds: VolumesOfKind[] | null }>`
    with recursive ${ids === null ? chainsOfAll : aboveSome},
    pools as (select * from storage_pool where ${inPools(sql`id`)}),
    layers as (select l.* from volume_layer l where ${inPools(sql`l.pool_id`)}),
    uses as (${ids === null ? usesOfAll : usesOfSome}),
    taken as (
      select pool_id,
        coalesce(sum(observed_allocated_bytes) filter (where desired_presence = 'present' and coalesce(holders, 1) = 1), 0)::float8 as own_bytes,
        coalesce(sum(observed_allocated_bytes) filter (where desired_presence = 'present' and holders > 1), 0)::float8 as shared_bytes,
        coalesce(sum(observed_allocated_bytes) filter (where desired_presence = 'absent'), 0)::float8 as reclaimable_bytes
      from layers left join uses on uses.layer_id = layers.id group by pool_id),
    made as (select pool_id, count(*)::integer as volumes, sum(size_gib)::float8 as volume_gib
      from volume where desired_presence = 'present' and ${inPools(sql`pool_id`)} group by pool_id)
    select p.id, p.host_id, p.name, p.tier, p.kind, p.total_bytes, p.free_bytes, p.problem, p.disabled, p.disabled_reason,
      p.over_subscription, p.reserved_percentage, p.declared, p.source, p.iops_per_volume, p.iops, p.iops_over_subscription, ${volumesOfPool(sql`p.id`)} as kinds, p.created_at, p.updated_at, h.name as host_name, h.enabled as host_enabled, h.connected,
      h.availability_zone, ${hostExportsSql} as exports, coalesce(made.volumes, 0) as volumes, coalesce(made.volume_gib, 0) as volume_gib,
      coalesce(u.promised_bytes, 0)::float8 as promised_bytes, coalesce(t.own_bytes, 0) as own_bytes,
      coalesce(t.shared_bytes, 0) as shared_bytes, coalesce(t.reclaimable_bytes, 0) as reclaimable_bytes
    from pools p join host h on h.id = p.host_id left join storage_pool_usage u on u.pool_id = p.id
      left join taken t on t.pool_id = p.id left join made on made.pool_id = p.id
    order by h.name, p.name`.execute(db);
  return rows.map(({ kinds, ...row }) => ({ ...row, room_bytes: roomOf(row).room, promised_iops: iopsOf(kinds) }));
}
