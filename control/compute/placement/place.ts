/**
 * Placement: which host takes a server. A pure function over a snapshot of all hosts, with a why-record: every host's
 * verdict for administrators, and for the tenant the reasons without names or numbers of hosts, with the nearest fix.
 *
 * The host's vcpus, memory and disk already contain the overcommit factors. Spreads: the host that keeps the largest
 * free share of its scarcest resource wins. A host that would have to copy the image first counts as if it carried
 * `copyWeight` more servers of this size: so the one that holds it leads by that many, however large hosts and servers are.
 */
import { type Bandwidth, hasRoom } from '../../network/bandwidth/bandwidth.ts';
import { isReached, type Reach } from '../../network/segment/reach.ts';
import type { PlacementGroup } from './groups.ts';

export interface HostCapacity {
  id: string;
  name: string;
  availability_zone: string;
  enabled: boolean;
  connected: boolean;
  /** Down by an administrator's word. */
  forced_down: boolean;
  /** Connected, or it was a moment ago: its process or ours is being restarted. */
  seen_lately: boolean;
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  used_vcpus: number;
  used_memory_mib: number;
  used_disk_gib: number;
  holds_image: boolean;
  /** That its bridges carry. */
  physical_networks?: readonly string[];
  /** Of a server whose volumes are made with it: no pool there takes them all. */
  volumes_refused?: boolean;
  /** What its cards have left to promise; absent where nobody asks for any. */
  bandwidth?: readonly Bandwidth[];
}

export interface PlacementRequest {
  vcpus: number;
  memory_mib: number;
  disk_gib: number;
  availability_zone: string | null;
  requested_host_id: string | null;
  /** Its server group. */
  server_group_id?: string | null;
  /** Where its volumes are. */
  volume_host_id?: string | null;
  /** What its ports are to be promised; absent: nothing. */
  bandwidth?: readonly Bandwidth[] | null;
  /** Physical networks that its ports need; absent: none. */
  reach?: Reach | null;
}

export type Refusal =
  | 'volumes_elsewhere'
  | 'volumes_refused'
  | 'other_host_requested'
  | 'other_zone'
  | 'disabled'
  | 'forced_down'
  | 'disconnected'
  | 'too_few_vcpus'
  | 'too_little_memory'
  | 'too_little_disk'
  | 'too_little_bandwidth'
  | 'network_not_reached'
  | 'apart_from_group'
  | 'too_many_of_group';

export interface HostVerdict {
  host_id: string;
  name: string;
  refusals: Refusal[];
  /** What is free now, for administrators. */
  free: { vcpus: number; memory_mib: number; disk_gib: number; bandwidth?: readonly Bandwidth[] };
  holds_image: boolean;
  /** What the group would rather have, by its soft policy: the host with the most goes first. 0 where there is none. */
  preference: number;
  /** Free share of the scarcest resource after the server; null where the host is refused. */
  left: number | null;
  /** `left`, less the weight of a copy where the image is not there; the highest wins, of equals the one with most left. */
  score: number | null;
}

export interface Placement {
  host: HostCapacity | null;
  /** No host now, but one would take the server if it were not away for the moment: worth a wait. */
  soon: boolean;
  /** Best first; hosts that can't take it last. Cut to `verdictsKept`. */
  verdicts: HostVerdict[];
  hosts: number;
  /** How many hosts said each refusal. */
  refusals: Partial<Record<Refusal, number>>;
  /** For the tenant. */
  message: string;
  fix: string;
}

/** A decision row must stay small in a cloud of a thousand hosts. */
const verdictsKept = 20;
const copyWeight = 2;

/** A host and what is said of it. */
export interface Judged {
  host: HostCapacity;
  verdict: HostVerdict;
}

/** @param group of the request, as it is now */
export function place(request: PlacementRequest, hosts: readonly HostCapacity[], group?: PlacementGroup): Placement {
  return settle(request, hosts.map((host) => ({ host, verdict: judge(request, host, group) })).sort(order));
}

/** Best first; a total order, so that the same hosts give the same answer. */
export function order(a: Judged, b: Judged): number {
  return (
    Number(b.verdict.score !== null) - Number(a.verdict.score !== null) ||
    b.verdict.preference - a.verdict.preference ||
    byNumber(a.verdict.score, b.verdict.score) ||
    byNumber(a.verdict.left, b.verdict.left) ||
    Number(b.host.holds_image) - Number(a.host.holds_image) ||
    a.verdict.refusals.length - b.verdict.refusals.length ||
    (a.host.id < b.host.id ? -1 : 1)
  );
}

