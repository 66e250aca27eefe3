/**
 * The files of this host's layers for those who open them: servers' tasks and the layers' own. Owns who may write to which file (users,
 * locks, who has it open); makes and removes none.
 *
 * Whose is what: a layer that a guest writes to is that guest's user's alone (0600), from before its QEMU opens it until it is closed. A layer
 * that nobody writes to any more is root's and may be read by the group of all guests (0440), as images are: many guests build on it. What is of a
 * volume's cache is as its top is, all of it. Any other is root's alone. Where the files lie no guest comes: each opens those of its own volumes by
 * links in a directory of its own (volume-links.ts).
 */
import { chmod, chown, stat } from 'node:fs/promises';
import { setTimeout } from 'node:timers/promises';
import type { LayerId, VolumeId, VolumeKeyId } from '../../contract/ids.ts';
import { isNoEntry } from '../files.ts';
import type { GuestUser } from '../guest/users.ts';
import { HostFault } from '../host-error.ts';
import { type AskedFile, isOpenElsewhere } from '../open-elsewhere.ts';
import { type ChainLink, type ChainSources, type LayerChain, readChain } from './chain.ts';
import type { LayerKeys } from './keys.ts';
import { LayerLocks } from './locks.ts';
import type { BuildsOn } from './names.ts';
import { OpenLayers } from './open-layers.ts';
import { forgetEarlierName } from './pool-files.ts';
import { VolumeLinks } from './volume-links.ts';

/** How often, and how far apart, it is asked whether somebody has a file open still. */
const [glances, glanceMs] = [5, 20];

export interface LayerFilesOptions extends ChainSources {
  /** The group that QEMU reads images as; undefined: all is this process's own (tests). */
  guestGid: number | undefined;
  keys: LayerKeys;
  /** Directories with files that guests open: of pools, of images. Absent: none. */
  stores?(): readonly string[];
  /** See `moment` in contract/host/layer.ts. */
  momentOf?(id: LayerId): string | undefined;
  /** As large as the layer's file may say that it is; undefined: its document is not known. */
  largestOf?(id: LayerId): number | undefined;
  /** The layer's file is about to become so large. */
  mayBecome?(id: LayerId, sizeBytes: number): Promise<void>;
}

export class LayerFiles {
  readonly open: OpenLayers;
  readonly links: VolumeLinks;
  readonly #options: LayerFilesOptions;
  readonly #locks = new LayerLocks<LayerId>();
  readonly #nodeLocks = new LayerLocks<VolumeId>();
  readonly #listeners = new Set<(layerId: LayerId) => void>();

  constructor(options: LayerFilesOptions) {
    this.#options = options;
    // What is not removed now the sweep removes.
    this.open = new OpenLayers((volumeId) => void this.links.removeUnused(volumeId).catch(() => {}));
    this.links = new VolumeLinks({ open: this.open, stores: () => options.stores?.() ?? [] });
  }

