/** A volume that goes to another pool or another encryption, told to its host as control does it (control/storage/volume/move.ts). */
import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { DesiredLayer } from '../../contract/host/index.ts';
import { type LayerId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import { volumeBytes, volumeOf } from './layers.ts';
import type { VolumeMachine } from './volume-machine.ts';

/** A file system in memory, where the machine has that pool. @returns what takes it away */
export function mountRam(machine: VolumeMachine): () => void {
  const path = join(machine.world.directory, 'ram');
  mkdirSync(path);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256m,mode=755', 'none', path]);
  return () => execFileSync('umount', ['-l', path]);
}

export class MovedVolume {
  readonly id = newOrderedId<VolumeId>();
  readonly machine: VolumeMachine;
  top = newOrderedId<LayerId>();

  constructor(machine: VolumeMachine) {
    this.machine = machine;
  }

  get volume() {
    return volumeOf(this.top, { id: this.id });
  }

  want(id: LayerId, changes: Partial<DesiredLayer>): void {
    const { control } = this.machine.world;
    const before = control.layers.find((layer) => layer.id === id) ?? {
      ...{ id, volumeId: this.id, epoch: 1, generation: 0, presence: 'present', pool: 'local' },
      ...{ sizeBytes: volumeBytes, parentId: null, image: null, readOnly: false },
    };
    control.wantLayer({ ...(before as DesiredLayer), ...changes, generation: before.generation + 1 });
  }

  async served(id: LayerId): Promise<void> {
    const { control } = this.machine.world;
    const { generation, presence } = control.layers.find((layer) => layer.id === id)!;
    const state = presence === 'absent' ? 'absent' : 'ready';
    await control.untilLayer(id, state, (seen) => seen.state === state && seen.generation === generation);
  }

  /** The new top, on the frozen one. @returns that */
  switchTo(pool: string, changes: Partial<DesiredLayer> = {}): LayerId {
    const old = this.top;
    this.top = newOrderedId<LayerId>();
    this.want(old, { readOnly: true });
    this.want(this.top, { pool, parentId: old, ...changes });
    return old;
  }

  /** What lies below goes up into it, and then away. */
  async moveUp(old: LayerId): Promise<void> {
    await this.served(this.top);
    this.want(this.top, { parentId: null });
    await this.served(this.top);
    this.want(old, { presence: 'absent' });
    await this.served(old);
  }
}
