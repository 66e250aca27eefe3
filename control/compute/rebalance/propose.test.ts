import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../../test/support/random.ts';
import type { PlacementGroup } from '../placement/groups.ts';
import type { HostCapacity } from '../placement/index.ts';
import { type BalancedFleet, type BalancedServer, imbalanceOf, type Proposal, propose } from './propose.ts';

const host = (id: string, over: Partial<HostCapacity> = {}): HostCapacity => ({
  ...{ id, name: id, availability_zone: 'nova', enabled: true, connected: true, forced_down: false, seen_lately: true },
  ...{ vcpus: 32, memory_mib: 32_768, disk_gib: 1000, used_vcpus: 0, used_memory_mib: 0, used_disk_gib: 0 },
  holds_image: false,
  ...over,
});
const server = (id: string, host_id: string, over: Partial<BalancedServer> = {}): BalancedServer => ({
  ...{ id, host_id, name: id, project_id: 'p', vcpus: 1, memory_mib: 2048, disk_gib: 10 },
  ...{ availability_zone: null, requested_host_id: null },
  ...over,
});
/** Hosts that carry just these servers. */
function fleet(hosts: HostCapacity[], servers: BalancedServer[], over: Partial<BalancedFleet> = {}): BalancedFleet {
  const carry = (one: HostCapacity): HostCapacity => {
    const own = servers.filter(({ host_id }) => host_id === one.id);
    const sum = (key: 'vcpus' | 'memory_mib' | 'disk_gib') => own.reduce((all, each) => all + each[key], 0);
    return { ...one, used_vcpus: sum('vcpus'), used_memory_mib: sum('memory_mib'), used_disk_gib: sum('disk_gib') };
  };
  return { hosts: hosts.map(carry), servers, groups: new Map(), staying: new Map(), ...over };
}
const limits = { lower: 0.1, mostMoves: 100 };
const ways = ({ moves }: Proposal) => moves.map(({ server: { id, host_id }, to }) => `${id}: ${host_id} > ${to}`);

/** The fleet after these moves. */
function after(before: BalancedFleet, { moves }: Proposal): BalancedFleet {
  const to = new Map(moves.map((move) => [move.server.id, move.to]));
  const servers = before.servers.map((one) => ({ ...one, host_id: to.get(one.id) ?? one.host_id }));
  const groups = new Map(
    [...before.groups].map(([id, group]) => {
      const hosts = new Map<string, number>();
      for (const one of servers)
        if (one.server_group_id === id) hosts.set(one.host_id, (hosts.get(one.host_id) ?? 0) + 1);
      return [id, { ...group, hosts }];
    }),
  );
  return { ...fleet(before.hosts as HostCapacity[], servers), groups };
}

test('a full host gives servers to an empty one until it is hardly above both, and says for what', () => {
  const servers = Array.from({ length: 12 }, (_, n) => server(`s${String(n).padStart(2, '0')}`, 'a'));
  const proposal = propose(fleet([host('a'), host('b')], servers), limits);
  assert.deepEqual(
    [proposal.before!.host_id, proposal.before!.resource, proposal.before!.above],
    ['a', 'memory_mib', 0.375],
  );
  assert.deepEqual(ways(proposal).slice(0, 2), ['s00: a > b', 's01: a > b']);
  assert.ok(proposal.after!.above <= limits.lower);
  assert.ok(
    proposal.moves.every(({ gain, cost_mib, why }) => gain > 0 && cost_mib === 2048 + 10_240 && why.host_id === 'a'),
  );
});

test('hosts that are near to even are left alone, and so is a cloud of one host', () => {
  assert.deepEqual(propose(fleet([host('a'), host('b')], [server('s', 'a')]), limits).moves, []);
  const alone = propose(fleet([host('a')], [server('s', 'a', { memory_mib: 32_000 })]), limits);
  assert.deepEqual([alone.before, alone.moves], [null, []]);
});

test('a server that would only make the other host the full one stays', () => {
  const { moves, stays } = propose(fleet([host('a'), host('b')], [server('s', 'a', { memory_mib: 30_000 })]), limits);
  assert.deepEqual([moves, stays.map(({ why }) => why)], [[], ['no_gain']]);
});

