/** The server's SQL: rows in and out, no decisions. Listing has its own page (list.ts). */

import { sql } from 'kysely';
import { CloudError } from '../../../contract/errors.ts';
import { newOrderedId, type PortId, type ServerId } from '../../../contract/ids.ts';
import type { Secret } from '../../../contract/secret.ts';
import type { Actor, Queryable, Tx } from '../../kit/database/database.ts';
import { endOfSecond } from '../../kit/listing.ts';
import { serverVolumesOf } from '../../storage/server-volume/index.ts';
import { keepAdminPassword } from './admin-password.ts';
import { type InjectedFile, keepPersonality } from './personality.ts';
import { listedColumns, type ServerRow, type ShownServer } from './server.ts';
import type { ServerFault, ServerRoot, ServerSize } from './snapshots.ts';
import type { Power, ServerCapture, ServerMove, ServerRescue, ServerResize, ServerShelve } from './states.ts';
import { stateColumns } from './states-sql.ts';

/** A server row as `create` writes it; everything else has its default. */
export type NewServer = Pick<
  ServerRow,
  | 'id'
  | 'project_id'
  | 'user_id'
  | 'name'
  | 'description'
  | 'hostname'
  | 'image_id'
  | 'image'
  | 'flavor_id'
  | 'flavor'
  | 'vcpus'
  | 'memory_mib'
  | 'disk_gib'
  | 'local_disks'
  | 'local_gib'
  | 'root_tag'
  | 'key_name'
  | 'keys'
  | 'config_drive'
  | 'metadata'
  | 'tags'
  | 'availability_zone'
  | 'requested_host_id'
  | 'server_group_id'
  | 'same_host'
  | 'different_host'
  | 'access_ipv4'
  | 'access_ipv6'
  | 'disk_config'
  | 'reservation_id'
  | 'launch_index'
  | 'hardware'
  | 'boot_roles'
  | 'placement_policy'
>;

export interface MadeServer {
  id: ServerId;
  epoch: number;
  generation: number;
  /** The database's time, and when its operation is to be done. */
  now: Date;
  deadline: Date;
}

/**
 * Servers, their user data, their operations and their jobs in one statement.
 * @param options.jobInMs when their jobs are due
 */
export async function insertServers(
  tx: Tx,
  actor: Actor,
  servers: readonly NewServer[],
  options: {
    userData: string | null;
    files: readonly InjectedFile[];
    adminPassword: Secret | null;
    deadlineMs: number;
    jobInMs: number;
  },
): Promise<MadeServer[]> {
  const operations = servers.map(({ id }) => ({ server_id: id, id: newOrderedId() }));
  const deadline = sql`now() + ${options.deadlineMs}::double precision * interval '1 millisecond'`;
  const { rows } = await sql<MadeServer>`
    with made as (
      insert into server (id, project_id, user_id, name, description, hostname, image_id, image, flavor_id, flavor, vcpus,
        memory_mib, disk_gib, local_disks, local_gib, root_tag, key_name, keys, config_drive, metadata, tags, availability_zone, requested_host_id,
        server_group_id, same_host, different_host, access_ipv4, access_ipv6, disk_config, reservation_id, launch_index, hardware, boot_roles, placement_policy)
      select id, project_id, user_id, name, description, hostname, image_id, nullif(image, 'null'), flavor_id, flavor,
        vcpus, memory_mib, disk_gib, local_disks, local_gib, root_tag, key_name, keys, config_drive, metadata, tags, availability_zone, requested_host_id,
        server_group_id, same_host, different_host, access_ipv4, access_ipv6, disk_config, reservation_id, launch_index, hardware, boot_roles, placement_policy
      from jsonb_populate_recordset(null::server, ${JSON.stringify(servers)}::jsonb)
      returning id, project_id, generation, epoch),
    data as (
      insert into server_user_data (server_id, user_data)
      select id, ${options.userData}::text from made where ${options.userData}::text is not null),
    personality as (${keepPersonality(options.files)}),
    password as (${keepAdminPassword(options.adminPassword)}),
    begun as (
      insert into operation (id, project_id, resource_type, resource_id, verb, generation, owner, waiting_for, deadline,
        actor_id, request_id)
      select o.id, m.project_id, 'server', m.id, 'create', m.generation, 'control', 'a host to be chosen',
        ${deadline}, ${actor.actorId}::uuid, ${actor.requestId}
      from made m join jsonb_to_recordset(${JSON.stringify(operations)}::jsonb) as o(server_id uuid, id uuid)
        on o.server_id = m.id)
    select id, epoch, generation, now() as now, ${deadline} as deadline,
      enqueue('server', id::text, now() + ${options.jobInMs}::double precision * interval '1 millisecond')
    from made`.execute(tx);
  return rows;
}

