/** A machine's network in memory, for hosts whose network is not what a test is about. It stays when a Host object goes. */
import type { DesiredNetwork, DesiredPort } from '../../contract/host/index.ts';
import type { NetworkId, PortId } from '../../contract/ids.ts';
import type { HostNetworkPort, PortCounter, PortStatistics, RouterCounter } from '../../host/host-network.ts';

const none = { bytes: 0, packets: 0, errors: 0, dropped: 0 };

export class MemoryNetwork implements HostNetworkPort {
  readonly ports = new Map<PortId, DesiredPort>();
  readonly networks = new Map<NetworkId, DesiredNetwork>();
  /** Whose each port's tap is. */
  readonly owners = new Map<PortId, number | undefined>();
  readonly datapath = { type: 'netdev' as const };
  /** When set, plugging fails with it. */
  failure: Error | undefined;
  /** What is counted of routers and floating IPs. */
  routers: RouterCounter[] = [];
  readonly #listeners = new Set<() => void>();
  readonly #received = new Map<PortId, PortStatistics['rx']>();
  /** What the present tap of each port is called among all that have been. */
  readonly #plugs = new Map<PortId, number>();
  #lastPlug = 0;
  #unplugging: (last: PortCounter) => Promise<void> = async () => {};

  async start(): Promise<void> {}
  async stop(): Promise<void> {
    this.#listeners.clear();
  }
  async prepareMachine(): Promise<void> {}

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async ensurePort(port: DesiredPort, uid?: number): Promise<{ tap: string; vnetHeader: boolean }> {
    if (this.failure) throw this.failure;
    if (!this.ports.has(port.id)) this.#plugs.set(port.id, ++this.#lastPlug);
    this.ports.set(port.id, port);
    this.owners.set(port.id, uid);
    return { tap: `simt${port.id.slice(-9)}`, vnetHeader: false };
  }

  async removePort(id: PortId): Promise<void> {
    if (this.ports.has(id)) await this.#unplugging(this.#counter(id));
    this.ports.delete(id);
    this.#received.delete(id);
  }

  async removeTap(): Promise<void> {}

  async listPorts() {
    return [...this.ports.keys()].map((id) => ({ id, tap: `simt${id.slice(-9)}`, plugged: true, linkExists: true }));
  }

  async portStatistics(ids: readonly PortId[]): Promise<Map<PortId, PortStatistics>> {
    return new Map(ids.filter((id) => this.ports.has(id)).map((id) => [id, { rx: none, tx: none }]));
  }

  async portCounters(): Promise<PortCounter[]> {
    return [...this.ports.keys()].map((portId) => this.#counter(portId));
  }

  async routerCounters(): Promise<RouterCounter[]> {
    return this.routers;
  }

  beforeUnplugged(listener: (last: PortCounter) => Promise<void>): void {
    this.#unplugging = listener;
  }

  /** So many bytes, in one packet, come to the guest of the port. */
  receive(portId: PortId, bytes: number): void {
    const { rx } = this.#counter(portId).statistics;
    this.#received.set(portId, { ...rx, bytes: rx.bytes + bytes, packets: rx.packets + 1 });
  }

  #counter(portId: PortId): PortCounter {
    const statistics = { rx: this.#received.get(portId) ?? none, tx: none };
    return { portId, counter: `tap/${this.#plugs.get(portId)}`, statistics };
  }

  async ensureNetworks(networks: DesiredNetwork[]): Promise<void> {
    this.networks.clear();
    for (const network of networks) this.networks.set(network.id, network);
  }
}