test('who may not, asks to be packed or finds no host stays, with the reason', () => {
  const servers = [
    server('recent', 'a', { memory_mib: 10_000 }),
    server('packed', 'a', { memory_mib: 10_000, policy: 'pack' }),
    server('bound', 'a', { memory_mib: 10_000, volume_host_id: 'a' }),
  ];
  const { moves, stays } = propose(
    fleet([host('a'), host('b')], servers, { staying: new Map([['recent', 'moved_recently']]) }),
    limits,
  );
  assert.deepEqual(moves, []);
  assert.deepEqual(Object.fromEntries(stays.map(({ server: { id }, why }) => [id, why])), {
    ...{ recent: 'moved_recently', packed: 'packed', bound: 'no_host' },
  });
});

test('hosts that are closed, away or said to be down give nothing and get nothing', () => {
  const servers = Array.from({ length: 12 }, (_, n) => server(`s${n}`, 'a'));
  for (const over of [{ enabled: false }, { connected: false }, { forced_down: true }]) {
    assert.deepEqual(propose(fleet([host('a'), host('b', over)], servers), limits).moves, []);
    assert.deepEqual(propose(fleet([host('a', over), host('b'), host('c')], servers), limits).moves, []);
  }
});

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;

/** A cloud by chance: hosts of several sizes, groups of each policy, servers of several sizes. */
function randomFleet(random: Random): BalancedFleet {
  const hosts = Array.from({ length: 2 + random.below(6) }, (_, n) => {
    const size = pick(random, [1, 2, 4]);
    return host(`h${n}`, {
      ...{ vcpus: 16 * size, memory_mib: 16_384 * size, disk_gib: 500 * size },
      enabled: random.below(10) > 0,
    });
  });
  const policies = ['anti-affinity', 'affinity', 'soft-anti-affinity', 'soft-affinity'] as const;
  const free = new Map(hosts.map((one) => [one.id, one.memory_mib]));
  const group = new Map(policies.map((policy) => [policy, new Map<string, number>()]));
  const servers: BalancedServer[] = [];
  for (let n = random.below(41); n > 0; n--) {
    const policy = random.below(3) === 0 ? pick(random, [...policies]) : undefined;
    const there = policy && group.get(policy)!;
    const together = policy === 'affinity' ? [...there!.keys()] : [];
    const on = pick(
      random,
      together.length > 0 ? together : hosts.slice(0, 1 + random.below(hosts.length)).map(({ id }) => id),
    );
    const memory_mib = pick(random, [512, 1024, 2048, 4096]);
    if (free.get(on)! < memory_mib || (policy === 'anti-affinity' && there!.has(on))) continue;
    free.set(on, free.get(on)! - memory_mib);
    there?.set(on, (there.get(on) ?? 0) + 1);
    servers.push(server(`s${n}`, on, { vcpus: 1, memory_mib, ...(policy && { server_group_id: policy }) }));
  }
  const groups = new Map(
    policies.map((policy): [string, PlacementGroup] => [
      policy,
      { policy, max_servers_per_host: 1, hosts: group.get(policy)! },
    ]),
  );
  return fleet(hosts, servers, { groups });
}

test('in 300 clouds by chance it ends, is the same each time, takes nothing back, overbooks no host and breaks no group', () => {
  const random = new Random(7);
  let moved = 0;
  for (let n = 0; n < 300; n++) {
    const before = randomFleet(random);
    const proposal = propose(before, limits);
    assert.deepEqual(propose(before, limits), proposal, 'the same cloud, the same proposal');
    moved += proposal.moves.length;
    const there = after(before, proposal);
    assert.equal(new Set(proposal.moves.map(({ server: { id } }) => id)).size, proposal.moves.length);
    for (const one of there.hosts) {
      const gained = proposal.moves.some(({ to }) => to === one.id);
      if (gained) assert.ok(one.used_memory_mib <= one.memory_mib && one.used_vcpus <= one.vcpus, `${n}: ${one.id}`);
    }
    for (const { policy, hosts } of there.groups.values()) {
      if (policy === 'anti-affinity')
        assert.ok(
          [...hosts.values()].every((count) => count === 1),
          `${n}: apart`,
        );
      if (policy === 'affinity') assert.ok(hosts.size <= 1, `${n}: together`);
    }
    // Done, it proposes nothing more of those that it moved, and what it proposes still is less each time.
    let rest = there;
    for (let rounds = 0; ; rounds++) {
      const next = propose(rest, limits);
      if (next.moves.length === 0) break;
      assert.ok(rounds < 5, `${n}: it goes on and on`);
      rest = after(rest, next);
    }
    const [worse, better] = [imbalanceOf(before.hosts), imbalanceOf(rest.hosts)];
    if (worse && proposal.moves.length > 0) assert.ok(better!.above <= worse.above + 1e-9, `${n}: further from even`);
  }
  assert.ok(moved > 300, `${moved} moves`);
});
