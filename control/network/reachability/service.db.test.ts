/** Questions about reachability as callers put them: how ends are named, which ports are open, what strangers do not see. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { hasReason } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import type { Caller } from '../../kit/caller.ts';
import type { PortRange } from '../port-forwarding/rules.ts';
import { testAdmin, testNetwork } from '../testing.ts';
import { somebodyOutside, TestSites } from './testing.ts';

let sites: TestSites;
before(async () => {
  sites = await TestSites.open();
});
after(() => sites[Symbol.asyncDispose]());

const refused = (reason: Parameters<typeof hasReason>[1]) => (error: unknown) => hasReason(error, reason);

test('an end is a port, a server, or an address, and the answer says what would open it', async () => {
  const at = await sites.site('10.1.0.0/24');
  const [a, b] = [await at.guest(), await at.guest({ device_id: newId() })];
  const server = (await sites.network.ports.read(at.caller, b.id)).device_id;
  for (const from of [a.id, a.address]) {
    for (const to of [b.id, b.address, server]) {
      const told = await sites.network.reachability.ask(at.caller, { from, to, protocol: 'tcp', port: 22 });
      assert.deepEqual(
        [told.reachable, told.version, told.stops.map(({ reason }) => reason)],
        [false, 4, ['ingress_rule_missing']],
      );
    }
  }
  const { stops } = await sites.network.reachability.ask(at.caller, {
    from: a.id,
    to: b.id,
    protocol: 'tcp',
    port: 22,
  });
  const { values } = stops[0]!.opens[0]!;
  await sites.network.securityGroups.createRules(at.caller, [values as never]);
  assert.ok(
    (await sites.network.reachability.ask(at.caller, { from: a.id, to: b.id, protocol: 'tcp', port: 22 })).reachable,
  );
  assert.equal((await sites.network.reachability.ask(at.caller, { from: a.id, to: b.id })).reachable, false);
});

test('where no port is named, the answer names those that get there', async () => {
  const at = await sites.site('10.2.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const open = async () =>
    (await sites.network.reachability.ask(at.caller, { from: a.id, to: b.id, protocol: 'tcp' })).openPorts;
  assert.deepEqual(await open(), []);
  await at.letIn('tcp', 80, 81);
  await at.letIn('tcp', 82, 90);
  await at.letIn('tcp', 65_000, 65_535);
  await at.letIn('udp', 5, 6);
  assert.deepEqual(await open(), [
    [80, 90],
    [65_000, 65_535],
  ]);
  await at.letIn('tcp', 1, 65_535);
  assert.deepEqual(await open(), [[1, 65_535]]);
});

test('of what is another project’s only that something stops it is told', async () => {
  const [here, there] = [await sites.site('10.3.0.0/24'), await sites.site('10.4.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const to = await there.floating(b.id);
  const ask = (caller: Caller) =>
    sites.network.reachability.ask(caller, { from: a.id, to, protocol: 'tcp', port: 443 });
  const told = await ask(here.caller);
  assert.deepEqual(
    [told.reachable, told.stops],
    [false, [{ way: 'there', kind: 'outside', id: null, reason: 'beyond_sight', opens: [] }]],
  );
  const text = JSON.stringify(told);
  for (const secret of [b.id, b.address, there.group, there.router, there.network]) assert.ok(!text.includes(secret));
  assert.match(JSON.stringify(await ask(testAdmin())), new RegExp(there.group));

  await there.letIn('tcp', 443, 443);
  const open = await ask(here.caller);
  assert.ok(open.reachable);
  assert.equal(open.there.filter(({ does }) => does === 'beyond_sight').length, 1);
  for (const secret of [b.id, b.address, there.group]) assert.ok(!JSON.stringify(open).includes(secret));
});

test('an end that is not the caller’s is not found, and two strangers are nobody’s affair', async () => {
  const [here, there] = [await sites.site('10.5.0.0/24'), await sites.site('10.5.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const of = (from: string, to: string) => sites.network.reachability.ask(here.caller, { from, to });
  await assert.rejects(of(a.id, b.id), refused('reachability_end_not_found'));
  await assert.rejects(of(b.id, a.id), refused('reachability_end_not_found'));
  await assert.rejects(of('小屋', a.id), refused('reachability_end_not_found'));
  const theirs = await there.floating(b.id);
  await assert.rejects(of('198.51.100.1', theirs), refused('reachability_ends_foreign'));
  // Both projects have the address; the caller's own is meant.
  assert.deepEqual((await of(a.address, '198.51.100.1')).from, { port: a.id, address: a.address });
});

test('what can be no question is refused', async () => {
  const at = await sites.site('10.6.0.0/24');
  const { id: from } = await at.guest();
  const of = (asked: object) => sites.network.reachability.ask(at.caller, { from, to: '198.51.100.1', ...asked });
  await assert.rejects(of({ version: 6 }), refused('reachability_versions_differ'));
  await assert.rejects(of({ from: '2001:db8::1' }), refused('reachability_versions_differ'));
  await assert.rejects(of({ protocol: 'constructor' }), refused('reachability_protocol_unknown'));
  await assert.rejects(of({ protocol: '256' }), refused('reachability_protocol_unknown'));
  await assert.rejects(of({ protocol: 'icmp', port: 1 }), refused('reachability_protocol_without_ports'));
  assert.deepEqual((await of({ protocol: 'TCP', port: 1 })).assumptions, ['outside_answers']);
});

test('the address of several own ports is refused with all of them', async () => {
  const at = await sites.site('10.7.0.0/24');
  const second = await testNetwork(sites.db.database, at.caller, ['10.7.0.0/24']);
  const one = await at.guest({ fixed_ips: [{ ip: '10.7.0.9' }] });
  const other = await at.guest({ network_id: second.id, fixed_ips: [{ ip: '10.7.0.9' }] });
  const of = (from: string) => sites.network.reachability.ask(at.caller, { from, to: '198.51.100.1' });
  await assert.rejects(of('10.7.0.9'), (error) => {
    assert.ok(hasReason(error, 'reachability_end_ambiguous'));
    assert.deepEqual([...error.fields.ports].sort(), [one.id, other.id].sort());
    return true;
  });
});

test('port forwardings are followed: those of them are open that the rules inside let in', async () => {
  const at = await sites.site('10.8.0.0/24');
  const [guest, other] = [await at.guest(), await at.guest()];
  await at.letIn('tcp', 80, 81);
  await at.letIn('tcp', 9001, 9001);
  const { floatingIps, portForwardings } = sites.network;
  const made = await floatingIps.create(at.caller, { floating_network_id: sites.external });
  const forward = (external: [number, number], internal: [number, number]) => {
    const [of, to] = [external, internal].map(([first, last]) => ({ first, last })) as [PortRange, PortRange];
    const wish = { protocol: 'tcp', external: of, internal: to, port_id: guest.id } as const;
    return portForwardings.create(at.caller, made.id, [wish]);
  };
  await forward([2222, 2222], [80, 80]);
  await forward([7000, 7001], [81, 81]);
  await forward([8000, 8002], [9000, 9002]);
  const to = made.floating_ip;
  const open = [
    [2222, 2222],
    [7000, 7001],
    [8001, 8001],
  ];
  for (const from of [somebodyOutside, other.id, guest.id]) {
    const told = await sites.network.reachability.ask(at.caller, { from, to, protocol: 'tcp' });
    assert.deepEqual([told.openPorts, told.assumptions], [open, []], from);
  }
  const of = async (port: number, protocol = 'tcp') =>
    (await sites.network.reachability.ask(at.caller, { from: somebodyOutside, to, protocol, port })).stops;
  assert.deepEqual(
    (await of(8000)).map(({ reason }) => reason),
    ['ingress_rule_missing'],
  );
  for (const protocol of ['tcp', 'udp']) {
    assert.deepEqual(
      (await of(80, protocol)).map(({ reason, id }) => [reason, id]),
      [['port_not_forwarded', made.id]],
    );
  }
});
