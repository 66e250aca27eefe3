/**
 * Which host is not needed, and whether those that are awake become short: over a picture, by the very function that places servers. Pure and deterministic.
 *
 * A zone is short where of one of its resources more than {@link loads.wakeAbove} is given away or kept. A host may sleep where each of its servers has another host now, without what
 * hosts keep for the loss of one, and its zone would then have no more than {@link loads.sleepBelow} given away: what lies between the two is what keeps hosts from going to and fro.
 */
import {
  type HostCapacity,
  type PlacementGroup,
  type PlacementRequest,
  PlacementRound,
  requestOf,
} from '../placement/index.ts';

export const loads = { sleepBelow: 0.6, wakeAbove: 0.8 };

const resources = ['vcpus', 'memory_mib', 'disk_gib'] as const;

export interface ConsolidatedServer extends PlacementRequest {
  id: string;
  name: string;
  project_id: string;
  host_id: string;
  image_id: string | null;
}

export interface ConsolidatedFleet {
  hosts: readonly HostCapacity[];
  /** Those of hosts that could sleep. */
  servers: readonly ConsolidatedServer[];
  groups: ReadonlyMap<string, PlacementGroup>;
  holders: ReadonlyMap<string, ReadonlySet<string>>;
  /** Hosts that may not sleep, and why. */
  staying: ReadonlyMap<string, string>;
}

export interface ZoneLoad {
  availability_zone: string;
  awake: number;
  standby: number;
  /** Of what the awake have to give, what is given away or kept, of the scarcest resource; 0 to 1. */
  share: number;
}

export interface SleepProposal {
  host_id: string;
  /** Of its zone, once it sleeps. */
  share: number;
  moves: { server: ConsolidatedServer; to: string }[];
}

export interface Consolidation {
  zones: ZoneLoad[];
  /** The one that should sleep next. */
  sleep: SleepProposal | null;
  /** One for each zone that is short. */
  wake: { host_id: string; share: number }[];
  /** Why the others don't sleep; at most one reason each. */
  stays: { host_id: string; why: string }[];
}

const isAwake = (host: HostCapacity): boolean => host.enabled && host.connected && !host.forced_down && !host.standby;

function shareOf(hosts: readonly HostCapacity[], without?: HostCapacity): number {
  const left = hosts.filter((host) => host !== without);
  const shares = resources.map((resource) => {
    const all = left.reduce((sum, host) => sum + host[resource], 0);
    const used = hosts.reduce((sum, host) => sum + host[`used_${resource}`] + (host.kept?.[resource] ?? 0), 0);
    return all > 0 ? used / all : used > 0 ? Number.POSITIVE_INFINITY : 0;
  });
  return Math.max(...shares);
}

export function consolidate(fleet: ConsolidatedFleet): Consolidation {
  const zones: ZoneLoad[] = [];
  const wake: Consolidation['wake'] = [];
  const stays: Consolidation['stays'] = [];
  let sleep: SleepProposal | null = null;
  for (const [zone, hosts] of [...Map.groupBy(fleet.hosts, (host) => host.availability_zone)].sort(byName)) {
    const awake = hosts.filter(isAwake);
    const standby = hosts.filter((host) => host.standby);
    const share = shareOf(awake);
    zones.push({ availability_zone: zone, awake: awake.length, standby: standby.length, share: Math.min(share, 1e9) });
    const [first] = standby.filter((host) => host.standby!.wakes).sort(soonest);
    if (share > loads.wakeAbove && first) wake.push({ host_id: first.id, share });
    for (const host of awake.sort(emptiest)) {
      const found = why(fleet, awake, host);
      if (typeof found === 'string') stays.push({ host_id: host.id, why: found });
      else sleep ??= found;
    }
  }
  return { zones, sleep, wake, stays };
}

/** What speaks against its sleep, or how it would go. */
function why(fleet: ConsolidatedFleet, awake: readonly HostCapacity[], host: HostCapacity): string | SleepProposal {
  const stays = fleet.staying.get(host.id);
  if (stays !== undefined) return stays;
  if (awake.length < 2) return 'last_of_its_zone';
  const share = shareOf(awake, host);
  if (share > loads.sleepBelow) return 'needed';
  const others = fleet.hosts.map((one) => (one.id === host.id ? { ...one, enabled: false } : one));
  const round = new PlacementRound(others, fleet.holders, fleet.groups);
  const moves: SleepProposal['moves'] = [];
  const servers = fleet.servers.filter(({ host_id }) => host_id === host.id);
  for (const server of servers.sort((a, b) => b.memory_mib - a.memory_mib || (a.id < b.id ? -1 : 1))) {
    const to = round.take(
      requestOf({
        ...{ ...server, requested_host_id: null, exclude: [host.id] },
        moving: { server_id: server.id, host_id: host.id },
      }),
      server.image_id,
    );
    if (to === undefined) return 'no_host_for_a_server';
    moves.push({ server, to });
  }
  return { host_id: host.id, share, moves };
}

const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
const soonest = (a: HostCapacity, b: HostCapacity) => a.standby!.seconds - b.standby!.seconds || (a.id < b.id ? -1 : 1);
const emptiest = (a: HostCapacity, b: HostCapacity) => a.used_memory_mib - b.used_memory_mib || (a.id < b.id ? -1 : 1);
