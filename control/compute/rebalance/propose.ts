/**
 * Which servers should go from hosts that are fuller than the others to emptier ones: by the very function that places servers, over a picture. Pure and deterministic.
 *
 * How far the hosts are from even is a sum of squares: over hosts and resources, of the share that is given away less the share of all of them together, which no move changes. Each
 * move that is proposed makes the sum smaller by {@link smallestGain} at least, and a server is moved once: so it ends, and a move is never taken back by the next one. Groups, room,
 * networks, traits: what placement refuses is not proposed.
 */
import { lessBandwidth } from '../../network/bandwidth/bandwidth.ts';
import { moved, type PlacementGroup } from '../placement/groups.ts';
import { type HostCapacity, type PlacementRequest, place, requestOf } from '../placement/index.ts';

export const resources = ['vcpus', 'memory_mib', 'disk_gib'] as const;
export type BalancedResource = (typeof resources)[number];

export interface BalancedServer extends PlacementRequest {
  id: string;
  name: string;
  project_id: string;
  host_id: string;
}

export interface BalancedFleet {
  hosts: readonly HostCapacity[];
  /** Those of hosts that are too full; of others none is asked. */
  servers: readonly BalancedServer[];
  groups: ReadonlyMap<string, PlacementGroup>;
  /** Servers that stay, whatever it would bring. */
  staying: ReadonlyMap<string, string>;
}

/** The host that is furthest above all of them together, and in what. */
export interface Imbalance {
  host_id: string;
  resource: BalancedResource;
  /** Of the host and of all, 0 to 1. */
  share: number;
  mean: number;
  above: number;
}

export interface ProposedMove {
  server: BalancedServer;
  to: string;
  /** What it is moved for, as the host that it leaves was before. */
  why: Imbalance;
  /** By how much the sum of squares becomes smaller. */
  gain: number;
  /** Memory and disk that are copied at most. */
  cost_mib: number;
}

/** packed: it asks to be where others are; no_host: none takes it; no_gain: where it would go it brings too little. Else what the fleet says. */
export interface Stay {
  server: BalancedServer;
  why: string;
}

export interface Proposal {
  before: Imbalance | null;
  /** When all that is proposed is done. */
  after: Imbalance | null;
  moves: ProposedMove[];
  stays: Stay[];
}

export interface ProposalLimits {
  /** It ends below this. */
  lower: number;
  mostMoves: number;
}

/** A server that is a fiftieth of a host, from one that is a twentieth above all to one that is as far below. */
const smallestGain = 0.001;
/** Servers of one host that placement is asked about for one move: the largest. */
const mostAsked = 20;

/** What takes part: hosts that may get servers now. */
const isBalanced = (host: HostCapacity): boolean => host.enabled && host.connected && !host.forced_down;

const usedOf = (host: HostCapacity, resource: BalancedResource): number => host[`used_${resource}`];
const shareOf = (host: HostCapacity, resource: BalancedResource): number =>
  host[resource] > 0 ? usedOf(host, resource) / host[resource] : 0;

type Means = Readonly<Record<BalancedResource, number>>;

function meansOf(hosts: readonly HostCapacity[]): Means {
  const mean = (resource: BalancedResource) => {
    const all = hosts.reduce((sum, host) => sum + host[resource], 0);
    return all > 0 ? hosts.reduce((sum, host) => sum + usedOf(host, resource), 0) / all : 0;
  };
  return { vcpus: mean('vcpus'), memory_mib: mean('memory_mib'), disk_gib: mean('disk_gib') };
}

/** Null: nobody can go anywhere. */
export function imbalanceOf(hosts: readonly HostCapacity[]): Imbalance | null {
  const taking = hosts.filter(isBalanced);
  return taking.length < 2 ? null : furthest(taking, meansOf(taking), new Set());
}

/** @param without hosts of which nothing goes */
function furthest(hosts: Iterable<HostCapacity>, means: Means, without: ReadonlySet<string>): Imbalance | null {
  let found: Imbalance | null = null;
  for (const host of hosts) {
    if (without.has(host.id)) continue;
    for (const resource of resources) {
      const [share, mean] = [shareOf(host, resource), means[resource]];
      const above = share - mean;
      if (found === null || above > found.above || (above === found.above && host.id < found.host_id))
        found = { host_id: host.id, resource, share, mean, above };
    }
  }
  return found;
}

const squares = (host: HostCapacity, means: Means): number =>
  resources.reduce((sum, resource) => sum + (shareOf(host, resource) - means[resource]) ** 2, 0);

