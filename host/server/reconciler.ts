/**
 * All servers of this host. Owns the tasks, the machine-wide sweeps (networks, stray ports, stray QEMUs, console logs,
 * copies of images that nobody needs) and nothing on disk. Acts on a signal and on a timer; never before a desired state is known.
 *
 * Nothing is erased because it is missing: what lies here and has no document is `unclaimed`, is left as it is and reported.
 */
import { mkdir, readdir } from 'node:fs/promises';
import type { DesiredServer, ObservedServer, QuarantinedImage, QuarantinedServer } from '../../contract/host/index.ts';
import type { ImageId, PortId, ServerId } from '../../contract/ids.ts';
import { backOffMs } from '../back-off.ts';
import type { DesiredState } from '../desired/state.ts';
import { boundConsoleLog } from '../guest/console-log.ts';
import type { ImageFacts } from '../image/store.ts';
import { guestsDirectory, serversDirectory } from '../paths.ts';
import type { ServerContext } from './context.ts';
import { imageInUse } from './image-in-use.ts';
import { wayOf } from './migrating.ts';
import { misreadServer } from './misread.ts';
import { isServerId } from './record.ts';
import { type RunningGuest, ServerTask, type TaskOwner } from './task.ts';
import { unlistedImages } from './unlisted-images.ts';

export interface ReconcilerOptions {
  context: ServerContext;
  /** Called with what has changed since the last call. */
  report(observed: ObservedServer[]): void;
  died(): void;
  sweepIntervalMs: number;
  consoleIntervalMs: number;
  /** What guests of quarantined servers do; their disks are kept either way. */
  quarantinedGuests: 'run' | 'stop';
  /** What quarantine() answers may have changed. */
  quarantineChanged(): void;
}

export interface Pass {
  finishedAt: string;
  durationMs: number;
  error: string | null;
}

const imageGraceMs = 3_600_000;