/** @param judged in that order */
export function settle(request: PlacementRequest, judged: readonly Judged[]): Placement {
  const best = judged[0];
  const host = best && best.verdict.score !== null ? best.host : null;
  const refusals: Partial<Record<Refusal, number>> = {};
  for (const { verdict } of judged) {
    for (const refusal of verdict.refusals) refusals[refusal] = (refusals[refusal] ?? 0) + 1;
  }
  const away = (one: Judged) => one.host.seen_lately && one.verdict.refusals.join() === 'disconnected';
  const verdicts = judged.slice(0, verdictsKept).map(({ verdict }) => verdict);
  const placed = request.volume_host_id == null ? 'placed' : 'placed where its volumes are';
  const why = host ? { message: placed, fix: '' } : explain(request, judged);
  return { host, soon: !host && judged.some(away), verdicts, hosts: judged.length, refusals, ...why };
}

export function judge(request: PlacementRequest, host: HostCapacity, group?: PlacementGroup): HostVerdict {
  const free = {
    vcpus: host.vcpus - host.used_vcpus,
    memory_mib: host.memory_mib - host.used_memory_mib,
    disk_gib: host.disk_gib - host.used_disk_gib,
    ...(request.bandwidth && { bandwidth: host.bandwidth ?? [] }),
  };
  const refusals: Refusal[] = [];
  if (request.requested_host_id !== null && request.requested_host_id !== host.id)
    refusals.push('other_host_requested');
  if (request.volume_host_id != null && request.volume_host_id !== host.id) refusals.push('volumes_elsewhere');
  if (host.volumes_refused) refusals.push('volumes_refused');
  if (request.availability_zone !== null && request.availability_zone !== host.availability_zone)
    refusals.push('other_zone');
  if (!host.enabled) refusals.push('disabled');
  if (host.forced_down) refusals.push('forced_down');
  if (!host.connected) refusals.push('disconnected');
  if (free.vcpus < request.vcpus) refusals.push('too_few_vcpus');
  if (free.memory_mib < request.memory_mib) refusals.push('too_little_memory');
  if (free.disk_gib < request.disk_gib) refusals.push('too_little_disk');
  if (request.bandwidth && !hasRoom(host.bandwidth ?? [], request.bandwidth)) refusals.push('too_little_bandwidth');
  if (request.reach && !isReached(host.physical_networks ?? [], request.reach)) refusals.push('network_not_reached');
  const { refusal, preference } = sayOfGroup(host, group);
  if (refusal) refusals.push(refusal);
  const fits = refusals.length === 0;
  const left = fits ? shareLeft(host, free, request, 1) : null;
  const score = fits && !host.holds_image ? shareLeft(host, free, request, 1 + copyWeight) : left;
  const { id: host_id, name, holds_image } = host;
  return { host_id, name, refusals, free, holds_image, preference, left, score };
}

/** The first server of a group may go anywhere. */
function sayOfGroup(host: HostCapacity, group: PlacementGroup | undefined): { refusal?: Refusal; preference: number } {
  if (!group) return { preference: 0 };
  const there = group.hosts.get(host.id) ?? 0;
  switch (group.policy) {
    case 'affinity':
      return { preference: 0, ...(group.hosts.size > 0 && there === 0 && { refusal: 'apart_from_group' }) };
    case 'anti-affinity':
      return { preference: 0, ...(there >= group.max_servers_per_host && { refusal: 'too_many_of_group' }) };
    case 'soft-affinity':
      return { preference: there };
    case 'soft-anti-affinity':
      return { preference: -there };
  }
}

/** Free share of the host's scarcest resource after `count` servers of this size; below 0 where they are too many. */
function shareLeft(host: HostCapacity, free: HostVerdict['free'], request: PlacementRequest, count: number): number {
  const shares = (['vcpus', 'memory_mib', 'disk_gib'] as const).map((resource) =>
    host[resource] > 0 ? (free[resource] - count * request[resource]) / host[resource] : 0,
  );
  // Rounded so that equal loads are equal numbers, whichever way they came about.
  return Math.round(Math.min(...shares) * 1e9) / 1e9;
}

