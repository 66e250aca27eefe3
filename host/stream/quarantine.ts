/**
 * What control was told on one connection of this host's quarantine, so that only differences are told again, in messages that
 * control takes. Lives as long as the connection; a new one starts from nothing. Pure.
 */
import type { HostMessage, QuarantinedImage, QuarantinedLayer, QuarantinedServer } from '../../contract/host/index.ts';
import type { LayerId, ServerId } from '../../contract/ids.ts';

export interface HostQuarantine {
  servers: QuarantinedServer[];
  layers: QuarantinedLayer[];
  images: QuarantinedImage[];
}

/** Of the documents in one message; ids and images come on top, and control takes 16 MiB. */
const maxDocumentChars = 4 * 1024 * 1024;

/** The documents of one kind that were told, as text. */
class Told<Id extends string> {
  #texts = new Map<Id, string>();

  /** Of these, those that were not told so before, and whether others were that are no more. */
  next<Item extends { id: Id }>(items: readonly Item[]): { changed: Sized<Item>[]; fewer: boolean } {
    const before = this.#texts;
    this.#texts = new Map(items.map((item) => [item.id, JSON.stringify(item)]));
    const changed = items.filter(({ id }) => before.get(id) !== this.#texts.get(id));
    return {
      changed: changed.map((item) => ({ item, chars: this.#texts.get(item.id)!.length })),
      fewer: [...before.keys()].some((id) => !this.#texts.has(id)),
    };
  }
}

interface Sized<Item> {
  item: Item;
  chars: number;
}

export class ToldQuarantine {
  readonly #servers = new Told<ServerId>();
  readonly #layers = new Told<LayerId>();
  #images = '';
  #begun = false;

  /** The messages that bring control from what it was told to what is; none where it knows. */
  next({ servers, layers, images }: HostQuarantine): HostMessage[] {
    const [ofServers, ofLayers] = [this.#servers.next(servers), this.#layers.next(layers)];
    const imagesText = JSON.stringify(images);
    const changed = ofServers.changed.length + ofLayers.changed.length > 0 || ofServers.fewer || ofLayers.fewer;
    if (this.#begun && !changed && imagesText === this.#images) return [];
    this.#begun = true;
    this.#images = imagesText;
    const all = { ids: servers.map(({ id }) => id), layerIds: layers.map(({ id }) => id), images };
    const message = (part: { servers?: QuarantinedServer[]; layers?: QuarantinedLayer[] }): HostMessage => ({
      ...{ type: 'quarantine', ...all, servers: [], layers: [], ...part },
    });
    const messages = [
      ...parts(ofLayers.changed).map((part) => message({ layers: part })),
      ...parts(ofServers.changed).map((part) => message({ servers: part })),
    ];
    return messages.length > 0 ? messages : [message({})];
  }
}

function parts<Item>(items: readonly Sized<Item>[]): Item[][] {
  const all: Item[][] = [];
  let chars = 0;
  for (const { item, chars: more } of items) {
    chars += more;
    if (all.length === 0 || chars > maxDocumentChars) {
      all.push([]);
      chars = more;
    }
    all.at(-1)!.push(item);
  }
  return all;
}

/** For people: without documents. */
export const quarantineStatus = ({ servers, images }: Pick<HostQuarantine, 'servers' | 'images'>) => ({
  servers: servers.map(({ id, reason, since, guest }) => ({ id, reason, since, guest })),
  images: images.map(({ id }) => id),
});
