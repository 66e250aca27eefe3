/**
 * A cloud in a database by SQL alone, in seconds: rows as the API would have made them (scale-fill.db.test.ts). Every server runs, and is to be restarted elsewhere
 * when its host is lost, by three priorities; in a cloud of a hundred hosts and more each tenth is one of ten of a group that shares no host.
 */
import { type RawBuilder, sql } from 'kysely';
import { type HostId, newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { Database } from '../../control/kit/database/database.ts';
import { fillNetworks, kinds, numberedId } from '../../control/network/test-filled.ts';

export interface Size {
  hosts: number;
  servers: number;
}

const guest = { memoryMiB: 128, diskGiB: 1 };
/** What the bench makes through the API beside what is filled in, and as much again. */
const beyondMiB = 2 << 20;

/** How large a host is: a fifth more than what is filled in, so that a rack's servers find room, and few of them much. */
export const hostMemoryMiB = ({ hosts, servers }: Size): number =>
  1024 + Math.ceil((1.2 * servers * guest.memoryMiB + beyondMiB) / hosts);

/** Hosts that are lost together: a rack of 40 in a cloud of a thousand. */
export const rackOf = (hosts: number): number => (hosts === 1 ? 0 : Math.max(1, Math.round(hosts / 25)));

export const imageId = '000000ff-0000-7000-8000-000000000001';
const serversOfProject = 100;
/** Of `guest`. */
const groupOf = sql`('000000fe-0000-7000-8000-' || lpad(to_hex(n / 100), 12, '0'))::uuid`;

/** Servers with a port each, in networks of about fifty, spread over hosts and projects; the hosts are those that have certificates. */
export async function fill(url: string, hosts: readonly { id: HostId }[], { servers }: Size): Promise<void> {
  const database = new Database({ url: new Secret(url), idleMs: 1000 });
  const portsOfNetwork = 54;
  const networks = Math.ceil(servers / (portsOfNetwork - 4));
  const projects = Math.ceil(servers / serversOfProject);
  await fillNetworks(database, { hosts: hosts.length, projects, networks: Math.max(networks, 2), portsOfNetwork });
  await database.query.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    // However busy the machine is.
    await sql`set statement_timeout = 0`.execute(connection);
    for (const statement of statementsFor(hosts)) await statement.execute(connection);
    // An older commit counts nothing.
    const { rows } = await sql<{ counted: boolean }>`select to_regclass('host_usage') is not null as counted`.execute(
      connection,
    );
    if (rows[0]!.counted) {
      await sql`insert into host_usage (host_id, servers, vcpus, memory_mib, disk_gib)
        select host_id, count(*), sum(vcpus), sum(memory_mib), sum(disk_gib) from server group by host_id`.execute(
        connection,
      );
    }
    await sql`set session_replication_role = origin`.execute(connection);
    await sql`analyze`.execute(connection);
    await sql`reset statement_timeout`.execute(connection);
  });
  await database.close();
}

/** Images, groups and servers of the ports that there are; the hosts in the place of those that were made with the ports. */
function statementsFor(hosts: readonly { id: HostId }[]): RawBuilder<unknown>[] {
  const map = hosts.map(({ id }, n) => ({ made: numberedId(kinds.host, n), id }));
  return [
    sql`create temporary table host_map as select * from jsonb_to_recordset(${JSON.stringify(map)}::jsonb) as m(made uuid, id uuid)`,
    sql`update port set host_id = m.id from host_map m where host_id = m.made`,
    sql`delete from host where id in (select made from host_map)`,
    sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, visibility)
      values (${imageId}, ${numberedId(kinds.project, 0)}, 'tiny', 'active', 'raw', 1000, 1000000, 'aa', 'public')`,
    sql`create temporary table guest as select sp.server_id, p.project_id, p.host_id, row_number() over (order by sp.server_id) - 1 as n
      from server_port sp join port p on p.id = sp.port_id`,
    ...(hosts.length < 100
      ? []
      : [
          sql`insert into server_group (id, project_id, user_id, name, policy)
            select ${groupOf}, (array_agg(project_id))[1], ${newId()}, 'apart', 'anti-affinity' from guest where n % 10 = 0 group by n / 100`,
        ]),
    sql`insert into server (id, project_id, user_id, name, hostname, image_id, image, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id,
        host_id, epoch, observed_generation, observed_state, observed_power, observed_started_at, launched_at, machine, server_group_id,
        evacuation_policy, observed_on_lease_end, observed_at, boot_roles)
      select server_id, project_id, ${newId()}, 's', 's', ${imageId}, '{"format": "raw", "size_bytes": 1000, "sha256": "aa"}',
        ${newId()}, jsonb_build_object('id', '1', 'name', 'm1.tiny', 'vcpus', 1, 'memory_mib', ${guest.memoryMiB}::integer, 'disk_gib', ${guest.diskGiB}::integer,
          'ephemeral_gib', 0, 'swap_mib', 0, 'extra_specs', '{}'::jsonb),
        1, ${guest.memoryMiB}, ${guest.diskGiB}, 'r-1', host_id, 1, 1, 'running', 'on', '2026-01-01', now(),
        '{"type": "pc-q35-7.2", "layout": 1, "cpu_model": "max"}', case when ${hosts.length}::integer >= 100 and n % 10 = 0 then ${groupOf} end,
        jsonb_build_object('restart', 'elsewhere', 'disk', 'from_image', 'on_lease_end', 'pause', 'priority', n % 3, 'generation', 1), 'pause', now(), '{member,reader}'
      from guest`,
    sql`update host h set failure_domains = jsonb_build_object('rack', 'rack ' || n / ${Math.max(1, rackOf(hosts.length))}::integer)
      from (select id, row_number() over (order by id) - 1 as n from host) o where o.id = h.id`,
    sql`update quota set maximum = -1 where project_id is null`,
  ];
}
