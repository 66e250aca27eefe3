/**
 * What a host shall have: the desired state of many servers in two queries. A pure reading of the tables; the host
 * stream compares it with what it sent last.
 *
 * A document's stamp is a digest of all that it is made from, taken by the database, so that hosts and streams compare without anybody
 * reading documents. What is added to documents must be in it (desired.db.test.ts holds that). Not in it: which of an image's hosts
 * are there at the moment, which says only whom to ask first.
 */
import { hash } from 'node:crypto';
import { type RawBuilder, sql } from 'kysely';
import {
  type DesiredLocalDisk,
  type DesiredServer,
  desiredServer,
  imageLimits,
  type PinnedMachine,
} from '../../../contract/host/index.ts';
import { serverLimits } from '../../../contract/host/limits.ts';
import type { HostId, ImageId, ProjectId, ServerId } from '../../../contract/ids.ts';
import type { ServerFilter, ServerStamp } from '../../host/index.ts';
import { imageSources, laterDigest, sourceOrders } from '../../image/index.ts';
import type { Queryable } from '../../kit/database/database.ts';
import { isOneOf } from '../../kit/database/one-of.ts';
import type { DesiredPorts } from '../../network/port/server-views.ts';
import { type DesiredVolumeRow, volumeDocument } from '../../storage/attachment/index.ts';
import { hardwareDocument, type ServerHardware } from '../hardware/index.ts';
import type { ServerPorts } from './dependencies.ts';
import { type DocumentOf, otherDocument, ownerDocument } from './document-of.ts';
import type { InjectedFile } from './personality.ts';
import type { EvacuationPolicy, KeySnapshot, LocalDisk, ServerImage, ServerMachine, ServerRoot } from './snapshots.ts';
import type { Power, ServerRescue, ServerResize } from './states.ts';

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
  desired_root_count: number;
  capture: ImageId | null;
  desired_resize: Pick<ServerResize, 'count' | 'state'> | null;
  on_lease_end: EvacuationPolicy['on_lease_end'] | null;
  restart: EvacuationPolicy['restart'] | null;
  desired_reboot_count: number;
  desired_reboot_type: 'soft' | 'hard';
  name: string;
  hostname: string;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  local_disks: LocalDisk[];
  root_tag: string | null;
  volumes: DesiredVolumeRow[] | null;
  image_id: ImageId | null;
  image: ServerImage | null;
  image_sha256: string | null;
  rescue_sha256: string | null;
  desired_root: ServerRoot | null;
  /** Null when this host holds the bytes itself. */
  image_sources: string[] | null;
  /** That of the host from which it comes, which has the image all the same: also one that was deleted, and that no host is said to hold. */
  base_host: string | null;
  config_drive: boolean;
  zone: string;
  keys: KeySnapshot[];
  user_data: string | null;
  files: InjectedFile[] | null;
  admin_password: string | null;
  metadata: Record<string, string>;
  guest_password: string | null;
  guest_password_cleared: number;
  launch_index: number;
  reservation_id: string;
  flavor_name: string;
  boot_roles: string[] | null;
  hardware: ServerHardware;
  machine: ServerMachine | null;
  created_at: Date;
  incoming: DesiredServer['incoming'] | null;
  outgoing: DesiredServer['outgoing'] | null;
}

/** Another form of documents has other stamps. */
const form = hash('sha1', JSON.stringify(desiredServer)).slice(0, 8);

/** No join: each multiplies the guess of an unvisited table's rows, and PostgreSQL 15 would compile the statement, for seconds. */
const personality = sql`(select files from server_personality where server_id = s.id)`;

const rescueImage = sql`(s.desired_rescue ->> 'image_id')::uuid`;
const bootImage = sql`coalesce((s.desired_root ->> 'image_id')::uuid, s.image_id)`;

/**
 * Of servers that were given to a host, all that documents are made from but ports and an image's hosts.
 * @param of the owner's documents, or those of the hosts beside them that take part in a migration
 */
