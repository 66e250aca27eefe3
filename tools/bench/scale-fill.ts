/** A cloud in a database by SQL alone, in seconds. */
import { sql } from 'kysely';
import { type HostId, newId } from '../../contract/ids.ts';
import { Secret } from '../../contract/secret.ts';
import { Database } from '../../control/kit/database/database.ts';
import { fillNetworks, kinds, numberedId } from '../../control/network/test-filled.ts';

export interface Size {
  hosts: number;
  servers: number;
}

export const imageId = '000000ff-0000-7000-8000-000000000001';
const serversOfProject = 100;

/** Servers with a port each, in networks of about fifty, spread over hosts and projects; the hosts are those that have certificates. */
export async function fill(url: string, hosts: readonly { id: HostId }[], { servers }: Size): Promise<void> {
  const database = new Database({ url: new Secret(url), idleMs: 1000 });
  const portsOfNetwork = 54;
  const networks = Math.ceil(servers / (portsOfNetwork - 4));
  const projects = Math.ceil(servers / serversOfProject);
  await fillNetworks(database, { hosts: hosts.length, projects, networks: Math.max(networks, 2), portsOfNetwork });
  const map = hosts.map(({ id }, n) => ({ made: numberedId(kinds.host, n), id }));
  const statements = [
    sql`create temporary table host_map as select * from jsonb_to_recordset(${JSON.stringify(map)}::jsonb) as m(made uuid, id uuid)`,
    sql`update port set host_id = m.id from host_map m where host_id = m.made`,
    sql`delete from host where id in (select made from host_map)`,
    sql`insert into image (id, project_id, name, status, disk_format, size_bytes, virtual_size_bytes, sha256, visibility)
      values (${imageId}, ${numberedId(kinds.project, 0)}, 'tiny', 'active', 'raw', 1000, 1000000, 'aa', 'public')`,
    sql`insert into server (id, project_id, user_id, name, hostname, image_id, image, flavor_id, flavor, vcpus, memory_mib, disk_gib, reservation_id,
        host_id, epoch, observed_generation, observed_state, observed_power, observed_started_at, launched_at)
      select sp.server_id, p.project_id, ${newId()}, 's', 's', ${imageId}, '{"format": "raw", "size_bytes": 1000, "sha256": "aa"}',
        ${newId()}, '{"id": "1", "name": "m1.tiny", "vcpus": 1, "memory_mib": 128, "disk_gib": 1, "ephemeral_gib": 0, "swap_mib": 0, "extra_specs": {}}',
        1, 128, 1, 'r-1', p.host_id, 1, 1, 'running', 'on', '2026-01-01', now()
      from server_port sp join port p on p.id = sp.port_id`,
    sql`update quota set maximum = -1 where project_id is null`,
  ];
  await database.query.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    for (const statement of statements) await statement.execute(connection);
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
  });
  await database.close();
}
