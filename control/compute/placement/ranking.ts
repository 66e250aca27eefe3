/**
 * Many decisions over one picture of the hosts, each seeing what those before it took. Hosts are judged and sorted once for each kind
 * of request; a decision then moves the one host that took something. Pure; lives as long as one transaction.
 */
import { lessBandwidth } from '../../network/bandwidth/bandwidth.ts';
import { moved, type PlacementGroup } from './groups.ts';
import { judge, order, place, settle } from './place.ts';
import type { HostCapacity, Judged, Placement, PlacementRequest } from './request.ts';

export class PlacementRound {
  readonly #hosts: Map<string, HostCapacity>;
  readonly #holders: ReadonlyMap<string, ReadonlySet<string>>;
  #groups: Map<string, PlacementGroup>;
  /** As they were before what {@link lose} began. */
  #before: { hosts: Map<string, HostCapacity>; groups: Map<string, PlacementGroup> } | undefined;
  readonly #rankings = new Map<string, Ranking>();
  /** Some host keeps room for servers of others that may be lost. */
  readonly keepsRoom: boolean;

  /**
   * @param holders by image the hosts that hold it
   * @param groups the server groups that requests name; one that is not there binds nobody
   */
  constructor(
    hosts: readonly HostCapacity[],
    holders: ReadonlyMap<string, ReadonlySet<string>>,
    groups: ReadonlyMap<string, PlacementGroup> = new Map(),
  ) {
    this.#groups = new Map(groups);
    this.#hosts = new Map(hosts.map((host) => [host.id, host]));
    this.#holders = holders;
    this.keepsRoom = hosts.some(({ kept }) => kept != null);
  }

  host(id: string): HostCapacity | undefined {
    return this.#hosts.get(id);
  }

  /** What if these hosts were gone: whoever is placed from now on goes elsewhere, until {@link restore}. */
  lose(ids: Iterable<string>): void {
    this.#before = { hosts: new Map(), groups: new Map(this.#groups) };
    for (const id of ids) this.#change({ ...this.#hosts.get(id)!, connected: false, seen_lately: false });
  }

  /** As if nothing had been lost, or placed since. */
  restore(): void {
    const { hosts, groups } = this.#before ?? { hosts: new Map(), groups: this.#groups };
    this.#before = undefined;
    this.#groups = groups;
    for (const host of hosts.values()) this.#change(host);
  }

  /** The host that takes it, which has what it needs from now on; undefined: none. As {@link place}, without the words. */
  take(request: PlacementRequest, imageId: string | null): string | undefined {
    if (this.#groups.has(request.server_group_id ?? '')) return this.place(request, imageId).host?.id;
    const best = this.#ranking(request, imageId).best();
    if (best !== undefined) this.#took(best, request);
    return best;
  }

  /** All, as they are after what was decided. */
  get hosts(): HostCapacity[] {
    return [...this.#hosts.values()];
  }

  /** Where room was kept for it, if that host takes it: asked of no other. Undefined: it does not, or there is none. */
  placeInRefuge(request: PlacementRequest, imageId: string | null, refugeId: string | null): Placement | undefined {
    const host = this.#hosts.get(refugeId ?? '');
    if (!host) return undefined;
    const group = this.#groups.get(request.server_group_id ?? '');
    const seen = { ...host, holds_image: this.#holdersOf(imageId).has(host.id) };
    const found = place(request, [seen], group);
    if (!found.host) return undefined;
    const from = request.moving?.host_id ?? null;
    if (group) this.#groups.set(request.server_group_id!, moved(group, from, host.id));
    this.#took(host.id, request);
    return { ...found, message: 'placed where room was kept for it' };
  }

  /** From now on no pool of this host takes what is to be made with the servers that come. */
  refuseVolumes(id: string): void {
    this.#change({ ...this.#hosts.get(id)!, volumes_refused: true });
  }

  /** Decides one and takes what it needs, for those that come behind it. */
  place(request: PlacementRequest, imageId: string | null): Placement {
    const group = this.#groups.get(request.server_group_id ?? '');
    const found = group ? this.#placeInGroup(request, imageId, group) : this.#ranking(request, imageId).placement();
    // One host that is woken is not enough for all that come.
    if (found.wake) this.#took(found.wake, request);
    if (!found.host) return found;
    const from = request.moving?.host_id ?? null;
    if (group) this.#groups.set(request.server_group_id!, moved(group, from, found.host.id));
    this.#took(found.host.id, request);
    return found;
  }

  /** Each server of a group changes what its hosts are to the next one, and only they: the others stand in the order of their kind. */
  #placeInGroup(request: PlacementRequest, imageId: string | null, group: PlacementGroup): Placement {
    const others = request.moving ? moved(group, request.moving.host_id, null) : group;
    if (saysNothingElsewhere(others)) return this.#ranking(request, imageId).placementIn(request, others);
    const holders = this.#holdersOf(imageId);
    const seen = Array.from(this.#hosts.values(), (host) => ({ ...host, holds_image: holders.has(host.id) }));
    return place(request, seen, group);
  }

  #holdersOf(imageId: string | null): ReadonlySet<string> {
    return (imageId !== null && this.#holders.get(imageId)) || new Set();
  }

  #ranking(request: PlacementRequest, imageId: string | null): Ranking {
    // Which server moves tells its group alone, and the round takes that into account.
    const { moving: _moving, server_group_id: _group, ...wanted } = request;
    const kind = JSON.stringify([Object.entries(wanted).sort(), imageId]);
    const known = this.#rankings.get(kind);
    if (known) return known;
    const made = new Ranking(request, this.#hosts.values(), this.#holdersOf(imageId));
    this.#rankings.set(kind, made);
    return made;
  }

  #took(id: string, { vcpus, memory_mib, disk_gib, bandwidth }: PlacementRequest): void {
    const host = this.#hosts.get(id)!;
    this.#change({
      ...host,
      used_vcpus: host.used_vcpus + vcpus,
      used_memory_mib: host.used_memory_mib + memory_mib,
      used_disk_gib: host.used_disk_gib + disk_gib,
      ...(bandwidth && host.bandwidth && { bandwidth: lessBandwidth(host.bandwidth, bandwidth) }),
    });
  }