  /** The chain of a layer as it is now; under `lock` it stays so. @throws HostFault `layer_not_ready` where a part is not there yet */
  chain(layerId: LayerId): Promise<LayerChain> {
    return readChain(layerId, this.#options);
  }

  /**
   * The chain for a guest that is to write to the layer. The guest before may have written any size into its file, and this one would have
   * what nobody asked for, of a pool that others share.
   * @throws HostFault `layer_not_ready`, `layer_damaged`
   */
  async openable(layerId: LayerId): Promise<LayerChain> {
    const chain = await this.chain(layerId);
    requireSize(chain.top, this.#options.largestOf?.(layerId));
    // A second copy that has taken its volume's place: who wrote to it from another host is being ended.
    if (
      chain.lower.some((link) => this.open.writersOf(link.layerId).some(({ serverId }) => isReceiver(serverId, link)))
    )
      throw new HostFault('layer_not_ready', 'what it builds on still takes writes of another host');
    return chain;
  }

  /** Before a guest's QEMU makes the file of its layer larger. */
  async mayBecome(layerId: LayerId, sizeBytes: number): Promise<void> {
    await this.#options.mayBecome?.(layerId, sizeBytes);
  }

  get keys(): LayerKeys {
    return this.#options.keys;
  }

  /** With which the layer is encrypted; undefined: it is in the clear. */
  keyIdOf(layerId: LayerId): VolumeKeyId | undefined {
    return this.#options.keyOf?.(layerId)?.id;
  }

  /** What the layer is to a cache. */
  cacheOf(layerId: LayerId): ChainLink['cache'] {
    return this.#options.cacheOf?.(layerId);
  }

  /** See `moment` in contract/host/layer.ts. */
  momentOf(layerId: LayerId): string | undefined {
    return this.#options.momentOf?.(layerId);
  }

  /** All that the layer's file may say that it builds on. */
  basesOf(layerId: LayerId): readonly BuildsOn[] {
    return this.#options.basesOf(layerId);
  }

  /** One at a time for each layer: its file is opened to write, or changed, only within. */
  lock<T>(layerId: LayerId, work: () => Promise<T>): Promise<T> {
    return this.#locks.with(layerId, work);
  }

  /** One at a time for each volume: what its guest's QEMU has below its generations is changed only within. */
  lockNodes<T>(volumeId: VolumeId, work: () => Promise<T>): Promise<T> {
    return this.#nodeLocks.with(volumeId, work);
  }

  /**
   * Makes the chain such that QEMU of this user can open it: the top to write, the rest to read. Within the lock of the top, and after
   * `open.opened`, else it may be taken back at once.
   * @param options.written what the guest writes to until then: QEMU opens it to write once more when it is covered, so it stays the guest's
   * @returns the chain with the names by which its QEMU opens it
   */
  async prepareFor(
    user: GuestUser | undefined,
    chain: LayerChain,
    { volumeId, written }: { volumeId: VolumeId; written?: LayerId | undefined },
  ): Promise<LayerChain> {
    await this.giveTo(user, { ...chain, lower: chain.lower.filter(({ layerId }) => layerId !== written) });
    if (chain.top.remote || !user || this.#options.guestGid === undefined) return chain;
    return this.links.place(chain, volumeId, user);
  }

  /** As `prepareFor`, for who is given the files themselves and opens none by its name. */
  async giveTo(user: GuestUser | undefined, { top, lower }: LayerChain): Promise<void> {
    if (top.remote) {
      await top.remote.grant(user);
      return;
    }
    if (!user || this.#options.guestGid === undefined) return;
    const theirs = { uid: user.uid, gid: user.gid, mode: 0o600 };
    // What sinks from one generation of a cache into another one is moved by the guest's QEMU.
    for (const { path, cache } of lower) await (cache ? give(path, theirs) : this.seal(path));
    await give(top.path, theirs);
  }

  /** Nobody writes to it any more: all guests may read it. */
  async seal(path: string): Promise<void> {
    const { guestGid } = this.#options;
    if (guestGid !== undefined) await this.#take(path, { uid: 0, gid: guestGid, mode: 0o440 });
  }

  /** No guest has it open: it is root's alone. */
  async takeBack(path: string): Promise<void> {
    if (this.#options.guestGid !== undefined) await this.#take(path, { uid: 0, gid: 0, mode: 0o600 });
  }

  async #take(path: string, owner: Ownership): Promise<void> {
    if (await give(path, owner)) await forgetEarlierName(path);
  }

  /**
   * Takes back the files of a volume whose nodes a guest's QEMU has closed, and answers whether they are closed indeed: a QEMU that its guest
   * has taken over would keep one, and go on with the bytes of whoever has the volume next. Nothing in the files is believed, for the same reason.
   * @param tops those that the guest has written to, the present one last
   */
  async isLetGo(volumeId: VolumeId, tops: readonly LayerId[]): Promise<boolean> {
    // Before it is asked: what nobody can open by a name is not opened a moment later.
    await this.links.remove(volumeId);
    const own = new Set(this.#ownOf(tops.at(-1)));
    const asked = [...own].map((id) => ({ id, open: 'any' as const }));
    return this.#areClosed([
      ...asked,
      ...tops.filter((id) => !own.has(id)).map((id) => ({ id, open: 'write' as const })),
    ]);
  }

  /** Nobody writes to it any more, also no QEMU that was told to read it only. What is of a cache is moved by its guest's QEMU. */
  async isCovered(layerId: LayerId): Promise<boolean> {
    return this.cacheOf(layerId) !== undefined || this.#areClosed([{ id: layerId, open: 'write' }]);
  }

  /** The top, and below it what is of its cache. */
  #ownOf(top: LayerId | undefined): LayerId[] {
    const own: LayerId[] = [];
    const next = top === undefined ? [] : [top];
    for (let id = next.pop(); id !== undefined; id = next.pop()) {
      if (own.includes(id)) continue;
      own.push(id);
      for (const base of this.#options.basesOf(id))
        if (base?.kind === 'layer' && this.cacheOf(base.id)) next.push(base.id);
    }
    return own;
  }

  async #areClosed(layers: readonly { id: LayerId; open: AskedFile['open'] }[]): Promise<boolean> {
    if (this.#options.guestGid === undefined) return true;
    const files: AskedFile[] = [];
    for (const { id, open } of layers) {
      const path = this.#options.layerPath(id);
      // Before they are asked for: what nobody may open by its name is not opened a moment later.
      if (path !== undefined && (await isThere(open === 'any' ? this.takeBack(path) : this.seal(path))))
        files.push({ path, open });
    }
    if (files.length === 0) return true;
    for (let n = 1; (await isOpenElsewhere(files)) === 'yes'; n++) {
      // This process reads headers now and then.
      if (n === glances) return false;
      await setTimeout(glanceMs);
    }
    return true;
  }

  /** Called where the file of a layer came, was replaced or became larger. Answers a function that ends it. */
  listen(listener: (layerId: LayerId) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  changed(layerId: LayerId): void {
    for (const listener of this.#listeners) listener(layerId);
  }
}

/** Who takes writes to a layer is known under its id (receive/receivers.ts). */
const isReceiver = (writer: string, { layerId }: { layerId: string }): boolean => writer === layerId;

/** @throws HostFault `layer_damaged` */
export function requireSize({ sizeBytes }: { sizeBytes: number }, largest = Number.POSITIVE_INFINITY): void {
  if (sizeBytes <= largest) return;
  const message = `the file of the layer says ${sizeBytes} bytes, and was never made larger than ${largest}`;
  throw new HostFault('layer_damaged', message, { permanent: true });
}

/** @throws what is not the file's absence */
const isThere = (done: Promise<void>): Promise<boolean> =>
  done.then(
    () => true,
    (error) => {
      if (isNoEntry(error)) return false;
      throw error;
    },
  );

interface Ownership {
  uid: number;
  gid: number;
  mode: number;
}

/** True: it was another user's. */
async function give(path: string, { uid, gid, mode }: Ownership): Promise<boolean> {
  const found = await stat(path);
  if (found.uid !== uid || found.gid !== gid) await chown(path, uid, gid);
  if ((found.mode & 0o777) !== mode) await chmod(path, mode);
  return found.uid !== uid;
}
