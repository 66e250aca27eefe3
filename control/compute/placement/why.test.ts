/**
 * A world in which a server fits everywhere is broken in one place, or in two; then the why names just what was broken, and what it
 * calls the nearest way out is one: taken, the server has its host. What people read of it is in golden/why.txt.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { PlacementGroup } from './groups.ts';
import { place } from './place.ts';
import { meanings } from './refusals.ts';
import type { Alternative, HostCapacity, Placement, PlacementRequest, Refusal } from './request.ts';

interface World {
  request: PlacementRequest;
  hosts: HostCapacity[];
  group?: PlacementGroup;
}

const gibit = 1_000_000;
const wants: PlacementRequest = {
  ...{ vcpus: 4, memory_mib: 4096, disk_gib: 20, availability_zone: 'east', requested_host_id: null },
  volume_host_id: null,
  bandwidth: [{ physical_network: 'physnet1', egress_kbps: gibit, ingress_kbps: 0 }],
  reach: [{ any: ['physnet1'], beside: ['physnet2'], deferred: false }],
  host_wish: { required: ['CUSTOM_GOLD'], forbidden: ['CUSTOM_LOUD'], aggregate: { ssd: '<or> true <or> yes' } },
  machine: { type: 'pc-q35-7.2', cpu_model: 'Skylake-Server', cpu_limits: true },
};
const host = (id: string): HostCapacity => ({
  ...{ id, name: `host-${id}`, availability_zone: 'east', enabled: true, connected: true, forced_down: false },
  ...{ seen_lately: true, last_seen: 1_790_000_000_000, holds_image: false },
  ...{ vcpus: 16, memory_mib: 16_384, disk_gib: 100, used_vcpus: 2, used_memory_mib: 1024, used_disk_gib: 10 },
  ...{ physical_networks: ['physnet1'], machine_types: ['pc-q35-9.0', 'pc-q35-7.2'] },
  ...{ cpu_model: 'Skylake-Server', cpu_limits: true },
  ...{ traits: ['CUSTOM_GOLD', 'COMPUTE_NODE'], aggregates: [{ rack: '7' }, { ssd: 'yes,sure' }] },
  bandwidth: [{ physical_network: 'physnet1', egress_kbps: 10 * gibit, ingress_kbps: 10 * gibit }],
});
const whole = (): World => ({ request: wants, hosts: ['a', 'b', 'c'].map(host) });
const by = { user_id: 'u', user_name: 'ayşe 小屋', at: '2026-11-30T01:00:00Z' };

/** How a host comes to say it, and how what would help is done. */
interface Break {
  host?: Partial<HostCapacity>;
  /** Where it is who asks: then all hosts say it. */
  ask?: (world: World) => Partial<World>;
  mend(world: World, way: Alternative): Partial<World>;
}

const mendHost =
  (change: (one: HostCapacity) => Partial<HostCapacity>) =>
  (world: World, { host_id }: Alternative): Partial<World> => ({
    hosts: world.hosts.map((one) => (one.id === host_id ? { ...one, ...change(one) } : one)),
  });
const mendRequest = (change: Partial<PlacementRequest>) => (world: World) => ({
  request: { ...world.request, ...change },
});
/** As much more as it says, and no more. */
const more = (check: Refusal, size: 'vcpus' | 'memory_mib' | 'disk_gib') => (world: World, way: Alternative) => {
  const { wanted, there } = way.failed.find((one) => one.check === check)!;
  return mendHost((one) => ({ [size]: one[size] + Number(wanted) - Number(there) }))(world, way);
};

