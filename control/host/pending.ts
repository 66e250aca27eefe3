/** What a host has said and nobody has recorded yet: the newest word on each counts, those before it need not be recorded. */
import type { HostMessage, ObservedLayer, ObservedServer, PoolLevel, TunnelReport } from '../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../contract/ids.ts';

/** Of one or several reports. */
export interface Reported {
  servers: ObservedServer[];
  layers: ObservedLayer[];
  pools: PoolLevel[];
  tunnels?: TunnelReport;
  /** All that the host has is in it. */
  complete: boolean;
  /** What it was said in, in characters. */
  length: number;
}

/** What the host may forget. */
export interface Forgettable {
  servers: ServerId[];
  layers: LayerId[];
}

export class PendingReports {
  #servers = new Map<string, ObservedServer>();
  #layers = new Map<string, ObservedLayer>();
  #pools = new Map<string, PoolLevel>();
  #tunnels: TunnelReport | undefined;
  #complete = false;
  #length = 0;

  /** What it was said in, in characters; what was said anew is counted again until it is taken. */
  get length(): number {
    return this.#length;
  }

  get size(): number {
    return this.#servers.size + this.#layers.size + this.#pools.size + (this.#tunnels ? 1 : 0);
  }

  get empty(): boolean {
    return this.size === 0 && !this.#complete;
  }

  add(report: Omit<HostMessage & { type: 'report' }, 'type'>, length: number): void {
    const { servers, layers = [], pools = [], tunnels, complete } = report;
    this.#length += length;
    for (const each of servers) this.#servers.set(each.id, each);
    for (const each of layers) this.#layers.set(each.id, each);
    for (const each of pools) this.#pools.set(each.name, each);
    this.#tunnels = tunnels ?? this.#tunnels;
    this.#complete ||= complete;
  }

  /** What could not be recorded waits again, but for what is known better by now. */
  giveBack(reported: Reported): void {
    const newer = this.take();
    this.add(reported, reported.length);
    this.add(newer, newer.length);
  }

  take(): Reported {
    const [servers, layers, pools] = [this.#servers, this.#layers, this.#pools].map((each) => [...each.values()]);
    const [tunnels, complete, length] = [this.#tunnels, this.#complete, this.#length];
    this.clear();
    return { servers, layers, pools, complete, length, ...(tunnels && { tunnels }) } as Reported;
  }

  clear(): void {
    [this.#servers, this.#layers, this.#pools] = [new Map(), new Map(), new Map()];
    this.#tunnels = undefined;
    this.#complete = false;
    this.#length = 0;
  }
}
