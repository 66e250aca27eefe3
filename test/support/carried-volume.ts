/** A volume that goes with its server between two hosts, told to them as control does it (control/storage/volume/carry.ts). */
import type { DesiredLayer, DesiredVolume } from '../../contract/host/index.ts';
import { type LayerId, newOrderedId, type VolumeId } from '../../contract/ids.ts';
import type { GuestShell } from './guest-shell.ts';
import type { HostWorld } from './host-world.ts';
import { volumeBytes, volumeOf } from './layers.ts';

interface Chain {
  /** What was written before the last snapshot; nobody writes to it any more. */
  lower: LayerId;
  top: LayerId;
}

export class CarriedVolume {
  readonly #known: DesiredVolume;
  #here: Chain;
  #there: Chain | undefined;

  private constructor(known: DesiredVolume, chain: Chain) {
    this.#known = known;
    this.#here = chain;
  }

  /** Its first layer, which is its top. */
  static async on(world: HostWorld): Promise<CarriedVolume> {
    const id = newOrderedId<VolumeId>();
    const top = newOrderedId<LayerId>();
    const volume = new CarriedVolume(volumeOf(top, { id }), { lower: top, top });
    await volume.#make(world, top, {});
    return volume;
  }

  get document(): DesiredVolume {
    return { ...this.#known, layerId: this.#here.top };
  }

  /** A snapshot: another top comes on what was written so far. */
  async freeze(world: HostWorld): Promise<void> {
    const { top: lower } = this.#here;
    this.#want(world, lower, { readOnly: true });
    this.#here = { lower, top: newOrderedId() };
    await this.#make(world, this.#here.top, { parentId: lower });
  }

  /** What it builds on is copied, and on that comes an empty top. @param source where the other host's service answers */
  announce(from: HostWorld, to: HostWorld, source: string): DesiredVolume {
    const { lower: layerId } = this.#here;
    this.#want(from, layerId, { readOnly: true, copiedBy: [to.hostId] });
    this.#there = { lower: newOrderedId(), top: newOrderedId() };
    const { lower, top } = this.#there;
    this.#want(to, lower, { readOnly: true, copyOf: { layerId, host: source } });
    this.#want(to, top, { parentId: lower });
    return { ...this.#known, layerId: top };
  }

  /** It is on the other host. @param from the one that it was on */
  async arrive(from: HostWorld): Promise<void> {
    const left = this.#here;
    this.#here = this.#there!;
    this.#there = undefined;
    await this.#remove(from, left);
  }

  /** It is where it was. @param from the one that it was to go to */
  async giveUp(from: HostWorld): Promise<void> {
    if (!this.#there) return;
    await this.#remove(from, this.#there);
    this.#there = undefined;
  }

  async #remove(world: HostWorld, { top, lower }: Chain): Promise<void> {
    for (const id of [top, lower]) {
      this.#want(world, id, { presence: 'absent' });
      await world.control.untilLayer(id, 'absent', ({ state }) => state === 'absent');
      world.control.forgetLayer(id);
    }
  }

  async #make(world: HostWorld, id: LayerId, changes: Partial<DesiredLayer>): Promise<void> {
    this.#want(world, id, changes);
    await world.control.untilLayer(id, 'ready', ({ state }) => state === 'ready');
  }

  #want({ control }: HostWorld, id: LayerId, changes: Partial<DesiredLayer>): void {
    const before = control.layers.find((layer) => layer.id === id) ?? {
      ...{ id, volumeId: this.#known.id, epoch: 1, generation: 0, presence: 'present', pool: 'local' },
      ...{ sizeBytes: volumeBytes, parentId: null, image: null, readOnly: false },
    };
    control.wantLayer({ ...(before as DesiredLayer), ...changes, generation: before.generation + 1 });
  }
}

/** In the guest it is called /dev/volume. By its serial number: which letter it has is the kernel's. */
export async function linkVolume(shell: GuestShell, id: VolumeId): Promise<void> {
  const found = `grep -l ${id.slice(0, 20)} /sys/block/vd*/serial`;
  await shell.run(
    `until ${found}; do sleep 0.1; done; [ -e /dev/volume ] || ln -s /dev/$(basename $(dirname $(${found}))) /dev/volume`,
  );
}