/** Highest first; hosts that are refused last. */
const byNumber = (a: number | null, b: number | null): number =>
  a === b ? 0 : (b ?? Number.NEGATIVE_INFINITY) - (a ?? Number.NEGATIVE_INFINITY);

const size: ReadonlySet<Refusal> = new Set([
  'too_few_vcpus',
  'too_little_memory',
  'too_little_disk',
  'too_little_bandwidth',
]);

const words: Readonly<Record<Refusal, string>> = {
  other_host_requested: 'is not the requested host',
  volumes_elsewhere: 'does not have the volumes of the server',
  volumes_refused: 'has no pool that takes the volumes of the server',
  other_zone: 'is in another availability zone',
  disabled: 'is closed for new servers',
  forced_down: 'is down by an administrator’s word',
  disconnected: 'is not connected',
  too_few_vcpus: 'has too few vCPUs free',
  too_little_memory: 'has too little memory free',
  too_little_disk: 'has too little disk free',
  too_little_bandwidth: 'has too little bandwidth left to promise',
  network_not_reached: 'does not reach one segment of each of the ports’ networks, with addresses left',
  apart_from_group: 'has none of the server group’s servers',
  too_many_of_group: 'has as many of the server group’s servers as may be on one',
};

/** What each refusal's end would look like, from the tenant's side. */
const cures: Readonly<Record<Refusal, string>> = {
  other_host_requested: 'do not ask for a certain host',
  volumes_elsewhere: 'use volumes that are where there is room for the server',
  volumes_refused: 'use smaller volumes or another volume type',
  other_zone: 'do not ask for a certain availability zone, or ask for another',
  disabled: 'ask the administrators to open a host',
  forced_down: 'ask the administrators to take back that a host is down',
  disconnected: 'try again when the hosts are back',
  too_few_vcpus: 'use a flavor with fewer vCPUs or delete a server',
  too_little_memory: 'use a flavor with less memory or delete a server',
  too_little_disk: 'use a flavor with a smaller disk or delete a server',
  too_little_bandwidth: 'use ports with a lower minimum bandwidth or delete a server that has one',
  network_not_reached: 'use networks that more hosts reach',
  apart_from_group: 'use a server group with the policy soft-affinity',
  too_many_of_group: 'use a server group with the policy soft-anti-affinity or delete one of its servers',
};

/**
 * For the tenant, so without names and numbers of hosts: those are in the verdicts, which administrators read.
 * The nearest fix: the set of refusals that the fewest conditions away from a fit; that host counts for all.
 */
function explain(request: PlacementRequest, judged: readonly Judged[]): { message: string; fix: string } {
  if (judged.length === 0) return { message: 'there is no host yet', fix: 'ask the administrators to add a host' };
  const asked = judged.filter(({ verdict }) => !verdict.refusals.includes('other_host_requested'));
  const zoned = asked.filter(({ verdict }) => !verdict.refusals.includes('other_zone'));
  if (request.availability_zone !== null && asked.length > 0 && zoned.length === 0) {
    return { message: `no host is in availability zone '${request.availability_zone}'`, fix: cures.other_zone };
  }
  const withVolumes = zoned.filter(({ verdict }) => !verdict.refusals.includes('volumes_elsewhere'));
  const relevant = [withVolumes, zoned, judged].find((some) => some.length > 0)!;
  const counts = new Map<Refusal, number>();
  for (const { verdict } of relevant) {
    for (const refusal of verdict.refusals) counts.set(refusal, (counts.get(refusal) ?? 0) + 1);
  }
  const total = relevant.length;
  const parts = [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([refusal, count]) => `${count === total ? 'every host' : 'a host'} ${words[refusal]}`);
  const nearest = relevant.toSorted((a, b) => distance(a.verdict) - distance(b.verdict))[0]!.verdict.refusals;
  return { message: parts.join('; '), fix: nearest.map((refusal) => cures[refusal]).join(', and ') };
}

/** What the caller can change alone (a smaller flavor) is nearer than what others must do. */
const distance = (verdict: HostVerdict): number =>
  verdict.refusals.reduce((sum, refusal) => sum + (size.has(refusal) ? 1 : 10), 0);
