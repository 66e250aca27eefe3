/**
 * Which host is not needed, and whether those that are awake become short: over a picture, by the very function that places servers. Deterministic. Others have their turns in between: a cloud of a thousand hosts
 * is looked at while it works.
 *
 * A zone is short where of one of its resources more than {@link loads.wakeAbove} is given away or kept, those that are on their way back counted. A host may sleep where each of its servers has another host now, without what
 * hosts keep for the loss of one, and its zone would then have no more than {@link loads.sleepBelow} given away: what lies between the two is what keeps hosts from going to and fro.
 */
import { setImmediate as turnOfOthers } from 'node:timers/promises';
import {
  type HostCapacity,
  type HostHints,
  type PlacementGroup,
  type PlacementRequest,
  PlacementRound,
  requestOf,
} from '../placement/index.ts';

export const loads = { sleepBelow: 0.6, wakeAbove: 0.8 };
/** Of which in one look it is tried where their servers would go, the emptiest first: each has all hosts judged. */
const mostTried = 16;
/** Decided in one go. */
const turnMs = 8;

const resources = ['vcpus', 'memory_mib', 'disk_gib'] as const;

export interface ConsolidatedServer extends PlacementRequest {
  id: string;
  name: string;
  project_id: string;
  host_id: string;
  image_id: string | null;
  /** Where those are is in the request. */
  hints?: HostHints | null;
}

export interface ConsolidatedFleet {
  hosts: readonly HostCapacity[];
  /** Those of the candidates. */
  servers: readonly ConsolidatedServer[];
  groups: ReadonlyMap<string, PlacementGroup>;
  holders: ReadonlyMap<string, ReadonlySet<string>>;
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

/** Of what hosts have, and of what is given away or kept of it. */
type Sums = Record<(typeof resources)[number], { all: number; used: number }>;

const usedOf = (host: HostCapacity, resource: (typeof resources)[number]): number =>
  host[`used_${resource}`] + (host.kept?.[resource] ?? 0);

function sumsOf(hosts: readonly HostCapacity[]): Sums {
  const sum = (resource: (typeof resources)[number]) => ({
    all: hosts.reduce((all, host) => all + host[resource], 0),
    used: hosts.reduce((used, host) => used + usedOf(host, resource), 0),
  });
  return { vcpus: sum('vcpus'), memory_mib: sum('memory_mib'), disk_gib: sum('disk_gib') };
}

/** @param without this one is gone, and what was given away there is so of the others */
function shareOf(sums: Sums, without?: HostCapacity): number {
  const shares = resources.map((resource) => {
    const { all: whole, used } = sums[resource];
    const all = whole - (without?.[resource] ?? 0);
    return all > 0 ? used / all : used > 0 ? Number.POSITIVE_INFINITY : 0;
  });
  return Math.max(...shares);
}

/** A host that may sleep as far as its zone goes, and the share of that then. */
export interface SleepCandidate {
  host: HostCapacity;
  share: number;
}

export interface ZonesSeen extends Omit<Consolidation, 'sleep'> {
  candidates: SleepCandidate[];
}

/** What needs no servers. @param staying hosts that may not sleep, and why */
export function seeZones(all: readonly HostCapacity[], staying: ReadonlyMap<string, string>): ZonesSeen {
  const seen: ZonesSeen = { zones: [], wake: [], stays: [], candidates: [] };
  for (const [zone, hosts] of [...Map.groupBy(all, (host) => host.availability_zone)].sort(byName)) {
    const awake = hosts.filter(isAwake);
    const standby = hosts.filter((host) => host.standby);
    const sums = sumsOf(awake);
    const now = shareOf(sums);
    seen.zones.push({
      ...{ availability_zone: zone, awake: awake.length, standby: standby.length, share: Math.min(now, 1e9) },
    });
    const coming = standby.filter((host) => host.standby!.wakes && host.standby!.waking);
    const soon = shareOf(sumsOf([...awake, ...coming]));
    const [first] = standby.filter((host) => host.standby!.wakes && !host.standby!.waking).sort(soonest);
    if (soon > loads.wakeAbove && first) seen.wake.push({ host_id: first.id, share: soon });
    for (const host of awake) {
      const share = shareOf(sums, host);
      const needed = awake.length < 2 ? 'last_of_its_zone' : share > loads.sleepBelow ? 'needed' : undefined;
      const why = staying.get(host.id) ?? needed;
      if (why === undefined) seen.candidates.push({ host, share });
      else seen.stays.push({ host_id: host.id, why });
    }
  }
  seen.candidates.sort((a, b) => emptiest(a.host, b.host));
  for (const { host } of seen.candidates.splice(mostTried)) seen.stays.push({ host_id: host.id, why: othersFirst });
  return seen;
}

/** The first of the candidates whose servers all have another host now. */
export async function findSleep(
  fleet: ConsolidatedFleet,
  candidates: readonly SleepCandidate[],
): Promise<Pick<Consolidation, 'sleep' | 'stays'>> {
  const stays: Consolidation['stays'] = [];
  let sleep: SleepProposal | null = null;
  for (const { host, share } of candidates) {
    const moves: SleepProposal['moves'] | undefined = sleep ? undefined : await movesFrom(fleet, host);
    if (moves) sleep = { host_id: host.id, share, moves };
    else stays.push({ host_id: host.id, why: sleep ? othersFirst : 'no_host_for_a_server' });
  }
  return { sleep, stays };
}

/** Undefined: one of its servers has no other host. */
async function movesFrom(fleet: ConsolidatedFleet, host: HostCapacity): Promise<SleepProposal['moves'] | undefined> {
  await turnOfOthers();
  const others = fleet.hosts.map((one) => (one.id === host.id ? { ...one, enabled: false } : one));
  const round = new PlacementRound(others, fleet.holders, fleet.groups);
  const moves: SleepProposal['moves'] = [];
  const servers = fleet.servers.filter(({ host_id }) => host_id === host.id);
  let since = performance.now();
  for (const server of servers.sort((a, b) => b.memory_mib - a.memory_mib || (a.id < b.id ? -1 : 1))) {
    const to = round.take(
      requestOf({
        ...{ ...server, requested_host_id: null, exclude: [host.id] },
        ...{ moving: { server_id: server.id, host_id: host.id }, migration: 'live' },
      }),
      server.image_id,
    );
    if (to === undefined) return undefined;
    moves.push({ server, to });
    if (performance.now() - since < turnMs) continue;
    await turnOfOthers();
    since = performance.now();
  }
  return moves;
}

const othersFirst = 'others_first';
const byName = ([a]: [string, unknown], [b]: [string, unknown]) => (a < b ? -1 : 1);
const soonest = (a: HostCapacity, b: HostCapacity) => a.standby!.seconds - b.standby!.seconds || (a.id < b.id ? -1 : 1);
const emptiest = (a: HostCapacity, b: HostCapacity) => a.used_memory_mib - b.used_memory_mib || (a.id < b.id ? -1 : 1);
