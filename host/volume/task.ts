/**
 * One layer on this host, driven to its desired state: look at everything, decide, do one step that may be repeated, look again. Owns
 * what is reported of it, and nothing on disk; the steps are in steps/, when each is done is ../step-loop.ts.
 */
import { isDeepStrictEqual } from 'node:util';
import type { CacheUse, DesiredLayer, ObservedLayer } from '../../contract/host/index.ts';
import type { ImageId, LayerId } from '../../contract/ids.ts';
import { ProcessDied, StepLoop, Superseded } from '../step-loop.ts';
import type { LayerChain } from './chain.ts';
import type { LayerContext } from './context.ts';
import { type Doing, decide, exportedAs, isReady, type LayerFacts, wantedBase } from './decide.ts';
import type { OpenLayer } from './open-layers.ts';
import { lengthOf } from './reads.ts';

export type SeenLayer = NonNullable<LayerFacts['file']> & {
  allocatedBytes: number;
  /** Of one that is watched: anything was written to it. */
  written?: boolean;
};

/** What a kind of pool (kind.ts) says of a layer. */
export interface LayerReading {
  /** What is there of it; undefined: nothing. @throws HostFault where its pool can't be used */
  look(task: LayerTask, desired: DesiredLayer): Promise<SeenLayer | undefined>;
  /**
   * Runs work on what the layer holds, as a chain of files of this host, at the size that its document says. Nobody opens it to write meanwhile.
   * @throws Superseded
   */
  whileStill<T>(task: LayerTask, desired: DesiredLayer, work: (chain: LayerChain) => Promise<T>): Promise<T>;
  /** The image that one builds on has to be on this host also after it was made. */
  readonly readsImages: boolean;
}

export interface LayerOwner {
  desired(id: LayerId): DesiredLayer | undefined;
  /** Its file is here. */
  isHere(id: LayerId): boolean;
  kind(desired: DesiredLayer): LayerReading;
  /** Where its file is, or would be; undefined where no pool of this host may have it. */
  path(desired: DesiredLayer): Promise<string | undefined>;
  /** Its observation may have changed. */
  observed(task: LayerTask): void;
  /** Its guest's QEMU has all that belongs below it. */
  furnished(task: LayerTask): void;
  /** A hook killed this host. */
  died(): void;
}

/** Does a step; answers how long to wait before the next look (nothing: at once). */
export type Perform = (task: LayerTask, step: Doing, desired: DesiredLayer) => Promise<number | undefined>;

interface SeenFile {
  sizeBytes: number;
  written: boolean | undefined;
  allocatedBytes: number;
  imageId: ImageId | undefined;
}

export interface Furnished {
  writer: OpenLayer;
  fills: { path: string; bytes: number };
  renewed: boolean;
}

interface Work {
  isWanted(desired: DesiredLayer): boolean;
  stop: AbortController;
}

/** What a layer may take more or less of its pool without its being news. */
const newsBytes = 16 * 2 ** 20;

/** A layer that is watched is looked at so often until something is written to it; control counts on it (control/storage/replica/age.ts). */
const watchMs = 5000;

function isNoNews(before: ObservedLayer, { allocatedBytes, ...after }: ObservedLayer): boolean {
  const { allocatedBytes: earlier, ...known } = before;
  return Math.abs(earlier - allocatedBytes) < newsBytes && isDeepStrictEqual(known, after);
}

export class LayerTask {
  readonly id: LayerId;
  readonly context: LayerContext;
  readonly #owner: LayerOwner;
  readonly #perform: Perform;
  readonly #loop: StepLoop<DesiredLayer>;
  #doing: Work | undefined;
  #seen: DesiredLayer | undefined;
  #observed: ObservedLayer | undefined;
  #ready = false;
  #use: CacheUse | undefined;
  #file: SeenFile | undefined;
  /**
   * Whose QEMU has all that belongs below the layer, and which file of its cache fills: another one comes when it is full, where `renewed`; else the
   * layer is that file. Undefined: not known.
   */
  #furnished: Furnished | undefined;

