/** Segments in questions: where guests of one network are, and what joins them. Standing assertions follow what hosts carry. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { sql } from 'kysely';
import { pino } from 'pino';
import { newId } from '../../../contract/ids.ts';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { until } from '../../../test/support/until.ts';
import { ChangeFeed } from '../../kit/change-log/changes.ts';
import { AssertionWatch } from '../reachability-assertion/index.ts';
import { testCaller } from '../testing.ts';
import { TestSites } from './testing.ts';

let sites: TestSites;
before(async () => {
  sites = await TestSites.open();
});
after(() => sites[Symbol.asyncDispose]());

/** A network of the project's that lets everything in, on physical networks of its own, each with its host. */
async function segmented(physical: readonly string[]) {
  const caller = testCaller();
  const cloud = new TestCloud(sites.db.database, caller.projectId!);
  const group = await cloud.securityGroup();
  await cloud.rule(group, {});
  const names = physical.map((name) => `${name}-${caller.projectId!.slice(-8)}`);
  const hosts = await Promise.all(names.map((name) => cloud.host([name])));
  const provider = { provider_network_type: 'flat', provider_physical_network: names[0] };
  const network = await cloud.network({ mtu: 1500, ...provider });
  for (const [position, physical_network] of names.slice(1).entries()) {
    const segment = {
      id: newId(),
      network_id: network,
      position: position + 1,
      network_type: 'flat',
      physical_network,
    };
    await cloud.insert('segment', segment);
  }
  const guest = (subnet: string, ip: string, host_id: string | null) =>
    cloud.port(network, [{ subnet, ip }], { host_id, observed_up: host_id !== null }, [group]);
  const ask = async (from: string, to: string) => {
    const question = { from, to, protocol: 'tcp', port: 80 };
    const { reachable, stops, assumptions } = await sites.network.reachability.ask(caller, question);
    return { reachable, stops: [...new Set(stops.map(({ reason }) => reason))], assumptions };
  };
  return { caller, cloud, names, hosts, network, guest, ask };
}

const carries = (host: string, names: readonly string[]) =>
  sql`update host set physical_networks = ${[...names]}::text[] where id = ${host}`.execute(sites.db.database.query);

test('guests on two segments of one network do not meet, those on one segment or one host do', async () => {
  const { cloud, names, hosts, network, guest, ask } = await segmented(['red', 'blue']);
  const subnet = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: null });
  const red = await guest(subnet, '10.1.0.11', hosts[0]!);
  const blue = await guest(subnet, '10.1.0.12', hosts[1]!);
  const near = await guest(subnet, '10.1.0.13', await cloud.host([names[0]!]));
  assert.deepEqual(await ask(red, blue), { reachable: false, stops: ['segments_apart'], assumptions: [] });
  assert.deepEqual((await ask(blue, near)).stops, ['segments_apart']);
  assert.equal((await ask(red, near)).reachable, true);
  const island = await cloud.host([]);
  const [lost, beside] = [await guest(subnet, '10.1.0.14', island), await guest(subnet, '10.1.0.15', island)];
  assert.deepEqual((await ask(red, lost)).stops, ['host_without_segment']);
  assert.equal((await ask(lost, beside)).reachable, true);
});

test('where a guest has no host yet it is said what is assumed', async () => {
  const { cloud, hosts, network, guest, ask } = await segmented(['red', 'blue']);
  const subnet = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: null });
  const red = await guest(subnet, '10.1.0.11', hosts[0]!);
  const coming = await guest(subnet, '10.1.0.12', null);
  assert.deepEqual(await ask(red, coming), {
    ...{ reachable: false, stops: ['port_not_up'], assumptions: ['on_one_segment'] },
  });
});

test('subnets of segments meet by the router of the fabric, under the rules of both ends', async () => {
  const { cloud, hosts, network, guest, ask } = await segmented(['red', 'blue']);
  const first = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: '10.1.0.1' });
  const second = await cloud.subnet(network, '10.2.0.0/24', { gateway_ip: '10.2.0.1' });
  const red = await guest(first, '10.1.0.11', hosts[0]!);
  const blue = await guest(second, '10.2.0.11', hosts[1]!);
  assert.deepEqual(await ask(red, blue), { reachable: true, stops: [], assumptions: ['outside_routes_here'] });
  const closed = await cloud.port(
    network,
    [{ subnet: second, ip: '10.2.0.12' }],
    { host_id: hosts[1]!, observed_up: true },
    [await cloud.securityGroup()],
  );
  assert.deepEqual((await ask(red, closed)).stops, ['ingress_rule_missing']);
});

test('what a standing assertion says is judged anew when a host loses its physical network, and when it has it again', async () => {
  const { caller, cloud, names, hosts, network, guest } = await segmented(['red']);
  const subnet = await cloud.subnet(network, '10.1.0.0/24', { gateway_ip: null });
  const far = await cloud.host([names[0]!]);
  const [from, to] = [await guest(subnet, '10.1.0.11', hosts[0]!), await guest(subnet, '10.1.0.12', far)];
  const { reachabilityAssertions } = sites.network;
  const { id } = await reachabilityAssertions.create(caller, { kind: 'must', from, to, protocol: 'tcp', port: 80 });
  const log = pino({ level: 'silent' });
  const feed = new ChangeFeed({ database: sites.db.database, url: sites.db.url, log });
  await feed.start();
  const watch = new AssertionWatch({ database: sites.db.database, feed, log });
  watch.start();
  const becomes = (state: string) =>
    until(state, async () => (await reachabilityAssertions.read(caller, id)).state === state);
  try {
    await becomes('holds');
    await carries(far, []);
    await becomes('violated');
    await carries(far, names);
    await becomes('holds');
    await cloud.run(sql`update port set host_id = null where id = ${to}`);
    await cloud.run(sql`delete from host where id = ${far}`);
    await becomes('holds');
  } finally {
    await watch.stop();
    await feed.stop();
  }
});
