/** What hosts say they have and control does not account for: kept as they say it, and read. SQL, nothing else. */
import { sql } from 'kysely';
import type { DesiredLayer, DesiredServer, HostMessage, ImageFormat } from '../../contract/host/index.ts';
import type { HostId, ImageId, LayerId, ServerId } from '../../contract/ids.ts';
import { cloudActor, type Database, type Queryable, type Tx } from '../kit/database/database.ts';

/** Safe to repeat. A host's word replaces what it said before; of servers that it names without saying more, that stays. */
export async function recordQuarantine(
  database: Database,
  hostId: HostId,
  message: HostMessage & { type: 'quarantine' },
): Promise<void> {
  const { ids, servers, images } = message;
  await database.transaction(cloudActor, async (tx) => {
    await sql`delete from quarantined_server where host_id = ${hostId} and not server_id = any(${[...ids]}::uuid[])`.execute(
      tx,
    );
    await sql`
      insert into quarantined_server (host_id, server_id, reason, since, guest, document)
      select ${hostId}, q.id, q.reason, q.since, q.guest, nullif(q.document, 'null')
      from jsonb_to_recordset(${JSON.stringify(servers)}::jsonb)
        as q(id uuid, reason text, since timestamptz, guest boolean, document jsonb)
      on conflict (host_id, server_id) do update set reason = excluded.reason, since = excluded.since,
        guest = excluded.guest, document = excluded.document`.execute(tx);
    await recordLayers(tx, hostId, message);
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
    insert into quarantined_layer (host_id, layer_id, reason, since, document)
    select ${hostId}, q.id, q.reason, q.since, q.document
    from jsonb_to_recordset(${JSON.stringify(layers)}::jsonb) as q(id uuid, reason text, since timestamptz, document jsonb)
    on conflict (host_id, layer_id) do update set reason = excluded.reason, since = excluded.since,
      document = excluded.document`.execute(tx);
}

export interface QuarantinedServerRow {
  host_id: HostId;
  host_name: string;
  host_connected: boolean;
  server_id: ServerId;
  reason: 'missing' | 'older' | 'unclaimed';
  since: Date;
  guest: boolean;
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
