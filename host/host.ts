/**
 * The host process as an object. Owns the order in which its parts open and close; each part owns the rest. Nothing here
 * or below ever ends a guest because the host process ends: `stop` lets go.
 *
 * If the process dies on any line: guests run on, the saved desired state is whole, and the next start finds the guests by
 * their processes and goes on from what is.
 */
import { mkdir } from 'node:fs/promises';
import type { ControlMessage, HostFacts, Unreadable } from '../contract/host/index.ts';
import { Credentials } from '../protocols/tls/index.ts';
import type { HostConfiguration } from './configuration.ts';
import type { HostDependencies } from './dependencies.ts';
import { DesiredHolder } from './desired/holder.ts';
import type { DesiredState } from './desired/state.ts';
import { DesiredStore } from './desired/store.ts';
import type { AcceleratorVerdict } from './guest/kvm-probe.ts';
import { ImageFetcher } from './image/fetch.ts';
import { intakeDigestSets } from './image/intake.ts';
import { LaterDigests } from './image/later-digests.ts';
import { ImageStore } from './image/store.ts';
import { Lease } from './lease/lease.ts';
import { capacity } from './machine-facts.ts';
import { metadataFiles } from './metadata/document.ts';
import type { GuestPasswords } from './metadata/password.ts';
import { Meters, type MetersOptions } from './meter/meters.ts';
import { NetworkStart } from './network-start.ts';
import { defaultDisk } from './object/disks.ts';
import { objectRoutes } from './object/routes.ts';
import { ObjectStore } from './object/store.ts';
import { hostFactsOf, migrationPlaceOf } from './own-facts.ts';
import { guestsDirectory } from './paths.ts';
import { defaultLimits, type ServerContext, type ServerLimits } from './server/context.ts';
import { ErasedServers } from './server/erased.ts';
import { Reconciler } from './server/reconciler.ts';
import { Consoles } from './service/console.ts';
import { httpsSource } from './service/fetch-source.ts';
import { HostHttpService } from './service/http-service.ts';
import { serviceRoutes } from './service/routes.ts';
import { ProcessDied } from './step-loop.ts';
import { ControlAddresses } from './stream/addresses.ts';
import { ControlStream } from './stream/client.ts';
import type { Observations } from './stream/news.ts';
import { quarantineStatus } from './stream/quarantine.ts';
import { LayerKeys } from './volume/keys.ts';
import { Storage } from './volume/storage.ts';

