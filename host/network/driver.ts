/**
 * The network of one machine, for the host process's reconciler. Owns the connection to the machine's Open vSwitch and
 * every bridge, tap, namespace, veth and nft table with the cloud's tag. Never decides what shall be; never touches what
 * carries neither tag nor stamp. If the process dies on any line, forwarding goes on, and the same calls made again
 * complete what was begun; leftovers are found by `listPorts` and by `ensureNetworks`.
 */
import { join } from 'node:path';
import type { DesiredNetwork, DesiredPort, TunnelEnd, TunnelReport } from '../../contract/host/index.ts';
import type { PortId } from '../../contract/ids.ts';
import { hostSockets } from '../../engine/open-vswitch.ts';
import { OvsdbClient } from '../../protocols/ovsdb/index.ts';
import type { PortCounter, PortStatistics, RouterCounter } from '../host-network.ts';
import { listLinks, listStatistics } from './command.ts';
import { readPortCounters } from './counters.ts';
import { chooseDatapath } from './datapath.ts';
import { silent } from './log.ts';
import { type MachineContext, prepareMachine } from './machine-network.ts';
import { Megaflows } from './megaflows.ts';
import { ensureNamespace, findNamespaces, fingerprint, removeNamespace } from './metadata-namespace.ts';
import { ensureProxy } from './metadata-proxy.ts';
import { type Names, names } from './names.ts';
import { ensureNat64, Nat64Bindings } from './nat64.ts';
import type { HostNetworkOptions, ServedNetwork } from './options.ts';
import type { Datapath } from './plan.ts';
import { ensurePort, listPorts, type ObservedPort, type PluggedPort, removeTap } from './ports.ts';
import { ensureResolvers, machineForwarders } from './resolver.ts';
import { RouterCounters } from './router-counters.ts';
import { monitoredTables, readState } from './state.ts';
import { TakenPorts } from './taken-ports.ts';
import { TunnelProbe } from './tunnels/probe.ts';

export class HostNetwork {
  readonly names: Names;
  readonly #options: HostNetworkOptions;
  readonly #client: OvsdbClient;
  readonly #listeners = new Set<() => void>();
  readonly #unplugging: ((last: PortCounter) => Promise<void>)[] = [];
  /** Absent in a simulated machine, whose switch has no flows. */
  readonly #routers: RouterCounters | undefined;
  readonly #megaflows: Megaflows | undefined;
  /** Absent in a simulated machine, which has no ovn-controller. */
  readonly #taken: TakenPorts | undefined;
  /** Absent in a simulated machine, which has no southbound database. */
  readonly #nat64: Nat64Bindings | undefined;
  /** From the first preparation on, where this host has tunnels. */
  #tunnels: TunnelProbe | undefined;
  readonly #tunnelListeners: ((found: TunnelReport) => void)[] = [];
  #datapath: Datapath | undefined;
  /** Interface indexes of the bridges, and what their datapath offers, when the machine was last prepared: a new one means a new, bare device. */
  #preparedFor = '';
  /** What each network's endpoint was last made from, so that a pass over unchanged networks costs nothing. */
  readonly #endpoints = new Map<string, string>();
  #turn: Promise<unknown> = Promise.resolve();
  /** Work on one tap goes one at a time: the last of each. */
  readonly #turns = new Map<string, Promise<unknown>>();
  /** Taps that are being made, and for which port. */
  readonly #plugging = new Map<string, PortId>();

