/** What has changed on this host since control was last told: the last word of each server and layer. Pure. */
import type { ObservedLayer, ObservedServer, PoolLevel } from '../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../contract/ids.ts';

export interface Observations {
  servers: ObservedServer[];
  layers: ObservedLayer[];
  pools?: PoolLevel[];
}

export class News {
  #servers = new Map<ServerId, ObservedServer>();
  #layers = new Map<LayerId, ObservedLayer>();
  #pools = new Map<string, PoolLevel>();

  add({ servers = [], layers = [], pools = [] }: Partial<Observations>): void {
    for (const server of servers) this.#servers.set(server.id, server);
    for (const layer of layers) this.#layers.set(layer.id, layer);
    for (const pool of pools) this.#pools.set(pool.name, pool);
  }

  /** All of it, once; undefined where there is none. */
  take(): Observations | undefined {
    const [servers, layers, pools] = [this.#servers, this.#layers, this.#pools].map((each) => [...each.values()]);
    if (servers!.length + layers!.length + pools!.length === 0) return undefined;
    this.#servers.clear();
    this.#layers.clear();
    this.#pools.clear();
    return { servers, layers, ...(pools!.length > 0 && { pools }) } as Observations;
  }
}

/** All of it is only under way: mostly the end comes first, and spares control a transaction. */
export const mayWait = ({ servers = [], layers = [] }: Partial<Observations>): boolean =>
  [...servers, ...layers].every(({ state, error }) => state === 'building' && error === null);
