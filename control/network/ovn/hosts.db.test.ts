/** Which routers a host touches that comes, goes or changes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sql } from 'kysely';
import { TestCloud } from '../../../test/simulated/ovn-cloud.ts';
import { until } from '../../../test/support/until.ts';
import type { Change } from '../../kit/change-log/changes.ts';
import { testDatabase } from '../../kit/database/testing.ts';
import { bringPage } from '../../kit/projection/index.ts';
import { hostGraceMs } from './hosts.ts';
import { NorthboundTarget } from './target.ts';
import { AloneLease, alone, MemoryNorthbound } from './testing/memory-northbound.ts';
import { idOf, unit } from './units.ts';

const hosts = 10;
const routers = 30;

async function bench() {
  const db = await testDatabase();
  const cloud = new TestCloud(db.database);
  const ids: string[] = [];
  for (let n = 0; n < hosts; n++) ids.push(await cloud.host(n < hosts - 2 ? ['physnet1'] : []));
  const ext = await cloud.external();
  const subnet = await cloud.subnet(ext, '203.0.113.0/24', { gateway_ip: '203.0.113.254', enable_dhcp: false });
  for (let n = 0; n < routers; n++) {
    await cloud.gateway(await cloud.router(), ext, [{ subnet, ip: `203.0.113.${n + 1}` }]);
  }
  const nb = new MemoryNorthbound();
  let looks = 0;
  const events = { ...alone, look: () => looks++ };
  const target = new NorthboundTarget({
    db: db.database.query,
    client: nb,
    lease: new AloneLease(),
    actual: nb.actual,
    events,
  });
  for await (const page of target.everything()) await bringPage(target, page, alone.mayWrite);
  // What everything() saw of the hosts is no change.
  await target.touched([]);
  const change = (id: string) =>
    ({ resource_type: 'host', resource_id: id, action: 'updated', body: {} }) as unknown as Change;
  return {
    ...{ db, cloud, ids, nb, target, ext, subnet },
    looks: () => looks,
    /** Routers that have the host among their chassis. */
    naming: (host: string) => [...nb.actual.routersOnChassis(host)].sort(),
    async set(host: string, columns: ReturnType<typeof sql>): Promise<string[]> {
      await cloud.run(sql`update host set ${columns} where id = ${host}`);
      const touched = [...(await target.touched([change(host)]))];
      await bringPage(target, touched, alone.mayWrite);
      return touched.sort();
    },
    async [Symbol.asyncDispose]() {
      await target.close();
      await db[Symbol.asyncDispose]();
    },
  };
}

const gone = sql`connected = false, last_seen_at = now() - interval '1 hour'`;

test('a host that is away for less than the grace touches no router', async () => {
  await using b = await bench();
  const [host] = b.ids as [string];
  assert.ok(b.naming(host).length > 0);
  assert.deepEqual(await b.set(host, sql`connected = false, last_seen_at = now()`), []);
  assert.deepEqual(await b.set(host, sql`connected = true`), []);
  assert.deepEqual(await b.set(host, sql`facts = '{"cpus": 3}'`), []);
});

test('a host that goes touches the routers that name it; when it comes back, those that choose it', async () => {
  await using b = await bench();
  const [host] = b.ids as [string];
  const before = b.naming(host);
  assert.ok(before.length > 2 && before.length < (2 * routers) / 3, `${before.length} of ${routers} name it`);
  assert.deepEqual(await b.set(host, gone), before);
  assert.deepEqual(b.naming(host), []);
  assert.deepEqual(await b.set(host, sql`connected = true`), before);
  assert.deepEqual(b.naming(host), before);
});

test('a host that goes to sleep is left by routers before it is off, and chosen again when it is back', async () => {
  await using b = await bench();
  const [host] = b.ids as [string];
  const before = b.naming(host);
  assert.deepEqual(await b.set(host, sql`maintenance = '{"cause": "consolidation"}'`), before);
  assert.deepEqual(b.naming(host), []);
  assert.deepEqual(await b.set(host, sql`connected = false, last_seen_at = now()`), []);
  assert.deepEqual(await b.set(host, sql`maintenance = null, connected = true`), before);
  assert.deepEqual(b.naming(host), before);
});

