/** What a host has said and nobody has recorded yet: the newest word on each counts, those before it need not be recorded. */
import {
  type HostMessage,
  messageLimits,
  type ObservedLayer,
  type ObservedServer,
  type PoolLevel,
  type TunnelReport,
} from '../../contract/host/index.ts';
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

/** Servers, layers and pools. */
const most = 20_000;
/** In characters of reports: each of those may be long. */
const mostLength = 2 * messageLimits.hostBytes;

export class PendingReports {
  #servers = new Map<string, ObservedServer>();
  #layers = new Map<string, ObservedLayer>();
  #pools = new Map<string, PoolLevel>();
  #tunnels: TunnelReport | undefined;
  #complete = false;
  /** What it was said in, in characters; what was said anew is counted again until it is taken. */
  #length = 0;
  /** What could not be recorded is here until it has been, also while that is tried again: else each attempt made room for as much again. */
  #failed = false;
  #again = { size: 0, length: 0 };

  /** The host has to wait until some of it is recorded. */
  get tooMany(): boolean {
    const { size, length } = this.#again;
    return this.#untaken + size > most || this.#length + length > mostLength;
  }

  /** Nothing is to be taken. */
  get empty(): boolean {
    return this.#untaken === 0 && !this.#complete;
  }

  get #untaken(): number {
    return this.#servers.size + this.#layers.size + this.#pools.size + (this.#tunnels ? 1 : 0);
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
    this.#failed = true;
    this.#again = { size: 0, length: 0 };
  }

  take(): Reported {
    const [servers, layers, pools] = [this.#servers, this.#layers, this.#pools].map((each) => [...each.values()]);
    const [tunnels, complete, length] = [this.#tunnels, this.#complete, this.#length];
    if (this.#failed) this.#again = { size: this.#untaken, length };
    this.#forget();
    return { servers, layers, pools, complete, length, ...(tunnels && { tunnels }) } as Reported;
  }

  /** What was taken last is. */
  recorded(): void {
    this.#failed = false;
    this.#again = { size: 0, length: 0 };
  }

  clear(): void {
    this.#forget();
    this.recorded();
  }

  #forget(): void {
    [this.#servers, this.#layers, this.#pools] = [new Map(), new Map(), new Map()];
    this.#tunnels = undefined;
    this.#complete = false;
    this.#length = 0;
  }
}