export class Reconciler implements TaskOwner {
  readonly #options: ReconcilerOptions;
  readonly #context: ServerContext;
  readonly #tasks = new Map<ServerId, ServerTask>();
  readonly #changed = new Set<ServerId>();
  #state: DesiredState | undefined;
  #stateKnownAt = '';
  /** Documents of quarantined servers as they are acted on where guests shall stop; the same object each time. */
  readonly #stopped = new WeakMap<DesiredServer, DesiredServer>();
  #reporting = false;
  #closed = false;
  #sweeping: Promise<void> | undefined;
  #sweepAgain = false;
  #thorough = false;
  #sweepFailures = 0;
  #sweepTimer: NodeJS.Timeout | undefined;
  #consoleTimer: NodeJS.Timeout | undefined;
  #lastSweep: Pass | undefined;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    this.#context = options.context;
    this.#context.layers.listen((layerId) => {
      for (const task of this.#tasks.values()) if (task.awaitedLayer === layerId) task.wake();
    });
  }

  /** Finds the guests that run and begins to act, if a desired state is known. */
  async start(state: DesiredState | undefined): Promise<void> {
    for (const path of [serversDirectory(this.#context.dataDirectory), guestsDirectory(this.#context.runDirectory)]) {
      await mkdir(path, { recursive: true, mode: 0o711 });
    }
    await this.#adoptGuests();
    this.#consoleTimer = setInterval(() => void this.#boundConsoles(), this.#options.consoleIntervalMs).unref();
    if (state) await this.take(state);
  }

  /** Takes a new desired state and looks at everything that it touches. */
  async take(state: DesiredState): Promise<void> {
    const before = this.#state;
    this.#state = state;
    if (!before) {
      this.#stateKnownAt = new Date().toISOString();
      await this.#findLeftovers();
    }
    const ids = new Set([...state.servers.keys(), ...this.#tasks.keys()]);
    for (const id of state.unreadable.keys()) this.#mention(id as ServerId);
    for (const id of ids) {
      const same =
        before?.servers.get(id) === state.servers.get(id) && before?.quarantined.has(id) === state.quarantined.has(id);
      if (before && same && this.#tasks.has(id) && !before.unreadable.has(id)) continue;
      this.#task(id).wake();
    }
    this.#options.quarantineChanged();
    if (!before || before.networks !== state.networks) this.sweep();
  }

  /** Every server is looked at again. */
  wakeAll(): void {
    if (!this.#state) return;
    for (const task of this.#tasks.values()) task.wake();
  }

  /** Looks at the machine as a whole soon. */
  sweep(options: { thorough?: boolean } = {}): void {
    if (this.#closed || !this.#state) return;
    if (options.thorough) this.#thorough = true;
    this.#sweepAgain = true;
    this.#sweeping ??= this.#runSweeps().finally(() => {
      this.#sweeping = undefined;
    });
  }

  /** What is, of every server that control named; the base of a complete report. Of quarantined ones control asks nothing. */
  observations(): ObservedServer[] {
    const ids = new Set([...this.#tasks.keys(), ...((this.#state?.unreadable.keys() ?? []) as Iterable<ServerId>)]);
    return [...ids].flatMap((id) => this.#observationOf(id) ?? []);
  }

  /** What control does not account for: servers in quarantine, those that nobody claims, and uploads that it does not list. */
  quarantine(): { servers: QuarantinedServer[]; images: QuarantinedImage[] } {
    const state = this.#state;
    if (!state) return { servers: [], images: [] };
    const guest = (id: ServerId) => this.#tasks.get(id)?.guest !== undefined;
    const servers: QuarantinedServer[] = [...state.quarantined].map(([id, { reason, since }]) => ({
      ...{ id, reason, since, guest: guest(id), ...wayOf(state.servers.get(id)!, this.#tasks.get(id)?.record) },
      document: state.servers.get(id)!,
    }));
    for (const { id, unclaimed } of this.#tasks.values()) {
      if (!unclaimed || this.held(id)) continue;
      servers.push({ id, reason: 'unclaimed', since: this.#stateKnownAt, guest: guest(id), document: null });
    }
    const { images } = this.#context;
    const uploads = images.ids().filter((id) => images.facts(id)?.origin === 'uploaded');
    return { servers, images: unlistedImages(state, uploads).flatMap((id) => describe(id, images.facts(id)!)) };
  }

  /** Every server that was named has been looked at at least once. */
  get complete(): boolean {
    if (!this.#state) return false;
    return [...this.#state.servers.keys()].every((id) => this.#tasks.get(id)?.observed !== undefined);
  }

  get idle(): boolean {
    return !this.#sweeping && [...this.#tasks.values()].every((task) => task.idle);
  }

  imageInUse(id: ImageId): boolean {
    return imageInUse(id, [...this.#tasks.values()], this.#state?.servers.values() ?? []);
  }

  async refuseCapture(imageId: ImageId): Promise<void> {
    for (const task of this.#tasks.values()) await task.refuseCapture(imageId);
  }

  /** The guest that runs of a server, for who asks something of it at once. */
  running(id: ServerId): RunningGuest | undefined {
    return this.#tasks.get(id)?.runningGuest;
  }

  task(id: ServerId): ServerTask | undefined {
    return this.#tasks.get(id);
  }

  get lastSweep(): Pass | undefined {
    return this.#lastSweep;
  }

  counts(): { servers: number; guests: number } {
    const guests = [...this.#tasks.values()].filter((task) => task.guest).length;
    return { servers: this.#tasks.size, guests };
  }

  /** Ends all acting; guests go on. */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all([...this.#tasks.values()].map((task) => task.close()));
    await this.#sweeping;
  }

  abandon(): void {
    this.#stop();
    for (const task of this.#tasks.values()) task.abandon();
  }

  desired(id: ServerId): DesiredServer | undefined {
    const document = this.#state?.servers.get(id);
    if (!document || this.#options.quarantinedGuests === 'run' || !this.#state?.quarantined.has(id)) return document;
    let stopped = this.#stopped.get(document);
    if (!stopped) {
      stopped = { ...document, power: document.power === 'suspended' ? 'suspended' : 'off' };
      this.#stopped.set(document, stopped);
    }
    return stopped;
  }

  held(id: ServerId): boolean {
    const state = this.#state;
    return !state || (state.unreadable.has(id) && !state.servers.has(id));
  }

  observed(task: ServerTask): void {
    this.#mention(task.id);
  }

  died(): void {
    this.#options.died();
  }

  #mention(id: ServerId): void {
    this.#changed.add(id);
    if (this.#reporting) return;
    this.#reporting = true;
    queueMicrotask(() => this.#report());
  }

  /** Of a server whose newest document can't be read that is the news, whatever becomes of the one before. */
  #observationOf(id: ServerId): ObservedServer | undefined {
    if (this.#state?.quarantined.has(id)) return undefined;
    const observed = this.#tasks.get(id)?.observed;
    const unreadable = this.#state?.unreadable.get(id);
    return unreadable?.kind === 'server'
      ? misreadServer(id, unreadable, observed, this.#state!.servers.get(id))
      : observed;
  }

  #stop(): void {
    this.#closed = true;
    clearTimeout(this.#sweepTimer);
    clearInterval(this.#consoleTimer);
  }

  #report(): void {
    this.#reporting = false;
    if (this.#closed) return;
    const ids = [...this.#changed];
    this.#changed.clear();
    if (ids.some((id) => this.#tasks.get(id)?.unclaimed || this.#state?.quarantined.has(id)))
      this.#options.quarantineChanged();
    const observed = ids.flatMap((id) => this.#observationOf(id) ?? []);
    if (observed.length > 0) this.#options.report(observed);
  }

  #task(id: ServerId): ServerTask {
    let task = this.#tasks.get(id);
    if (!task) {
      task = new ServerTask(id, this.#context, this);
      this.#tasks.set(id, task);
    }
    return task;
  }

  async #adoptGuests(): Promise<void> {
    for (const { serverId, process } of await this.#context.launcher.list()) {
      const task = this.#task(serverId);
      if (task.guest) process.kill();
      else await task.adopt(process);
      this.#context.log.info({ serverId, pid: process.pid }, 'found a guest that runs');
    }
  }

  /** Directories of servers that control has not named get a task, which looks at what is there. */
  async #findLeftovers(): Promise<void> {
    const { dataDirectory, runDirectory } = this.#context;
    for (const directory of [serversDirectory(dataDirectory), guestsDirectory(runDirectory)]) {
      for (const name of await readdir(directory)) {
        const id = isServerId(name);
        if (id) this.#task(id);
      }
    }
  }

  async #runSweeps(): Promise<void> {
    while (this.#sweepAgain && !this.#closed) {
      this.#sweepAgain = false;
      const thorough = this.#thorough;
      this.#thorough = false;
      clearTimeout(this.#sweepTimer);
      const started = performance.now();
      let error: unknown;
      try {
        await this.#sweep(thorough);
        this.#sweepFailures = 0;
      } catch (thrown) {
        error = thrown;
        this.#sweepFailures++;
        if (!this.#closed)
          this.#context.log.warn({ err: thrown, failures: this.#sweepFailures }, 'a sweep of the host failed');
      }
      const message = error === undefined ? null : String((error as Error).message ?? error);
      this.#lastSweep = {
        finishedAt: new Date().toISOString(),
        durationMs: performance.now() - started,
        error: message,
      };
      const { retryFirstMs, retryMaxMs } = this.#context.limits;
      const waitMs = error
        ? backOffMs(this.#sweepFailures, { firstMs: retryFirstMs, maxMs: retryMaxMs })
        : this.#options.sweepIntervalMs;
      if (!this.#closed) this.#sweepTimer = setTimeout(() => this.#timerSweep(), waitMs).unref();
    }
  }

  #timerSweep(): void {
    this.wakeAll();
    this.sweep({ thorough: true });
  }

  async #sweep(thorough: boolean): Promise<void> {
    const state = this.#state!;
    // What belongs to a server that has no document is known from its record alone.
    await Promise.all([...this.#tasks.values()].map((task) => !state.servers.has(task.id) && task.load()));
    if (thorough) await this.#context.network.prepareMachine();
    const results = await Promise.allSettled([
      this.#context.network.ensureNetworks([...state.networks.values()], { thorough }),
      this.#sweepPorts(),
      ...(thorough ? [this.#sweepGuests(), this.#sweepImages(state)] : []),
    ]);
    for (const [id, task] of this.#tasks) if (task.finished) this.#tasks.delete(id);
    const failed = results.find((result) => result.status === 'rejected');
    if (failed) throw failed.reason;
  }

  /** Ports of guests that run are put back where they are missing; ports that belong to nobody go. */
  async #sweepPorts(): Promise<void> {
    const { network } = this.#context;
    const listed = await network.listPorts();
    // A guest without document and record may have any of them.
    const whole = [...this.#tasks.values()].every((task) => this.desired(task.id) || task.record || !task.guest);
    const owned = new Set<PortId>();
    const needed = new Map<PortId, { port: DesiredServer['ports'][number]; uid: number | undefined }>();
    for (const task of this.#tasks.values()) {
      const desired = this.desired(task.id);
      for (const id of task.record?.ports ?? []) owned.add(id);
      if (desired?.presence === 'present') for (const port of desired.ports) owned.add(port.id);
      if (!task.guest || !desired) continue;
      const uid = task.user?.uid;
      for (const port of desired.ports) if (task.record?.ports.includes(port.id)) needed.set(port.id, { port, uid });
    }
    // Control may have named a server that has no task yet.
    for (const server of this.#state!.servers.values()) for (const port of server.ports) owned.add(port.id);
    for (const { id, tap, plugged, linkExists } of listed) {
      if (id && plugged && linkExists) needed.delete(id);
      if (!whole || (id && owned.has(id))) continue;
      this.#context.log.info({ portId: id, tap }, 'a port that belongs to no server is removed');
      await (id ? network.removePort(id) : network.removeTap(tap));
    }
    for (const [portId, { port, uid }] of needed) {
      this.#context.log.warn({ portId }, 'the port of a guest that runs was missing and is plugged again');
      await network.ensurePort(port, uid);
    }
  }

  /** A QEMU that no task knows: a second one for a server, or one that an earlier process left while starting. */
  async #sweepGuests(): Promise<void> {
    for (const { serverId, process } of await this.#context.launcher.list()) {
      const task = this.#tasks.get(serverId);
      if (task?.guest?.process.pid === process.pid || (task && !task.idle)) continue;
      if (task?.guest) {
        this.#context.log.error({ serverId, pid: process.pid }, 'a second QEMU of one server was ended');
        process.kill();
      } else {
        const found = this.#task(serverId);
        await found.adopt(process);
        found.wake();
      }
    }
  }

  async #sweepImages(state: DesiredState): Promise<void> {
    const { images, log } = this.#context;
    for (const id of images.ids()) {
      // Uploads go by control's word alone (DELETE): they may be all that is left of an image.
      if (images.facts(id)?.origin !== 'copied' || state.images.has(id) || this.imageInUse(id)) continue;
      if (Date.now() - (await images.lastUsedMs(id)) < imageGraceMs) continue;
      log.info({ imageId: id }, 'a copy of an image that nobody needs is removed');
      await images.remove(id);
    }
    const swept = await images.sweepIncoming((id) => this.imageInUse(id));
    if (swept.length > 0) log.info({ swept }, 'what ended uploads and fetches left was removed');
  }

  async #boundConsoles(): Promise<void> {
    const { limits, log } = this.#context;
    for (const task of this.#tasks.values()) {
      if (!task.guest) continue;
      await boundConsoleLog(task.paths.consoleLog, limits.consoleLogBytes).catch((err) =>
        log.warn({ err, serverId: task.id }, 'a console log could not be cut'),
      );
    }
  }
}

/** Control knows lost images by their bytes; one whose digest is not known yet is told of when it is. */
const describe = (id: ImageId, { format, sizeBytes, virtualSizeBytes, sha256, md5 }: ImageFacts): QuarantinedImage[] =>
  sha256 === null ? [] : [{ id, format, sizeBytes, virtualSizeBytes, sha256, md5 }];
