import assert from 'node:assert/strict';
import { test } from 'node:test';
import { moved, type PlacementGroup } from './groups.ts';
import { place } from './place.ts';
import { PlacementRound } from './ranking.ts';
import type { HostCapacity, PlacementRequest } from './request.ts';

/** Numbers in an order that is the same each time. */
function dice(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state * 1103515245 + 12345) % 2 ** 31;
    return Math.floor((state / 2 ** 31) * below);
  };
}

const roll = dice(6);
const hosts = Array.from(
  { length: 60 },
  (_, n): HostCapacity => ({
    id: `h${n}`,
    name: `host ${n}`,
    availability_zone: n % 7 === 0 ? 'east' : 'nova',
    enabled: n % 11 !== 0,
    connected: n % 13 !== 0,
    forced_down: n % 17 === 0,
    seen_lately: n % 3 !== 0,
    vcpus: 8 + roll(3) * 4,
    memory_mib: 8192,
    disk_gib: 100,
    used_vcpus: roll(4),
    used_memory_mib: roll(4) * 1024,
    used_disk_gib: roll(40),
    holds_image: false,
  }),
);
const holders = new Map([
  ['popular', new Set(hosts.slice(0, 30).map(({ id }) => id))],
  ['rare', new Set(['h5'])],
]);

function request(): PlacementRequest {
  return {
    ...{ vcpus: 1 + roll(3), memory_mib: 512 << roll(3), disk_gib: roll(20) },
    availability_zone: roll(5) === 0 ? 'east' : null,
    requested_host_id: roll(20) === 0 ? `h${roll(70)}` : null,
  };
}

test('many decisions over one picture are those that would be made one after the other, to the last host', () => {
  const round = new PlacementRound(hosts, holders);
  const alone = hosts.map((host) => ({ ...host }));
  const images = ['popular', 'rare', 'nowhere', null];
  let refused = 0;
  for (let n = 0; n < 500; n++) {
    const [wish, image] = [request(), images[roll(4)]!];
    const seen = alone.map((host) => ({
      ...host,
      holds_image: image !== null && holders.get(image)?.has(host.id) === true,
    }));
    const expected = place(wish, seen);
    assert.deepEqual(round.place(wish, image), expected);
    const taken = alone.find(({ id }) => id === expected.host?.id);
    if (!taken) refused++;
    else {
      taken.used_vcpus += wish.vcpus;
      taken.used_memory_mib += wish.memory_mib;
      taken.used_disk_gib += wish.disk_gib;
    }
  }
  assert.ok(refused > 50 && refused < 450, `${refused} did not fit`);
});

test('so are those of servers of groups, of whatever policy, that are new or move', () => {
  for (const policy of ['affinity', 'anti-affinity', 'soft-affinity', 'soft-anti-affinity'] as const) {
    let group: PlacementGroup = {
      ...{ policy, max_servers_per_host: 1 + roll(2) },
      hosts: new Map([`h${roll(60)}`, `h${roll(60)}`].map((id) => [id, 1])),
    };
    const round = new PlacementRound(hosts, holders, new Map([['g', group]]));
    const alone = hosts.map((host) => ({ ...host }));
    for (let n = 0; n < 60; n++) {
      const from = roll(2) === 0 ? [...group.hosts.keys()][0] : undefined;
      const wish: PlacementRequest = {
        ...{ ...request(), server_group_id: 'g' },
        ...(from && { moving: { server_id: `s${n}`, host_id: from }, exclude: [from] }),
      };
      const seen = alone.map((host) => ({ ...host, holds_image: holders.get('popular')!.has(host.id) }));
      const expected = place(wish, seen, group);
      assert.deepEqual(plain(round.place(wish, 'popular')), plain(expected), policy);
      const taken = alone.find(({ id }) => id === expected.host?.id);
      if (!taken) continue;
      group = moved(group, from ?? null, taken.id);
      taken.used_vcpus += wish.vcpus;
      taken.used_memory_mib += wish.memory_mib;
      taken.used_disk_gib += wish.disk_gib;
    }
  }
});

/** As its record is written: there -0 is 0. */
const plain = (value: object): object => JSON.parse(JSON.stringify(value));

test('of a thousand hosts a decision looks anew only at the one that took something', () => {
  const many = Array.from({ length: 1000 }, (_, n) => ({ ...hosts[1]!, id: `m${n}` }));
  let judged = 0;
  const counted = many.map((host) =>
    Object.defineProperty({ ...host }, 'enabled', { enumerable: true, get: () => ++judged > 0 }),
  );
  const round = new PlacementRound(counted, new Map());
  const wish = { vcpus: 1, memory_mib: 512, disk_gib: 1, availability_zone: null, requested_host_id: null };
  for (let n = 0; n < 100; n++) assert.notEqual(round.place(wish, null).host, null);
  assert.ok(judged < 5000, `hosts were looked at ${judged} times`);
});
