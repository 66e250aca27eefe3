/**
 * Which image of the cluster holds which layer. Layers that follow one another in one volume are one image: those that nobody writes to any
 * more are its snapshots, the last one is its head. Where a volume goes on from an earlier layer, or another one does, there is a clone.
 *
 * Owns the metadata of the pool's mark image, a key for each layer (`l.<layer id>`): it lies with what it is about, and is replaced key by key.
 * Written by this host alone, whose name the mark has; read once, after that known.
 */
import type { LayerId } from '../../../contract/ids.ts';
import { parseId } from '../../../contract/ids.ts';
import { type BuildsOn, backingName, parseBackingName } from '../names.ts';
import { noEntry, parsed, type RbdClient, unless } from './client.ts';

export interface Placed {
  /** The image, by the layer that it was made for. */
  image: LayerId;
  buildsOn: BuildsOn;
  /** Nobody writes to it any more: it is a snapshot of the image. */
  frozen: boolean;
  /** It becomes the image's head when that layer, which is it, has become a snapshot. */
  after?: LayerId;
}

const prefix = 'l.';
const nothing = 'nothing';

export class RbdLedger {
  readonly #client: RbdClient;
  #mark: string | undefined;
  #placed = new Map<LayerId, Placed>();

  constructor(client: RbdClient) {
    this.#client = client;
  }

  /** Reads all of it, the first time. */
  async open(mark: string): Promise<void> {
    if (this.#mark === mark) return;
    const text = await this.#client.rbd(['image-meta', 'list', this.#client.spec(mark), '--format', 'json']);
    // Of an image without any, rbd (16.2) says nothing at all.
    const said = text.trim() === '' ? {} : parsed<Record<string, string>>(text);
    const placed = new Map<LayerId, Placed>();
    for (const [key, value] of Object.entries(said)) {
      const id = key.startsWith(prefix) ? parseId<LayerId>(key.slice(prefix.length)) : undefined;
      const entry = id && parsePlaced(value);
      if (id && entry) placed.set(id, entry);
    }
    this.#placed = placed;
    this.#mark = mark;
  }

  get isOpen(): boolean {
    return this.#mark !== undefined;
  }

  of(id: LayerId): Placed | undefined {
    return this.#placed.get(id);
  }

  /** All that lie in the image. */
  within(image: LayerId): LayerId[] {
    return [...this.#placed].flatMap(([id, entry]) => (entry.image === image ? [id] : []));
  }

  entries(): Iterable<[LayerId, Placed]> {
    return this.#placed;
  }

  /** Another layer is to be the head after this one. */
  claimantOf(id: LayerId): LayerId | undefined {
    for (const [other, { after }] of this.#placed) if (after === id) return other;
    return undefined;
  }

  async note(id: LayerId, entry: Placed): Promise<void> {
    await this.#client.rbd(['image-meta', 'set', this.#spec, `${prefix}${id}`, formatPlaced(entry)]);
    this.#placed.set(id, entry);
  }

  async forget(id: LayerId): Promise<void> {
    if (!this.#placed.has(id)) return;
    await this.#client.rbd(['image-meta', 'remove', this.#spec, `${prefix}${id}`]).catch(unless(noEntry));
    this.#placed.delete(id);
  }

  get #spec(): string {
    return this.#client.spec(this.#mark!);
  }
}

const formatPlaced = ({ image, buildsOn, frozen, after }: Placed): string =>
  [image, buildsOn ? backingName(buildsOn) : nothing, frozen ? 'frozen' : 'head', ...(after ? [after] : [])].join(' ');

/** Undefined where it is none of ours. */
function parsePlaced(text: string): Placed | undefined {
  const [name = '', base = '', state = '', last] = text.split(' ');
  const image = parseId<LayerId>(name);
  const buildsOn = base === nothing ? null : base === '' ? undefined : parseBackingName(base);
  const after = last === undefined ? undefined : parseId<LayerId>(last);
  if (!image || buildsOn === undefined || (state !== 'frozen' && state !== 'head')) return undefined;
  return { image, buildsOn, frozen: state === 'frozen', ...(after && { after }) };
}
