/**
 * Placement: which host takes a server. A pure function over a snapshot of all hosts, with a why-record: every host's
 * verdict for administrators, and for the tenant the reasons without names or numbers of hosts, with the nearest fix.
 *
 * The host's vcpus, memory and disk already contain the overcommit factors. Spreads, where the request does not ask to be packed: the host that keeps the largest
 * free share of its scarcest resource wins. A host that would have to copy the image first counts as if it carried
 * `copyWeight` more servers of this size: so the one that holds it leads by that many, however large hosts and servers are.
 */
import { hasRoom } from '../../network/bandwidth/bandwidth.ts';
import { isReached } from '../../network/segment/reach.ts';
import { moved, type PlacementGroup } from './groups.ts';
import { type HostWish, unmet } from './host-wish.ts';
import type { HostCapacity, HostVerdict, Judged, Placement, PlacementRequest, Refusal, Room } from './request.ts';
import { explain, failedOf } from './why.ts';

/** A decision row must stay small in a cloud of a thousand hosts. */
const verdictsKept = 20;
const copyWeight = 2;
const nothing: Room = { vcpus: 0, memory_mib: 0, disk_gib: 0 };
const rooms = [
  ['vcpus', 'too_few_vcpus'],
  ['memory_mib', 'too_little_memory'],
  ['disk_gib', 'too_little_disk'],
] as const;