  constructor(id: LayerId, context: LayerContext, owner: LayerOwner, perform: Perform) {
    this.id = id;
    this.#perform = perform;
    this.context = context;
    this.#owner = owner;
    const { log, limits } = context;
    this.#loop = new StepLoop(
      {
        begin: () => this.#begin(),
        pass: (desired) => this.#pass(desired),
        // What a cache holds goes down sooner or later: nobody asked for it who could ask again.
        givesUp: ({ permanent }, { presence, sinks }) => permanent && presence === 'present' && !sinks,
        failed: (desired, end) =>
          this.#become(desired, end === 'given up' ? 'failed' : this.#ready ? 'ready' : 'building', null),
        died: () => owner.died(),
      },
      { what: 'layer', named: { layerId: id }, log, limits },
    );
  }

  get observed(): ObservedLayer | undefined {
    return this.#observed;
  }

  /** What was seen of its file last. */
  get file(): SeenFile | undefined {
    return this.#file;
  }

  get idle(): boolean {
    return this.#loop.idle;
  }

  get closed(): boolean {
    return this.#loop.closed;
  }

  /** Looks again now; work that nobody wants any more ends. */
  wake(): void {
    const desired = this.#owner.desired(this.id);
    if (!this.closed && this.#doing && (!desired || !this.#doing.isWanted(desired)))
      this.#doing.stop.abort(new Superseded());
    this.#loop.wake();
  }

  /** Stops acting. */
  async close(): Promise<void> {
    this.abandon();
    await this.#loop.ended();
  }

  /** The task after a simulated death: not a line more. */
  abandon(): void {
    this.#loop.close();
    this.#doing?.stop.abort(new Superseded());
  }

  /**
   * Runs work that takes long as long as its document still asks for it.
   * @throws Superseded where it does no more, also before it begins
   */
  async whileWanted<T>(
    isWanted: (desired: DesiredLayer) => boolean,
    work: (signal: AbortSignal, stillWanted: () => void) => Promise<T>,
  ): Promise<T> {
    const stop = new AbortController();
    const stillWanted = () => {
      const desired = this.#owner.desired(this.id);
      if (this.closed || !desired || desired.presence !== 'present' || !isWanted(desired)) throw new Superseded();
    };
    stillWanted();
    this.#doing = { isWanted: (desired) => desired.presence === 'present' && isWanted(desired), stop };
    try {
      return await work(stop.signal, stillWanted);
    } catch (error) {
      // What it works on may go with what nobody wants any more: that is no failure of the layer's.
      throw stop.signal.aborted && !(error instanceof ProcessDied) ? new Superseded() : error;
    } finally {
      this.#doing = undefined;
    }
  }

  /** What its pool's layers are. */
  kind(desired: DesiredLayer): LayerReading {
    return this.#owner.kind(desired);
  }

  /** Where its file is, or shall be. */
  path(desired: DesiredLayer): Promise<string | undefined> {
    return this.#owner.path(desired);
  }

  noteFurnished(furnished: Furnished): void {
    this.#furnished = furnished;
    this.#owner.furnished(this);
  }

  /** Where a guest writes to it and it is of a cache: the file that fills. */
  get fills(): Furnished | undefined {
    const furnished = this.#furnished;
    return furnished && this.context.files.open.writersOf(this.id).includes(furnished.writer) ? furnished : undefined;
  }

  /** What its cache has done so far. */
  tellUse(use: CacheUse): void {
    this.#use = use;
    if (this.#observed && !this.closed) {
      this.#observed = { ...this.#observed, use };
      this.#owner.observed(this);
    }
  }

  /** A word for people about what is under way. @param arrivedBytes so much of its file is there that is not at its place yet */
  say(step: string, arrivedBytes = 0): void {
    if (this.#seen) this.#become(this.#seen, this.#ready ? 'ready' : 'building', step, arrivedBytes);
  }

  #begin(): { desired: DesiredLayer } | undefined {
    const desired = this.#owner.desired(this.id);
    if (!desired) {
      this.#observed = undefined;
      return undefined;
    }
    this.#take(desired);
    return { desired };
  }

  /** A new generation starts with a clean slate: that the file is as the one before said is no word on this one. */
  #take(desired: DesiredLayer): void {
    const before = this.#seen;
    this.#seen = desired;
    if (before?.generation === desired.generation && before.epoch === desired.epoch) return;
    this.#ready = false;
    this.#loop.anew();
  }

  async #pass(desired: DesiredLayer): Promise<void> {
    const facts = await this.#look(desired);
    this.#ready = desired.presence === 'present' && isReady(desired, facts);
    const step = decide(desired, facts);
    if (step.do === 'nothing') {
      this.#loop.rest();
      this.#become(desired, step.state, null);
      if (this.#file?.written === false) this.#loop.wakeIn(watchMs);
      return;
    }
    const waitMs = await this.#perform(this, step, desired);
    if (this.closed) throw new ProcessDied('after a step');
    this.#loop.next(waitMs);
  }

  async #look(desired: DesiredLayer): Promise<LayerFacts> {
    const { ledger, outcomes, files, lease, images } = this.context;
    const kind = this.#owner.kind(desired);
    const found = await kind.look(this, desired);
    this.#file = found && {
      ...{ sizeBytes: found.sizeBytes, allocatedBytes: found.allocatedBytes, written: found.written },
      imageId: found.buildsOn?.kind === 'image' ? found.buildsOn.id : undefined,
    };
    const base = wantedBase(desired);
    const copied = found?.buildsOn?.kind === 'image' && base === null ? found.buildsOn : base;
    return {
      file: found,
      made: ledger.isMade(this.id),
      baseNoted: ledger.basesOf(this.id) !== undefined,
      erasedEpoch: ledger.erasedEpoch(this.id),
      outcomes: outcomes.of(this.id),
      parentHere: base?.kind !== 'layer' || this.#owner.isHere(base.id),
      imageHere: copied?.kind !== 'image' || (found && !kind.readsImages) || images.base(copied.id) !== undefined,
      writers: files.open.writersOf(this.id).length,
      unfurnished: await this.#isUnfurnished(desired),
      volumeOpen: files.open.ofVolume(desired.volumeId).length > 0,
      guestsKnown: files.open.complete,
      leaseEnded: lease.state === 'ended',
      taken:
        (desired.managed !== undefined || desired.presence === 'absent') &&
        (await this.context.managed.isTaken(this.id)),
      exported: exportedAs(desired, this.context.exports.of(this.id)),
      receiving: this.context.receivers.has(this.id),
    };
  }

  /** Of a generation that a guest writes to. */
  async #isUnfurnished({ cache, readOnly }: DesiredLayer): Promise<boolean> {
    const [writer] = this.context.files.open.writersOf(this.id);
    if (!writer || cache?.role !== 'writes' || readOnly) return false;
    const furnished = this.#furnished;
    if (furnished?.writer !== writer) return true;
    if (!furnished.renewed || writer.inTrouble) return furnished.renewed;
    const { path, bytes } = furnished.fills;
    return ((await lengthOf(path)) ?? bytes) >= bytes;
  }

  #become(desired: DesiredLayer, state: ObservedLayer['state'], step: string | null, arrivedBytes = 0): void {
    if (this.closed) return;
    const { captures = [], backups = [] } = this.context.outcomes.of(this.id) ?? {};
    const full = desired.cache?.fullBytes != null && (this.#file?.allocatedBytes ?? 0) >= desired.cache.fullBytes;
    const exported = this.context.exports.observed(this.id);
    const receiver = this.context.receivers.observed(this.id);
    const observed: ObservedLayer = {
      ...{ id: this.id, epoch: desired.epoch, generation: desired.generation, state },
      sizeBytes: this.#file?.sizeBytes ?? 0,
      allocatedBytes: this.#file?.allocatedBytes ?? arrivedBytes,
      ...(full && { full }),
      ...(this.#file?.written !== undefined && { written: this.#file.written }),
      ...(this.#use && { use: this.#use }),
      ...(exported && { export: exported }),
      ...(receiver && { receiver }),
      captures: captures.filter(({ imageId }) => desired.captures?.some((each) => each.imageId === imageId)),
      backups: backups.filter(({ id }) => desired.backups?.some((each) => each.id === id)),
      ...{ step, error: this.#loop.error ?? null },
    };
    const before = this.#observed;
    if (before && isNoNews(before, observed)) return;
    this.#observed = observed;
    this.#owner.observed(this);
  }
}
