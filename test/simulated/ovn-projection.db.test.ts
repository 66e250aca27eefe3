/** The projection against PostgreSQL and a fake northbound database on the wire. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { globalOptions, names } from '../../control/network/ovn/index.ts';
import { dump } from '../../control/network/ovn/testing/memory-northbound.ts';
import type { Transaction } from '../../protocols/ovsdb/index.ts';
import { FakeDatabase, vswitch } from '../../simulator/ovsdb/index.ts';
import { ovnBench, settled, smallCloud, until } from './ovn-bench.ts';

test('a cloud appears in the northbound database and all hypervisors have it', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  const sw = b.rows('Logical_Switch').find((row) => row.name === names.switch(ids.net))!;
  assert.equal((sw.ports as string[]).length, 4);
  assert.deepEqual(sw.external_ids, {
    'bothy:key': 'switch',
    'bothy:name': '小屋 🏔 "x"; drop',
    'bothy:owner': `network/${ids.net}`,
  });
  const port = b.rows('Logical_Switch_Port').find((row) => row.name === ids.port)!;
  assert.ok(port.dhcpv4_options);
  const group = b.rows('Port_Group').find((row) => row.name === names.portGroup(ids.group))!;
  assert.ok((group.ports as string[]).includes(port._uuid));
  assert.deepEqual(
    b
      .rows('NAT')
      .map((row) => [row.type, row.external_ip, row.logical_ip, row.logical_port])
      .sort(),
    [
      ['dnat_and_snat', '203.0.113.11', '10.1.0.11', ids.port],
      ['snat', '203.0.113.1', '10.1.0.0/24', null],
    ],
  );
  assert.deepEqual(
    b.rows('Gateway_Chassis').map((row) => row.chassis_name),
    [ids.host],
  );
  const global = b.rows('NB_Global')[0]!;
  assert.ok((global.hv_cfg as number) >= 1);
  assert.equal(b.projector.status().failures.length, 0);
});

test('a change to one thing writes only that', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  const touched: string[] = [];
  b.nb.onCommit((changes) => touched.push(...changes.filter((c) => c.table !== 'NB_Global').map((c) => c.table)));

  await b.cloud.rule(ids.group, { protocol: 'udp', port_range_min: 53, port_range_max: 53 });
  const found = () => b.rows('ACL').some((row) => String(row.match).endsWith('udp && udp.dst == 53'));
  await until('the rule is there', found);
  assert.deepEqual(touched.splice(0).sort(), ['ACL', 'Port_Group']);

  await b.cloud.run(sql`delete from security_group_rule where id = ${ids.rule}`);
  await until('the rule is gone', () => !b.rows('ACL').some((row) => String(row.match).endsWith('tcp.dst == 80')));
  assert.deepEqual(touched.splice(0).sort(), ['ACL', 'Port_Group']);

  await b.cloud.run(sql`update port set admin_state_up = false where id = ${ids.port2}`);
  await until(
    'it is disabled',
    () => b.rows('Logical_Switch_Port').find((row) => row.name === ids.port2)!.enabled === false,
  );
  assert.deepEqual(touched.splice(0), ['Logical_Switch_Port']);
});

test('ports join and leave groups; deleted things leave no rows', async () => {
  await using b = await ovnBench();
  await until('it leads', () => b.projector.status().connected);
  const ids = await smallCloud(b);
  await settled(b);
  const members = (group: string) =>
    b.rows('Port_Group').find((row) => row.name === group)?.ports as string[] | undefined;
  assert.equal(members(names.portGroup(ids.group))?.length, 2);
  await b.cloud.run(sql`delete from port_security_group where port_id = ${ids.port2}`);
  await until('it left', () => members(names.portGroup(ids.group))?.length === 1);
  assert.equal(members(names.dropGroup)?.length, 2);
  await b.cloud.run(sql`update port set port_security_enabled = false where id = ${ids.port2}`);
  await until('it is not filtered', () => members(names.dropGroup)?.length === 1);
  await b.cloud.run(sql`delete from floating_ip`);
  await b.cloud.run(sql`delete from port where device_owner <> ''`);
  await b.cloud.run(sql`delete from router`);
  await b.cloud.run(sql`delete from security_group`);
  await b.cloud.run(sql`delete from network`);
  const stays = (line: string) => line.includes('cloud/drop') || line.startsWith('Chassis_Template_Var:');
  await until('all is gone', () => dump(b.nb).every(stays));
  assert.equal(dump(b.nb).length > 0, true);
  assert.equal(b.rows('DHCP_Options').length, 0);
});

test('an emptied northbound database is rebuilt at once, as it was', async () => {
  await using b = await ovnBench();
  await smallCloud(b);
  await settled(b);
  const before = dump(b.nb);
  b.nb.edit((tx) => {
    for (const table of ['Logical_Switch', 'Logical_Router', 'Port_Group', 'DHCP_Options', 'NB_Global'])
      tx.delete(table, []);
  });
  await until('it is as it was', () => JSON.stringify(dump(b.nb)) === JSON.stringify(before));
});

test("what all chassis keep to is in the global row beside what is northd's own, and comes back", async () => {
  await using b = await ovnBench();
  const options = () => b.rows('NB_Global')[0]?.options as Record<string, string>;
  const ours = () => Object.entries(globalOptions).every(([key, value]) => options()?.[key] === value);
  await until('the options', ours);
  b.nb.edit((tx) => tx.update('NB_Global', [], { options: { 'bfd-mult': '9', mac_prefix: '0a:0b:0c' } }));
  await until('the options again', ours);
  assert.equal(options().mac_prefix, '0a:0b:0c');
});

test('what others do to members of groups and to who holds a row is put right at once, and reported', async () => {
  await using b = await ovnBench({ fullPassMs: 600_000 });
  const ids = await smallCloud(b);
  await settled(b);
  await until('all was compared', () => b.projector.status().lastFullPass !== null);
  const before = dump(b.nb);
  const isMended = () => JSON.stringify(dump(b.nb)) === JSON.stringify(before);
  const [port] = b.rows('Logical_Switch_Port').filter((row) => row.name === ids.port);
  const [acl] = b.rows('ACL').filter((row) => String(row.match).includes(names.portGroup(ids.group)));
  const far = b.rows('Logical_Switch').filter(({ ports }) => !(ports as string[]).includes(port!._uuid));
  const meddle: [what: string, (tx: Transaction) => void][] = [
    ['members are taken', (tx) => tx.update('Port_Group', [], { ports: [] })],
    ['a member is taken', (tx) => tx.mutate('Port_Group', [], [['ports', 'delete', [port!._uuid]]])],
    ['a rule is put into other groups', (tx) => tx.mutate('Port_Group', [], [['acls', 'insert', [acl!._uuid]]])],
    [
      'a port is hung on another switch',
      (tx) => tx.mutate('Logical_Switch', far[0]!._uuid, [['ports', 'insert', [port!._uuid]]]),
    ],
    [
      'a port is moved to another switch',
      (tx) => {
        tx.mutate('Logical_Switch', [], [['ports', 'delete', [port!._uuid]]]);
        tx.mutate('Logical_Switch', far[0]!._uuid, [['ports', 'insert', [port!._uuid]]]);
      },
    ],
    ['a rule’s text is changed', (tx) => tx.update('ACL', acl!._uuid, { match: '1' })],
  ];
  for (const [what, change] of meddle) {
    const { drift, lastFullPass } = b.projector.status();
    b.nb.edit(change);
    assert.ok(!isMended(), what);
    await until(`${what}: it is mended`, isMended);
    await until(`${what}: it is reported`, () => b.projector.status().drift > drift);
    assert.deepEqual(b.projector.status().lastFullPass, lastFullPass, 'nothing had to be gone through');
  }
});

test('what the projection writes itself is no drift', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  await b.cloud.run(sql`delete from port_security_group where port_id = ${ids.port2}`);
  await b.cloud.run(sql`update port set port_security_enabled = false where id = ${ids.port}`);
  await b.cloud.run(sql`delete from floating_ip`);
  await settled(b);
  assert.equal(b.projector.status().drift, 0);
});

test('rows that are not ours are left alone, and one that bears our name is reported', async () => {
  await using b = await ovnBench();
  const cloud = b.cloud;
  const net = await cloud.network();
  const subnet = await cloud.subnet(net, '10.1.0.0/24');
  const port = await cloud.port(net, [{ subnet, ip: '10.1.0.5' }]);
  b.nb.edit((tx) => {
    const foreign = tx.insert('Logical_Switch_Port', { name: port });
    tx.insert('Logical_Switch', { name: 'by-hand', ports: [foreign], external_ids: { mine: 'yes' } });
  });
  // Before that it may have waited for its network's rows.
  await until('the failure is reported', () => {
    const { failures } = b.projector.status();
    return failures.length === 1 && /constraint violation/.test(failures[0]!.error);
  });
  assert.equal(b.projector.status().failures[0]!.unit, `port/${port}`);
  b.nb.edit((tx) => tx.delete('Logical_Switch', [['name', '==', 'by-hand']]));
  await until('it is repaired', () => b.projector.status().failures.length === 0);
  assert.equal(b.rows('Logical_Switch_Port').length, 1);
});

test('a lost connection is made again, and what changed meanwhile is caught up', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  await b.restartServer(() => {
    b.nb.edit((tx) => tx.delete('Logical_Router', []));
  });
  await b.cloud.run(sql`update network set name = 'new name' where id = ${ids.net}`);
  await until('router and name', () => {
    const sw = b.rows('Logical_Switch').find((row) => row.name === names.switch(ids.net)) ?? null;
    return b.rows('Logical_Router').length === 1 && JSON.stringify(sw).includes('"bothy:name":"new name"');
  });
});

test('one of two processes projects; when it goes the other takes over', async () => {
  await using b = await ovnBench();
  await until('one leads', () => b.projector.status().role === 'leader');
  const other = b.project();
  await b.cloud.network();
  await until('it is projected', () => b.rows('Logical_Switch').length === 1);
  assert.equal(other.status().role, 'standby');
  await assert.rejects(other.reached([], { timeoutMs: 100 }), /does not project/);
  await b.projector.stop();
  await b.cloud.network();
  await until('the other projects', () => b.rows('Logical_Switch').length === 2);
  assert.equal(other.status().role, 'leader');
});

test('a holder whose lease another took stops, and projects again when that one is gone', async () => {
  await using b = await ovnBench();
  await until('it leads', () => b.projector.status().connected);
  await sql`update lease set holder = gen_random_uuid(), epoch = epoch + 1, expires_at = now() + interval '0.3 s'`.execute(
    b.db.database.query,
  );
  await until('it lost it', () => b.projector.status().role === 'standby');
  await b.cloud.network();
  await until('it is projected', () => b.rows('Logical_Switch').length === 1);
});

test('ports come up in the truth when a host plugs them, and go down', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  const ovs = new FakeDatabase(vswitch);
  b.northd.follow(ovs);
  const up = async () => {
    const { rows } = await sql<{
      id: string;
    }>`select id from port where observed_up and device_owner = 'compute:nova'`.execute(b.db.database.query);
    return rows.map(({ id }) => id).join();
  };
  ovs.edit((tx) => {
    const plug = tx.insert('Interface', { name: 't', external_ids: { 'iface-id': ids.port } });
    const port = tx.insert('Port', { name: 't', interfaces: [plug] });
    const bridge = tx.insert('Bridge', { name: 'br-int', ports: [port] });
    tx.insert('Open_vSwitch', { bridges: [bridge] });
  });
  await until('it is up', async () => (await up()) === ids.port);
  ovs.edit((tx) => tx.update('Bridge', [], { ports: [] }));
  await until('it is down', async () => (await up()) === '');
});

test('a gateway moves when its host is gone, a floating IP moves with its router', async () => {
  await using b = await ovnBench();
  const ids = await smallCloud(b);
  await settled(b);
  const second = await b.cloud.host();
  const chassis = () =>
    b
      .rows('Gateway_Chassis')
      .map((row) => row.chassis_name)
      .sort()
      .join();
  await until('both', () => chassis() === [ids.host, second].sort().join());
  await b.cloud.run(
    sql`update host set connected = false, last_seen_at = now() - interval '1 hour' where id = ${ids.host}`,
  );
  await until('only the living', () => chassis() === second);
  const router = await b.cloud.router();
  await b.cloud.gateway(router, ids.ext, [{ subnet: ids.extSubnet, ip: '203.0.113.2' }]);
  await b.cloud.run(sql`update floating_ip set router_id = ${router}`);
  await until('the rule moved', () => {
    const nat = b.rows('NAT').filter((row) => row.type === 'dnat_and_snat');
    return nat.length === 1 && (nat[0]!.external_ids as Record<string, string>)['bothy:owner'] === `router/${router}`;
  });
});