const breaks: Readonly<Record<Refusal, Break>> = {
  other_host_requested: {
    ask: ({ request }) => ({ request: { ...request, requested_host_id: 'gone' } }),
    mend: mendRequest({ requested_host_id: null }),
  },
  excluded: {
    ask: ({ request, hosts }) => ({ request: { ...request, exclude: hosts.map(({ id }) => id) } }),
    mend: (world, { host_id }) => ({
      request: { ...world.request, exclude: world.request.exclude!.filter((id) => id !== host_id) },
    }),
  },
  volumes_elsewhere: {
    ask: ({ request }) => ({ request: { ...request, volume_host_id: 'gone' } }),
    mend: (world, { host_id }) => ({ request: { ...world.request, volume_host_id: host_id } }),
  },
  volumes_refused: { host: { volumes_refused: true }, mend: mendHost(() => ({ volumes_refused: false })) },
  other_zone: {
    host: { availability_zone: 'west' },
    mend: (world, { failed }) => ({
      request: {
        ...world.request,
        availability_zone: String(failed.find(({ check }) => check === 'other_zone')!.there),
      },
    }),
  },
  disabled: {
    host: { enabled: false, disabled_reason: 'disk swap', disabled_by: by },
    mend: mendHost(() => ({ enabled: true })),
  },
  forced_down: { host: { forced_down: true, forced_down_by: by }, mend: mendHost(() => ({ forced_down: false })) },
  disconnected: { host: { connected: false, seen_lately: false }, mend: mendHost(() => ({ connected: true })) },
  too_few_vcpus: { host: { used_vcpus: 13 }, mend: more('too_few_vcpus', 'vcpus') },
  too_little_memory: { host: { used_memory_mib: 14_336 }, mend: more('too_little_memory', 'memory_mib') },
  too_little_disk: { host: { used_disk_gib: 81 }, mend: more('too_little_disk', 'disk_gib') },
  too_little_bandwidth: {
    host: { bandwidth: [{ physical_network: 'physnet1', egress_kbps: gibit / 4, ingress_kbps: gibit }] },
    mend: mendHost((one) => ({
      bandwidth: one.bandwidth!.map((card) => ({ ...card, egress_kbps: card.egress_kbps + (3 * gibit) / 4 })),
    })),
  },
  network_not_reached: {
    host: { physical_networks: ['physnet3'] },
    mend: (world, way) => {
      const { wanted } = way.failed.find(({ check }) => check === 'network_not_reached')!;
      return mendHost((one) => ({ physical_networks: [...one.physical_networks!, ...(wanted as string[])] }))(
        world,
        way,
      );
    },
  },
  trait_missing: {
    host: { traits: ['COMPUTE_NODE'] },
    mend: mendHost((one) => ({ traits: [...one.traits!, 'CUSTOM_GOLD'] })),
  },
  trait_forbidden: {
    host: { traits: ['CUSTOM_GOLD', 'CUSTOM_LOUD'] },
    mend: mendHost((one) => ({ traits: one.traits!.filter((trait) => trait !== 'CUSTOM_LOUD') })),
  },
  other_aggregate: {
    host: { aggregates: [{ ssd: 'no' }, { rack: 'yes' }] },
    mend: mendHost((one) => ({ aggregates: [...one.aggregates!, { ssd: 'true' }] })),
  },
  machine_type_unserved: {
    host: { machine_types: ['pc-q35-9.0'] },
    mend: mendHost((one) => ({ machine_types: [...one.machine_types!, 'pc-q35-7.2'] })),
  },
  cpu_model_differs: { host: { cpu_model: 'EPYC' }, mend: mendHost(() => ({ cpu_model: 'Skylake-Server' })) },
  no_cpu_limits: { host: { cpu_limits: false }, mend: mendHost(() => ({ cpu_limits: true })) },
  apart_from_group: {
    ask: () => ({ group: { policy: 'affinity', max_servers_per_host: 1, hosts: new Map([['gone', 1]]) } }),
    mend: ({ group }) => ({ group: { ...group!, policy: 'soft-affinity' } }),
  },
  too_many_of_group: {
    ask: ({ hosts }) => ({
      group: { policy: 'anti-affinity', max_servers_per_host: 1, hosts: new Map(hosts.map(({ id }) => [id, 1])) },
    }),
    mend: ({ group }, { host_id }) => ({
      group: { ...group!, hosts: new Map([...group!.hosts].filter(([id]) => id !== host_id)) },
    }),
  },
};
const all = Object.keys(breaks) as Refusal[];

/** Of these hosts, or of all where it is who asks. */
function broken(world: World, refusal: Refusal, ids: readonly string[] = ['a', 'b', 'c']): World {
  const { host: change, ask } = breaks[refusal];
  const hosts = world.hosts.map((one) => (change && ids.includes(one.id) ? { ...one, ...change } : one));
  return { ...world, hosts, ...ask?.(world) };
}

