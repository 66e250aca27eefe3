/**
 * Where room is kept for a server in case the host that it is on is lost: by the very judgement that places servers. Pure.
 *
 * A host keeps the most that comes to it by any one loss. So a refuge that keeps as much already for another loss costs nothing: those that have to keep the least more come first.
 */
import { moved, type PlacementGroup } from './groups.ts';
import { judge } from './place.ts';
import type { HostCapacity, PlacementRequest, Room } from './request.ts';

export interface RefugeWish {
  request: PlacementRequest;
  /** The host that may be lost. */
  host_id: string;
  /** Those that are lost with it, itself among them. */
  lost: ReadonlySet<string>;
  /** By host what it keeps for others of that loss. */
  kept: ReadonlyMap<string, Room>;
  /** The host that it leaves, and what it has there until then. */
  leaving?: ({ host_id: string } & Room) | undefined;
}

const sizes = ['vcpus', 'memory_mib', 'disk_gib'] as const;

/** Undefined: no other host could take it. @param group as it is when the server is on its host */
export function findRefuge(
  { request, host_id, lost, kept, leaving }: RefugeWish,
  hosts: readonly HostCapacity[],
  group?: PlacementGroup,
): HostCapacity | undefined {
  const others = group && moved(group, host_id, null);
  const { bandwidth: _, migration: __, image_lost: ___, ...kind } = request;
  const asked = {
    ...{ ...kind, requested_host_id: null, only: null, exclude: [], uses_reserve: true },
    moving: { server_id: request.moving?.server_id ?? '', host_id },
  };
  const found: { host: HostCapacity; more: number }[] = [];
  for (const host of hosts) {
    if (lost.has(host.id)) continue;
    const own = kept.get(host.id);
    const left = leaving?.host_id === host.id ? leaving : undefined;
    const used = (size: keyof Room) => host[`used_${size}`] + (own?.[size] ?? 0) - (left?.[size] ?? 0);
    if (sizes.some((size) => used(size) + request[size] > host[size])) continue;
    const more = sizes.map((size) => (own?.[size] ?? 0) + request[size] - (host.kept?.[size] ?? 0));
    const share = sizes.map((size, n) => Math.max(0, more[n]!) / Math.max(1, host[size]));
    const seen = {
      ...host,
      ...{ used_vcpus: used('vcpus'), used_memory_mib: used('memory_mib'), used_disk_gib: used('disk_gib') },
    };
    found.push({ host: seen, more: Math.max(...share) });
  }
  found.sort((a, b) => a.more - b.more || (a.host.id < b.host.id ? -1 : 1));
  return found.find(({ host }) => judge(asked, host, others).refusals.length === 0)?.host;
}
