/** What has changed on this host since control was last told: the last word of each server and layer. Pure. */
import type {
  ObjectDiskLevel,
  ObservedLayer,
  ObservedServer,
  PoolLevel,
  TunnelReport,
} from '../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../contract/ids.ts';

export interface Observations {
  servers: ObservedServer[];
  layers: ObservedLayer[];
  pools?: PoolLevel[];
  objectDisks?: ObjectDiskLevel[];
  tunnels?: TunnelReport;
}

export class News {
  #servers = new Map<ServerId, ObservedServer>();
  #layers = new Map<LayerId, ObservedLayer>();
  #pools = new Map<string, PoolLevel>();
  #disks = new Map<string, ObjectDiskLevel>();
  #tunnels: TunnelReport | undefined;

  add({ servers = [], layers = [], pools = [], objectDisks = [], tunnels }: Partial<Observations>): void {
    for (const server of servers) this.#servers.set(server.id, server);
    for (const layer of layers) this.#layers.set(layer.id, layer);
    for (const pool of pools) this.#pools.set(pool.name, pool);
    for (const disk of objectDisks) this.#disks.set(disk.name, disk);
    this.#tunnels = tunnels ?? this.#tunnels;
  }

  /** All of it, once; undefined where there is none. */
  take(): Observations | undefined {
    const [servers, layers] = [[...this.#servers.values()], [...this.#layers.values()]];
    const [pools, objectDisks] = [[...this.#pools.values()], [...this.#disks.values()]];
    const tunnels = this.#tunnels;
    if (servers.length + layers.length + pools.length + objectDisks.length === 0 && !tunnels) return undefined;
    for (const each of [this.#servers, this.#layers, this.#pools, this.#disks]) each.clear();
    this.#tunnels = undefined;
    return {
      ...{ servers, layers, ...(pools.length > 0 && { pools }) },
      ...(objectDisks.length > 0 && { objectDisks }),
      ...(tunnels && { tunnels }),
    };
  }
}

/** All of it is only under way: mostly the end comes first, and spares control a transaction. */
export const mayWait = ({ servers = [], layers = [] }: Partial<Observations>): boolean =>
  [...servers, ...layers].every(({ state, error }) => state === 'building' && error === null);
