/**
 * A host's network driver over a FakeSwitch: Open vSwitch by the driver's own plans and over the real wire; taps,
 * namespaces and nft, which need root and a kernel, are lists. One per Host object, as the real driver.
 */
import type { DesiredNetwork, DesiredPort } from '../../contract/host.ts';
import type { PortId } from '../../contract/ids.ts';
import type { HostNetworkPort } from '../../host/host-network.ts';
import { names, owner, ownerKey } from '../../host/network/names.ts';
import { planPlug, planUnplug } from '../../host/network/plan.ts';
import { addChanges, type Change, monitoredTables, readState } from '../../host/network/state.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import type { FakeSwitch } from './switch.ts';

export class SwitchNetwork implements HostNetworkPort {
  readonly datapath = { type: 'netdev' as const };
  readonly names = names('sim');
  readonly #switch: FakeSwitch;
  readonly #client: OvsdbClient;
  readonly #listeners = new Set<() => void>();
  /** What the host was last asked to serve metadata on. */
  networks: readonly DesiredNetwork[] = [];

  constructor(fakeSwitch: FakeSwitch) {
    this.#switch = fakeSwitch;
    this.#client = new OvsdbClient({ target: fakeSwitch.target, database: 'Open_vSwitch', monitor: monitoredTables });
  }

  async start(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#client.start();
    await this.#client.ready({ timeoutMs: options.timeoutMs ?? 30_000 });
    await this.prepareMachine();
    const changed = () => {
      for (const listener of this.#listeners) listener();
    };
    this.#client.replica.listen({ complete: changed, changed });
  }

  async stop(): Promise<void> {
    this.#listeners.clear();
    await this.#client.stop();
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async prepareMachine(): Promise<void> {
    const { integrationBridge: name } = this.names;
    if (readState(this.#client).bridges.has(name)) return;
    await this.#commit([{ do: 'add-bridge', name, datapathType: 'netdev', failMode: 'secure', owner: owner.machine }]);
    await this.#client.replica.until(`bridge ${name}`, () => readState(this.#client).bridges.has(name), {
      timeoutMs: 5000,
    });
  }

  async ensurePort(port: DesiredPort): Promise<{ tap: string; vnetHeader: boolean }> {
    const tap = this.names.tap(port.id);
    this.#switch.taps.add(tap);
    const wanted = { device: tap, logicalPort: port.id, mac: port.mac, owner: owner.port(port.id) };
    const has = () => (readState(this.#client).interfaces.get(tap)?.ofport ?? 0) > 0;
    const changes = planPlug(readState(this.#client), this.names, wanted);
    if (changes.length > 0 || !has()) await this.#commit(changes);
    await this.#client.replica.until(`vswitchd has ${tap}`, has, { timeoutMs: 5000 });
    return { tap, vnetHeader: false };
  }

  removePort(id: PortId): Promise<void> {
    return this.removeTap(this.names.tap(id));
  }

  async removeTap(tap: string): Promise<void> {
    const changes = planUnplug(readState(this.#client), tap);
    if (changes.length > 0) await this.#commit(changes);
    this.#switch.taps.delete(tap);
  }

  async listPorts() {
    const { interfaces } = readState(this.#client);
    const plugs = [...interfaces.values()].filter(({ name }) => this.names.tapPattern.test(name));
    const taps = new Set([...this.#switch.taps, ...plugs.map(({ name }) => name)]);
    return [...taps].map((tap) => {
      const found = interfaces.get(tap);
      const stamp = found?.externalIds[ownerKey];
      return {
        id: stamp?.startsWith('port/') ? (stamp.slice('port/'.length) as PortId) : undefined,
        tap,
        plugged: (found?.ofport ?? 0) > 0,
        linkExists: this.#switch.taps.has(tap),
      };
    });
  }

  async ensureNetworks(networks: DesiredNetwork[]): Promise<void> {
    this.networks = networks;
  }

  async #commit(changes: Change[]): Promise<void> {
    const tx = this.#client.transaction();
    addChanges(tx, readState(this.#client), changes);
    await this.#client.transact(tx);
  }
}