const facts = (
  { hostIds, serverIds }: { hostIds?: readonly HostId[] | undefined; serverIds?: readonly ServerId[] | undefined },
  of: DocumentOf,
) => sql`
  from (select ${of.columns}, s.id, s.project_id, s.user_id, s.generation,
      s.evacuation_policy ->> 'on_lease_end' as on_lease_end, s.evacuation_policy ->> 'restart' as restart, s.desired_reboot_count, s.desired_reboot_type, s.desired_rescue, s.desired_root_count,
      (select i.id from image i where i.id = (s.desired_capture ->> 'image_id')::uuid and i.desired_presence = 'present'
        and s.desired_presence = 'present') as capture, s.name, s.hostname, s.root_tag, s.image_id,
      s.image, s.desired_root, ${laterDigest(sql`coalesce(s.desired_root -> 'image', s.image)`, bootImage)} as image_sha256,
      ${laterDigest(sql`s.desired_rescue -> 'image'`, rescueImage)} as rescue_sha256, s.config_drive, h.availability_zone as zone, s.keys, d.user_data, ${personality} as files, ${of.volumes} as volumes, a.password as admin_password,
      s.metadata, s.guest_password, s.guest_password_cleared, s.launch_index, s.reservation_id, s.boot_roles, s.machine, s.created_at
    from ${of.tables} join host h on h.id = ${of.hostId} left join server_user_data d on d.server_id = s.id
      left join server_admin_password a on a.server_id = s.id
    where ${hostIds === undefined ? sql`true` : isOneOf(of.hostId, hostIds)}
      and ${serverIds === undefined ? sql`true` : isOneOf(sql`s.id`, serverIds)}) s`;

const { nearestFirst, byId } = sourceOrders;
const sourcesOf = (imageId: RawBuilder<unknown>, order: RawBuilder<unknown>) =>
  imageSources(imageId, sql`s.host_id`, order);

const ownStamp = sql<string>`left(md5(${form}::text || s::text || coalesce(${sourcesOf(bootImage, byId)}::text, '-') ||
  case when s.desired_rescue is not null then coalesce(${sourcesOf(rescueImage, byId)}::text, '-') else '' end), 16)`;

/** Complete documents of servers that were given to a host; unplaced ones are left out. */
export async function desiredServers(
  deps: { ports: Pick<ServerPorts, 'desiredPorts'> },
  db: Queryable,
  which: ServerFilter,
): Promise<DesiredServer[]> {
  const portsOf = (ids: readonly ServerId[]) => deps.ports.desiredPorts(db, ids);
  // What changes between the two reads wakes whoever reads again.
  const beside = which.serverIds && portsOf(which.serverIds);
  beside?.catch(() => {});
  const read = (of: DocumentOf) =>
    sql<Row & { own_stamp: string }>`
    select s.*, ${ownStamp} as own_stamp, ${sourcesOf(bootImage, nearestFirst)} as image_sources,
      case when s.desired_rescue is not null then ${sourcesOf(rescueImage, nearestFirst)} end as rescue_sources
    ${facts({ hostIds: which.hostId && [which.hostId], serverIds: which.serverIds }, of)} order by s.id`.execute(db);
  const rows = (await Promise.all([read(ownerDocument), read(otherDocument)])).flatMap((found) => found.rows);
  if (rows.length === 0) return [];
  const ports = await (beside ?? portsOf(rows.map((row) => row.id)));
  return rows.map((row) => documentOf(row, ports.get(row.id)));
}

