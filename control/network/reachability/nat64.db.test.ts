/** NAT64 in questions: a guest without IPv4 behind a router with the option, and one behind a router without. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Site, somebodyOutside, TestSites } from './testing.ts';

const below = (address: string) => `fd64:ff9b:1::${address}`;
let sites: TestSites;
let six: Site;
let four: Site;
let guest: { id: string; address: string };

before(async () => {
  sites = await TestSites.open();
  six = await sites.site('fd00:64::/64');
  four = await sites.site('10.64.0.0/24');
  guest = await six.guest();
  await sites.network.routers.update(six.caller, six.router, { nat64: true });
});
after(() => sites[Symbol.asyncDispose]());

const ask = (site: Site, to: string, more: object = { protocol: 'tcp', port: 80 }) =>
  sites.network.reachability.ask(site.caller, { from: guest.id, to, ...more });
const stopsOf = async (to: string) => {
  const { reachable, stops } = await ask(six, to);
  return [reachable, ...stops.map(({ reason }) => reason)];
};

test('who has IPv4 alone is reached below the prefix, by TCP and ping, as if the gateway asked', async () => {
  for (const more of [{ protocol: 'tcp', port: 80 }, {}]) {
    const told = await ask(six, below(somebodyOutside), more);
    assert.deepEqual([told.reachable, told.version, told.assumptions], [true, 6, ['outside_answers']]);
    const does = told.there.filter(({ kind }) => kind === 'router').map(({ does, destination }) => [does, destination]);
    assert.deepEqual(does, [
      ['nat64', somebodyOutside],
      ['snat', somebodyOutside],
    ]);
    assert.match(told.there.at(-1)!.source, /^203\.0\.113\./);
    const back = told.back.filter(({ kind }) => kind === 'router').map(({ does }) => does);
    assert.deepEqual(back.slice(0, 2), ['nat_back', 'nat64_back']);
    assert.deepEqual(
      [told.back.at(-1)!.source, told.back.at(-1)!.destination],
      [(await ask(six, below(somebodyOutside))).there[0]!.destination, guest.address],
    );
  }
});

test('another project’s floating IP is reached as its rules let in, with all of the open ports', async () => {
  const server = await four.guest();
  const address = await four.floating(server.id);
  assert.deepEqual(await stopsOf(below(address)), [false, 'beyond_sight']);
  await four.letIn('tcp', 80, 90);
  assert.deepEqual(await stopsOf(below(address)), [true]);
  const { openPorts } = await ask(six, below(address), { protocol: 'tcp' });
  assert.deepEqual(openPorts, [[80, 90]]);
});

test('an IPv4 network of the same router is reached from an address that only the engine knows', async () => {
  const both = await sites.site('10.66.0.0/24');
  const near = await both.guest();
  const inside = await sites.network.networks.create(both.caller, [{ name: 'six' }]);
  const [v6] = await sites.network.subnets.create(both.caller, [
    { network_id: inside[0]!.id, cidr: 'fd00:66::/64', ip_version: 6 },
  ]);
  await sites.network.routers.addInterface(both.caller, both.router, { subnet_id: v6!.id });
  await sites.network.routers.update(both.caller, both.router, { nat64: true });
  const from = await both.guest({ network_id: inside[0]!.id });
  const question = { from: from.id, to: below(near.address), protocol: 'tcp', port: 80 };
  const closed = await sites.network.reachability.ask(both.caller, question);
  assert.deepEqual(
    closed.stops.map(({ reason }) => reason),
    ['ingress_rule_missing'],
  );
  await both.letIn('tcp', 80, 80);
  const open = await sites.network.reachability.ask(both.caller, question);
  assert.deepEqual([open.reachable, open.assumptions], [true, ['any_of_nat64']]);
  // Whose an address of the pool is nobody tells.
  const kept = await sites.network.reachability.ask(both.caller, { ...question, from: near.id, to: '100.127.0.9' });
  assert.deepEqual(
    kept.stops.map(({ reason }) => reason),
    ['address_of_nat64'],
  );
});

test('what no engine sends is not reached, and nothing without the option or a gateway', async () => {
  for (const address of ['127.0.0.1', '169.254.169.254', '224.0.0.1', '100.127.0.9', '192.0.0.2'])
    assert.deepEqual(await stopsOf(below(address)), [false, 'address_unknown'], address);
  const { routers } = sites.network;
  await routers.update(six.caller, six.router, { nat64: false });
  assert.deepEqual(await stopsOf(below(somebodyOutside)), [false, 'no_route']);
  await routers.update(six.caller, six.router, { nat64: true, gateway: null });
  assert.deepEqual(await stopsOf(below(somebodyOutside)), [false, 'no_route']);
});
