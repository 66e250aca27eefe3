/**
 * What hosts shall have of layers: documents of many in one query, and their stamps, by the rule of control/compute/server/desired.ts. A
 * pure reading of the tables.
 */
import { hash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import {
  absentLayer,
  type DesiredLayer,
  desiredLayer,
  imageLimits,
  type LayerEncryption,
  type LayerRecord,
  layerLimits,
} from '../../../contract/host/index.ts';
import type { BackupId, HostId, ImageId, LayerId, VolumeId, VolumeKeyId } from '../../../contract/ids.ts';
import { endpointUrl, type LayerFilter, type LayerStamp, type OwnedLayer } from '../../host/index.ts';
import { imageSources, laterDigest, sourceOrders } from '../../image/index.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import { type ExportRow, exportDocument, exportDocumentSql } from '../export/index.ts';
import type { AnySource, LayerBackup, LayerCapture, LayerImage } from './tables.ts';

interface Row {
  host_id: HostId;
  id: LayerId;
  volume_id: VolumeId;
  epoch: number;
  generation: number;
  desired_presence: 'present' | 'absent';
  pool: string;
  size_bytes: number;
  parent_id: LayerId | null;
  image_id: ImageId | null;
  image: LayerImage | null;
  image_sha256: string | null;
  cache_role: 'base' | 'writes' | null;
  full_bytes: number | null;
  /** Where what its guest reads from below it stays, if not in itself. */
  reads_pool: string | null;
  reads_bytes: number | null;
  sinks: boolean;
  watched: boolean;
  moment: string | null;
  key_id: VolumeKeyId | null;
  cipher: LayerEncryption['cipher'] | null;
  key_size_bits: LayerEncryption['keySizeBits'] | null;
  read_only: boolean;
  desired_source: AnySource | null;
  /** Where the layer is that it is a copy of. */
  copy_host: string | null;
  copy_host_id: HostId | null;
  copy_for_replica: boolean | null;
  copy_is_whole: boolean | null;
  /** Hosts that take a copy of it. */
  copied_by: HostId[] | null;
  desired_captures: LayerCapture[];
  desired_backups: LayerBackup[];
  record: LayerRecord | null;
  outside: ExportRow | null;
  /** A guest of another host writes to it with this key. */
  receives_key: string | null;
  stamp: string;
  /** Null when this host holds the bytes itself. */
  image_sources: string[] | null;
  /** One that has the image all the same. */
  base_host: string | null;
}

/** Another form of documents has other stamps. */
const form = hash('sha1', JSON.stringify(desiredLayer)).slice(0, 8);

/** See layerRecord in contract/host/layer.ts. Null: nobody's. */
const record = sql`nullif(jsonb_strip_nulls(jsonb_build_object(
  'volume', (select jsonb_build_object('id', v.id, 'projectId', v.project_id, 'userId', v.user_id, 'name', v.name, 'typeName', t.name,
      'bootable', v.bootable, 'cache', case when c.id is not null then jsonb_build_object('pool', c.name, 'bytes', v.cache_bytes, 'policy', v.cache_policy) end)
    from volume v join volume_type t on t.id = v.volume_type_id left join storage_pool c on c.id = v.cache_pool_id
    where v.layer_id = l.id and v.desired_presence = 'present' limit 1),
  'snapshots', (select jsonb_agg(jsonb_build_object('id', s.id, 'volumeId', s.volume_id, 'projectId', s.project_id, 'userId', s.user_id,
      'name', s.name) order by s.id)
    from (select * from volume_snapshot s where s.layer_id = l.id and s.desired_presence = 'present' order by s.id
      limit ${layerLimits.recordedSnapshots}) s))), '{}')`;

const copyHost = sql`case when l.desired_source ? 'copy_of' then (select nullif(${endpointUrl('o')}, '') from volume_layer c join host o on o.id = c.host_id
  where c.id = (l.desired_source ->> 'copy_of')::uuid) end`;

const copyHostId = sql`case when l.desired_source ? 'copy_of' then (select c.host_id from volume_layer c
  where c.id = (l.desired_source ->> 'copy_of')::uuid) end`;

/**
 * Where the volume of a layer lies that is being made on another host, on an image: what the volume's chain builds on is there, also where the image was deleted
 * since, and no host is said to hold it.
 */
const baseHost = sql`case when l.image_id is not null and l.observed_state is distinct from 'ready' then (select nullif(${endpointUrl('o')}, '')
  from volume v join host o on o.id = v.host_id where v.id = l.volume_id and v.host_id <> l.host_id) end`;

const copyForReplica = sql`case when l.desired_source ? 'copy_of' then exists (select from volume_replica r
  where r.volume_id = l.volume_id and l.pool_id in (r.pool_id, r.round_pool_id)) end`;

const copyIsWhole = sql`case when l.desired_source ? 'copy_of' then exists (select from volume_replica r
  where r.volume_id = l.volume_id and r.round_full and l.pool_id = coalesce(r.round_pool_id, r.pool_id)) end`;

const copiedBy = sql`case when l.read_only then (select jsonb_agg(distinct c.host_id) from volume_layer c
  where c.desired_source ->> 'copy_of' = l.id::text and c.desired_presence = 'present') end`;

/** The top of a volume with a replica: a round is due only when something was written. */
const isWatched = sql`(not l.read_only and exists (select from volume_replica r where r.volume_id = l.volume_id and r.copy_layer_id is distinct from l.id))`;

/** Of a second copy that takes writes (../replication/second-copy.ts). */
const receivesKey = sql`case when not l.read_only then (select k.key from volume_replica r join volume_replica_key k on k.volume_id = r.volume_id
  where r.volume_id = l.volume_id and r.copy_layer_id = l.id) end`;

/** All that documents are made from but an image's hosts. */
const facts = ({
  hostIds,
  layerIds,
}: {
  hostIds?: readonly HostId[] | undefined;
  layerIds?: readonly LayerId[] | undefined;
}) => sql`
  from (select l.host_id, l.id, l.volume_id, l.epoch, l.generation, l.desired_presence, p.name as pool, l.size_bytes, l.parent_id,
      l.image_id, l.image, ${laterDigest(sql`l.image`, sql`l.image_id`)} as image_sha256, l.read_only, l.cache_role, l.full_bytes, l.sinks, l.moment, ${isWatched} as watched, l.desired_source,
      l.desired_captures, l.desired_backups, l.key_id, k.cipher, k.key_size_bits, f.name as reads_pool, v.cache_bytes as reads_bytes,
      ${baseHost} as base_host, ${copyHost} as copy_host, ${copyHostId} as copy_host_id, ${copyForReplica} as copy_for_replica, ${copyIsWhole} as copy_is_whole, ${copiedBy} as copied_by, ${record} as record, ${exportDocumentSql} as outside, ${receivesKey} as receives_key
    from volume_layer l join storage_pool p on p.id = l.pool_id
      left join volume_key k on k.id = l.key_id
      -- One by one, for the few that have a cache: else all volumes are read, to be held against the layers.
      left join lateral (select cache_pool_id, cache_bytes from volume w
        where l.cache_role = 'writes' and w.id = l.volume_id and w.cache_policy = 'write-through' offset 0) v on true
      left join storage_pool f on f.id = v.cache_pool_id
    where ${hostIds === undefined ? sql`true` : isOneOf(sql`l.host_id`, hostIds)}
      and ${layerIds === undefined ? sql`true` : isOneOf(sql`l.id`, layerIds)}) l`;

const sources = (order: RawBuilder<unknown>) =>
  sql`case when l.image_id is not null then ${imageSources(sql`l.image_id`, sql`l.host_id`, order)} end`;

/** Of one that shall not be, nothing else is told. */
const stamp = sql<string>`left(md5(case when l.desired_presence = 'absent' then concat_ws(' ', l.id, l.epoch, l.generation, 'absent')
  else ${form}::text || l::text || coalesce(${sources(sourceOrders.byId)}::text, '-') end), 16)`;

export async function desiredLayers(db: Queryable, which: LayerFilter): Promise<OwnedLayer[]> {
  const { rows } = await sql<Row>`
    select l.*, ${stamp} as stamp, ${sources(sourceOrders.nearestFirst)} as image_sources ${facts({ hostIds: which.hostId && [which.hostId], layerIds: which.layerIds })} order by l.id`.execute(
    db,
  );
  return rows.map((row) => ({ hostId: row.host_id, layer: documentOf(row) }));
}

export async function layerStamps(
  db: Queryable,
  hostIds: readonly HostId[],
): Promise<ReadonlyMap<HostId, LayerStamp[]>> {
  // One value: a hundred thousand rows would cost their reader more than the database.
  const { rows } = await sql<{ all: ({ hostId: HostId } & LayerStamp)[] }>`
    select coalesce(json_agg(json_build_object('hostId', l.host_id, 'id', l.id, 'epoch', l.epoch, 'generation', l.generation,
      'stamp', ${stamp}) order by l.id), '[]') as all ${facts({ hostIds })}`.execute(db);
  const byHost = new Map<HostId, LayerStamp[]>(hostIds.map((hostId) => [hostId, []]));
  for (const { hostId, ...layer } of rows[0]!.all) byHost.get(hostId)!.push(layer);
  return byHost;
}

function documentOf(row: Row): DesiredLayer {
  const { id, epoch, generation, stamp } = row;
  if (row.desired_presence === 'absent') return { ...absentLayer({ id, epoch, generation }), stamp };
  return {
    ...{ id, volumeId: row.volume_id, epoch, generation, presence: 'present' },
    ...{ pool: row.pool, sizeBytes: row.size_bytes, parentId: row.parent_id, image: imageOf(row) },
    ...(row.image?.encryption && { imageEncryption: row.image.encryption }),
    ...encryptionOf(row),
    ...(row.desired_source && sourceOf(row.desired_source, row)),
    ...(row.copied_by && { copiedBy: row.copied_by.slice(0, layerLimits.copies) }),
    ...(row.cache_role && { cache: cacheOf(row, row.cache_role) }),
    ...(row.sinks && { sinks: true }),
    ...(row.watched && { watched: true }),
    ...(row.moment && { moment: row.moment }),
    ...(row.outside && { export: exportDocument(row.outside) }),
    ...(row.receives_key && { receives: { key: row.receives_key } }),
    readOnly: row.read_only,
    ...(row.desired_captures.length > 0 && { captures: row.desired_captures.map(captureOf) }),
    ...(row.desired_backups.length > 0 && { backups: row.desired_backups.map(backupOf) }),
    ...(row.record && { record: row.record }),
    stamp,
  };
}

function imageOf({ image_id: id, image, image_sha256, image_sources, base_host }: Row): DesiredLayer['image'] {
  if (id === null || image === null) return null;
  const { format, size_bytes: sizeBytes, sha256 } = image;
  const all = new Set([...(image_sources ?? []), ...(base_host === null ? [] : [base_host])]);
  const hosts = [...all].slice(0, imageLimits.sources);
  return { id, format, sizeBytes, sha256: sha256 ?? image_sha256, sources: hosts };
}

const cacheOf = ({ full_bytes: fullBytes, reads_pool: pool, reads_bytes: bytes }: Row, role: 'base' | 'writes') => ({
  ...{ role, fullBytes },
  ...(pool !== null && bytes !== null && { reads: { pool, bytes } }),
});

const encryptionOf = ({ key_id: keyId, cipher, key_size_bits: keySizeBits }: Row): Pick<DesiredLayer, 'encryption'> =>
  keyId && cipher && keySizeBits ? { encryption: { keyId, cipher, keySizeBits } } : {};

/** A host that has told no address, or is there no more, is asked in vain: an empty layer would pass for a copy. */
const nowhere = 'https://0.0.0.0:1';

function sourceOf(source: AnySource, row: Row): Pick<DesiredLayer, 'source' | 'managed' | 'copyOf'> {
  if ('copy_of' in source) {
    const { copy_host: host, copy_host_id: hostId, copy_for_replica: replica, copy_is_whole: whole } = row;
    const copyOf = { layerId: source.copy_of as LayerId, host: host ?? nowhere };
    return { copyOf: { ...copyOf, ...(hostId && { hostId }), ...(replica && { replica }), ...(whole && { whole }) } };
  }
  if ('managed' in source) return { managed: { name: source.managed } };
  const { backup_id, name, sha256, encrypted } = source;
  return { source: { backupId: backup_id as BackupId, name, sha256, ...(encrypted && { encrypted }) } };
}
const captureOf = ({ image_id, format, encryption }: LayerCapture) => ({
  ...{ imageId: image_id as ImageId, format },
  ...(encryption && { encryption }),
});
const backupOf = ({ id, name, parent_name: parentName, managed }: LayerBackup) => ({
  ...{ id: id as BackupId, name, parentName },
  ...(managed && { managed }),
});
