/** The rows that a model means: all of them in a golden file, and what each rule is for in words. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { columnOf, tableOf } from '../../../../protocols/ovsdb/index.ts';
import { FakeDatabase, northbound } from '../../../../simulator/ovsdb/index.ts';
import { IndexedModel, type ModelRows, type SecurityGroupRuleRow } from '../model.ts';
import { ids, modelRows, representative } from '../testing/representative.ts';
import { allUnits } from '../testing/units.ts';
import { dropUnit, unit } from '../units.ts';
import { HostSet } from './gateway.ts';
import { desiredRows } from './index.ts';
import { ruleMatch } from './security.ts';

const golden = join(import.meta.dirname, 'northbound.golden.txt');

const all = () => Object.fromEntries(allUnits(representative).map((name) => [name, desiredRows(representative, name)]));

test('the rows of the representative model are as in the golden file', () => {
  // One line a row, its columns below it: a change of one thing is a difference of one line.
  const lines = Object.entries(all()).flatMap(([owner, rows]) =>
    rows.flatMap(({ table, key, columns, ...rest }) => [
      `${owner} ${table} ${key}`,
      ...Object.entries({ ...columns, ...rest }).map(([name, value]) => `    ${name} ${JSON.stringify(value)}`),
    ]),
  );
  const text = `${lines.join('\n')}\n`;
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(golden, text);
  assert.equal(text, readFileSync(golden, 'utf8'));
});

test('every row fits the schema, its keys are unique, and what it refers to is there', () => {
  const { schema } = new FakeDatabase(northbound);
  const known = new Set<string>();
  const rows = Object.entries(all()).flatMap(([owner, list]) => list.map((row) => ({ owner, row })));
  for (const { owner, row } of rows) {
    const name = `${owner} ${row.table} ${row.key}`;
    assert.ok(!known.has(name), name);
    known.add(name);
    for (const column of Object.keys(row.columns)) columnOf(tableOf(schema, row.table), column);
    // Stamps are words apart by blanks.
    assert.ok(!/\s/.test(row.key), name);
  }
  for (const { owner, row } of rows) {
    const referred = [...Object.values(row.references ?? {}), row.parent, ...(row.groups ?? [])].filter(
      (name) => !!name,
    );
    for (const name of referred)
      assert.ok(known.has(`${name.owner} ${name.table} ${name.key}`), `${owner} → ${name.owner}`);
  }
});

test('a resource that is gone has no rows', () => {
  const empty = new IndexedModel({});
  for (const name of allUnits(representative)) if (name !== dropUnit) assert.deepEqual(desiredRows(empty, name), []);
});

test('each segment on a physical network has a localnet port of its own, and the first keeps the name of its network', () => {
  const [found] = [...representative.networks.values()];
  const first = {
    provider_network_type: 'vlan',
    provider_physical_network: 'red',
    provider_segmentation_id: 7,
  } as const;
  const further_segments = [
    { id: 's', network_type: 'flat', physical_network: 'blue', segmentation_id: null },
    { id: 't', network_type: 'geneve', physical_network: null, segmentation_id: 9 },
  ] as const;
  const networks = [{ ...found!, id: 'n', ...first, further_segments }];
  const rows = desiredRows(new IndexedModel({ networks }), unit('network', 'n'));
  const localnets = rows.filter(({ table }) => table === 'Logical_Switch_Port');
  assert.deepEqual(
    localnets.map(({ key, columns: { name, tag, options } }) => [key, name, tag, Object(options).network_name]),
    [
      ['localnet', 'provider-n', 7, 'red'],
      ['localnet-s', 'provider-s', null, 'blue'],
    ],
  );
});

const rule = (row: Partial<SecurityGroupRuleRow>): SecurityGroupRuleRow => ({
  id: 'r',
  direction: 'ingress',
  ethertype: 'IPv4',
  protocol: null,
  port_range_min: null,
  port_range_max: null,
  remote_group_id: null,
  remote_address_group_id: null,
  remote_ip_prefix: null,
  ...row,
});

test('rules become matches', () => {
  const cases: [Partial<SecurityGroupRuleRow>, string][] = [
    [{}, 'outport == @g && ip4'],
    [{ direction: 'egress', ethertype: 'IPv6' }, 'inport == @g && ip6'],
    [{ protocol: 'any', remote_ip_prefix: '0.0.0.0/0' }, 'outport == @g && ip4'],
    [{ protocol: 'tcp', port_range_min: 22, port_range_max: 22 }, 'outport == @g && ip4 && tcp && tcp.dst == 22'],
    [
      { protocol: '17', port_range_min: 5, port_range_max: 9 },
      'outport == @g && ip4 && udp && udp.dst >= 5 && udp.dst <= 9',
    ],
    [{ protocol: 'icmp', port_range_min: 8 }, 'outport == @g && ip4 && icmp4 && icmp4.type == 8'],
    [
      { protocol: 'icmp', port_range_min: 3, port_range_max: 4 },
      'outport == @g && ip4 && icmp4 && icmp4.type == 3 && icmp4.code == 4',
    ],
    [{ protocol: 'icmpv6', ethertype: 'IPv6' }, 'outport == @g && ip6 && icmp6'],
    [{ protocol: 'gre' }, 'outport == @g && ip4 && ip.proto == 47'],
    [{ remote_ip_prefix: '10.0.0.0/8', direction: 'egress' }, 'inport == @g && ip4 && ip4.dst == 10.0.0.0/8'],
    [{ remote_group_id: '0191-2', ethertype: 'IPv6' }, 'outport == @g && ip6 && ip6.src == $sg_0191_2_ip6'],
  ];
  for (const [row, match] of cases) assert.equal(ruleMatch('g', rule(row)), match);
  assert.throws(() => ruleMatch('g', rule({ protocol: 'nonsense' })), /unknown protocol/);
});

test('gateways go to living hosts that have the network, each router in its own order', () => {
  const hosts = Array.from({ length: 10 }, (_, n) => ({
    id: `00000000-0000-7000-8000-00000000000${n}`,
    physical_networks: n < 6 ? ['p'] : [],
    zone: n % 2 === 0 ? 'even' : 'odd',
    alive: n < 5,
  }));
  const set = new HostSet(hosts);
  const routers = Array.from({ length: 200 }, (_, n) => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`);
  const first = Map.groupBy(routers, (router) => set.choose(router, 'p')[0]!);
  assert.deepEqual(
    [...first.keys()].sort(),
    hosts.slice(0, 5).map(({ id }) => id),
  );
  for (const list of first.values()) assert.ok(list.length > 15, 'they are spread');
  for (const router of routers) assert.equal(set.choose(router, 'p').length, 3);
  // One host goes: routers whose first choice it was not keep theirs, and who did not choose it at all keeps everything.
  const gone = hosts[2]!.id;
  const left = new HostSet(hosts.filter(({ id }) => id !== gone));
  for (const router of routers) {
    const [before, after] = [set.choose(router, 'p'), left.choose(router, 'p')];
    if (before[0] !== gone) assert.equal(after[0], before[0]);
    if (!before.includes(gone)) assert.deepEqual(after, before);
  }
  // Hosts 1 and 3 live; of the zone whose only one is dead that one counts, so that it has its gateways when it is back.
  assert.deepEqual(set.choose('r', 'p', ['odd']).sort(), [hosts[1]!.id, hosts[3]!.id]);
  assert.deepEqual(new HostSet([{ ...hosts[5]!, zone: 'dead' }, ...hosts.slice(0, 5)]).choose('r', 'p', ['dead']), [
    hosts[5]!.id,
  ]);
  assert.deepEqual(set.choose('r', 'p', ['elsewhere']), []);
  assert.deepEqual(set.choose('r', null), []);
  assert.deepEqual(set.choose('r', 'q'), []);
});

test('when no host is alive all candidates count, so that a restart of control moves nothing', () => {
  const hosts = (alive: boolean) =>
    new HostSet(['a', 'b'].map((id) => ({ id, physical_networks: ['p'], zone: 'z', alive })));
  assert.deepEqual(hosts(false).choose('r', 'p'), hosts(true).choose('r', 'p'));
});

test('a subnet of the address scope that the external network is of leaves and is entered as it is, the others by translation', () => {
  const scoped = (...ofScope: string[]) =>
    new IndexedModel({
      networks: [...representative.networks.values()],
      subnets: [...representative.subnets.values()].map((subnet) => ({
        ...subnet,
        address_scope_id: ofScope.includes(subnet.network_id) ? 'scope' : null,
      })),
      ports: [...representative.ports.values()],
      routers: [...representative.routers.values()],
    });
  const translated = (model: IndexedModel) =>
    desiredRows(model, unit('router', ids.router)).filter(({ key }) => key.startsWith('snat/')).length;
  const isolated = (model: IndexedModel) =>
    desiredRows(model, unit('router', ids.router)).filter(({ key }) => key === 'isolation').length;
  assert.deepEqual([translated(scoped()), isolated(scoped())], [1, 1]);
  assert.deepEqual([translated(scoped(ids.red)), isolated(scoped(ids.red))], [1, 1]);
  const both = scoped(ids.red, ids.external);
  assert.deepEqual([translated(both), isolated(both)], [0, 0]);
});

test("a floating IP is handled on its guest's host if that has the network, else by the gateway, always under its own MAC address", () => {
  const shown = (model: IndexedModel) =>
    desiredRows(model, unit('router', ids.router))
      .filter(({ table, key }) => table === 'NAT' && key.startsWith('floating_ip'))
      .map(({ columns }) => [columns.external_ip, columns.logical_port, columns.external_mac]);
  const guestPort = parts().floatingIps[0]!.port_id;
  const gateway = `cr-router-port-${parts().ports.find((port) => port.device_owner === 'network:router_gateway')!.id}`;
  const second = ['203.0.113.12', gateway, 'fa:16:3e:00:00:0a'];
  assert.deepEqual(shown(representative), [['203.0.113.11', guestPort, 'fa:16:3e:00:00:09'], second]);
  // Its guest has gone to a host without the network.
  const ports = parts().ports.map((port) => (port.id === guestPort ? { ...port, host_id: 'a host without it' } : port));
  assert.deepEqual(shown(new IndexedModel({ ...parts(), ports })), [
    ['203.0.113.11', gateway, 'fa:16:3e:00:00:09'],
    second,
  ]);
});

const parts = () => ({
  networks: [...representative.networks.values()],
  subnets: [...representative.subnets.values()],
  ports: [...representative.ports.values()],
  routers: [...representative.routers.values()],
  floatingIps: [...representative.floatingIps.values()],
  hosts: representative.hosts,
});

test('a router that is not distributed handles all floating IPs itself, and one without HA has a single chassis', () => {
  const rowsWith = (flags: { distributed?: boolean; ha?: boolean }) => {
    const routers = parts().routers.map((router) => ({ ...router, ...flags }));
    return desiredRows(new IndexedModel({ ...parts(), routers }), unit('router', ids.router));
  };
  const ofFloatingIps = (flags: { distributed?: boolean }) =>
    rowsWith(flags).filter(({ table, key }) => table === 'NAT' && key.startsWith('floating_ip/'));
  const local = (flags: { distributed?: boolean }) =>
    ofFloatingIps(flags).filter(({ columns }) => !/^cr-/.test(String(columns.logical_port ?? 'cr-'))).length;
  assert.deepEqual([local({}), local({ distributed: false })], [1, 0]);
  for (const { columns } of ofFloatingIps({ distributed: false }))
    assert.deepEqual([columns.logical_port, columns.external_mac], [null, null]);
  const chassis = (flags: { ha?: boolean }) => rowsWith(flags).filter(({ table }) => table === 'Gateway_Chassis');
  assert.equal(chassis({ ha: false }).length, 1);
  assert.equal(chassis({ ha: false })[0]!.key, chassis({})[0]!.key);
  assert.ok(chassis({}).length > 1);
});

test('the NAT64 engine of a router is where its gateway is first, and nothing of it is left without an IPv4 way out', () => {
  const rows = (change: Partial<ModelRows>) =>
    desiredRows(new IndexedModel({ ...modelRows, ...change }), unit('router', ids.closedRouter));
  const engine = (change: Partial<ModelRows>) =>
    rows(change).find(({ key }) => key === 'nat64/engine')?.columns.options;
  const first = (change: Partial<ModelRows>) => {
    const chassis = rows(change).filter(({ table }) => table === 'Gateway_Chassis');
    return chassis.toSorted((a, b) => Number(b.columns.priority) - Number(a.columns.priority))[0]!.columns.chassis_name;
  };
  const host = (id: string, alive: boolean) => ({ id, physical_networks: ['physnet1'], zone: 'nova', alive });
  for (const dead of [ids.host1, ids.host2]) {
    const hosts = new HostSet([ids.host1, ids.host2].map((id) => host(id, id !== dead)));
    assert.deepEqual(engine({ hosts }), { 'vif-plug-mtu-request': '1500', 'requested-chassis': first({ hosts }) });
    assert.notEqual(first({ hosts }), dead);
  }
  assert.deepEqual(engine({ hosts: new HostSet([]) }), { 'vif-plug-mtu-request': '1500' }, 'it runs nowhere');
  const ports = modelRows.ports!.filter(({ device_id }) => device_id !== ids.closedRouter);
  assert.equal(rows({ ports }).filter(({ key }) => key.includes('nat64')).length, 0);
});

test('no port of a network that is down is enabled, and all are as they were once it is up again', () => {
  const enabled = (up: boolean) => {
    const networks = parts().networks.map((network) => ({ ...network, admin_state_up: up }));
    const model = new IndexedModel({ ...parts(), networks });
    return [...model.ports.keys()]
      .flatMap((id) => desiredRows(model, unit('port', id)))
      .filter(({ table }) => table === 'Logical_Switch_Port')
      .map(({ columns }) => columns.enabled);
  };
  assert.deepEqual(new Set(enabled(false)), new Set([false]));
  const administrated = [...representative.ports.values()].filter((port) => port.device_owner !== 'network:floatingip');
  assert.deepEqual(
    enabled(true),
    administrated.map((port) => port.admin_state_up),
  );
});
