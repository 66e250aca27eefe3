/** For tests and benches: a database full of networks, ports, routers and floating IPs, in a second or two. */
import { sql } from 'kysely';
import type { Database } from '../kit/database/database.ts';

/** Ids that SQL can make: a kind, and a number. */
export const numberedId = (kind: number, n: number) =>
  `${kind.toString(16).padStart(8, '0')}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const made = (kind: number, number: string) =>
  sql.raw(`(lpad(to_hex(${kind}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`);
export const kinds = {
  project: 1,
  host: 2,
  network: 3,
  subnet: 4,
  port: 5,
  server: 6,
  router: 7,
  floating: 8,
  group: 9,
  fip: 10,
  rule: 11,
};
export interface Filled {
  hosts: number;
  projects: number;
  networks: number;
  /** Four of them are the network's own: metadata, its router's, that one's gateway outside, a floating IP's. */
  portsOfNetwork: number;
}

/** Networks with guests, a router and a group for each, two of them external; no triggers, no checks, and statistics. */
export async function fillNetworks(
  database: Database,
  { networks, portsOfNetwork, hosts, projects }: Filled,
): Promise<void> {
  const statements = [
    sql`insert into domain (id, name) values (${numberedId(0, 1)}, 'd')`,
    sql`insert into project (id, domain_id, name) select ${made(kinds.project, 'n')}, ${numberedId(0, 1)}, n::text from generate_series(0, ${projects - 1}::int) n`,
    sql`insert into host (id, name, connected) select ${made(kinds.host, 'n')}, n::text, true from generate_series(0, ${hosts - 1}::int) n`,
    sql`insert into network (id, project_id, name, external, provider_network_type, provider_physical_network) select ${made(kinds.network, 'n')}, ${made(kinds.project, `n % ${projects}`)}, 'n' || n, n < 2, case when n < 2 then 'flat' else 'geneve' end, case when n < 2 then 'physnet1' end from generate_series(0, ${networks - 1}::int) n`,
    sql`insert into rbac_policy (id, project_id, network_id, action) select id, project_id, id, 'access_as_external' from network where external on conflict do nothing`,
    sql`insert into subnet (id, project_id, network_id, ip_version, cidr, gateway_ip, allocation_pools)
      select ${made(kinds.subnet, 'n')}, ${made(kinds.project, `n % ${projects}`)}, ${made(kinds.network, 'n')}, 4,
      ('10.' || n / 256 || '.' || n % 256 || '.0/24')::cidr, ('10.' || n / 256 || '.' || n % 256 || '.1')::inet,
      jsonb_build_array(jsonb_build_object('start', '10.' || n / 256 || '.' || n % 256 || '.2', 'end', '10.' || n / 256 || '.' || n % 256 || '.250')) from generate_series(0, ${networks - 1}::int) n`,
    sql`insert into security_group (id, project_id, name, is_default) select ${made(kinds.group, 'n')}, ${made(kinds.project, `n % ${projects}`)}, 'g' || n, n < ${projects} from generate_series(0, ${networks - 1}::int) n`,
    sql`insert into security_group_rule (id, project_id, security_group_id, direction, ethertype) select ${made(kinds.rule, 'n')}, ${made(kinds.project, `n % ${projects}`)}, ${made(kinds.group, `n % ${networks}`)}, 'egress', 'IPv4' from generate_series(0, ${2 * networks - 1}::int) n`,
    sql`insert into router (id, project_id, name, gateway_network_id) select ${made(kinds.router, 'n')}, ${made(kinds.project, `n % ${projects}`)}, 'r' || n, ${made(kinds.network, 'n % 2')} from generate_series(0, ${networks - 1}::int) n`,
    // Of a network's ports: 0 metadata, 1 the router's, 2 its gateway's outside, 3 its floating IP's, the others guests'.
    sql`insert into port (id, project_id, network_id, mac, device_owner, device_id, host_id)
      select ${made(kinds.port, 'n')}, ${made(kinds.project, `n / ${portsOfNetwork} % ${projects}`)},
        case when n % ${sql.lit(portsOfNetwork)} in (2, 3) then ${made(kinds.network, `n / ${portsOfNetwork} % 2`)} else ${made(kinds.network, `n / ${portsOfNetwork}`)} end,
        ('02:00:' || regexp_replace(lpad(to_hex(n), 8, '0'), '(..)(..)(..)(..)', '\\1:\\2:\\3:\\4'))::macaddr,
        case n % ${sql.lit(portsOfNetwork)} when 0 then 'network:distributed' when 1 then 'network:router_interface' when 2 then 'network:router_gateway' when 3 then 'network:floatingip' else 'compute:nova' end,
        case n % ${sql.lit(portsOfNetwork)} when 0 then 'ovnmeta-' || ${made(kinds.network, `n / ${portsOfNetwork}`)} when 1 then ${made(kinds.router, `n / ${portsOfNetwork}`)}::text when 2 then ${made(kinds.router, `n / ${portsOfNetwork}`)}::text when 3 then ${made(kinds.fip, `n / ${portsOfNetwork}`)}::text else ${made(kinds.server, 'n')}::text end,
        case when n % ${sql.lit(portsOfNetwork)} > 3 then ${made(kinds.host, `n / 7 % ${hosts}`)} end
      from generate_series(0, ${networks * portsOfNetwork - 1}::int) n`,
    sql`insert into port_ip (port_id, subnet_id, network_id, ip) select p.id, s.id, p.network_id, host(set_masklen(s.cidr, 32)::inet + 2 + (row_number() over (partition by s.id order by p.id))::int)::inet
      from port p join subnet s on s.network_id = p.network_id where p.device_owner <> 'network:floatingip'`,
    sql`insert into port_security_group (port_id, security_group_id) select ${made(kinds.port, 'n')}, ${made(kinds.group, `n / ${portsOfNetwork}`)} from generate_series(0, ${networks * portsOfNetwork - 1}::int) n where n % ${sql.lit(portsOfNetwork)} > 3`,
    sql`insert into server_port (server_id, port_id, position) select ${made(kinds.server, 'n')}, ${made(kinds.port, 'n')}, 0 from generate_series(0, ${networks * portsOfNetwork - 1}::int) n where n % ${sql.lit(portsOfNetwork)} > 3`,
    sql`insert into floating_ip (id, project_id, floating_network_id, floating_port_id, floating_ip, port_id, fixed_ip, router_id)
      select ${made(kinds.fip, 'n')}, ${made(kinds.project, `n % ${projects}`)}, ${made(kinds.network, 'n % 2')}, ${made(kinds.port, `n * ${portsOfNetwork} + 3`)}, '203.0.0.0'::inet + n, ${made(kinds.port, `n * ${portsOfNetwork} + 5`)}, '10.0.0.1'::inet + n, ${made(kinds.router, 'n')} from generate_series(0, ${networks - 1}::int) n`,
  ];
  await database.query.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    // However busy the machine is.
    await sql`set statement_timeout = 0`.execute(connection);
    for (const statement of statements) await statement.execute(connection);
    await sql`set session_replication_role = origin`.execute(connection);
    await sql`analyze`.execute(connection);
    await sql`reset statement_timeout`.execute(connection);
  });
}
