/** Questions about reachability as callers put them: how ends are named, which ports are open, what strangers do not see. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { hasReason } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import type { Caller } from '../../kit/caller.ts';
import { type TestDatabase, testDatabase } from '../../kit/database/testing.ts';
import { openNetwork } from '../open.ts';
import { testAdmin, testCaller, testNetwork } from '../testing.ts';

let db: TestDatabase;
let network: ReturnType<typeof openNetwork>;
let external: { id: string; subnet: string };

before(async () => {
  db = await testDatabase();
  network = openNetwork({ database: db.database });
  await new TestCloud(db.database).host(['physnet1']);
  const segment = { provider_network_type: 'flat', provider_physical_network: 'physnet1' } as const;
  const outside = await testNetwork(db.database, testAdmin(), ['203.0.113.0/24'], { external: true, ...segment });
  external = { id: outside.id, subnet: outside.subnetIds[0]! };
});
after(() => db[Symbol.asyncDispose]());

interface Site {
  caller: Caller;
  group: string;
  router: string;
  network: string;
  /** A guest's, which is up, with its address. */
  guest(over?: object): Promise<{ id: string; address: string }>;
  floating(port: string): Promise<string>;
}

/** A project with a network behind a router, and a group of its own that lets everything out and nothing in. */
async function site(cidr: string): Promise<Site> {
  const caller = testCaller();
  const made = await testNetwork(db.database, caller, [cidr]);
  const gateway = { network_id: external.id };
  const router = await network.routers.create(caller, { name: 'r', gateway });
  await network.routers.addInterface(caller, router.id, { subnet_id: made.subnetIds[0]! });
  const [group] = await network.securityGroups.create(caller, [{ name: 'g' }]);
  return {
    ...{ caller, group: group!.id, router: router.id, network: made.id },
    async guest(over = {}) {
      const wish = { network_id: made.id, security_groups: [group!.id], device_owner: 'compute:nova', ...over };
      const [port] = await network.ports.create(caller, [wish]);
      await sql`update port set observed_up = true where id = ${port!.id}`.execute(db.database.query);
      return { id: port!.id, address: port!.fixed_ips[0]!.ip_address };
    },
    async floating(port) {
      const wish = { floating_network_id: external.id, port_id: port };
      return (await network.floatingIps.create(caller, wish)).floating_ip;
    },
  };
}

const letIn = (at: Site, protocol: string, first: number, last: number) =>
  network.securityGroups.createRules(at.caller, [
    {
      ...{ security_group_id: at.group, direction: 'ingress', ethertype: 'IPv4', protocol },
      ...{ port_range_min: first, port_range_max: last },
    },
  ]);

const refused = (reason: Parameters<typeof hasReason>[1]) => (error: unknown) => hasReason(error, reason);

test('an end is a port, a server, or an address, and the answer says what would open it', async () => {
  const at = await site('10.1.0.0/24');
  const [a, b] = [await at.guest(), await at.guest({ device_id: newId() })];
  const server = (await network.ports.read(at.caller, b.id)).device_id;
  for (const from of [a.id, a.address]) {
    for (const to of [b.id, b.address, server]) {
      const told = await network.reachability.ask(at.caller, { from, to, protocol: 'tcp', port: 22 });
      assert.deepEqual(
        [told.reachable, told.version, told.stops.map(({ reason }) => reason)],
        [false, 4, ['ingress_rule_missing']],
      );
    }
  }
  const { stops } = await network.reachability.ask(at.caller, { from: a.id, to: b.id, protocol: 'tcp', port: 22 });
  const { values } = stops[0]!.opens[0]!;
  await network.securityGroups.createRules(at.caller, [values as never]);
  assert.ok((await network.reachability.ask(at.caller, { from: a.id, to: b.id, protocol: 'tcp', port: 22 })).reachable);
  assert.equal((await network.reachability.ask(at.caller, { from: a.id, to: b.id })).reachable, false);
});