function mended(world: World, way: Alternative): World {
  let now = world;
  for (const { check } of way.failed) now = { ...now, ...breaks[check].mend(now, way) };
  return now;
}

const asked = ({ request, hosts, group }: World): Placement => place(request, hosts, group);

function requireWayOut(world: World, found: Placement, name: string): void {
  for (const way of found.alternatives) {
    const after = asked(mended(world, way));
    assert.ok(
      after.verdicts.find(({ host_id }) => host_id === way.host_id)?.refusals.length === 0,
      `${name}: ${way.change}`,
    );
    assert.notEqual(after.host, null, name);
  }
}

const golden: string[] = [];
function write(name: string, { message, fix, alternatives }: Placement): void {
  golden.push(`${name}`, `  in the way   ${message}`, `  fix          ${fix}`);
  golden.push(...alternatives.map(({ change }) => `  would help   ${change}`), '');
}

test('in the whole world the server has a host', () => {
  assert.notEqual(asked(whole()).host, null);
});

for (const refusal of all) {
  test(`${refusal}: named alone, with a way out that is one`, () => {
    const world = broken(whole(), refusal);
    const found = asked(world);
    assert.equal(found.host, null);
    assert.deepEqual(found.refusals, { [refusal]: 3 });
    assert.equal(found.alternatives.length, 1);
    assert.equal(found.fix, meanings[refusal].fix);
    requireWayOut(world, found, refusal);
    write(refusal, found);
  });
}

const kinds = all.filter((refusal) => breaks[refusal].host);
/** Two breaks of the same column are one. */
const sameColumn = (one: Refusal, other: Refusal) =>
  Object.keys(breaks[one].host ?? {}).some((column) => Object.hasOwn(breaks[other].host ?? {}, column));

test('where hosts refuse for different reasons, the nearest of them comes first and each is a way out', () => {
  for (const one of kinds)
    for (const other of kinds.filter((kind) => kind > one)) {
      const world = broken(broken(whole(), one, ['a']), other, ['b', 'c']);
      const found = asked(world);
      assert.deepEqual(found.refusals, { [one]: 1, [other]: 2 });
      const [near, far] = meanings[one].cost <= meanings[other].cost ? [one, other] : [other, one];
      const first = found.alternatives[0]!.failed.map(({ check }) => check);
      if (meanings[near].cost < meanings[far].cost) assert.deepEqual(first, [near]);
      requireWayOut(world, found, `${one}, ${other}`);
      write(`${one} on one, ${other} on the others`, found);
    }
});

test('where every host refuses for two reasons, both are the way out', () => {
  for (const one of all)
    for (const other of kinds.filter((kind) => !sameColumn(kind, one))) {
      const world = broken(broken(whole(), other), one);
      const found = asked(world);
      assert.deepEqual(found.refusals, { [one]: 3, [other]: 3 });
      assert.deepEqual(found.alternatives[0]!.failed.map(({ check }) => check).sort(), [one, other].sort());
      requireWayOut(world, found, `${one} and ${other}`);
    }
});

test('of two full hosts the less full one is nearer, and a smaller wish nearer than what others must do', () => {
  const world = whole();
  const [a, b, c] = world.hosts as [HostCapacity, HostCapacity, HostCapacity];
  const found = asked({
    ...world,
    hosts: [
      { ...a, used_memory_mib: 16_384 },
      { ...b, used_memory_mib: 12_800 },
      { ...c, enabled: false, disabled_by: by },
    ],
  });
  assert.deepEqual(
    found.alternatives.map(({ change }) => change),
    ['512 MiB more memory on host-b', 'open host-c, closed for new servers by ayşe 小屋 at 2026-11-30T01:00:00Z'],
  );
});

test('what tenants read of it names no host, no person and no number of what there is', () => {
  for (const refusal of all) {
    const { message, fix } = asked(broken(whole(), refusal));
    assert.doesNotMatch(`${message} ${fix}`, /host-[abc]|ayşe|disk swap|\d\d/);
  }
});

test('what people read is what golden/why.txt has', () => {
  const file = join(import.meta.dirname, 'golden', 'why.txt');
  const text = `${golden.join('\n')}`;
  if (process.env.UPDATE_GOLDEN) writeFileSync(file, text);
  assert.equal(text, readFileSync(file, 'utf8'));
});