/** The order of servers' interfaces. */
export async function insertServerPorts(
  tx: Tx,
  ports: readonly { server_id: ServerId; port_id: PortId; position: number; tag: string | null }[],
): Promise<void> {
  if (ports.length === 0) return;
  await sql`insert into server_port (server_id, port_id, position, tag) select server_id, port_id, position, tag
    from jsonb_populate_recordset(null::server_port, ${JSON.stringify(ports)}::jsonb)`.execute(tx);
}

/** Whose servers: a project's, or (administrators) all. */
export type Reach = { projectId: string } | 'all';

export const reachCondition = (reach: Reach) =>
  reach === 'all' ? sql`true` : sql`s.project_id = ${reach.projectId}::uuid`;

const hostColumns = sql`h.name as host_name, h.availability_zone as host_zone, h.connected as host_connected,
  h.enabled as host_enabled, h.forced_down as host_forced_down`;

/** What is shown of a server; without the cold half of its row, which is its host's. */
export const listedRow = sql`${sql.join(listedColumns.map((name) => sql.ref(`s.${name}`)))}, ${stateColumns}, ${hostColumns},
  ${serverVolumesOf(sql`s.id`)} as volumes`;

export async function findServer(db: Queryable, reach: Reach, id: string): Promise<ShownServer | undefined> {
  const { rows } =
    await sql<ShownServer>`select s.*, ${hostColumns}, ${serverVolumesOf(sql`s.id`)} as volumes, null::timestamptz as deleted_at
    from server s left join host h on h.id = s.host_id where s.id = ${id} and ${reachCondition(reach)}`.execute(db);
  return rows[0];
}

/** As it was when it was deleted, of what the change log still has. */
export async function findDeletedServer(db: Queryable, reach: Reach, id: string): Promise<ShownServer | undefined> {
  const { rows } = await sql<ShownServer>`select s.*, ${hostColumns}, '[]'::json as volumes, c.at as deleted_at
    from change c, lateral jsonb_populate_record(null::server, c.body) s left join host h on h.id = s.host_id
    where c.resource_type = 'server' and c.resource_id = ${id} and c.action = 'deleted' and ${reachCondition(reach)}
    order by c.at desc limit 1`.execute(db);
  return rows[0];
}

/** The row, locked until the transaction ends: what is decided on it stays true. */
export async function lockServer(tx: Tx, reach: Reach, id: string): Promise<ServerRow | undefined> {
  const { rows } = await sql<ServerRow>`select s.* from server s where s.id = ${id} and ${reachCondition(reach)}
    for update`.execute(tx);
  return rows[0];
}

/** Notes and labels of the owner. Hosts hear of some, but nothing is to be done: the generation stays. */
export interface ServerNotes {
  name?: string;
  description?: string | null;
  hostname?: string;
  access_ipv4?: string | null;
  access_ipv6?: string | null;
  disk_config?: string;
  metadata?: Record<string, string>;
  tags?: string[];
  locked?: boolean;
  locked_by?: 'owner' | 'admin' | null;
  locked_reason?: string | null;
}