  #change(host: HostCapacity): void {
    const before = this.#before?.hosts;
    if (before && !before.has(host.id)) before.set(host.id, this.#hosts.get(host.id)!);
    this.#hosts.set(host.id, host);
    for (const ranking of this.#rankings.values()) ranking.changed(host);
  }
}

/** All hosts in the order in which they would take servers of one kind. */
class Ranking {
  readonly #request: PlacementRequest;
  readonly #holders: ReadonlySet<string>;
  readonly #judged: Judged[];
  readonly #byId: Map<string, Judged>;

  constructor(request: PlacementRequest, hosts: Iterable<HostCapacity>, holders: ReadonlySet<string>) {
    this.#request = request;
    this.#holders = holders;
    this.#judged = Array.from(hosts, (host) => this.#judge(host)).sort(order);
    this.#byId = new Map(this.#judged.map((judged) => [judged.host.id, judged]));
  }

  placement(): Placement {
    return settle(this.#request, this.#judged);
  }

  /** As {@link place}: with a group that says something of its own hosts alone. */
  placementIn(request: PlacementRequest, group: PlacementGroup): Placement {
    const judged = this.#judged.filter(({ host }) => !group.hosts.has(host.id));
    for (const id of group.hosts.keys()) {
      const host = this.#byId.get(id)?.host;
      if (!host) continue;
      const one = { host, verdict: judge(request, host, group) };
      judged.splice(placeOf(judged, one), 0, one);
    }
    return settle(request, judged, group);
  }

  /** Undefined: none takes it. */
  best(): string | undefined {
    const first = this.#judged[0];
    return first && first.verdict.score !== null ? first.host.id : undefined;
  }

  changed(host: HostCapacity): void {
    const old = this.#byId.get(host.id);
    if (old) this.#judged.splice(placeOf(this.#judged, old), 1);
    const judged = this.#judge(host);
    this.#byId.set(host.id, judged);
    this.#judged.splice(placeOf(this.#judged, judged), 0, judged);
  }

  #judge(host: HostCapacity): Judged {
    const seen = { ...host, holds_image: this.#holders.has(host.id) };
    return { host: seen, verdict: judge(this.#request, seen) };
  }
}

/** Where it stands, or would stand: the order is total. */
function placeOf(all: readonly Judged[], judged: Judged): number {
  let [low, high] = [0, all.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (order(all[middle]!, judged) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** To the hosts that have none of its servers it is as if there were no group. */
const saysNothingElsewhere = ({ policy, hosts }: PlacementGroup): boolean => policy !== 'affinity' || hosts.size === 0;
