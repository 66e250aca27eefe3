/**
 * What the reconciler needs of the machine's network. host/network/ is it on a real machine; the simulator brings its own.
 */
import type { DesiredNetwork, DesiredPort, MeterReading, TunnelEnd, TunnelReport } from '../contract/host/index.ts';
import type { PortId } from '../contract/ids.ts';

/** What passed a port, as its guest sees it: what it receives is `rx`. */
export interface PortStatistics {
  rx: Counters;
  tx: Counters;
}

/** What has passed a port since what counts it was made. */
export interface PortCounter {
  portId: PortId;
  /** Names what counts among all that have been in this boot of the machine. */
  counter: string;
  statistics: PortStatistics;
}

/** What has passed a router's gateway, or one of its floating IPs, or what its policies counted for labels, on this host. Only grows. */
export interface RouterCounter {
  routerId: string;
  floatingIp?: string;
  counted?: Omit<NonNullable<MeterReading['counted']>, 'routerId'>;
  /** Names what counts among all that have ever been. */
  counter: string;
  statistics: Record<'rx' | 'tx', { bytes: number; packets: number }>;
}

interface Counters {
  bytes: number;
  packets: number;
  errors: number;
  dropped: number;
}

export interface HostNetworkPort {
  start(options?: { timeoutMs?: number }): Promise<void>;
  stop(): Promise<void>;
  /** Known once started. */
  readonly datapath: { type: 'system' | 'netdev' };
  /** Something of ours changed: look again. */
  onChange(listener: () => void): () => void;
  /** @param uid the guest's user, to whom the tap shall belong; absent: to the user of guests without one of their own */
  ensurePort(port: DesiredPort, uid?: number): Promise<{ tap: string; vnetHeader: boolean }>;
  removePort(id: PortId): Promise<void>;
  removeTap(tap: string): Promise<void>;
  listPorts(): Promise<{ id: PortId | undefined; tap: string; plugged: boolean; linkExists: boolean }[]>;
  /** Of those that are plugged. */
  portStatistics(ids: readonly PortId[]): Promise<ReadonlyMap<PortId, PortStatistics>>;
  /** Of all ports of the cloud's that are here. */
  portCounters(): Promise<PortCounter[]>;
  /** Of all routers and floating IPs that something has passed here. */
  routerCounters(): Promise<RouterCounter[]>;
  /** Called with the last word of what counts a port, which goes when the promise resolves and stays when it does not. */
  beforeUnplugged(listener: (last: PortCounter) => Promise<void>): void;
  ensureNetworks(networks: DesiredNetwork[], options?: { thorough?: boolean }): Promise<void>;
  /** Where this host's tunnels end and are tried; absent: it has none. */
  readonly tunnelEnd?: TunnelEnd | undefined;
  /** What is known of them by now. */
  readonly tunnels?: TunnelReport | undefined;
  /** Called when they are not what they were, and from time to time. */
  onTunnels?(listener: (found: TunnelReport) => void): void;
  /** Bridges, addresses, protection; run by the timer. */
  prepareMachine(): Promise<void>;
}