test('where no port is named, the answer names those that get there', async () => {
  const at = await site('10.2.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const open = async () =>
    (await network.reachability.ask(at.caller, { from: a.id, to: b.id, protocol: 'tcp' })).openPorts;
  assert.deepEqual(await open(), []);
  await letIn(at, 'tcp', 80, 81);
  await letIn(at, 'tcp', 82, 90);
  await letIn(at, 'tcp', 65_000, 65_535);
  await letIn(at, 'udp', 5, 6);
  assert.deepEqual(await open(), [
    [80, 90],
    [65_000, 65_535],
  ]);
  await letIn(at, 'tcp', 1, 65_535);
  assert.deepEqual(await open(), [[1, 65_535]]);
});

test('of what is another project’s only that something stops it is told', async () => {
  const [here, there] = [await site('10.3.0.0/24'), await site('10.4.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const to = await there.floating(b.id);
  const ask = (caller: Caller) => network.reachability.ask(caller, { from: a.id, to, protocol: 'tcp', port: 443 });
  const told = await ask(here.caller);
  assert.deepEqual(
    [told.reachable, told.stops],
    [false, [{ way: 'there', kind: 'outside', id: null, reason: 'beyond_sight', opens: [] }]],
  );
  const text = JSON.stringify(told);
  for (const secret of [b.id, b.address, there.group, there.router, there.network]) assert.ok(!text.includes(secret));
  assert.match(JSON.stringify(await ask(testAdmin())), new RegExp(there.group));

  await letIn(there, 'tcp', 443, 443);
  const open = await ask(here.caller);
  assert.ok(open.reachable);
  assert.equal(open.there.filter(({ does }) => does === 'beyond_sight').length, 1);
  for (const secret of [b.id, b.address, there.group]) assert.ok(!JSON.stringify(open).includes(secret));
});

test('an end that is not the caller’s is not found, and two strangers are nobody’s affair', async () => {
  const [here, there] = [await site('10.5.0.0/24'), await site('10.5.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const of = (from: string, to: string) => network.reachability.ask(here.caller, { from, to });
  await assert.rejects(of(a.id, b.id), refused('reachability_end_not_found'));
  await assert.rejects(of(b.id, a.id), refused('reachability_end_not_found'));
  await assert.rejects(of('小屋', a.id), refused('reachability_end_not_found'));
  const theirs = await there.floating(b.id);
  await assert.rejects(of('198.51.100.1', theirs), refused('reachability_ends_foreign'));
  // Both projects have the address; the caller's own is meant.
  assert.deepEqual((await of(a.address, '198.51.100.1')).from, { port: a.id, address: a.address });
});

test('what can be no question is refused', async () => {
  const at = await site('10.6.0.0/24');
  const { id: from } = await at.guest();
  const of = (asked: object) => network.reachability.ask(at.caller, { from, to: '198.51.100.1', ...asked });
  await assert.rejects(of({ version: 6 }), refused('reachability_versions_differ'));
  await assert.rejects(of({ from: '2001:db8::1' }), refused('reachability_versions_differ'));
  await assert.rejects(of({ protocol: 'constructor' }), refused('reachability_protocol_unknown'));
  await assert.rejects(of({ protocol: '256' }), refused('reachability_protocol_unknown'));
  await assert.rejects(of({ protocol: 'icmp', port: 1 }), refused('reachability_protocol_without_ports'));
  assert.deepEqual((await of({ protocol: 'TCP', port: 1 })).assumptions, ['outside_answers']);
});

test('the address of several own ports is refused with all of them', async () => {
  const at = await site('10.7.0.0/24');
  const second = await testNetwork(db.database, at.caller, ['10.7.0.0/24']);
  const one = await at.guest({ fixed_ips: [{ ip: '10.7.0.9' }] });
  const other = await at.guest({ network_id: second.id, fixed_ips: [{ ip: '10.7.0.9' }] });
  const of = (from: string) => network.reachability.ask(at.caller, { from, to: '198.51.100.1' });
  await assert.rejects(of('10.7.0.9'), (error) => {
    assert.ok(hasReason(error, 'reachability_end_ambiguous'));
    assert.deepEqual([...error.fields.ports].sort(), [one.id, other.id].sort());
    return true;
  });
});
