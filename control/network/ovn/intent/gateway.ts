/**
 * Where a router's gateway runs. Candidates are the hosts that are alive and have the physical network; each router has
 * its own order of them (rendezvous hashing), so gateways spread out and a host that comes or goes moves only its own.
 *
 * A dead host is taken out: of two chassis the survivor never claims the port by BFD alone (OVN 23.03). While no
 * candidate is alive (all of control has just restarted) all of them count, so that a restart moves nothing.
 */
const maxChassis = 3;

export interface HostRow {
  id: string;
  physical_networks: string[];
  zone: string;
  /** Connected, or silent for less than the grace, and not about to sleep (see ../hosts.ts). */
  alive: boolean;
}

interface Candidate {
  id: string;
  zone: string;
  hash: number;
  alive: boolean;
}

/** FNV-1a. Fast rather than safe: a router weighs a thousand hosts, and nobody gains by a place. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}

/** The end of MurmurHash3: each bit of the input decides about each bit of the weight. */
function weigh(router: number, host: number): number {
  let weight = (router ^ Math.imul(host, 0x9e3779b1)) | 0;
  weight = Math.imul(weight ^ (weight >>> 16), 0x85ebca6b);
  weight = Math.imul(weight ^ (weight >>> 13), 0xc2b2ae35);
  return (weight ^ (weight >>> 16)) >>> 0;
}

/** Hosts, found by what they can carry. Never changes. */
export class HostSet {
  readonly #byId: ReadonlyMap<string, HostRow>;
  /** For each physical network all that have it. */
  readonly #carriers = new Map<string, Candidate[]>();
  /** Of those the ones that count. */
  readonly #candidates: ReadonlyMap<string, readonly Candidate[]>;

  constructor(rows: readonly HostRow[]) {
    this.#byId = new Map(rows.map((row) => [row.id, row]));
    for (const { id, physical_networks, zone, alive } of rows) {
      const candidate = { id, zone, hash: hashOf(id), alive };
      for (const network of physical_networks) {
        const list = this.#carriers.get(network);
        if (list) list.push(candidate);
        else this.#carriers.set(network, [candidate]);
      }
    }
    this.#candidates = new Map([...this.#carriers].map(([network, list]) => [network, counting(list)]));
  }

  get(id: string): HostRow | undefined {
    return this.#byId.get(id);
  }

  ids(): Iterable<string> {
    return this.#byId.keys();
  }

  /** Ids of the hosts for a router's gateway, best first. @param zones those that they must be of; none: any */
  choose(routerId: string, physicalNetwork: string | null, zones: readonly string[] = []): string[] {
    const router = hashOf(routerId);
    const best: { id: string; weight: number }[] = [];
    for (const { id, hash } of this.#candidatesOf(physicalNetwork ?? '', zones)) {
      const weight = weigh(router, hash);
      const last = best[maxChassis - 1];
      if (last && (weight > last.weight || (weight === last.weight && id > last.id))) continue;
      best.push({ id, weight });
      best.sort((a, b) => a.weight - b.weight || (a.id < b.id ? -1 : 1));
      best.length = Math.min(best.length, maxChassis);
    }
    return best.map(({ id }) => id);
  }

  #candidatesOf(network: string, zones: readonly string[]): readonly Candidate[] {
    if (zones.length === 0) return this.#candidates.get(network) ?? [];
    return counting((this.#carriers.get(network) ?? []).filter(({ zone }) => zones.includes(zone)));
  }
}

/** The living, or all where none lives. */
function counting(list: readonly Candidate[]): readonly Candidate[] {
  const living = list.filter(({ alive }) => alive);
  return living.length > 0 ? living : list;
}
