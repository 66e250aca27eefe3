/** A world in which a server fits everywhere, and each way in which it can be broken and mended: for tests of what is said of it. */
import type { PlacementGroup } from './groups.ts';
import type { Alternative, HostCapacity, PlacementRequest, Refusal } from './request.ts';

export interface World {
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
  peers: ['peer'],
  migration: 'live',
};
const host = (id: string): HostCapacity => ({
  ...{ id, name: `host-${id}`, availability_zone: 'east', enabled: true, connected: true, forced_down: false },
  ...{ seen_lately: true, last_seen: 1_790_000_000_000, holds_image: false },
  ...{ vcpus: 16, memory_mib: 16_384, disk_gib: 100, used_vcpus: 2, used_memory_mib: 1024, used_disk_gib: 10 },
  ...{ physical_networks: ['physnet1'], machine_types: ['pc-q35-9.0', 'pc-q35-7.2'] },
  ...{ cpu_model: 'Skylake-Server', cpu_limits: true, migrations: ['cold', 'live'] },
  ...{ traits: ['CUSTOM_GOLD', 'COMPUTE_NODE'], aggregates: [{ rack: '7' }, { ssd: 'yes,sure' }] },
  bandwidth: [{ physical_network: 'physnet1', egress_kbps: 10 * gibit, ingress_kbps: 10 * gibit }],
});
export const whole = (): World => ({ request: wants, hosts: ['a', 'b', 'c'].map(host) });
export const by = { user_id: 'u', user_name: 'ayşe 小屋', at: '2026-11-30T01:00:00Z' };

/** How a host comes to say it, and how what would help is done. */
export interface Break {
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

export const breaks: Readonly<Record<Refusal, Break>> = {
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
  in_standby: {
    host: { standby: { wakes: true, seconds: 180 }, enabled: false, connected: false },
    mend: mendHost(() => ({ standby: null, enabled: true, connected: true })),
  },
  too_few_vcpus: { host: { used_vcpus: 13 }, mend: more('too_few_vcpus', 'vcpus') },
  too_little_memory: { host: { used_memory_mib: 14_336 }, mend: more('too_little_memory', 'memory_mib') },
  too_little_disk: { host: { used_disk_gib: 81 }, mend: more('too_little_disk', 'disk_gib') },
  kept_for_lost_hosts: {
    host: { kept: { vcpus: 11, memory_mib: 12_288, disk_gib: 10 } },
    mend: mendHost(() => ({ kept: null })),
  },
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
  tunnel_broken: {
    host: { broken_tunnels: [{ host_id: 'peer', name: 'host-peer', fault: 'narrow' }] },
    mend: mendHost(() => ({ broken_tunnels: [] })),
  },
  volume_unopenable: {
    ask: ({ request }) => ({ request: { ...request, unopenable: ['volume data: its key is gone'] } }),
    mend: mendRequest({ unopenable: null }),
  },
  image_unreachable: {
    ask: ({ request }) => ({ request: { ...request, image_lost: true } }),
    mend: mendRequest({ image_lost: false }),
  },
  unable_to_migrate: { host: { migrations: ['cold'] }, mend: mendHost(() => ({ migrations: ['cold', 'live'] })) },
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
  apart_from_servers: {
    ask: ({ request }) => ({ request: { ...request, beside: ['gone'] } }),
    mend: (world, { host_id }) => ({ request: { ...world.request, beside: [host_id] } }),
  },
  beside_servers: {
    ask: ({ request, hosts }) => ({ request: { ...request, away_from: hosts.map(({ id }) => id) } }),
    mend: (world, { host_id }) => ({
      request: { ...world.request, away_from: world.request.away_from!.filter((id) => id !== host_id) },
    }),
  },
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
export const all = Object.keys(breaks) as Refusal[];

/** Of these hosts, or of all where it is who asks. */
export function broken(world: World, refusal: Refusal, ids: readonly string[] = ['a', 'b', 'c']): World {
  const { host: change, ask } = breaks[refusal];
  const hosts = world.hosts.map((one) => (change && ids.includes(one.id) ? { ...one, ...change } : one));
  return { ...world, hosts, ...ask?.(world) };
}