test('a host whose grace ends is looked at again, without a change in the log', async () => {
  await using b = await bench();
  const [host] = b.ids as [string];
  const before = b.naming(host);
  // A busy machine may take longer from this statement to the look at the host than is left: then again, with more.
  let began = 0;
  for (let leftMs = 200; performance.now() - began >= leftMs; leftMs *= 2) {
    await b.set(host, sql`connected = true`);
    const silent = (hostGraceMs - 2 * leftMs) / 1000;
    began = performance.now();
    await b.set(host, sql`connected = false, last_seen_at = clock_timestamp() - make_interval(secs => ${silent})`);
  }
  assert.deepEqual(b.naming(host), before);
  await until('a look at it', () => b.looks() > 0);
  assert.deepEqual([...(await b.target.touched([]))].sort(), before);
});

test('when the last living host goes or the first comes, the routers follow', async () => {
  await using b = await bench();
  const living = b.ids.slice(0, hosts - 2);
  for (const host of living) await b.set(host, gone);
  // None is alive: all count, and each router has its own three again.
  assert.equal(b.nb.database.rows('Gateway_Chassis').size, routers * 3);
  const [first] = living as [string];
  const touched = await b.set(first, sql`connected = true`);
  assert.equal(touched.length, routers);
  assert.deepEqual(b.naming(first).length, routers);
  assert.equal(b.nb.database.rows('Gateway_Chassis').size, routers);
});

test('a router whose gateway shall be in a zone goes with the hosts that come to be of it, and to no others', async () => {
  await using b = await bench();
  const [one, two] = b.ids as [string, string];
  const router = await b.cloud.router();
  await b.cloud.run(sql`update router set availability_zone_hints = '{west}' where id = ${router}`);
  await b.cloud.gateway(router, b.ext, [{ subnet: b.subnet, ip: '203.0.113.200' }]);
  await bringPage(b.target, [unit('router', router)], alone.mayWrite);
  const named = () => b.ids.filter((host) => b.naming(host).includes(unit('router', router)));
  assert.deepEqual(named(), []);
  assert.ok((await b.set(one, sql`availability_zone = 'west'`)).includes(unit('router', router)));
  assert.deepEqual(named(), [one]);
  await b.set(two, sql`availability_zone = 'west'`);
  assert.deepEqual(named(), [one, two]);
  await b.set(one, sql`availability_zone = 'nova'`);
  assert.deepEqual(named(), [two]);
});

test('a host that gains or loses a physical network touches the routers of its floating IPs', async () => {
  await using b = await bench();
  const [{ cloud }, host] = [b, b.ids.at(-1)!];
  const net = await cloud.network();
  const subnet = await cloud.subnet(net, '10.1.0.0/24');
  const router = await cloud.router();
  const gatewayPort = await cloud.gateway(router, b.ext, [{ subnet: b.subnet, ip: '203.0.113.200' }]);
  const port = await cloud.port(net, [{ subnet, ip: '10.1.0.5' }], { host_id: host });
  const outside = { network: b.ext, subnet: b.subnet, ip: '203.0.113.201' };
  await cloud.floatingIp(outside, { port, ip: '10.1.0.5', router });
  const units = [unit('network', net), unit('router', router)];
  await bringPage(b.target, units, alone.mayWrite);
  const handledAt = () => [...b.nb.database.rows('NAT').values()].map((row) => row.logical_port);
  const gateway = `cr-router-port-${gatewayPort}`;
  assert.deepEqual(handledAt(), [gateway]);
  const touched = await b.set(host, sql`physical_networks = '{physnet1}'`);
  assert.ok(touched.includes(unit('router', router)));
  assert.deepEqual(handledAt(), [port]);
  assert.ok((await b.set(host, sql`physical_networks = '{}'`)).map((name) => idOf(name as never)).includes(router));
  assert.deepEqual(handledAt(), [gateway]);
});
