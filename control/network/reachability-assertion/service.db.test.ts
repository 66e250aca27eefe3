/** Standing assertions: what they refuse, what they only tell, and what changes of several at once make of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import { hasReason } from '../../../contract/errors.ts';
import { newId } from '../../../contract/ids.ts';
import { until } from '../../../test/support/until.ts';
import { cloudActor } from '../../kit/database/database.ts';
import { type Site, somebodyOutside, TestSites } from '../reachability/testing.ts';
import { testAdmin } from '../testing.ts';
import { AssertionWatch } from './index.ts';
import type { AssertionWish } from './service.ts';

let sites: TestSites;
before(async () => {
  sites = await TestSites.open();
});
after(() => sites[Symbol.asyncDispose]());

const make = (at: Site, wish: Partial<AssertionWish> & Pick<AssertionWish, 'kind' | 'from' | 'to'>) =>
  sites.network.reachabilityAssertions.create(at.caller, { protocol: 'tcp', port: 22, ...wish });
const read = (at: Site, id: string) => sites.network.reachabilityAssertions.read(at.caller, id);
const isRefused = (error: unknown) => hasReason(error, 'reachability_assertion_violated');

test('a rule that would let in what must never get in is refused, and nothing of it is made', async () => {
  const at = await sites.site('10.1.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const { id, state } = await make(at, { kind: 'never', from: a.id, to: b.id, name: '小屋' });
  assert.equal(state, 'holds');
  await assert.rejects(at.letIn('tcp', 1, 100), (error) => {
    assert.ok(hasReason(error, 'reachability_assertion_violated'));
    assert.deepEqual([error.code, error.fields.id, error.fields.name], ['conflict', id, '小屋']);
    return true;
  });
  const { rules } = await sites.network.securityGroups.read(at.caller, at.group);
  assert.ok(rules.every(({ direction }) => direction === 'egress'));
  await at.letIn('tcp', 23, 100);
  assert.equal((await read(at, id)).state, 'holds');
});

test('what must get there is kept from losing its rule, its router, its address and its switch', async () => {
  const at = await sites.site('10.2.0.0/24');
  const guest = await at.guest();
  const rule = await at.letIn('tcp', 22, 22);
  const to = await at.floating(guest.id);
  const { id, state } = await make(at, { kind: 'must', from: somebodyOutside, to });
  assert.equal(state, 'holds');
  const { network } = sites;
  const floating = (await network.floatingIps.list(at.caller, {}))[0]!.id;
  await assert.rejects(network.securityGroups.deleteRule(at.caller, rule), isRefused);
  await assert.rejects(network.routers.update(at.caller, at.router, { admin_state_up: false }), isRefused);
  await assert.rejects(network.ports.update(at.caller, guest.id, { security_groups: [] }), isRefused);
  await assert.rejects(network.ports.update(at.caller, guest.id, { admin_state_up: false }), isRefused);
  await assert.rejects(network.floatingIps.update(at.caller, floating, { port_id: null }), isRefused);
  await network.ports.update(at.caller, guest.id, { name: 'other' });
  assert.equal((await read(at, id)).state, 'holds');
  await network.reachabilityAssertions.delete(at.caller, id);
  await network.securityGroups.deleteRule(at.caller, rule);
});

test('a port forwarding that would let in what must never get in is refused', async () => {
  const at = await sites.site('10.13.0.0/24');
  const guest = await at.guest();
  await at.letIn('tcp', 22, 22);
  const { floatingIps, portForwardings } = sites.network;
  const { id, floating_ip: to } = await floatingIps.create(at.caller, { floating_network_id: sites.external });
  await make(at, { kind: 'never', from: somebodyOutside, to, port: 2222 });
  const port = (n: number) => ({ first: n, last: n });
  const wish = { protocol: 'tcp', external: port(2222), internal: port(22), port_id: guest.id } as const;
  await assert.rejects(portForwardings.create(at.caller, id, [wish]), isRefused);
  await portForwardings.create(at.caller, id, [{ ...wish, external: port(2223) }]);
});

test('two changes that are harmless alone do not break one together', async () => {
  for (let n = 0; n < 5; n++) {
    const at = await sites.site(`10.3.${n}.0/24`);
    const { network } = sites;
    const group = await network.securityGroups.create(at.caller, [{ name: 'second' }]);
    const b = await at.guest({ security_groups: [group[0]!.id] });
    const a = await at.guest();
    await make(at, { kind: 'never', from: a.id, to: b.id });
    const outcomes = await Promise.allSettled([
      at.letIn('tcp', 22, 22),
      network.ports.update(at.caller, b.id, { security_groups: [group[0]!.id, at.group] }),
    ]);
    const refused = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    assert.deepEqual(refused.map(isRefused), [true], String(refused));
  }
});

test('one that is violated already refuses no step to mend it, and holds when it is mended', async () => {
  const at = await sites.site('10.4.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const { id, state, finding } = await make(at, { kind: 'must', from: a.id, to: b.id });
  assert.equal(state, 'violated');
  assert.deepEqual(finding?.missing === undefined && finding?.stops.map(({ reason }) => reason), [
    'ingress_rule_missing',
  ]);
  await at.letIn('tcp', 80, 80);
  const rule = await at.letIn('tcp', 22, 22);
  await sites.network.reachabilityAssertions.update(at.caller, id, { name: 'now' });
  assert.deepEqual([(await read(at, id)).state, (await read(at, id)).finding], ['holds', null]);
  await assert.rejects(sites.network.securityGroups.deleteRule(at.caller, rule), isRefused);
});

test('without a port all of them must get there, or none may', async () => {
  const at = await sites.site('10.5.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const whole = { from: a.id, to: b.id, protocol: 'tcp' };
  const create = (kind: 'must' | 'never') => sites.network.reachabilityAssertions.create(at.caller, { kind, ...whole });
  const never = await create('never');
  await assert.rejects(at.letIn('tcp', 5432, 5432), isRefused);
  await sites.network.reachabilityAssertions.delete(at.caller, never.id);
  await at.letIn('tcp', 1, 65_535);
  assert.equal((await create('must')).state, 'holds');
});

test('who deletes an end may do so: it is unknown from then on', async () => {
  const at = await sites.site('10.6.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  await at.letIn('tcp', 22, 22);
  const { id } = await make(at, { kind: 'must', from: a.id, to: b.id });
  await sites.network.ports.delete(at.caller, b.id);
  const { state, finding } = await read(at, id);
  assert.deepEqual([state, finding], ['unknown', { missing: 'to' }]);
});

test('an alarm refuses nothing: the change is made, and the state that follows it can be watched', async () => {
  const at = await sites.site('10.7.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  const { id } = await make(at, { kind: 'never', from: a.id, to: b.id, on_violation: 'alarm' });
  await using watched = watch();
  const rule = await at.letIn('tcp', 22, 22);
  const changed = { resource_type: 'security_group_rule', resource_id: rule, project_id: at.caller.projectId };
  watched.tell([changed]);
  await until('the alarm', async () => (await read(at, id)).state === 'violated');
  // What is found once more is no news.
  watched.tell([changed]);
  await watched[Symbol.asyncDispose]();
  assert.equal((await read(at, id)).generation, 2);
});

test('what happens in another project is decided afterwards and refuses nothing there', async () => {
  const [here, there] = [await sites.site('10.8.0.0/24'), await sites.site('10.9.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const to = await there.floating(b.id);
  const { id } = await make(here, { kind: 'never', from: a.id, to });
  await using watched = watch();
  const rule = await there.letIn('tcp', 22, 22);
  watched.tell([
    { resource_type: 'security_group_rule', resource_id: rule, project_id: there.caller.projectId, group: there.group },
  ]);
  await until('it is known', async () => (await read(here, id)).state === 'violated');
  const text = JSON.stringify((await read(here, id)).finding);
  for (const secret of [b.id, b.address, there.group, there.router]) assert.ok(!text.includes(secret));
});

test('what the cloud does by itself is not refused', async () => {
  const at = await sites.site('10.10.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  await at.letIn('tcp', 22, 22);
  const { id } = await make(at, { kind: 'must', from: a.id, to: b.id });
  await sites.db.database.transaction(cloudActor, (tx) =>
    tx.updateTable('port').set({ admin_state_up: false, generation: 9 }).where('id', '=', b.id).execute(),
  );
  // It looks at all of them first.
  await using _watch = watch();
  await until('it is known', async () => (await read(at, id)).state === 'violated');
});

test('an assertion is its project’s, about ends that it sees, and not without end many', async () => {
  const [here, there] = [await sites.site('10.11.0.0/24'), await sites.site('10.12.0.0/24')];
  const [a, b] = [await here.guest(), await there.guest()];
  const { reachabilityAssertions } = sites.network;
  const { id } = await make(here, { kind: 'never', from: a.id, to: '198.51.100.1' });
  const denied = (error: unknown) => hasReason(error, 'reachability_assertion_not_found');
  await assert.rejects(read(there, id), denied);
  await assert.rejects(reachabilityAssertions.delete(there.caller, id), denied);
  await assert.rejects(reachabilityAssertions.update(there.caller, newId(), {}), denied);
  assert.equal((await reachabilityAssertions.read(testAdmin(), id)).id, id);
  await assert.rejects(make(here, { kind: 'never', from: a.id, to: b.id }), (error) =>
    hasReason(error, 'reachability_end_not_found'),
  );
  await sql`insert into quota (id, project_id, resource, maximum)
    values (${newId()}, ${here.caller.projectId}, 'reachability_assertions', 3)`.execute(sites.db.database.query);
  const many = Array.from({ length: 4 }, () => make(here, { kind: 'never', from: a.id, to: '198.51.100.1' }));
  const refused = (await Promise.allSettled(many)).flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  assert.deepEqual(
    refused.map((error) => hasReason(error, 'quota_exceeded')),
    [true, true],
  );
});

test('a change after which too much hangs together for an answer is not refused: the assertion is unknown', async () => {
  const at = await sites.site('10.14.0.0/24');
  const guests = [await at.guest(), await at.guest(), await at.guest()];
  const { floatingIps, portForwardings } = sites.network;
  const { id: floatingIp, floating_ip: to } = await floatingIps.create(at.caller, {
    floating_network_id: sites.external,
  });
  const { id, state } = await make(at, { kind: 'never', from: somebodyOutside, to, port: undefined });
  assert.equal(state, 'holds');
  // Each rule's ports are others outside for each forwarding.
  const rules = Array.from({ length: 90 }, (_, n) => ({
    ...({ security_group_id: at.group, direction: 'egress', ethertype: 'IPv4', protocol: 'tcp' } as const),
    ...{ port_range_min: 10 * n + 10, port_range_max: 10 * n + 14 },
  }));
  await sites.network.securityGroups.createRules(at.caller, rules);
  const range = (n: number) => ({ first: 5000 * n + 1, last: 5000 * n + 1000 });
  const forwardings = guests.map(
    ({ id: port_id }, n) => ({ protocol: 'tcp', external: range(n), internal: range(0), port_id }) as const,
  );
  await portForwardings.create(at.caller, floatingIp, forwardings);
  const { state: now, finding } = await read(at, id);
  assert.deepEqual([now, finding], ['unknown', { missing: 'answer' }]);
});

test('one that can’t be decided keeps no other from being decided', async () => {
  const at = await sites.site('10.15.0.0/24');
  const [a, b] = [await at.guest(), await at.guest()];
  await at.letIn('tcp', 22, 22);
  const broken = await make(at, { kind: 'never', from: somebodyOutside, to: a.id });
  const { id } = await make(at, { kind: 'must', from: a.id, to: b.id });
  await sites.db.database.transaction(cloudActor, async (tx) => {
    // They are looked at in the order of their ids.
    const unfit = { id: '00000000-0000-4000-8000-000000000000', ip_version: 6 } as const;
    await tx.updateTable('reachability_assertion').set(unfit).where('id', '=', broken.id).execute();
    await tx.updateTable('port').set({ admin_state_up: false, generation: 9 }).where('id', '=', b.id).execute();
  });
  await using _watch = watch();
  await until('the other is decided', async () => (await read(at, id)).state === 'violated');
});

/** The watch, told of changes by the test. */
function watch() {
  let listener: (changes: never[]) => void = () => {};
  const feed = {
    subscribe(told: (changes: never[]) => void) {
      listener = told;
      return () => {};
    },
  };
  const { database } = sites.db;
  const watch = new AssertionWatch({ database, feed: feed as never, log: pino({ level: 'silent' }) });
  watch.start();
  return {
    tell: (changes: { group?: string; [column: string]: unknown }[]) =>
      listener(changes.map(({ group, ...change }) => ({ ...change, body: { security_group_id: group } })) as never[]),
    [Symbol.asyncDispose]: () => watch.stop(),
  };
}
