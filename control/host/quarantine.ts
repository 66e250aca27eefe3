/** What hosts say they have and control does not account for: kept as they say it, and read. SQL, nothing else. */
import { sql } from 'kysely';
import {
  type DesiredLayer,
  type DesiredServer,
  type HostMessage,
  type ImageFormat,
  messageLimits,
} from '../../contract/host/index.ts';
import type { HostId, ImageId, LayerId, ServerId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../kit/database/database.ts';

/** In bytes. What a host has it was told, in one message: its own word makes nothing larger. */
const mostOfOneHost = messageLimits.controlBytes;

const measured = <Each extends { document: unknown }>(all: readonly Each[]): string =>
  JSON.stringify(all.map((each) => ({ ...each, bytes: Buffer.byteLength(JSON.stringify(each.document)) })));

/**
 * Safe to repeat. A host's word replaces what it said before; of servers that it names without saying more, that stays.
 * @param most for tests
 * @throws Error where it says more than it can have been told: nothing of this message is kept then
 */
export async function recordQuarantine(
  database: Database,
  hostId: HostId,
  message: HostMessage & { type: 'quarantine' },
  most = mostOfOneHost,
): Promise<void> {
  const { ids, servers, images } = message;
  await database.transaction(cloudActor, async (tx) => {
    await sql`delete from quarantined_server where host_id = ${hostId} and not server_id = any(${[...ids]}::uuid[])`.execute(
      tx,
    );
    await sql`
      insert into quarantined_server (host_id, server_id, reason, since, guest, way, document, bytes)
      select ${hostId}, q.id, q.reason, q.since, q.guest, q.way, nullif(q.document, 'null'), q.bytes
      from jsonb_to_recordset(${measured(servers)}::jsonb)
        as q(id uuid, reason text, since timestamptz, guest boolean, way text, document jsonb, bytes bigint)
      on conflict (host_id, server_id) do update set reason = excluded.reason, since = excluded.since,
        guest = excluded.guest, way = excluded.way, document = excluded.document, bytes = excluded.bytes`.execute(tx);
    await recordLayers(tx, hostId, message);
    await requireBounded(tx, hostId, most);
    await sql`delete from quarantined_image where host_id = ${hostId}`.execute(tx);
    await sql`
      insert into quarantined_image (host_id, image_id, format, size_bytes, virtual_size_bytes, sha256, md5)
      select ${hostId}, i.id, i.format, i."sizeBytes", i."virtualSizeBytes", i.sha256, i.md5
      from jsonb_to_recordset(${JSON.stringify(images)}::jsonb)
        as i(id uuid, format text, "sizeBytes" bigint, "virtualSizeBytes" bigint, sha256 text, md5 text)`.execute(tx);
  });
}

/** A host that does not tell of its layers is not asked about them. */
async function recordLayers(
  tx: Tx,
  hostId: HostId,
  { layerIds, layers }: HostMessage & { type: 'quarantine' },
): Promise<void> {
  if (!layerIds || !layers) return;
  await sql`delete from quarantined_layer where host_id = ${hostId} and not layer_id = any(${[...layerIds]}::uuid[])`.execute(
    tx,
  );
  await sql`
    insert into quarantined_layer (host_id, layer_id, reason, since, document, bytes)
    select ${hostId}, q.id, q.reason, q.since, q.document, q.bytes
    from jsonb_to_recordset(${measured(layers)}::jsonb) as q(id uuid, reason text, since timestamptz, document jsonb, bytes bigint)
    on conflict (host_id, layer_id) do update set reason = excluded.reason, since = excluded.since,
      document = excluded.document, bytes = excluded.bytes`.execute(tx);
}

async function requireBounded(tx: Tx, hostId: HostId, most: number): Promise<void> {
  const { rows } = await sql<{ bytes: number }>`
    select (coalesce((select sum(bytes) from quarantined_server where host_id = ${hostId}), 0)
      + coalesce((select sum(bytes) from quarantined_layer where host_id = ${hostId}), 0))::float8 as bytes`.execute(
    tx,
  );
  if (rows[0]!.bytes > most)
    throw new Error(`its quarantine has ${rows[0]!.bytes} bytes of documents, ${most} are kept`);
}

/** How much waits for an administrator: no document is read. */
export async function countQuarantine(db: Queryable): Promise<{ servers: number; volumes: number; images: number }> {
  const { rows } = await sql<{ servers: number; volumes: number; images: number }>`
    select (select count(*) from quarantined_server)::integer as servers,
      (select count(distinct document ->> 'volumeId') from quarantined_layer)::integer as volumes,
      (select count(*) from (${imageRows}) i)::integer as images`.execute(db);
  return rows[0]!;
}

/** What people are told of each; the documents stay where they are. */
export async function describeQuarantine(db: Queryable): Promise<{
  servers: (Omit<QuarantinedServerRow, 'document'> & { name: string | null; project_id: string | null })[];
  layers: (Omit<QuarantinedLayerRow, 'document'> & DescribedLayer)[];
  images: QuarantinedImageRow[];
}> {
  const [servers, layers, images] = await Promise.all([
    sql<Omit<QuarantinedServerRow, 'document'> & { name: string | null; project_id: string | null }>`
      select q.host_id, h.name as host_name, h.connected as host_connected, q.server_id, q.reason, q.since, q.guest, q.way,
        q.document ->> 'name' as name, q.document ->> 'projectId' as project_id
      from quarantined_server q join host h on h.id = q.host_id
      order by q.server_id, (q.document ->> 'epoch')::bigint desc nulls last, (q.document ->> 'generation')::bigint desc, q.host_id`.execute(
      db,
    ),
    sql<Omit<QuarantinedLayerRow, 'document'> & DescribedLayer>`
      select q.host_id, h.name as host_name, q.layer_id, q.reason, q.since, q.document ->> 'volumeId' as volume_id,
        (q.document ->> 'sizeBytes')::float8 as size_bytes, q.document ? 'encryption' as encrypted,
        q.document #>> '{record,volume,name}' as name, q.document #>> '{record,volume,projectId}' as project_id
      from quarantined_layer q join host h on h.id = q.host_id order by q.host_id, q.layer_id`.execute(db),
    quarantinedImages(db),
  ]);
  return { servers: servers.rows, layers: layers.rows, images };
}

export interface DescribedLayer {
  volume_id: string;
  size_bytes: number;
  encrypted: boolean;
  name: string | null;
  project_id: string | null;
}

export interface QuarantinedServerRow {
  host_id: HostId;
  host_name: string;
  host_connected: boolean;
  server_id: ServerId;
  reason: 'missing' | 'older' | 'unclaimed';
  since: Date;
  guest: boolean;
  /** As the host says (contract/host/quarantine.ts); null: all of it is there, or the host is older. */
  way: 'arriving' | 'left' | null;
  document: DesiredServer | null;
}

export interface QuarantinedLayerRow {
  host_id: HostId;
  host_name: string;
  layer_id: LayerId;
  reason: 'missing' | 'older';
  since: Date;
  document: DesiredLayer;
}

export interface QuarantinedImageRow {
  host_id: HostId;
  host_name: string;
  image_id: ImageId;
  format: ImageFormat;
  size_bytes: number;
  virtual_size_bytes: number | null;
  sha256: string;
  md5: string | null;
}

const serverRows = sql`select q.*, h.name as host_name, h.connected as host_connected
  from quarantined_server q join host h on h.id = q.host_id`;
const layerRows = sql`select q.*, h.name as host_name from quarantined_layer q join host h on h.id = q.host_id`;
const imageRows = sql`select q.*, h.name as host_name from quarantined_image q join host h on h.id = q.host_id
  where not exists (select from image_location l where l.image_id = q.image_id and l.host_id = q.host_id)`;

/** Of one server the host with the highest epoch first. */
export async function quarantinedServers(db: Queryable, ids?: readonly string[]): Promise<QuarantinedServerRow[]> {
  const named = ids ? sql`where q.server_id = any(${[...ids]}::uuid[])` : sql``;
  const { rows } = await sql<QuarantinedServerRow>`
    ${serverRows} ${named} order by q.server_id, (q.document ->> 'epoch')::bigint desc nulls last,
      (q.document ->> 'generation')::bigint desc, q.host_id`.execute(db);
  return rows;
}

export async function quarantinedLayers(db: Queryable): Promise<QuarantinedLayerRow[]> {
  const { rows } = await sql<QuarantinedLayerRow>`${layerRows} order by q.host_id, q.layer_id`.execute(db);
  return rows;
}

/** Uploads that a host has and no row says so; one that is being written has a row before it has bytes. */
export async function quarantinedImages(db: Queryable): Promise<QuarantinedImageRow[]> {
  const { rows } = await sql<QuarantinedImageRow>`${imageRows} order by q.image_id, q.host_id`.execute(db);
  return rows;
}

/** What the host says of it now, and can say nothing else of before the transaction ends; undefined: it is in quarantine no more. */
export async function lockQuarantinedServer(
  tx: Tx,
  { host_id, server_id }: QuarantinedServerRow,
): Promise<QuarantinedServerRow | undefined> {
  const { rows } = await sql<QuarantinedServerRow>`
    ${serverRows} where q.host_id = ${host_id} and q.server_id = ${server_id} for update of q`.execute(tx);
  return rows[0];
}

/** As {@link lockQuarantinedServer}, of some layers of one host: those that are in quarantine still. */
export async function lockQuarantinedLayers(
  tx: Tx,
  hostId: HostId,
  ids: readonly LayerId[],
): Promise<QuarantinedLayerRow[]> {
  const { rows } = await sql<QuarantinedLayerRow>`
    ${layerRows} where q.host_id = ${hostId} and q.layer_id = any(${[...ids]}::uuid[]) order by q.layer_id for update of q`.execute(
    tx,
  );
  return rows;
}

/** As {@link lockQuarantinedServer}. */
export async function lockQuarantinedImage(
  tx: Tx,
  { host_id, image_id }: QuarantinedImageRow,
): Promise<QuarantinedImageRow | undefined> {
  const { rows } = await sql<QuarantinedImageRow>`
    ${imageRows} and q.host_id = ${host_id} and q.image_id = ${image_id} for update of q`.execute(tx);
  return rows[0];
}
