/**
 * Which guest of this host has which layer open as the top of which volume. Server tasks tell it; layer tasks ask it before they touch a
 * file. Owns nothing but memory: after a start nothing is known until every guest that was found has been looked at (`allTold`), and
 * until then no file that a guest may have open is touched.
 */
import type { LayerId, ServerId, VolumeId } from '../../contract/ids.ts';

export interface OpenLayer {
  serverId: ServerId;
  volumeId: VolumeId;
  layerId: LayerId;
  /** Its QEMU could not write what its guest read; until somebody has seen to it. */
  inTrouble?: boolean;
  /** Asks its QEMU. @throws HostFault where it does not answer; QmpError where it refuses */
  execute<T = unknown>(command: string, args?: Record<string, unknown>): Promise<T>;
}

export class OpenLayers {
  /** By server and volume. */
  readonly #open = new Map<string, OpenLayer>();
  readonly #byLayer = new Map<LayerId, Set<OpenLayer>>();
  readonly #listeners = new Set<(layerId: LayerId | undefined) => void>();
  readonly #onClosed: (volumeId: VolumeId) => void;
  #allTold = false;

  /** @param onClosed called where a guest has a volume no more */
  constructor(onClosed: (volumeId: VolumeId) => void = () => {}) {
    this.#onClosed = onClosed;
  }

  /** From just before the guest's QEMU opens the layer to write, and again with each new top of the volume. */
  opened(open: OpenLayer): void {
    const before = this.#open.get(key(open));
    if (before) this.#drop(before);
    this.#open.set(key(open), open);
    const others = this.#byLayer.get(open.layerId);
    if (others) others.add(open);
    else this.#byLayer.set(open.layerId, new Set([open]));
    if (before && before.layerId !== open.layerId) this.#tell(before.layerId);
    this.#tell(open.layerId);
  }

  /** Its QEMU has it open no more: it is unplugged, or QEMU has ended. */
  closed(of: Pick<OpenLayer, 'serverId' | 'volumeId'>): void {
    const before = this.#open.get(key(of));
    if (!before) return;
    this.#drop(before);
    this.#onClosed(before.volumeId);
    this.#tell(before.layerId);
  }

  /** Every guest that runs has been asked what it has open: what is not told here is not open. */
  allTold(): void {
    if (this.#allTold) return;
    this.#allTold = true;
    this.#tell(undefined);
  }

  get complete(): boolean {
    return this.#allTold;
  }

  /** The guests that write to the layer; mostly none or one. */
  writersOf(layerId: LayerId): OpenLayer[] {
    return [...(this.#byLayer.get(layerId) ?? [])];
  }

  /** The guests that have the volume; mostly none or one. */
  ofVolume(volumeId: VolumeId): OpenLayer[] {
    return [...this.#open.values()].filter((open) => open.volumeId === volumeId);
  }

  /** All that the guest has open. */
  ofServer(serverId: ServerId): OpenLayer[] {
    return [...this.#open.values()].filter((open) => open.serverId === serverId);
  }

  /** Its guest stands still, since QEMU could not write to one of its files. */
  troubled(of: Pick<OpenLayer, 'serverId' | 'volumeId'>): void {
    const open = this.#open.get(key(of));
    if (!open) return;
    open.inTrouble = true;
    this.#tell(open.layerId);
  }

  /** Its file has become much larger, as its QEMU says. */
  grew(layerId: LayerId): void {
    this.#tell(layerId);
  }

  /** Called where a layer was opened or closed, or grew; without one where all is known. Answers a function that ends it. */
  listen(listener: (layerId: LayerId | undefined) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #drop(open: OpenLayer): void {
    this.#open.delete(key(open));
    const all = this.#byLayer.get(open.layerId);
    all?.delete(open);
    if (all?.size === 0) this.#byLayer.delete(open.layerId);
  }

  #tell(layerId: LayerId | undefined): void {
    for (const listener of this.#listeners) listener(layerId);
  }
}

const key = ({ serverId, volumeId }: Pick<OpenLayer, 'serverId' | 'volumeId'>): string => `${serverId} ${volumeId}`;
