/**
 * All layers of this host. Owns their tasks and the sweep of the pools, and nothing on disk. Acts on a signal and on a timer; never before a
 * desired state is known.
 *
 * Nothing is erased because it is missing: a layer that control does not account for is kept as it is, and so is a file in a pool that no
 * document names: both are told, in the log and in the host's health. What a step that ended in its middle left beside a layer goes.
 */
import { type FileHandle, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { DesiredLayer, ObservedLayer, QuarantinedLayer } from '../../contract/host/index.ts';
import type { HostId, ImageId, LayerId, VolumeKeyId } from '../../contract/ids.ts';
import type { DesiredState } from '../desired/state.ts';
import { isNoEntry } from '../files.ts';
import { deletedMeanwhile } from '../image/deletions.ts';
import type { LayerContext } from './context.ts';
import { openForCopy } from './copies.ts';
import { directoryLayers } from './directory.ts';
import type { CacheMeter, UsedCache } from './heat/meter.ts';
import type { LayerKind } from './kind.ts';
import { misreadLayer } from './misread.ts';
import { layerOfFileName, layerOfReadsFileName } from './names.ts';
import { layerPathIn, layersIn } from './pool-files.ts';
import type { RbdStorage } from './rbd/index.ts';
import { performer } from './steps/index.ts';
import { leftovers } from './steps/removing.ts';
import { type LayerOwner, LayerTask } from './task.ts';

export interface LayersOptions {
  context: LayerContext;
  /** Undefined: no pool is of a Ceph cluster. */
  rbd(): RbdStorage | undefined;
  /** Called with what has changed since the last call. */
  report(observed: ObservedLayer[]): void;
  died(): void;
  sweepIntervalMs: number;
  /** The pools were looked at. */
  swept(): void;
}

/** For people: what is under way, what failed, and what nobody accounts for. */
export interface LayersStatus {
  count: number;
  /** Of them: what can't be read without the database's keys. */
  encrypted: number;
  /** Not settled, the first hundred. */
  busy: Pick<ObservedLayer, 'id' | 'state' | 'step' | 'error'>[];
  quarantined: LayerId[];
  unclaimed: { pool: string; files: string[] }[];
}

const told = 100;

export class Layers implements LayerOwner {
  readonly #options: LayersOptions;
  readonly #context: LayerContext;
  readonly #perform = performer((desired) => this.kind(desired));
  readonly #tasks = new Map<LayerId, LayerTask>();
  readonly #changed = new Set<LayerId>();
  /** By the layer that they wait for. */
  readonly #children = new Map<LayerId, Set<LayerId>>();
  readonly #unlisten: (() => void)[];
  #state: DesiredState | undefined;
  #reporting = false;
  #closed = false;
  #sweeping: Promise<void> | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  #unclaimed: LayersStatus['unclaimed'] = [];
  #meter: Promise<CacheMeter> | undefined;

  constructor(options: LayersOptions) {
    this.#options = options;
    this.#context = options.context;
    const { files } = options.context;
    this.#unlisten = [
      files.open.listen((id) => (id === undefined ? this.#wakeAll() : this.#tasks.get(id)?.wake())),
      files.listen((id) => this.#wakeChildren(id)),
    ];
  }

  /** Takes a new desired state and looks at every layer that it touches. */
  take(state: DesiredState): void {
    const before = this.#state;
    this.#state = state;
    for (const [id, document] of state.layers) {
      const { parentId } = document;
      const earlier = before?.layers.get(id);
      if (before && earlier === document && this.#tasks.has(id)) continue;
      if (parentId !== null) this.#noteChild(parentId, id);
      this.#task(id).wake();
    }
    for (const [id, { kind }] of state.unreadable) if (kind === 'layer') this.#mention(id as LayerId);
    for (const [id, task] of this.#tasks) {
      if (state.layers.has(id)) continue;
      // Forgotten: nothing of it is left.
      task.abandon();
      this.#tasks.delete(id);
      this.#children.delete(id);
    }
    this.#context.files.keys.keepOnly(new Set([...state.layers.values()].flatMap(keysNamedBy)));
    if (!before) this.#sweepIn(0);
  }

  /** The lease has ended or come back. */
  wakeUnsettled(): void {
    for (const task of this.#tasks.values()) if (!isSettled(task)) task.wake();
  }

  /** What is, of every layer that control named; the base of a complete report. Of quarantined ones control asks nothing. */
  observations(): ObservedLayer[] {
    const ids = new Set<LayerId>(this.#tasks.keys());
    for (const [id, { kind }] of this.#state?.unreadable ?? []) if (kind === 'layer') ids.add(id as LayerId);
    return [...ids].flatMap((id) => this.#observationOf(id) ?? []);
  }

  /** What control does not account for. */
  quarantine(): QuarantinedLayer[] {
    const state = this.#state;
    return [...(state?.quarantinedLayers ?? [])].map(([id, { reason, since }]) => ({
      ...{ id, reason, since },
      document: state!.layers.get(id)!,
    }));
  }

  /** Every layer that was named has been looked at at least once. */
  get complete(): boolean {
    return this.#state !== undefined && [...this.#tasks.values()].every((task) => task.observed !== undefined);
  }

  get idle(): boolean {
    return [...this.#tasks.values()].every((task) => task.idle);
  }

  imageInUse(id: ImageId): boolean {
    if (this.#namesImage(id)) return true;
    // As long as a file builds on it, whatever it shall build on.
    return [...this.#tasks.values()].some(({ file }) => file?.imageId === id);
  }

  /** Control has deleted the image: it is not made, also where its making would begin only after another start of this process. */
  async refuseCapture(imageId: ImageId): Promise<void> {
    for (const { id, captures, presence } of this.#state?.layers.values() ?? []) {
      if (presence !== 'present' || !captures?.some((each) => each.imageId === imageId)) continue;
      const known = this.#context.outcomes.of(id) ?? { captures: [], backups: [] };
      if (known.captures.some((each) => each.imageId === imageId)) continue;
      const error = { code: 'conflict', message: deletedMeanwhile };
      await this.#context.outcomes.save(id, {
        ...known,
        captures: [...known.captures, { imageId, result: null, error }],
      });
      this.#tasks.get(id)?.wake();
    }
  }

  status(): LayersStatus {
    const busy = [...this.#tasks.values()].flatMap(({ observed }) =>
      observed && (observed.error || observed.step !== null || observed.state === 'failed') ? [observed] : [],
    );
    return {
      count: this.#tasks.size,
      encrypted: [...(this.#state?.layers.values() ?? [])].filter(({ encryption }) => encryption).length,
      busy: busy.slice(0, told).map(({ id, state, step, error }) => ({ id, state, step, error })),
      quarantined: [...(this.#state?.quarantinedLayers.keys() ?? [])],
      unclaimed: this.#unclaimed,
    };
  }

  /** Ends all acting. */
  async close(): Promise<void> {
    this.#stop();
    await Promise.all([...this.#tasks.values()].map((task) => task.close()));
    await this.#sweeping;
  }

  abandon(): void {
    this.#stop();
    for (const task of this.#tasks.values()) task.abandon();
  }

  /** See openForCopy of copies.ts. @throws HostFault */
  openForCopy(id: LayerId, hostId: HostId | undefined): Promise<FileHandle> {
    const { files } = this.#context;
    return files.lock(id, async () => {
      const desired = this.desired(id);
      const isFile = desired?.presence === 'present' && this.kind(desired) === directoryLayers;
      return openForCopy(desired, isFile ? await this.path(desired) : undefined, { hostId, files });
    });
  }

  desired(id: LayerId): DesiredLayer | undefined {
    return this.#state?.layers.get(id);
  }

  isHere(id: LayerId): boolean {
    return this.#tasks.get(id)?.file !== undefined;
  }

  kind(desired: DesiredLayer): LayerKind {
    const rbd = this.#options.rbd();
    return rbd?.has(desired) ? rbd.kind : directoryLayers;
  }

  /** Those that shall be and build on this one. */
  children(id: LayerId): DesiredLayer[] {
    const all = [...(this.#children.get(id) ?? [])].flatMap((each) => this.desired(each) ?? []);
    return all.filter(({ parentId, presence }) => parentId === id && presence === 'present');
  }

  /** Of one that shall not be the document need not say the pool: it may lie in any. */
  async path({ id, pool, presence }: DesiredLayer): Promise<string | undefined> {
    const { pools } = this.#context;
    if (presence === 'present' || pools.has(pool)) {
      await pools.require(pool, { toMake: false });
      return pools.layerPath(pool, id);
    }
    for (const { path } of pools.usable()) {
      const file = layerPathIn(path, id);
      if (await isThere(file)) return file;
    }
    return undefined;
  }

  observed(task: LayerTask): void {
    this.#mention(task.id);
  }

  died(): void {
    this.#options.died();
  }

  furnished(): void {
    // Most hosts have no caches: what counts their use is loaded with the first.
    this.#meter ??= import('./heat/meter.ts').then(
      (module) =>
        new module.CacheMeter({
          caches: () => [...this.#tasks.values()].flatMap((task) => usedCache(task, this.desired(task.id)) ?? []),
          tell: (id, use) => this.#tasks.get(id)?.tellUse(use),
        }),
    );
    void this.#meter.then((meter) => (this.#closed ? meter.close() : meter.wake()));
  }

  #wakeAll(): void {
    for (const task of this.#tasks.values()) task.wake();
  }

  #task(id: LayerId): LayerTask {
    let task = this.#tasks.get(id);
    if (!task) {
      task = new LayerTask(id, this.#context, this, this.#perform);
      this.#tasks.set(id, task);
    }
    return task;
  }

  #noteChild(parentId: LayerId, id: LayerId): void {
    const children = this.#children.get(parentId);
    if (children) children.add(id);
    else this.#children.set(parentId, new Set([id]));
  }

  #wakeChildren(parentId: LayerId): void {
    for (const id of this.#children.get(parentId) ?? []) {
      if (this.desired(id)?.parentId === parentId && !this.isHere(id)) this.#tasks.get(id)?.wake();
    }
  }

  #mention(id: LayerId): void {
    this.#changed.add(id);
    if (this.#reporting) return;
    this.#reporting = true;
    queueMicrotask(() => {
      this.#reporting = false;
      if (this.#closed) return;
      const ids = [...this.#changed];
      this.#changed.clear();
      const observed = ids.flatMap((each) => this.#observationOf(each) ?? []);
      if (observed.length > 0) this.#options.report(observed);
    });
  }

  #observationOf(id: LayerId): ObservedLayer | undefined {
    const state = this.#state;
    if (!state || state.quarantinedLayers.has(id)) return undefined;
    const observed = this.#tasks.get(id)?.observed;
    const unreadable = state.unreadable.get(id);
    return unreadable?.kind === 'layer' ? misreadLayer(id, unreadable, observed, state.layers.get(id)) : observed;
  }

  #namesImage(id: string): boolean {
    for (const { image, presence } of this.#state?.layers.values() ?? []) {
      if (presence === 'present' && image?.id === id) return true;
    }
    return false;
  }

  #stop(): void {
    this.#closed = true;
    this.#options.rbd()?.close();
    clearTimeout(this.#sweepTimer);
    void this.#meter?.then((meter) => meter.close());
    for (const unlisten of this.#unlisten) unlisten();
  }

  #sweepIn(ms: number): void {
    clearTimeout(this.#sweepTimer);
    if (this.#closed) return;
    this.#sweepTimer = setTimeout(() => {
      this.#sweeping = this.#sweep()
        .catch((err) => this.#context.log.warn({ err }, 'a sweep of the storage pools failed'))
        .finally(() => this.#sweepIn(this.#options.sweepIntervalMs));
    }, ms).unref();
  }

  /** Looks at the pools, at what lies in them, and again at every layer that is not as it shall be or may have grown. */
  async #sweep(): Promise<void> {
    const { pools, files: layerFiles, log } = this.#context;
    await pools.look();
    this.#options.swept();
    const unclaimed: LayersStatus['unclaimed'] = [];
    for (const { name, path } of pools.usable()) {
      const directory = layersIn(path);
      const names = await readdir(directory);
      const files = names.filter((each) => this.#isNobodys(each));
      if (files.length > 0) unclaimed.push({ pool: name, files: files.slice(0, told) });
      for (const each of names) if (this.#isLeftover(each)) await rm(join(directory, each), { force: true });
      // Of guests that an older Bothy started.
      for (const each of await readdir(path)) if (this.#isReads(each)) await rm(join(path, each), { force: true });
    }
    await layerFiles.links.sweep((name) => {
      const reader = layerOfReadsFileName(name);
      return reader !== undefined && this.#state!.layers.has(reader);
    });
    const isNamed = (id: LayerId) => this.#state!.layers.has(id) || this.#state!.unreadable.has(id);
    const remote = await this.#options.rbd()?.sweep(isNamed, (id) => this.#namesImage(id));
    for (const { pool, files } of remote?.unclaimed ?? []) unclaimed.push({ pool, files: files.slice(0, told) });
    for (const { pool, error } of remote?.failed ?? [])
      log.warn({ err: error, pool }, 'a pool of a Ceph cluster could not be swept');
    const before = new Set(this.#unclaimed.flatMap(({ files }) => files));
    const fresh = unclaimed.flatMap(({ files }) => files).filter((each) => !before.has(each));
    if (fresh.length > 0) log.warn({ files: fresh }, 'files in storage pools that no document names are left alone');
    this.#unclaimed = unclaimed;
    for (const task of this.#tasks.values()) {
      const { readOnly, presence } = this.desired(task.id) ?? {};
      if (!isSettled(task) || !readOnly || presence === 'absent') task.wake();
    }
  }

  #isNobodys(name: string): boolean {
    const id = layerOfFileName(name);
    return id !== undefined && !this.#state!.layers.has(id) && !this.#state!.unreadable.has(id);
  }

  /** A guest may have the volume of the layer. */
  #isOpen(id: LayerId): boolean {
    const { open } = this.#context.files;
    const volumeId = this.desired(id)?.volumeId;
    return !open.complete || (volumeId !== undefined && open.ofVolume(volumeId).length > 0);
  }

  /** What a cache kept of reads, of a volume that no guest has. */
  #isReads(name: string): boolean {
    const reader = layerOfReadsFileName(name);
    return reader !== undefined && !this.#isOpen(reader);
  }

  #isLeftover(name: string): boolean {
    const suffix = leftovers.find((each) => name.endsWith(each));
    const id = suffix === undefined ? undefined : layerOfFileName(name.slice(0, -suffix.length));
    return id !== undefined && (this.#tasks.get(id)?.idle ?? true);
  }
}

/** All that the layer may need: its own, those of images that are made of it or that it is made of, that of a machine outside. */
function keysNamedBy({ encryption, imageEncryption, captures = [], export: outside }: DesiredLayer): VolumeKeyId[] {
  const keys = [encryption, imageEncryption, ...captures.map((each) => each.encryption)].flatMap((each) => each ?? []);
  return [...keys.map(({ keyId }) => keyId), ...(outside ? [outside.secretId] : [])];
}

function usedCache({ id, fills }: LayerTask, desired: DesiredLayer | undefined): UsedCache | undefined {
  if (!fills || !desired) return undefined;
  const { volumeId, execute } = fills.writer;
  const asks: UsedCache['execute'] = (command, args) => execute(command, args);
  return { volumeId, layerId: id, execute: asks, fills: fills.fills, sizeBytes: desired.sizeBytes };
}

const isSettled = ({ observed }: LayerTask): boolean =>
  observed?.state === 'ready' && observed.error === null && observed.step === null;

async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isNoEntry(error)) return false;
    throw error;
  }
}
