/**
 * What a host shall have: the desired state of many servers in two queries. A pure reading of the tables; the host
 * stream compares it with what it sent last.
 */
import { type RawBuilder, sql } from 'kysely';
import { type DesiredServer, imageLimits } from '../../../contract/host/index.ts';
import type { HostId, ImageId, ProjectId, ServerId } from '../../../contract/ids.ts';
import type { Queryable } from '../../kit/database/database.ts';
import type { ServerPorts } from './dependencies.ts';
import type { KeySnapshot, ServerImage } from './server.ts';
import type { Power, ServerRescue } from './states.ts';

interface Row {
  id: ServerId;
  project_id: ProjectId;
  user_id: string;
  epoch: number;
  generation: number;
  desired_presence: 'present' | 'absent';
  desired_power: Power;
  desired_rescue: ServerRescue | null;
  rescue_sources: string[] | null;
  desired_reboot_count: number;
  desired_reboot_type: 'soft' | 'hard';
  name: string;
  hostname: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  image_id: ImageId | null;
  image: ServerImage | null;
  /** Null when this host holds the bytes itself. */
  image_sources: string[] | null;
  config_drive: boolean;
  zone: string;
  keys: KeySnapshot[];
  user_data: string | null;
  admin_password: string | null;
  metadata: Record<string, string>;
  launch_index: number;
  created_at: Date;
}

/** Servers that were given to a host: all of one host's, or those named (unplaced ones are left out). */
export async function desiredServers(
  deps: { ports: Pick<ServerPorts, 'desiredPorts'> },
  db: Queryable,
  which: { hostId: HostId } | { serverIds: readonly ServerId[] },
): Promise<DesiredServer[]> {
  const filter =
    'hostId' in which ? sql`s.host_id = ${which.hostId}::uuid` : sql`s.id = any(${[...which.serverIds]}::uuid[])`;
  const portsOf = (ids: readonly ServerId[]) => deps.ports.desiredPorts(db, ids);
  // What changes between the two reads wakes whoever reads again.
  const beside = 'serverIds' in which ? portsOf(which.serverIds) : undefined;
  beside?.catch(() => {});
  const { rows } = await sql<Row>`
    select s.id, s.project_id, s.user_id, s.epoch, s.generation, s.desired_presence, s.desired_power,
      s.desired_reboot_count, s.desired_reboot_type, s.desired_rescue, s.name, s.hostname, s.vcpus, s.memory_mib, s.disk_gib, s.image_id,
      s.image, s.config_drive, h.availability_zone as zone, s.keys, d.user_data, a.password as admin_password, s.metadata, s.launch_index, s.created_at,
      ${sourcesOf(sql`s.image_id`)} as image_sources,
      case when s.desired_rescue is not null then ${sourcesOf(sql`(s.desired_rescue ->> 'image_id')::uuid`)} end as rescue_sources
    from server s join host h on h.id = s.host_id left join server_user_data d on d.server_id = s.id
      left join server_admin_password a on a.server_id = s.id
    where ${filter} order by s.id`.execute(db);
  if (rows.length === 0) return [];
  const ports = await (beside ?? portsOf(rows.map((row) => row.id)));
  return rows.map((row) => ({
    id: row.id,
    projectId: row.project_id,
    userId: row.user_id,
    epoch: row.epoch,
    generation: row.generation,
    presence: row.desired_presence,
    power: row.desired_power,
    reboot: { count: row.desired_reboot_count, type: row.desired_reboot_type },
    name: row.name,
    hostname: row.hostname,
    vcpus: row.vcpus,
    memoryMiB: row.memory_mib,
    diskGiB: row.disk_gib,
    image: imageOf(row.image_id, row.image, row.image_sources),
    rescue: rescueOf(row),
    ports: ports.get(row.id) ?? [],
    configDrive: row.config_drive,
    availabilityZone: row.zone,
    keys: row.keys.flatMap((key) =>
      key.type === 'ssh' ? [{ name: key.name, publicKey: key.public_key, type: 'ssh' as const }] : [],
    ),
    userData: row.user_data,
    ...(row.admin_password !== null && { adminPassword: row.admin_password }),
    metadata: row.metadata,
    launchIndex: row.launch_index,
    createdAt: row.created_at.toISOString(),
  }));
}

/** The hosts that have an image's bytes, those first that are there; null where this host holds them itself. */
const sourcesOf = (imageId: RawBuilder<unknown>): RawBuilder<unknown> => sql`(
  case when exists (select from image_location l where l.image_id = ${imageId} and l.host_id = s.host_id) then null
    else (select json_agg(o.facts ->> 'url' order by o.connected desc, o.id)
      from image_location l join host o on o.id = l.host_id
      where l.image_id = ${imageId} and o.facts ->> 'url' <> '') end)`;

function imageOf(id: string | null, image: ServerImage | null, sources: string[] | null): DesiredServer['image'] {
  if (id === null || image === null) return null;
  return {
    id: id as ImageId,
    format: image.format,
    sizeBytes: image.size_bytes,
    sha256: image.sha256,
    sources: (sources ?? []).slice(0, imageLimits.sources),
  };
}

function rescueOf({ desired_rescue: rescue, rescue_sources: sources }: Row): DesiredServer['rescue'] {
  const image = rescue && imageOf(rescue.image_id, rescue.image, sources);
  return image ? { count: rescue.count, image } : null;
}
