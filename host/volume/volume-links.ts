/**
 * The names by which a guest's QEMU opens the files of its volumes: links in a directory of each volume, in every store that has a part of its chain
 * (../opened.ts). Owns those directories. They are there from before a QEMU opens a part until no guest has the volume; where this process dies in
 * between, the sweep removes them.
 */
import { type LayerId, parseId, type VolumeId } from '../../contract/ids.ts';
import type { GuestUser } from '../guest/users.ts';
import { lastNames, letGo, openedAs, openedDirectory, openedIds } from '../opened.ts';
import type { LayerChain } from './chain.ts';
import { LayerLocks } from './locks.ts';
import { layerFileName } from './names.ts';
import type { OpenLayers } from './open-layers.ts';

export interface VolumeLinksOptions {
  open: OpenLayers;
  /** Directories with files that guests open: of pools, of images. */
  stores(): readonly string[];
}

export class VolumeLinks {
  readonly #options: VolumeLinksOptions;
  readonly #locks = new LayerLocks<VolumeId>();

  constructor(options: VolumeLinksOptions) {
    this.#options = options;
  }

  /** The chain with the names by which that user opens its files. */
  place({ top, lower, base }: LayerChain, volumeId: VolumeId, { gid }: GuestUser): Promise<LayerChain> {
    const placed = async <T extends { path: string }>(file: T): Promise<T> => {
      return { ...file, path: await openedAs(file.path, volumeId, gid) };
    };
    return this.#locks.with(volumeId, async () => {
      const chain = { top: await placed(top), lower: [] as LayerChain['top'][], base: base && (await placed(base)) };
      for (const link of lower) chain.lower.push(await placed(link));
      return chain;
    });
  }

  /** The volume's directory in that store, for what is made for its guest alone and goes when the volume is closed. */
  directory(volumeId: VolumeId, store: string, gid: number | undefined): Promise<string> {
    return this.#locks.with(volumeId, () => openedDirectory(store, volumeId, gid));
  }

  /** What a QEMU has closed of a volume that it goes on with. */
  async closed(volumeId: VolumeId, layerIds: readonly LayerId[]): Promise<void> {
    for (const store of this.#options.stores()) await letGo(store, volumeId, layerIds.map(layerFileName));
  }

  /** No QEMU has anything of the volume by its names any more. */
  remove(volumeId: VolumeId): Promise<void> {
    return this.#locks.with(volumeId, () => this.#remove(volumeId));
  }

  /** The same, where it is known that no guest has the volume. Safe to repeat. */
  removeUnused(volumeId: VolumeId): Promise<void> {
    const { open } = this.#options;
    return this.#locks.with(volumeId, async () => {
      if (open.complete && open.ofVolume(volumeId).length === 0) await this.#remove(volumeId);
    });
  }

  /**
   * What is left of guests that ended when nobody looked, and what only keeps the space of a layer that is gone.
   * @param isNeeded of a file that has no other name
   */
  async sweep(isNeeded: (name: string) => boolean): Promise<void> {
    if (!this.#options.open.complete) return;
    for (const store of this.#options.stores()) {
      for (const id of await openedIds(store)) {
        // Others are of servers.
        const volumeId = parseId<VolumeId>(id);
        if (volumeId === undefined) continue;
        await this.removeUnused(volumeId);
        const idle = (await lastNames(store, volumeId)).filter((name) => !isNeeded(name));
        await letGo(store, volumeId, idle);
      }
    }
  }

  async #remove(volumeId: VolumeId): Promise<void> {
    for (const store of this.#options.stores()) await letGo(store, volumeId);
  }
}