/** @param group of the request, as it is now, with the server itself where that moves */
export function place(request: PlacementRequest, hosts: readonly HostCapacity[], group?: PlacementGroup): Placement {
  const others = group && request.moving ? moved(group, request.moving.host_id, null) : group;
  const judged = hosts.map((host) => ({ host, verdict: judge(request, host, others) })).sort(order);
  return settle(request, judged, others);
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

/** @param judged in that order @param group as the verdicts saw it */
export function settle(request: PlacementRequest, judged: readonly Judged[], group?: PlacementGroup): Placement {
  const best = judged[0];
  const host = best && best.verdict.score !== null ? best.host : null;
  const refusals: Partial<Record<Refusal, number>> = {};
  for (const { verdict } of judged) {
    for (const refusal of verdict.refusals) refusals[refusal] = (refusals[refusal] ?? 0) + 1;
  }
  const away = (one: Judged) => one.host.seen_lately && one.verdict.refusals.join() === 'disconnected';
  const verdicts = judged.slice(0, verdictsKept).map((one) => ({
    ...one.verdict,
    ...(one.verdict.refusals.length > 0 && { failed: failedOf(request, one, group) }),
  }));
  const placed = request.volume_host_id == null ? 'placed' : 'placed where its volumes are';
  const why = host ? { message: placed, fix: '', alternatives: [] } : explain(request, judged, group);
  const asleep = (one: Judged) => one.host.standby?.wakes && one.verdict.refusals.join() === 'in_standby';
  const wake = host ? null : (judged.find(asleep)?.host.id ?? null);
  const soon = !host && (wake !== null || judged.some(away));
  return { host, soon, ...(wake !== null && { wake }), verdicts, hosts: judged.length, refusals, ...why };
}

export function judge(request: PlacementRequest, host: HostCapacity, group?: PlacementGroup): HostVerdict {
  const kept = (request.uses_reserve ? null : host.kept) ?? nothing;
  const free = {
    vcpus: host.vcpus - host.used_vcpus - kept.vcpus,
    memory_mib: host.memory_mib - host.used_memory_mib - kept.memory_mib,
    disk_gib: host.disk_gib - host.used_disk_gib - kept.disk_gib,
    ...(request.bandwidth && { bandwidth: host.bandwidth ?? [] }),
  };
  const refusals: Refusal[] = [];
  const elsewhere = [request.requested_host_id, request.only].some((wanted) => wanted != null && wanted !== host.id);
  if (elsewhere) refusals.push('other_host_requested');
  if (request.exclude?.includes(host.id)) refusals.push('excluded');
  if (request.volume_host_id != null && request.volume_host_id !== host.id) refusals.push('volumes_elsewhere');
  if (host.volumes_refused) refusals.push('volumes_refused');
  if (request.availability_zone !== null && request.availability_zone !== host.availability_zone)
    refusals.push('other_zone');
  if (host.standby) refusals.push('in_standby');
  else refusals.push(...sayOfPresence(host));
  if (host.forced_down) refusals.push('forced_down');
  refusals.push(...sayOfRoom(free, kept, request));
  if (request.bandwidth && !hasRoom(host.bandwidth ?? [], request.bandwidth)) refusals.push('too_little_bandwidth');
  if (request.reach && !isReached(host.physical_networks ?? [], request.reach)) refusals.push('network_not_reached');
  refusals.push(...sayOfWays(host, request));
  refusals.push(...sayOfMachine(host, request.machine));
  if (request.host_wish) refusals.push(...sayOfWish(host, request.host_wish));
  if (request.beside && !request.beside.includes(host.id)) refusals.push('apart_from_servers');
  if (request.away_from?.includes(host.id)) refusals.push('beside_servers');
  const { refusal, preference } = sayOfGroup(host, group);
  if (refusal) refusals.push(refusal);
  const fits = refusals.length === 0;
  const left = fits ? shareLeft(host, free, request, 1) : null;
  const score = left === null ? null : scoreOf(request, host, free);
  const { id: host_id, name, holds_image } = host;
  return { host_id, name, refusals, free, holds_image, preference, left, score };
}

const sayOfPresence = (host: HostCapacity): Refusal[] => [
  ...(host.enabled ? [] : (['disabled'] as const)),
  ...(host.connected ? [] : (['disconnected'] as const)),
];

/** What would be enough, were it not kept, is named so. */
function sayOfRoom(free: Room, kept: Room, request: PlacementRequest): Refusal[] {
  const refusals = new Set<Refusal>();
  for (const [size, refusal] of rooms) {
    if (free[size] >= request[size]) continue;
    refusals.add(free[size] + kept[size] < request[size] ? refusal : 'kept_for_lost_hosts');
  }
  return [...refusals];
}

/** How the server, and what it needs, comes there. */
function sayOfWays(host: HostCapacity, request: PlacementRequest): Refusal[] {
  const { peers, unopenable, image_lost, volume_host_id, migration } = request;
  const missed = peers && host.broken_tunnels?.some(({ host_id }) => peers.includes(host_id));
  const here = volume_host_id == null || volume_host_id === host.id;
  return [
    ...(missed ? (['tunnel_broken'] as const) : []),
    ...(unopenable && here ? (['volume_unopenable'] as const) : []),
    ...(image_lost && !host.holds_image ? (['image_unreachable'] as const) : []),
    ...(migration && !host.migrations?.includes(migration) ? (['unable_to_migrate'] as const) : []),
  ];
}

function sayOfMachine(host: HostCapacity, need: PlacementRequest['machine']): Refusal[] {
  if (!need) return [];
  return [
    ...(need.type != null && !host.machine_types?.includes(need.type) ? (['machine_type_unserved'] as const) : []),
    ...(need.cpu_model != null && host.cpu_model !== need.cpu_model ? (['cpu_model_differs'] as const) : []),
    ...(need.cpu_limits && !host.cpu_limits ? (['no_cpu_limits'] as const) : []),
  ];
}

function sayOfWish(host: HostCapacity, wish: HostWish): Refusal[] {
  const { missing, forbidden, elsewhere } = unmet(host, wish);
  return [
    ...(missing.length > 0 ? (['trait_missing'] as const) : []),
    ...(forbidden.length > 0 ? (['trait_forbidden'] as const) : []),
    ...(elsewhere.length > 0 ? (['other_aggregate'] as const) : []),
  ];
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

function scoreOf(request: PlacementRequest, host: HostCapacity, free: HostVerdict['free']): number {
  const weight = host.holds_image ? 0 : copyWeight;
  if (request.policy !== 'pack') return shareLeft(host, free, request, 1 + weight);
  return Math.round((1 - shareLeft(host, free, request, 1 - weight)) * 1e9) / 1e9;
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