export async function updateNotes(tx: Tx, id: string, notes: ServerNotes): Promise<void> {
  const values = { ...notes, ...(notes.metadata && { metadata: JSON.stringify(notes.metadata) }) };
  await tx
    .updateTable('server')
    .set({
      ...(values as Record<string, unknown>),
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .execute();
}

/** Says of the present generation that it failed; hosts hear nothing of it. */
export async function setFault(tx: Tx, id: string, fault: ServerFault): Promise<void> {
  await sql`update server set fault = ${JSON.stringify(fault)}::jsonb, updated_at = now() where id = ${id}`.execute(tx);
}

/** What an action changes of what shall be; what is not named stays. */
export interface DesiredChange {
  presence?: 'absent';
  power?: Power;
  reboot?: 'soft' | 'hard';
  /** The image to boot from instead of the own disk; its count is the new generation. */
  rescue?: Omit<ServerRescue, 'count'> | null;
  /** Its own disk made anew; the generation that says so becomes its count. */
  rebuild?: Pick<ServerRow, 'image_id' | 'image' | 'disk_gib' | 'hardware'> &
    Partial<Pick<ServerRow, 'key_name' | 'keys'>>;
  size?: ServerSize;
  /** The count is the new generation. */
  resize?: Omit<ServerResize, 'count'> | null;
  diskConfig?: 'AUTO' | 'MANUAL';
  /** An image to be made of its disk; named until its outcome is known. */
  capture?: ServerCapture;
  shelve?: ServerShelve;
  move?: ServerMove | null;
  /** What its disk is to be made of. */
  root?: ServerRoot;
  /** Where it may go. */
  place?: Pick<ServerRow, 'availability_zone' | 'requested_host_id'>;
  softDeletedAt?: Date | null;
  fault?: ServerFault | null;
}

/**
 * Writes what shall be and raises the generation; answers it. A fault that an administrator set ends with any act.
 * @param verb what people call it
 */
export async function updateDesired(tx: Tx, id: string, verb: string, change: DesiredChange): Promise<number> {
  const { rescue, fault } = change;
  const columns = {
    ...(change.presence && { desired_presence: change.presence }),
    ...(change.power && { desired_power: change.power }),
    ...(change.reboot && {
      desired_reboot_count: sql`desired_reboot_count + 1`,
      desired_reboot_type: change.reboot,
    }),
    ...(rescue !== undefined && {
      desired_rescue: rescue && sql`${JSON.stringify(rescue)}::jsonb || jsonb_build_object('count', generation + 1)`,
    }),
    ...(change.diskConfig && { disk_config: change.diskConfig }),
    ...(change.size && sizeColumns(change.size)),
    ...(change.resize !== undefined && {
      desired_resize:
        change.resize && sql`${JSON.stringify(change.resize)}::jsonb || jsonb_build_object('count', generation + 1)`,
    }),
    ...(change.capture && { desired_capture: JSON.stringify(change.capture) }),
    ...(change.shelve && { desired_shelve: JSON.stringify(change.shelve) }),
    ...(change.move !== undefined && { desired_move: change.move && JSON.stringify(change.move) }),
    ...(change.root && { desired_root: JSON.stringify(change.root) }),
    ...change.place,
    ...(change.rebuild && rebuiltColumns(change.rebuild)),
    ...(change.softDeletedAt !== undefined && { soft_deleted_at: change.softDeletedAt }),
    fault:
      fault === undefined
        ? sql`case when fault ->> 'reason' = 'reset' then null else fault end`
        : fault && sql`${JSON.stringify(fault)}::jsonb`,
  };
  const { generation } = await tx
    .updateTable('server')
    .set({
      ...(columns as Record<string, unknown>),
      generation: sql`generation + 1`,
      desired_verb: verb,
      updated_at: sql`now()`,
    })
    .where('id', '=', id)
    .returning('generation')
    .executeTakeFirstOrThrow();
  return generation;
}

const sizeColumns = ({ flavor, hardware, local_disks: disks, ...columns }: ServerSize) => ({
  ...{ ...columns, flavor: JSON.stringify(flavor) },
  ...(hardware && { hardware: JSON.stringify(hardware) }),
  ...(disks && { local_disks: JSON.stringify(disks) }),
});

const rebuiltColumns = ({ image, hardware, keys, ...columns }: NonNullable<DesiredChange['rebuild']>) => ({
  ...columns,
  ...{ image: JSON.stringify(image), hardware: JSON.stringify(hardware) },
  // An image that asks for another type of machine gets it with its new disk; else the server keeps its own.
  ...(hardware.machine_type !== undefined && {
    machine: sql`machine || jsonb_build_object('type', ${hardware.machine_type}::text)`,
  }),
  ...(keys && { keys: JSON.stringify(keys) }),
  desired_root: null,
  // What boots from a volume has no disk of its own to be made anew.
  ...(image && { desired_root_count: sql`generation + 1` }),
});

export interface ServerOperation {
  id: string;
  verb: string;
  state: 'running' | 'succeeded' | 'failed';
  waiting_for: string | null;
  error_code: string | null;
  error_message: string | null;
  actor_id: string | null;
  request_id: string | null;
  project_id: string | null;
  created_at: Date;
  updated_at: Date;
  finished_at: Date | null;
}

export async function serverOperations(
  db: Queryable,
  serverId: string,
  options: { requestId?: string; since?: Date; before?: Date; marker?: string; limit?: number } = {},
): Promise<ServerOperation[]> {
  const { requestId = null, since = null, marker = null, limit = null } = options;
  const before = options.before ? endOfSecond(options.before) : null;
  if (marker !== null) {
    const known = await sql`select from operation where resource_id = ${serverId} and request_id = ${marker}`.execute(
      db,
    );
    if (known.rows.length === 0) throw new CloudError('invalid', 'marker_not_found', { marker: marker.slice(0, 100) });
  }
  const { rows } = await sql<ServerOperation>`
    select id, verb, state, waiting_for, error_code, error_message, actor_id, request_id, project_id, created_at, updated_at,
      finished_at
    from operation where resource_id = ${serverId} and resource_type = 'server'
      and (${requestId}::text is null or request_id = ${requestId})
      and (${since}::timestamptz is null or updated_at >= ${since})
      and (${before}::timestamptz is null or updated_at < ${before})
      and (${marker}::text is null
        or id < (select id from operation where resource_id = ${serverId} and request_id = ${marker} limit 1))
    order by id desc limit ${limit}::bigint`.execute(db);
  return rows;
}

export async function userDataOf(db: Queryable, ids: readonly string[]): Promise<Map<string, string>> {
  const rows = await db
    .selectFrom('server_user_data')
    .selectAll()
    .where('server_id', 'in', [...ids])
    .execute();
  return new Map(rows.map((row) => [row.server_id, row.user_data]));
}

/** @param userData base64; null: none any more */
export async function replaceUserData(tx: Tx, serverId: string, userData: string | null): Promise<void> {
  await (userData === null
    ? sql`delete from server_user_data where server_id = ${serverId}`
    : sql`insert into server_user_data (server_id, user_data) values (${serverId}, ${userData})
        on conflict (server_id) do update set user_data = excluded.user_data`
  ).execute(tx);
}

export interface ServerPortRow {
  id: string;
  network_id: string;
  mac: string;
  up: boolean;
  tag: string | null;
  fixed_ips: { subnet_id: string; ip_address: string }[];
}

export async function serverPorts(db: Queryable, serverId: string): Promise<ServerPortRow[]> {
  const { rows } = await sql<ServerPortRow>`
    select p.id, p.network_id, p.mac::text as mac, p.observed_up as up, sp.tag,
      coalesce((select jsonb_agg(jsonb_build_object('subnet_id', i.subnet_id, 'ip_address', host(i.ip)) order by i.position)
        from port_ip i where i.port_id = p.id), '[]') as fixed_ips
    from server_port sp join port p on p.id = sp.port_id where sp.server_id = ${serverId} order by sp.position`.execute(
    db,
  );
  return rows;
}
