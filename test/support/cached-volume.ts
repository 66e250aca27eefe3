/** A volume with a cache, told to its host as control tells it, for live tests. Its pools: `local`, and the faster `fast`. */
import { statSync } from 'node:fs';
import type { DesiredLayer, LayerEncryption } from '../../contract/host/index.ts';
import { type LayerId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { volumeBytes, volumeOf } from './layers.ts';
import type { VolumeMachine } from './volume-machine.ts';

const fullBytes = 8 * 2 ** 20;

export class CachedVolume {
  readonly id = newOrderedId<VolumeId>();
  readonly machine: VolumeMachine;
  base = newOrderedId<LayerId>();
  top = this.base;

  readonly #reads: number | null;

  readonly #encryption: LayerEncryption | undefined;

  /** @param options.reads it is written through, and so many bytes of what is read stay in the faster pool */
  constructor(
    machine: VolumeMachine,
    { reads = null, encryption }: { reads?: number | null; encryption?: LayerEncryption } = {},
  ) {
    this.machine = machine;
    this.#reads = reads;
    this.#encryption = encryption;
  }

  get volume() {
    return volumeOf(this.top, { id: this.id });
  }

  async make(): Promise<void> {
    await this.tell(this.base, { cache: { role: 'base', fullBytes: null } });
  }

  /** Another generation, or another base, on the present top; `plain`: a layer of no cache, once it has ended. */
  async cover(role: 'writes' | 'base' | 'plain'): Promise<LayerId> {
    const below = this.document(this.top)!;
    if (below.cache?.role === 'writes') this.want(below.id, { readOnly: true });
    const id = newOrderedId<LayerId>();
    await this.tell(id, {
      parentId: this.top,
      pool: role === 'writes' && this.#reads === null ? 'fast' : 'local',
      ...(role !== 'plain' && { cache: this.#cacheOf(role) }),
    });
    this.top = id;
    return id;
  }

  #cacheOf(role: 'writes' | 'base'): NonNullable<DesiredLayer['cache']> {
    const reads = role === 'writes' ? this.#reads : null;
    return {
      ...{ role, fullBytes: role === 'writes' ? fullBytes : null },
      ...(reads !== null && { reads: { pool: 'fast', bytes: reads } }),
    };
  }

  /** A base into which nothing sinks any more. */
  end(id: LayerId): void {
    const { cache: _, ...final } = this.document(id)!;
    this.machine.world.control.wantLayer({ ...final, readOnly: true, generation: final.generation + 1 });
  }

  document(id: LayerId): DesiredLayer | undefined {
    return this.machine.world.control.layers.find((layer) => layer.id === id);
  }

  want(id: LayerId, changes: Partial<DesiredLayer>): void {
    const { control } = this.machine.world;
    const before = this.document(id) ?? {
      ...{ id, volumeId: this.id, epoch: 1, generation: 0, presence: 'present', pool: 'local' },
      ...{ sizeBytes: volumeBytes, parentId: null, image: null, readOnly: false },
      ...(this.#encryption && { encryption: this.#encryption }),
    };
    control.wantLayer({ ...(before as DesiredLayer), ...changes, generation: before.generation + 1 });
  }

  async tell(id: LayerId, changes: Partial<DesiredLayer>): Promise<void> {
    this.want(id, changes);
    await this.served(id);
  }

  async served(id: LayerId): Promise<void> {
    const { generation, presence } = this.document(id)!;
    const state = presence === 'absent' ? 'absent' : 'ready';
    const { control } = this.machine.world;
    await control.untilLayer(id, state, (seen) => seen.state === state && seen.generation === generation);
  }

  bytesOf(id: LayerId): number {
    return statSync(this.machine.path(id)).blocks * 512;
  }
}
