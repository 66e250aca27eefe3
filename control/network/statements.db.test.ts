/** What the network area asks of PostgreSQL reads what it answers, not what the cloud holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { type HostId, newId, type ProjectId, type ServerId } from '../../contract/ids.ts';
import type { Database } from '../kit/database/database.ts';
import { explainedDatabase } from '../kit/database/test-plans.ts';
import { testDatabase, testProject } from '../kit/database/testing.ts';
import { AddressScopeService } from './address-scope/service.ts';
import { ensureTopology } from './auto-topology/build.ts';
import { FloatingIpService } from './floating-ip/service.ts';
import { NetworkService } from './network/service.ts';
import { everything } from './ovn/everything.ts';
import { HostView } from './ovn/hosts.ts';
import { HostSet } from './ovn/intent/gateway.ts';
import { expand, loadModel } from './ovn/load.ts';
import { MemoryNorthbound } from './ovn/testing/memory-northbound.ts';
import { unit } from './ovn/units.ts';
import { Touched } from './ovn/wakes.ts';
import { PortService } from './port/service.ts';
import { QosPolicyService } from './qos-policy/service.ts';
import { RbacPolicyService } from './rbac-policy/service.ts';
import { RouterService } from './router/service.ts';
import { SecurityGroupService } from './security-group/service.ts';
import { SubnetService } from './subnet/service.ts';
import { SubnetPoolService } from './subnet-pool/service.ts';
import { fillNetworks, numberedId as id, kinds } from './test-filled.ts';
import { testCaller } from './testing.ts';

const size = { hosts: 100, projects: 100, networks: 2000, portsOfNetwork: 12 };

/** The nth guest's port of a network. */
const guestPort = (network: number, n = 5) => id(kinds.port, network * size.portsOfNetwork + n);

/** Every kind of request and timer of the area, each with a row that lies in the middle of many. */
function statements(database: Database): Record<string, () => Promise<unknown>> {
  const project = id(kinds.project, 7) as ProjectId;
  const caller = testCaller(['member', 'reader'], project);
  const [ports, networks, subnets] = [
    new PortService({ database, autoNetwork: ensureTopology }),
    new NetworkService({ database }),
    new SubnetService({ database }),
  ];
  const [routers, floating, groups] = [
    new RouterService({ database }),
    new FloatingIpService({ database }),
    new SecurityGroupService({ database }),
  ];
  const [pools, scopes, policies] = [
    new SubnetPoolService({ database }),
    new AddressScopeService({ database }),
    new RbacPolicyService({ database }),
  ];
  const qos = new QosPolicyService({ database });
  const [network, subnet, router, port] = [
    id(kinds.network, 207),
    id(kinds.subnet, 207),
    id(kinds.router, 207),
    guestPort(207),
  ];
  const by = (column: string, value: string) => ({ filters: [{ column, values: [value] }] });
  const touch =
    (
      name: 'portsOfNetworks' | 'keepersOfQosPolicies' | 'routersOfNetworks' | 'leadingToPorts' | 'servicePorts',
      value: string,
    ) =>
    () =>
      expand(database.query, Object.assign(new Touched(), { [name]: new Set([value]) }));
  return {
    'networks of a host': () => ports.networksOfHosts(database.query, [id(kinds.host, 50) as HostId]),
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
    'routers of a port that changed': touch('leadingToPorts', port),
    'keepers of a QoS policy': touch('keepersOfQosPolicies', newId()),
    'whose port it is': touch('servicePorts', port),
    'routers of a host that moved': async () => {
      const [hosts, nb] = [new HostView(), new MemoryNorthbound()];
      await hosts.refresh(database.query, [id(kinds.host, 50)]);
      return hosts.routers(database.query, nb.actual);
    },
    'a walk through everything': async () => {
      let pages = 0;
      for await (const _ of everything(database.query, new MemoryNorthbound().actual)) if (++pages > 20) break;
    },
    'list ports': () => ports.list(caller, {}),
    'list ports of a device': () =>
      ports.list(caller, by('device_id', id(kinds.server, 207 * size.portsOfNetwork + 5))),
    'list ports of a network': () => ports.list(caller, by('network_id', network)),
    'show a port': () => ports.read(caller, port),
    'list networks': () => networks.list(caller, {}),
    'show a network': () => networks.read(caller, network),
    'list subnets of a network': () => subnets.list(caller, by('network_id', network)),
    'list subnet pools': () => pools.list(caller, {}),
    'list policies': () => policies.list(caller, {}),
    'list address scopes': () => scopes.list(caller, {}),
    'list QoS policies': () => qos.list(caller, {}),
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
  await fillNetworks(db.database, size);
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
      ('port', 'port_ip', 'port_security_group', 'floating_ip', 'router', 'subnet', 'security_group_rule', 'network', 'server_port', 'subnet_pool', 'address_scope', 'address_group', 'qos_policy', 'qos_rule', 'rbac_policy', 'meter', 'meter_reading', 'metering_label', 'metering_label_rule')
      and not exists (select from pg_index i where i.indrelid = c.conrelid and i.indkey[0] = c.conkey[1])
    order by 1`.execute(db.database.query);
  assert.deepEqual(
    rows.map(({ reference }) => reference),
    [],
  );
});