  constructor(options: HostNetworkOptions) {
    this.names = names(options.tag);
    this.#options = options;
    const { ovsDirectory } = hostSockets(options.runDirectory);
    const { southbound, southboundTls, runDirectory } = options;
    const counted = {
      southbound,
      southboundTls,
      runDirectory,
      ovsDirectory,
      bridge: this.names.integrationBridge,
      log: this.#log,
    };
    if (!options.machine) {
      this.#routers = new RouterCounters(counted);
      this.#megaflows = new Megaflows({ socket: join(ovsDirectory, 'ovs-vswitchd.ctl') });
      this.#taken = new TakenPorts({ ovsDirectory, log: this.#log });
      const onChange = () => this.#tellChanged();
      this.#nat64 = new Nat64Bindings({ southbound, hostId: options.hostId, onChange });
    }
    this.#client = new OvsdbClient({
      target: `unix:${hostSockets(options.runDirectory).ovsdb}`,
      database: 'Open_vSwitch',
      monitor: monitoredTables,
      onState: (state) => {
        if (!state.connected)
          this.#log.warn({ err: state.error, retryMs: state.retryMs }, 'no connection to Open vSwitch');
      },
    });
  }

  get #log() {
    return this.#options.log ?? silent;
  }

  /** Connects to Open vSwitch, chooses the datapath and prepares the machine. */
  async start(options: { timeoutMs?: number } = {}): Promise<void> {
    this.#client.start();
    this.#routers?.start();
    this.#nat64?.start();
    await this.#client.ready({ timeoutMs: options.timeoutMs ?? 30_000 });
    await this.prepareMachine();
    this.#taken?.start();
    this.#client.replica.listen({
      complete: () => this.#changed(),
      changed: (changes) => {
        this.#taken?.changed(changes);
        this.#changed();
      },
    });
  }

  /** Lets go of Open vSwitch; everything goes on forwarding. */
  async stop(): Promise<void> {
    this.#listeners.clear();
    await Promise.all([this.#client.stop(), this.#routers?.stop(), this.#nat64?.stop(), this.#tunnels?.stop()]);
    await this.#turn.catch(() => {});
    await Promise.all([this.#megaflows?.stop(), this.#taken?.stop()]);
  }

  /** The datapath and why it was chosen. */
  get datapath(): Datapath {
    if (!this.#datapath) throw new Error('the network driver has not started');
    return this.#datapath;
  }

  /** Called when something of ours changed in Open vSwitch: look again. Answers a function that ends it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Brings bridges, addresses and protection to where they should be; cheap enough for every pass of a timer. */
  prepareMachine(): Promise<void> {
    return this.#inTurn(async () => {
      this.#datapath = await this.#chooseDatapath();
      await prepareMachine(this.#context);
      this.#preparedFor = this.#devices();
      if (this.#datapath.type === 'netdev') this.#megaflows?.start();
      else await this.#megaflows?.stop();
      this.#tryTunnels();
    });
  }

  /** Where this host's tunnels end and are tried; undefined: it has none, or has not started. */
  get tunnelEnd(): TunnelEnd | undefined {
    return this.#tunnels?.end;
  }

  /** What is known of its tunnels by now. */
  get tunnels(): TunnelReport | undefined {
    return this.#tunnels?.found;
  }

  /** Called when tunnels are not what they were, and from time to time. */
  onTunnels(listener: (found: TunnelReport) => void): void {
    this.#tunnelListeners.push(listener);
  }

  #tryTunnels(): void {
    const { underlay, encapsulation, machine, runDirectory, tunnelTiming: timing } = this.#options;
    const leadsOut = underlay !== undefined || (this.datapath.type === 'system' && !isLoopback(encapsulation.ip));
    if (this.#tunnels || machine || !leadsOut) return;
    this.#tunnels = new TunnelProbe({
      ...{ client: this.#client, names: this.names, address: encapsulation.ip, log: this.#log, timing },
      ...{ datapath: this.datapath.type, ovsDirectory: hostSockets(runDirectory).ovsDirectory },
      report: (found) => {
        for (const listener of this.#tunnelListeners) listener(found);
      },
    });
    this.#tunnels.start();
  }

  /** A tap for the port, plugged, that only `uid` can open. Idempotent; repairs what is missing. */
  ensurePort(port: DesiredPort, uid?: number): Promise<PluggedPort> {
    const tap = this.names.tap(port.id);
    this.#plugging.set(tap, port.id);
    return this.#inTurnOf(tap, async () => {
      try {
        this.#plugging.set(tap, port.id);
        return await ensurePort(this.#context, port, uid, (last) => this.#tellLast(last));
      } finally {
        this.#plugging.delete(tap);
      }
    });
  }

  removePort(id: PortId): Promise<void> {
    return this.removeTap(this.names.tap(id));
  }

  /** For a leftover tap that `listPorts` reports without an id. */
  removeTap(tap: string): Promise<void> {
    return this.#inTurnOf(tap, () => removeTap(this.#context, tap, (last) => this.#tellLast(last)));
  }

  /** Everything on this machine that is a port of this cloud, whole or in part. Fails while Open vSwitch is away. */
  async listPorts(): Promise<ObservedPort[]> {
    const listed = await listPorts(this.#context);
    // A tap that is being made has no stamp yet; it is no leftover.
    return listed.map((port) => ({ ...port, id: port.id ?? this.#plugging.get(port.tap) }));
  }

  /** What the kernel counted at the taps, turned round: it receives what a guest sends. */
  async portStatistics(ids: readonly PortId[]): Promise<Map<PortId, PortStatistics>> {
    const { netns, machine } = this.#options;
    const links = await listStatistics({ netns, machine });
    return new Map(
      ids.flatMap((id) => {
        const seen = links.get(this.names.tap(id));
        return seen ? [[id, { rx: seen.tx, tx: seen.rx }] as const] : [];
      }),
    );
  }

  portCounters(): Promise<PortCounter[]> {
    return readPortCounters(this.names, this.#options);
  }

  routerCounters(): Promise<RouterCounter[]> {
    return this.#routers?.read() ?? Promise.resolve([]);
  }

  beforeUnplugged(listener: (last: PortCounter) => Promise<void>): void {
    this.#unplugging.push(listener);
  }

  async #tellLast(tap: string): Promise<void> {
    for (const last of await readPortCounters(this.names, this.#options, tap)) {
      for (const listener of this.#unplugging) await listener(last);
    }
  }

  /**
   * Makes metadata and names reachable on exactly these networks. An endpoint that is as it was made is not looked into again
   * unless `thorough`. One network's failure does not keep the others from being served; it is thrown at the end.
   */
  ensureNetworks(networks: DesiredNetwork[], options: { thorough?: boolean } = {}): Promise<void> {
    return this.#inTurn(() => this.#ensureNetworks(networks, options.thorough ?? false));
  }

  async #ensureNetworks(networks: DesiredNetwork[], thorough: boolean): Promise<void> {
    const context = this.#context;
    const wanted = new Map(networks.map((network) => [this.names.namespace(network.id), network]));
    const present = await findNamespaces(context);
    const links = new Set((await listLinks(this.#options)).map(({ ifname }) => ifname));
    const { interfaces } = readState(this.#client);
    const failures: unknown[] = [];
    const serving: ServedNetwork[] = [];
    for (const [namespace, network] of wanted) {
      const print = fingerprint(network);
      const veth = this.names.veth(network.id);
      const whole = present.has(namespace) && links.has(veth) && (interfaces.get(veth)?.ofport ?? 0) > 0;
      try {
        if (thorough || !whole || this.#endpoints.get(namespace) !== print) await ensureNamespace(context, network);
        this.#endpoints.set(namespace, print);
        serving.push({ id: network.id, namespace, ...(network.names && { names: network.names }) });
      } catch (error) {
        this.#endpoints.delete(namespace);
        failures.push(error);
      }
    }
    const stale = [...present].filter((namespace) => !wanted.has(namespace));
    // HAProxy and the resolvers first: they hold on to namespaces that they listen in.
    await this.#serveMetadata(serving);
    await this.#serveNames(serving).catch((error) => failures.push(error));
    for (const namespace of stale) {
      this.#endpoints.delete(namespace);
      await removeNamespace(context, namespace).catch((error) => failures.push(error));
    }
    const routers = this.#nat64?.routers();
    if (routers) await ensureNat64(context, routers).catch((error) => failures.push(error));
    if (failures.length > 0)
      throw new AggregateError(failures, 'metadata, names or NAT64 are not there on every network');
  }

  #serveMetadata(networks: ServedNetwork[]): Promise<void> {
    const { runDirectory, logDirectory, proxyUser: user, serveMetadata } = this.#options;
    if (serveMetadata) return serveMetadata(networks);
    return ensureProxy({ runDirectory, logDirectory, user }, networks);
  }

  #serveNames(networks: ServedNetwork[]): Promise<void> {
    const { runDirectory, logDirectory, serveMetadata, dnsServers = [] } = this.#options;
    if (serveMetadata) return Promise.resolve();
    const forwarders = dnsServers.length > 0 ? dnsServers : machineForwarders();
    return ensureResolvers({ runDirectory, logDirectory, forwarders }, networks);
  }

  get #context(): MachineContext {
    return { client: this.#client, names: this.names, options: this.#options, datapath: this.datapath };
  }

  async #chooseDatapath(): Promise<Datapath> {
    const chosen = await chooseDatapath(this.#client, this.names, this.#options);
    if (chosen.type !== this.#datapath?.type) this.#log.info({ ...chosen }, 'datapath chosen');
    return chosen;
  }

  #devices(): string {
    const { interfaces, offeringZeroSnat } = readState(this.#client);
    const bridges = [this.names.integrationBridge, this.names.externalBridge, this.names.underlayBridge];
    return [...bridges.map((name) => interfaces.get(name)?.ifindex ?? '-'), offeringZeroSnat ?? ''].join(' ');
  }

  #changed(): void {
    if (this.#devices() !== this.#preparedFor) {
      this.#preparedFor = this.#devices();
      this.prepareMachine().catch((err) => this.#log.warn({ err }, 'machine could not be prepared'));
    }
    this.#tellChanged();
  }

  #tellChanged(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  #inTurnOf<T>(tap: string, work: () => Promise<T>): Promise<T> {
    const result = (this.#turns.get(tap) ?? Promise.resolve()).then(work, work);
    const ended = result.then(
      () => {},
      () => {},
    );
    this.#turns.set(tap, ended);
    void ended.then(() => {
      if (this.#turns.get(tap) === ended) this.#turns.delete(tap);
    });
    return result;
  }

  /** Work on the machine as a whole goes one at a time. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work);
    this.#turn = result.catch(() => {});
    return result;
  }
}

const isLoopback = (ip: string): boolean => ip === '::1' || ip.startsWith('127.');