/** The host with what the server needs taken (1) or given back (-1). */
function changed(host: HostCapacity, server: PlacementRequest, sign: 1 | -1): HostCapacity {
  return {
    ...host,
    used_vcpus: host.used_vcpus + sign * server.vcpus,
    used_memory_mib: host.used_memory_mib + sign * server.memory_mib,
    used_disk_gib: host.used_disk_gib + sign * server.disk_gib,
    ...(sign === 1 &&
      server.bandwidth &&
      host.bandwidth && { bandwidth: lessBandwidth(host.bandwidth, server.bandwidth) }),
  };
}

export function propose(fleet: BalancedFleet, { lower, mostMoves }: ProposalLimits): Proposal {
  const world = new World(fleet);
  const before = world.furthest();
  const moves: ProposedMove[] = [];
  /** Of these nothing goes any more. */
  const settled = new Set<string>();
  while (moves.length < mostMoves) {
    const worst = world.furthest(settled);
    if (worst === null || worst.above <= lower) break;
    const move = world.bestFrom(worst);
    if (move === undefined) settled.add(worst.host_id);
    else {
      moves.push(move);
      world.apply(move);
    }
  }
  return { before, after: world.furthest(), moves, stays: world.stays };
}

class World {
  readonly stays: Stay[] = [];
  readonly #hosts: Map<string, HostCapacity>;
  readonly #groups: Map<string, PlacementGroup>;
  readonly #means: Means;
  readonly #left: Map<string, BalancedServer[]>;

  constructor({ hosts, servers, groups, staying }: BalancedFleet) {
    const taking = hosts.filter(isBalanced);
    this.#hosts = new Map(taking.map((host) => [host.id, host]));
    this.#groups = new Map(groups);
    this.#means = meansOf(taking);
    const goes = (server: BalancedServer): boolean => {
      const why = staying.get(server.id) ?? (server.policy === 'pack' ? 'packed' : undefined);
      if (why !== undefined) this.stays.push({ server, why });
      return why === undefined;
    };
    this.#left = Map.groupBy(servers.filter(goes), ({ host_id }) => host_id);
  }

  furthest(without: ReadonlySet<string> = new Set()): Imbalance | null {
    return this.#hosts.size < 2 ? null : furthest(this.#hosts.values(), this.#means, without);
  }

  /** The server that relieves the host the most, of those that placement finds a host for where it brings enough. */
  bestFrom(why: Imbalance): ProposedMove | undefined {
    const from = this.#hosts.get(why.host_id)!;
    const relief = (server: BalancedServer) =>
      squares(from, this.#means) - squares(changed(from, server, -1), this.#means);
    const inOrder = (this.#left.get(from.id) ?? [])
      .map((server) => ({ server, relief: relief(server) }))
      .sort(
        (a, b) => b.relief - a.relief || costOf(a.server) - costOf(b.server) || (a.server.id < b.server.id ? -1 : 1),
      );
    for (const { server } of inOrder.slice(0, mostAsked)) {
      const found = this.#targetOf(server);
      const gain = found === undefined ? 0 : relief(server) + this.#burden(found, server);
      if (found !== undefined && gain >= smallestGain)
        return { server, to: found.id, why, gain, cost_mib: costOf(server) };
      this.#stays(server, found === undefined ? 'no_host' : 'no_gain');
    }
    return undefined;
  }

  apply({ server, to }: ProposedMove): void {
    const [from, target] = [this.#hosts.get(server.host_id)!, this.#hosts.get(to)!];
    this.#hosts.set(from.id, changed(from, server, -1));
    this.#hosts.set(to, changed(target, server, 1));
    const group = this.#groups.get(server.server_group_id ?? '');
    if (group) this.#groups.set(server.server_group_id!, moved(group, from.id, to));
    this.#forget(server);
  }

  #targetOf(server: BalancedServer): HostCapacity | undefined {
    const request = requestOf({
      ...{ ...server, requested_host_id: null, exclude: [server.host_id] },
      moving: { server_id: server.id, host_id: server.host_id },
    });
    const found = place(request, [...this.#hosts.values()], this.#groups.get(server.server_group_id ?? ''));
    return found.host === null ? undefined : this.#hosts.get(found.host.id);
  }

  #burden(host: HostCapacity, server: BalancedServer): number {
    return squares(host, this.#means) - squares(changed(host, server, 1), this.#means);
  }

  #stays(server: BalancedServer, why: string): void {
    this.stays.push({ server, why });
    this.#forget(server);
  }

  #forget({ id, host_id }: BalancedServer): void {
    this.#left.set(
      host_id,
      this.#left.get(host_id)!.filter((one) => one.id !== id),
    );
  }
}

const costOf = ({ memory_mib, disk_gib }: BalancedServer): number => memory_mib + 1024 * disk_gib;
