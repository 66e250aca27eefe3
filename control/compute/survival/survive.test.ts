import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostCapacity } from '../placement/index.ts';
import { summaryOf } from './service.ts';
import { type Fate, type Fleet, type Loss, type SurvivalServer, survive } from './survive.ts';

const host = (id: string, over: Partial<HostCapacity> = {}): HostCapacity => ({
  ...{ id, name: `host-${id}`, availability_zone: 'nova', enabled: true, connected: true, forced_down: false },
  ...{ seen_lately: true, holds_image: false, vcpus: 8, memory_mib: 8192, disk_gib: 100 },
  ...{ used_vcpus: 0, used_memory_mib: 0, used_disk_gib: 0, ...over },
});
const server = (id: string, host_id: string, over: Partial<SurvivalServer> = {}): SurvivalServer => ({
  ...{
    id,
    name: `server-${id}`,
    project_id: 'p',
    host_id,
    image_id: 'image',
    restart: true,
    priority: 0,
    disk_anew: true,
  },
  ...{ vcpus: 2, memory_mib: 1024, disk_gib: 10, availability_zone: null, requested_host_id: null, ...over },
});
/** With what their servers take. */
const fleet = (hosts: HostCapacity[], servers: SurvivalServer[], groups: Fleet['groups'] = new Map()): Fleet => ({
  hosts: hosts.map((one) => {
    const own = servers.filter(({ host_id }) => host_id === one.id);
    const sum = (key: 'vcpus' | 'memory_mib' | 'disk_gib') => own.reduce((total, each) => total + each[key], 0);
    return { ...one, used_vcpus: sum('vcpus'), used_memory_mib: sum('memory_mib'), used_disk_gib: sum('disk_gib') };
  }),
  ...{ servers, groups, holders: new Map() },
});
const loss = (...hostIds: string[]): Loss => ({
  kind: hostIds.length > 1 ? 'rack' : 'host',
  name: hostIds.join(),
  hostIds,
});
async function all(fleet: Fleet, ...losses: Loss[]) {
  const found: Fate[][] = [];
  for await (const { fates } of survive(fleet, losses)) found.push(fates);
  return found.map((fates) => fates.map(({ server, to, why }) => [server.id, to ?? why]));
}

test('servers of a lost host go where there is room for all of them together, those of higher priority first', async () => {
  const servers = [
    server('1', 'a'),
    server('2', 'a', { priority: 5 }),
    server('3', 'a', { priority: 1 }),
    ...['4', '5', '6'].map((id) => server(id, 'b')),
  ];
  const full = fleet([host('a'), host('b')], servers);
  assert.deepEqual(await all(full, loss('a')), [
    [
      ['2', 'b'],
      ['3', 'no_host'],
      ['1', 'no_host'],
    ],
  ]);
});

test('each loss is looked at alone: what one would take is free for the next, and nothing is changed', async () => {
  const servers = ['1', '2'].flatMap((n) => [server(`${n}a`, 'a'), server(`${n}b`, 'b')]);
  const given = fleet([host('a'), host('b'), host('c', { vcpus: 4 })], servers);
  const kept = structuredClone(given.hosts);
  const [a, b, again, both] = await all(given, loss('a'), loss('b'), loss('a'), loss('a', 'b'));
  assert.deepEqual(a, again);
  assert.ok([...a!, ...b!].every(([, to]) => to === 'a' || to === 'b' || to === 'c'));
  assert.deepEqual(both!.map(([, to]) => to).sort(), ['c', 'c', 'no_host', 'no_host']);
  assert.deepEqual(given.hosts, kept);
});

test('what nobody asked for, and what has its disk there alone, stays down for that, whatever room there is', async () => {
  const servers = [
    server('1', 'a', { restart: false }),
    server('2', 'a', { disk_anew: false }),
    server('3', 'a', { disk_anew: false, image_id: null }),
    server('4', 'a', { volume_host_id: 'a', image_id: null }),
  ];
  const [fates] = await all(fleet([host('a'), host('b')], servers), loss('a'));
  assert.deepEqual(fates, [
    ['1', 'not_wanted'],
    ['2', 'disk_kept'],
    ['3', 'b'],
    ['4', 'no_host'],
  ]);
});

test('a hard server group holds after a loss too, also for those that are lost together', async () => {
  const group = {
    policy: 'anti-affinity',
    max_servers_per_host: 1,
    hosts: new Map([
      ['a', 1],
      ['b', 1],
      ['c', 1],
    ]),
  } as const;
  const servers = ['a', 'b', 'c'].map((id) => server(id, id, { server_group_id: 'g' }));
  const given = fleet(
    ['a', 'b', 'c', 'd'].map((id) => host(id)),
    servers,
    new Map([['g', group]]),
  );
  assert.deepEqual(await all(given, loss('a'), loss('a', 'b'), loss('c')), [
    [['a', 'd']],
    [
      ['a', 'd'],
      ['b', 'no_host'],
    ],
    [['c', 'd']],
  ]);
});

test('the sum names what would help most, and never that the lost host comes back', async () => {
  const servers = [
    server('1', 'a', { memory_mib: 4096 }),
    server('2', 'a'),
    server('3', 'b', { memory_mib: 6144, vcpus: 1 }),
  ];
  const given = fleet([host('a'), host('b'), host('c', { enabled: false, memory_mib: 4096 })], servers);
  for await (const survival of survive(given, [loss('a')])) {
    const { servers: number, restarted, down, change } = summaryOf(survival);
    assert.deepEqual([number, restarted, down], [2, 1, { not_wanted: 0, disk_kept: 0, no_host: 1 }]);
    assert.equal(change, '2048 MiB more memory on host-b');
  }
});

test('a thousand hosts with a hundred thousand servers, each of which shall be restarted, are looked at in bounded time', async () => {
  const hosts = Array.from({ length: 1000 }, (_, n) =>
    host(String(n), { vcpus: 256, memory_mib: 256 * 1024, disk_gib: 4000 }),
  );
  const servers = Array.from({ length: 100_000 }, (_, n) =>
    server(String(n), String(n % 1000), { memory_mib: n % 3 === 0 ? 2048 : 1024, vcpus: 1 + (n % 2) }),
  );
  const given = fleet1000(hosts, servers);
  const losses = hosts.slice(0, 20).map(({ id }) => loss(id));
  const began = performance.now();
  let restarted = 0;
  for await (const { fates } of survive(given, losses)) restarted += fates.filter(({ to }) => to !== null).length;
  const ms = (performance.now() - began) / losses.length;
  assert.equal(restarted, losses.length * 100);
  assert.ok(ms < 500, `${ms} ms a loss`);
});

/** Counted in one go: a filter for each of a thousand hosts would be what takes the time. */
function fleet1000(hosts: HostCapacity[], servers: SurvivalServer[]): Fleet {
  const byHost = Map.groupBy(servers, ({ host_id }) => host_id);
  return {
    hosts: hosts.flatMap((one) => fleet([one], byHost.get(one.id) ?? []).hosts),
    ...{ servers, groups: new Map(), holders: new Map() },
  };
}