export class Host {
  readonly #configuration: HostConfiguration;
  readonly #dependencies: HostDependencies;
  readonly #desired: DesiredHolder;
  readonly #images: ImageStore;
  readonly #erased: ErasedServers;
  readonly #digestSets = intakeDigestSets();
  readonly #laterDigests: LaterDigests;
  readonly #credentials: Credentials;
  readonly #lease: Lease;
  readonly #source: ReturnType<typeof httpsSource>;
  readonly #keys = new LayerKeys({
    ask: (ids) => this.#stream.ask(ids),
    told: () => {
      this.#reconciler.wakeAll();
      this.#storage.layers.wakeUnsettled();
    },
  });
  readonly #reconciler: Reconciler;
  readonly #storage: Storage;
  readonly #objects: ObjectStore;
  readonly #meters: Meters;
  readonly #service: HostHttpService;
  readonly #stream: ControlStream;
  #verdict: AcceleratorVerdict = { accelerator: 'tcg', reason: 'not looked at yet' };
  #capacity: Awaited<ReturnType<typeof capacity>> | undefined;
  readonly #networkStart: NetworkStart;
  /** Being stopped in order: steps under way end. */
  #closing = false;
  /** Ended without a word: nothing more is done. */
  #dead = false;
  #cloudId: string | null;
  /** Resolves when a step hook has ended this host's life. For crash tests. */
  readonly died: Promise<void>;
  #die: () => void = () => {};

  constructor(configuration: HostConfiguration, dependencies: HostDependencies) {
    this.#configuration = configuration;
    this.#dependencies = dependencies;
    this.#cloudId = configuration.cloudId;
    this.died = new Promise((resolve) => {
      this.#die = resolve;
    });
    const { dataDirectory, runDirectory, guests, controlName, durable = true, listen, socket } = configuration;
    const { log, network } = dependencies;
    this.#lease = new Lease({ guard: dependencies.guard, log, onChange: () => this.#leaseChanged() });
    this.#credentials = new Credentials(configuration.tls, configuration.credentials);
    const tls = this.#credentials.current;
    const maxVirtualBytes = configuration.maxVirtualBytes ?? 16 * 2 ** 40;
    const limits = { ...defaultLimits, ...configuration.limits };
    this.#desired = new DesiredHolder({ store: new DesiredStore({ dataDirectory, durable }), log });
    this.#erased = new ErasedServers(dataDirectory);
    const gids = { guestGid: guests?.gid, controlGid: socket?.owner?.gid };
    this.#images = new ImageStore({ dataDirectory, durable, ...gids, log });
    this.#laterDigests = new LaterDigests({ store: this.#images, found: () => this.#digestsFound(), log });
    this.#source = httpsSource(tls);
    const basis = this.#newContext(limits, maxVirtualBytes);
    const { upload } = basis;
    this.#storage = this.#newStorage(basis);
    this.#objects = this.#newObjects(gids.controlGid);
    const context: ServerContext = { ...basis, layers: this.#storage.files };
    this.#reconciler = new Reconciler({
      context,
      report: (servers) => this.#stream.report({ servers }),
      died: () => this.abandon(),
      ...{ sweepIntervalMs: configuration.sweepIntervalMs ?? 30_000, consoleIntervalMs: 5000 },
      quarantinedGuests: configuration.quarantinedGuests ?? 'run',
      quarantineChanged: () => this.#stream.quarantineChanged(),
    });
    this.#meters = this.#newMeters();
    this.#networkStart = new NetworkStart({ network, log, sweep: (options) => this.#reconciler.sweep(options) });
    const { consoleLogBytes: maxConsoleBytes, agentTimeoutMs } = limits;
    const routes = serviceRoutes({
      ...{ dataDirectory, runDirectory, maxConsoleBytes, images: this.#images, upload },
      laterDigests: this.#laterDigests,
      guests: {
        running: (id) => this.#reconciler.running(id),
        ...{ network, agentTimeoutMs, consoles: new Consoles() },
      },
      refuseCapture: async (id) => {
        await this.#reconciler.refuseCapture(id);
        await this.#storage.layers.refuseCapture(id);
      },
      objects: objectRoutes({ store: this.#objects, tls: () => this.#credentials.current }),
      ...{ backups: this.#storage.backups, managed: this.#storage.managed, layers: this.#storage.layers },
      ...{ health: () => this.status(), certify: dependencies.certify, powercap: configuration.powercapDirectory },
    });
    this.#service = new HostHttpService({ tls, listen, socket, controlName, routes, log });
    this.#stream = this.#newStream();
    network.onTunnels?.((tunnels) => this.#stream.report({ tunnels }));
    this.#credentials.onChange((renewed) => {
      this.#source.renew(renewed);
      this.#service.renew(renewed);
      log.info({}, 'certificate renewed');
    });
  }

  #newContext(limits: ServerLimits, maxVirtualBytes: number): Omit<ServerContext, 'layers'> {
    const { dataDirectory, runDirectory, durable = true } = this.#configuration;
    const { log, bootId, launcher, network, guestUsers, vendorData = {}, vendorServices } = this.#dependencies;
    const { inspect, convert, saveDisk, keeper, tpm, tryWay, resetConnections, cpuGroups } = this.#dependencies;
    const images = this.#images;
    return {
      laterDigests: this.#laterDigests,
      upload: {
        ...{ store: images, sets: this.#digestSets, inspect, maxVirtualBytes },
        inUse: (id) => this.#reconciler.imageInUse(id) || this.#storage.layers.imageInUse(id),
      },
      ...{ saveDisk, tpm, tryWay, resetConnections, cpuGroups, keeper, ioUring: this.#dependencies.ioUring ?? false },
      ...{ dataDirectory, runDirectory, bootId, launcher, network, guestUsers, durable, limits, log },
      metadataFiles: async (server) =>
        metadataFiles(server, { vendorData, services: (await vendorServices?.of(server)) ?? {} }),
      images,
      fetcher: new ImageFetcher({ store: images, open: this.#source.open, convert, maxVirtualBytes, log }),
      migrationPlace: () => migrationPlaceOf(this.#configuration),
      ...{ lease: this.#lease, guard: this.#dependencies.guard, erased: this.#erased },
      accelerator: () => this.#verdict.accelerator,
      step: (name: string) => this.#step(name),
    };
  }

  #newMeters(): Meters {
    const { dataDirectory, durable = true, meterIntervalMs: intervalMs = 10_000 } = this.#configuration;
    const send: MetersOptions['send'] = (message) => this.#stream.tell(message);
    return new Meters({ ...this.#dependencies, dataDirectory, durable, intervalMs, send });
  }

  #newStorage(context: Omit<ServerContext, 'layers'>): Storage {
    const { hostId, guests, storage: setting = {}, sweepIntervalMs = 30_000 } = this.#configuration;
    return new Storage({
      ...context,
      ...{ hostId, setting, sweepIntervalMs, guestGid: guests?.gid, cloudId: () => this.#cloudId },
      ...{ tools: this.#dependencies.layerTools, keys: this.#keys, openSource: this.#source.open },
      receiverEngine: this.#dependencies.receiverEngine,
      report: (layers) => this.#stream.report({ layers }),
      levels: (levels) => this.#stream.report({ pools: levels }),
      died: () => this.abandon(),
    });
  }

  #newObjects(readerGid: number | undefined): ObjectStore {
    const { hostId, dataDirectory, durable = true, objects = {} } = this.#configuration;
    const { disks: settings = [defaultDisk(dataDirectory)], scrub = {} } = objects;
    return new ObjectStore({
      ...{ settings, scrub, hostId, dataDirectory, durable, readerGid, cloudId: () => this.#cloudId },
      ...{ levels: (objectDisks) => this.#stream.report({ objectDisks }), log: this.#dependencies.log },
    });
  }

  #leaseChanged(): void {
    this.#reconciler.wakeAll();
    this.#storage.layers.wakeUnsettled();
  }

  /** Opens everything. Resolves when the service answers and guests are being looked after; control may be away. */
  async start(): Promise<void> {
    const { dataDirectory, runDirectory } = this.#configuration;
    for (const path of [dataDirectory, runDirectory, guestsDirectory(runDirectory)]) {
      await mkdir(path, { recursive: true, mode: 0o711 });
    }
    this.#dependencies.guestUsers?.open(dataDirectory);
    const saved = await this.#desired.load(this.#cloudId);
    if (saved) {
      this.#cloudId = saved.cloudId;
      this.#adopt(saved);
    }
    await Promise.all([
      this.#images.open(),
      this.#erased.open(),
      this.#storage.open(),
      this.#meters.open(),
      this.#objects.open(),
    ]);
    this.#capacity = await (this.#dependencies.capacity ?? capacity)(dataDirectory);
    await Promise.all([
      this.#service.start(),
      this.#networkStart.begin(),
      this.#dependencies.accelerator().then((verdict) => {
        this.#verdict = verdict;
      }),
    ]);
    this.#dependencies.log.info({ ...this.#verdict }, 'accelerator chosen');
    this.#laterDigests.start();
    await this.#storage.adopt();
    if (saved) this.#storage.layers.take(saved);
    await this.#reconciler.start(saved);
    // The guests that run have been found, and what each has open is told.
    this.#storage.files.open.allTold();
    this.#stream.start();
    this.#meters.start();
  }

  /** Lets go of everything; guests go on. */
  async stop(): Promise<void> {
    if (this.#dead || this.#closing) return;
    this.#closing = true;
    this.#networkStart.end();
    this.#meters.close();
    this.#stream.stop();
    await Promise.all([this.#reconciler.close(), this.#storage.close()]);
    await this.#desired.close();
    await this.#service.stop();
    await this.#objects.close();
    this.#digestSets.close();
    await this.#laterDigests.close();
    this.#source.close();
    this.#credentials.close();
    this.#lease.close();
    await this.#dependencies.network.stop();
  }

  /** What a kill would do, as far as an object can: no step more, connections cut. For crash tests. */
  abandon(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#networkStart.end();
    this.#meters.close();
    this.#stream.abandon();
    this.#reconciler.abandon();
    this.#storage.abandon();
    void this.#desired.abandon();
    void this.#service.stop();
    void this.#objects.close();
    this.#digestSets.close();
    void this.#laterDigests.close();
    this.#source.close();
    this.#credentials.close();
    this.#lease.close();
    this.#die();
  }

  facts(): HostFacts {
    return hostFactsOf({
      ...{ configuration: this.#configuration, dependencies: this.#dependencies, verdict: this.#verdict },
      ...{ capacity: this.#capacity!, networkStarted: this.#networkStart.started, servicePort: this.#service.port },
      storage: { pools: this.#storage.pools.facts(), exports: this.#storage.exports.facts },
      objectDisks: this.#objects.disks.levels(),
    });
  }

  status() {
    return {
      hostId: this.#configuration.hostId,
      cloudId: this.#cloudId,
      facts: this.facts(),
      ...{ control: this.#stream.status, lease: this.#lease.status },
      desired: { known: this.#desired.state !== undefined, sequence: this.#desired.state?.sequence ?? 0 },
      network: { ...this.#networkStart.state, tunnels: this.#dependencies.network.tunnels },
      ...this.#reconciler.counts(),
      ...{ lastSweep: this.#reconciler.lastSweep ?? null, observed: this.#reconciler.observations() },
      layers: this.#storage.layers.status(),
      quarantine: quarantineStatus(this.#reconciler.quarantine()),
    };
  }

  /** What guests post of their passwords, for the metadata service. */
  readonly guestPasswords: GuestPasswords = {
    read: async (id) => this.#reconciler.task(id)?.guestPassword(),
    keep: async (id, text) => (await this.#reconciler.task(id)?.keepGuestPassword(text)) ?? false,
  };

  /** Nothing is under way on this host. For tests that wait. */
  get idle(): boolean {
    return this.#reconciler.idle && this.#storage.layers.idle;
  }

  #newStream(): ControlStream {
    const { hostId, controlName, protocol } = this.#configuration;
    return new ControlStream({
      addresses: new ControlAddresses({ ...this.#configuration, ...this.#dependencies }),
      ...{ hostId, controlName, log: this.#dependencies.log, tls: () => this.#credentials.current },
      ...this.#configuration.controlRetry,
      ...(protocol && { protocol }),
      facts: () => {
        const facts = this.facts();
        this.#storage.told(facts.pools ?? []);
        this.#objects.told(facts.objectDisks ?? []);
        return facts;
      },
      cloudId: () => this.#cloudId,
      heard: (leaseMs) => this.#lease.renewed(leaseMs),
      ask: () => this.#lease.ask(),
      greeted: ({ cloudId }) => {
        if (this.#cloudId !== null) return;
        this.#cloudId = cloudId;
        void this.#objects.lookAgain();
      },
      received: (message, unreadable) => this.#received(message, unreadable),
      observations: () => this.#observations(),
      remembers: () => this.#desired.remembers,
      holds: () => this.#desired.stamps,
      quarantine: () => ({ ...this.#reconciler.quarantine(), layers: this.#storage.layers.quarantine() }),
      digestOf: (id) => this.#images.facts(id)?.sha256 ?? undefined,
    });
  }

  #digestsFound(): void {
    this.#stream.quarantineChanged();
    this.#stream.digestsFound();
  }

  #observations(): Observations | undefined {
    const [{ layers }, { tunnels }] = [this.#storage, this.#dependencies.network];
    if (!this.#reconciler.complete || !layers.complete) return undefined;
    return { servers: this.#reconciler.observations(), layers: layers.observations(), ...(tunnels && { tunnels }) };
  }

  #adopt(state: DesiredState): void {
    this.#desired.adopt(state);
    this.#dependencies.desired?.([...state.servers.values()]);
  }

  async #received(
    message: Exclude<ControlMessage, { type: 'hello' | 'controls' }>,
    unreadable: readonly Unreadable[],
  ): Promise<void> {
    // Before anything is written down: keys are not.
    if (message.type === 'keys') return this.#keys.take(message.keys);
    if (message.type === 'pools') return this.#storage.declare(message.pools);
    if (message.type === 'metered') return this.#meters.recorded(message.sequence);
    if (message.type === 'lease') return this.#lease.lent(message.asked, message.leaseMs);
    const state = await this.#desired.next(message, unreadable, this.#cloudId!);
    if (this.#dead || this.#closing) return;
    this.#adopt(state);
    this.#storage.layers.take(state);
    await this.#reconciler.take(state);
  }

  async #step(name: string): Promise<void> {
    if (this.#dead) throw new ProcessDied(name);
    await this.#dependencies.step?.(name);
  }
}
