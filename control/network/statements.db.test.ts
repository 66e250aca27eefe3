/** What the network area asks of PostgreSQL reads what it answers, not what the cloud holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ProjectId, type ServerId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import { explainedDatabase } from '../kit/database/test-plans.ts';
import { testDatabase, testProject } from '../kit/database/testing.ts';
import { FloatingIpService } from './floating-ip/service.ts';
import { NetworkService } from './network/service.ts';
import { HostSet } from './ovn/intent/gateway.ts';
import { expand, loadModel } from './ovn/load.ts';
import { nothingTouched, unit } from './ovn/units.ts';
import { PortService } from './port/service.ts';
import { RouterService } from './router/service.ts';
import { SecurityGroupService } from './security-group/service.ts';
import { SubnetService } from './subnet/service.ts';
import { testCaller } from './testing.ts';

/** Ids that SQL can make: a kind, and a number. */
const id = (kind: number, n: number) =>
  `${kind.toString(16).padStart(8, '0')}-0000-7000-8000-${n.toString(16).padStart(12, '0')}`;
const made = (kind: number, number: string) =>
  sql.raw(`(lpad(to_hex(${kind}), 8, '0') || '-0000-7000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`);
const kinds = {
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
const size = { hosts: 100, projects: 100, networks: 2000, portsOfNetwork: 12 };

/** 2000 networks with 8 guests each, a router and a group for each; no triggers, no checks, and statistics. */
async function fill(database: Database): Promise<void> {
  const { networks, portsOfNetwork, hosts, projects } = size;
  const statements = [
    sql`insert into domain (id, name) values (${id(0, 1)}, 'd')`,
    sql`insert into project (id, domain_id, name) select ${made(kinds.project, 'n')}, ${id(0, 1)}, n::text from generate_series(0, ${projects - 1}::int) n`,
    sql`insert into host (id, name) select ${made(kinds.host, 'n')}, n::text from generate_series(0, ${hosts - 1}::int) n`,
    sql`insert into network (id, project_id, name, external) select ${made(kinds.network, 'n')}, ${made(kinds.project, `n % ${projects}`)}, 'n' || n, n < 2 from generate_series(0, ${networks - 1}::int) n`,
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
      from port p join subnet s on s.network_id = p.network_id where p.device_owner not in ('network:router_gateway', 'network:floatingip')`,
    sql`insert into port_security_group (port_id, security_group_id) select ${made(kinds.port, 'n')}, ${made(kinds.group, `n / ${portsOfNetwork}`)} from generate_series(0, ${networks * portsOfNetwork - 1}::int) n where n % ${sql.lit(portsOfNetwork)} > 3`,
    sql`insert into server_port (server_id, port_id, position) select ${made(kinds.server, 'n')}, ${made(kinds.port, 'n')}, 0 from generate_series(0, ${networks * portsOfNetwork - 1}::int) n where n % ${sql.lit(portsOfNetwork)} > 3`,
    sql`insert into floating_ip (id, project_id, floating_network_id, floating_port_id, floating_ip, port_id, fixed_ip, router_id)
      select ${made(kinds.fip, 'n')}, ${made(kinds.project, `n % ${projects}`)}, ${made(kinds.network, 'n % 2')}, ${made(kinds.port, `n * ${portsOfNetwork} + 3`)}, '203.0.0.0'::inet + n, ${made(kinds.port, `n * ${portsOfNetwork} + 5`)}, '10.0.0.1'::inet + n, ${made(kinds.router, 'n')} from generate_series(0, ${networks - 1}::int) n`,
  ];
  await database.query.connection().execute(async (connection) => {
    await sql`set session_replication_role = replica`.execute(connection);
    for (const statement of statements) await statement.execute(connection);
    await sql`set session_replication_role = origin`.execute(connection);
    await sql`analyze`.execute(connection);
  });
}

/** The nth guest's port of a network. */
const guestPort = (network: number, n = 5) => id(kinds.port, network * size.portsOfNetwork + n);

/** Every kind of request and timer of the area, each with a row that lies in the middle of many. */
function statements(database: Database): Record<string, () => Promise<unknown>> {
  const project = id(kinds.project, 7) as ProjectId;
  const caller = testCaller(['member', 'reader'], project);
  const [ports, networks, subnets] = [
    new PortService({ database }),
    new NetworkService({ database }),
    new SubnetService({ database }),
  ];
  const [routers, floating, groups] = [
    new RouterService({ database }),
    new FloatingIpService({ database }),
    new SecurityGroupService({ database }),
  ];
  const [network, subnet, router, port] = [
    id(kinds.network, 207),
    id(kinds.subnet, 207),
    id(kinds.router, 207),
    guestPort(207),
  ];
  const by = (column: string, value: string) => ({ filters: [{ column, values: [value] }] });
  const touch =
    (name: 'portsOfNetworks' | 'routersOfNetworks' | 'routersOfPorts' | 'servicePorts', value: string) => () =>
      expand(database.query, { ...nothingTouched(), [name]: new Set([value]) });
  return {
    'networks of a host': () => ports.desiredNetworks(database.query, id(kinds.host, 50) as HostId),
    'ports of a server': () =>
      ports.desiredPorts(database.query, [id(kinds.server, 207 * size.portsOfNetwork + 5) as ServerId]),
    'addresses of a server': () =>
      ports.serverAddresses(database.query, [id(kinds.server, 207 * size.portsOfNetwork + 5) as ServerId]),
    'model of a port': () => loadModel(database.query, [unit('port', port)], new HostSet([])),
    'model of a router': () => loadModel(database.query, [unit('router', router)], new HostSet([])),
    'model of a network': () => loadModel(database.query, [unit('network', network)], new HostSet([])),
    'model of a group': () =>
      loadModel(database.query, [unit('security_group', id(kinds.group, 207))], new HostSet([])),
    'ports of a network that changed': touch('portsOfNetworks', network),
    'routers of a network that changed': touch('routersOfNetworks', network),
    'routers of a port that changed': touch('routersOfPorts', port),
    'whose port it is': touch('servicePorts', port),
    'list ports': () => ports.list(caller, {}),
    'list ports of a device': () =>
      ports.list(caller, by('device_id', id(kinds.server, 207 * size.portsOfNetwork + 5))),
    'list ports of a network': () => ports.list(caller, by('network_id', network)),
    'show a port': () => ports.read(caller, port),
    'list networks': () => networks.list(caller, {}),
    'show a network': () => networks.read(caller, network),
    'list subnets of a network': () => subnets.list(caller, by('network_id', network)),
    'list routers': () => routers.list(caller, {}),
    'list floating IPs': () => floating.list(caller, {}),
    'list floating IPs of a port': () => floating.list(caller, by('port_id', port)),
    'list groups': () => groups.list(caller, {}),
    'make a port': () => ports.create(caller, [{ network_id: network }]),
    'change a port': () => ports.update(caller, port, { name: 'new' }),
    'delete a port': () => ports.delete(caller, guestPort(207, 9)),
    'make a network': async () => {
      const [made] = await networks.create(caller, [{ name: 'new' }]);
      await subnets.create(caller, [{ network_id: made!.id, ip_version: 4, cidr: '10.9.9.0/24' }]);
      await networks.delete(caller, made!.id);
    },
    'loosen a floating IP': () => floating.update(caller, id(kinds.fip, 207), { port_id: null }),
    'delete a floating IP': () => floating.delete(caller, id(kinds.fip, 307)),
    'remove an interface': () => routers.removeInterface(caller, router, { subnet_id: subnet }),
    'delete a router': () => routers.delete(caller, router),
  };
}

test('no statement of a request or a timer reads much more than it answers', async () => {
  await using db = await testDatabase();
  await fill(db.database);
  const { database, waste } = explainedDatabase(db.url);
  const found: string[] = [];
  try {
    for (const [name, run] of Object.entries(statements(database))) {
      await run();
      for (const { table, removed, answered, statement } of waste(100)) {
        found.push(
          `${name}: ${removed} rows of ${table} for ${answered} in ${statement.replace(/\s+/g, ' ').slice(0, 200)}`,
        );
      }
    }
  } finally {
    await database.close();
  }
  assert.deepEqual(found, []);
});

test('every reference from a table of the area has an index, so that a deletion looks up and does not search', async () => {
  await using db = await testDatabase();
  await testProject(db.database, newId());
  const { rows } = await sql<{ reference: string }>`
    select c.conrelid::regclass || '.' || a.attname as reference
    from pg_constraint c join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    where c.contype = 'f' and c.conrelid::regclass::text in
      ('port', 'port_ip', 'port_security_group', 'floating_ip', 'router', 'subnet', 'security_group_rule', 'network', 'server_port')
      and not exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1])
    order by 1`.execute(db.database.query);
  assert.deepEqual(
    rows.map(({ reference }) => reference),
    [],
  );
});