function documentOf(row: Row & { own_stamp: string }, ports: DesiredPorts | undefined): DesiredServer {
  return {
    id: row.id,
    projectId: row.project_id,
    userId: row.user_id,
    epoch: row.epoch,
    generation: row.generation,
    presence: row.desired_presence,
    power: row.desired_power,
    ...(row.on_lease_end && row.on_lease_end !== 'keep' && { onLeaseEnd: row.on_lease_end }),
    ...(row.on_lease_end === 'keep' && row.restart === 'elsewhere' && { beginsLent: true }),
    reboot: { count: row.desired_reboot_count, type: row.desired_reboot_type },
    name: row.name,
    hostname: row.hostname,
    vcpus: row.vcpus,
    memoryMiB: row.memory_mib,
    diskGiB: row.disk_gib,
    ...(row.root_tag !== null && { rootTag: row.root_tag }),
    ...(row.local_disks.length > 0 && { localDisks: row.local_disks.map(localDiskOf) }),
    ...(row.volumes && { volumes: row.volumes.map(volumeDocument) }),
    image: imageOf(row.desired_root?.image_id ?? row.image_id, row.desired_root?.image ?? row.image, {
      ...{ sha256: row.image_sha256, sources: row.image_sources, baseHost: row.base_host },
    }),
    rescue: rescueOf(row),
    ...(row.desired_resize && { resize: { count: row.desired_resize.count, state: row.desired_resize.state } }),
    ...(row.capture !== null && { captures: [{ imageId: row.capture }] }),
    ...(row.desired_root_count > 0 && { rootCount: row.desired_root_count }),
    ports: ports?.ports ?? [],
    configDrive: row.config_drive,
    availabilityZone: row.zone,
    keys: row.keys.flatMap((key) =>
      key.type === 'ssh' ? [{ name: key.name, publicKey: key.public_key, type: 'ssh' as const }] : [],
    ),
    userData: row.user_data,
    ...(row.files && { files: row.files }),
    reservationId: row.reservation_id,
    flavorName: row.flavor_name,
    ...(row.boot_roles && { bootRoles: row.boot_roles.slice(0, serverLimits.bootRoles) }),
    ...passwordsOf(row),
    metadata: row.metadata,
    launchIndex: row.launch_index,
    hardware: hardwareDocument(row.hardware),
    ...(row.machine && { machine: machineOf(row.machine) }),
    createdAt: row.created_at.toISOString(),
    ...(row.incoming && { incoming: row.incoming }),
    ...(row.outgoing && { outgoing: row.outgoing }),
    stamp: row.own_stamp + (ports?.stamp ?? ''),
  };
}

/** By host what tells whether it has the document in force, without reading documents. */
export async function serverStamps(
  deps: { ports: Pick<ServerPorts, 'portStamps'> },
  db: Queryable,
  hostIds: readonly HostId[],
): Promise<ReadonlyMap<HostId, ServerStamp[]>> {
  // One value: a hundred thousand rows would cost their reader more than the database.
  const read = async (of: DocumentOf) => {
    const { rows } = await sql<{
      all: ({ hostId: HostId } & Pick<ServerStamp, 'id' | 'epoch' | 'generation' | 'stamp'>)[];
    }>`
      select coalesce(json_agg(json_build_object('hostId', s.host_id, 'id', s.id, 'epoch', s.epoch, 'generation', s.generation,
        'stamp', ${ownStamp}) order by s.id), '[]') as all ${facts({ hostIds }, of)}`.execute(db);
    return rows[0]!.all;
  };
  const all = (await Promise.all([read(ownerDocument), read(otherDocument)])).flat();
  const ports = await deps.ports.portStamps(
    db,
    all.map(({ id }) => id),
  );
  const byHost = new Map<HostId, ServerStamp[]>(hostIds.map((hostId) => [hostId, []]));
  for (const { hostId, ...server } of all) {
    const { stamp = '', ports: portIds = [], networks = [] } = ports.get(server.id) ?? {};
    byHost.get(hostId)!.push({ ...server, stamp: server.stamp + stamp, ports: portIds, networks });
  }
  return byHost;
}

const passwordsOf = (row: Row) => ({
  ...(row.admin_password !== null && { adminPassword: row.admin_password }),
  ...((row.guest_password !== null || row.guest_password_cleared > 0) && {
    guestPassword: { cleared: row.guest_password_cleared, text: row.guest_password },
  }),
});

const localDiskOf = ({ name, size_mib: sizeMiB, format, tag }: LocalDisk): DesiredLocalDisk => ({
  ...{ name, sizeMiB, format },
  ...(tag !== undefined && { tag }),
});

const machineOf = ({ type, cpu_model: cpuModel, layout }: ServerMachine): PinnedMachine => ({ type, cpuModel, layout });

function imageOf(
  id: string | null,
  image: ServerImage | null,
  { sha256, sources, baseHost = null }: { sha256: string | null; sources: string[] | null; baseHost?: string | null },
): DesiredServer['image'] {
  if (id === null || image === null) return null;
  return {
    id: id as ImageId,
    format: image.format,
    sizeBytes: image.size_bytes,
    sha256: image.sha256 ?? sha256,
    sources: [...new Set([...(sources ?? []), ...(baseHost === null ? [] : [baseHost])])].slice(0, imageLimits.sources),
  };
}

function rescueOf({ desired_rescue: rescue, rescue_sources: sources, ...row }: Row): DesiredServer['rescue'] {
  const image = rescue && imageOf(rescue.image_id, rescue.image, { sha256: row.rescue_sha256, sources });
  return image ? { count: rescue.count, image } : null;
}
