/**
 * What one host was last told, so that only what differs by content is sent again. Lives as long as the stream; a
 * new stream starts with a new view and a complete snapshot.
 */
import { hash } from 'node:crypto';
import type { DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, PortId, ServerId } from '../../contract/ids.ts';

interface ToldServer {
  content: string;
  epoch: number;
  generation: number;
  networks: ReadonlySet<NetworkId>;
  ports: readonly PortId[];
}

const contentOf = (document: unknown): string => hash('sha1', JSON.stringify(document), 'base64');

export class HostView {
  readonly #servers = new Map<ServerId, ToldServer>();
  readonly #networks = new Map<NetworkId, string>();
  readonly #serverOfPort = new Map<PortId, ServerId>();
  #images = new Set<ImageId>();

  knows(id: ServerId): boolean {
    return this.#servers.has(id);
  }

  knowsNetwork(id: NetworkId): boolean {
    return this.#networks.has(id);
  }

  serverOfPort(id: PortId): ServerId | undefined {
    return this.#serverOfPort.get(id);
  }

  serversOnNetwork(id: NetworkId): ServerId[] {
    const found: ServerId[] = [];
    for (const [serverId, told] of this.#servers) if (told.networks.has(id)) found.push(serverId);
    return found;
  }

  servers(): ServerId[] {
    return [...this.#servers.keys()];
  }

  /** Those documents that differ from what the host was told; they count as told from now on. */
  tellServers(documents: readonly DesiredServer[]): DesiredServer[] {
    return documents.filter((document) => {
      const content = contentOf(document);
      const told = this.#servers.get(document.id);
      if (told?.content === content) return false;
      // Two reads may finish in either order; an owner's epoch and a desired generation never go back.
      if (
        told &&
        (document.epoch < told.epoch || (document.epoch === told.epoch && document.generation < told.generation))
      )
        return false;
      this.forget(document.id);
      this.#servers.set(document.id, {
        content,
        epoch: document.epoch,
        generation: document.generation,
        networks: new Set(document.ports.map((port) => port.networkId)),
        ports: document.ports.map((port) => port.id),
      });
      for (const port of document.ports) this.#serverOfPort.set(port.id, document.id);
      return true;
    });
  }

  /** The host's complete list of networks, against what it was told. */
  tellNetworks(networks: readonly DesiredNetwork[]): { networks: DesiredNetwork[]; removedNetworks: NetworkId[] } {
    const present = new Set(networks.map((network) => network.id));
    const removedNetworks = [...this.#networks.keys()].filter((id) => !present.has(id));
    for (const id of removedNetworks) this.#networks.delete(id);
    const changed = networks.filter((network) => {
      const content = contentOf(network);
      if (this.#networks.get(network.id) === content) return false;
      this.#networks.set(network.id, content);
      return true;
    });
    return { networks: changed, removedNetworks };
  }

  /** All images that the host shall keep. */
  tellImages(images: readonly ImageId[]): void {
    this.#images = new Set(images);
  }

  /** One image that the host shall keep, or not; answers whether that is news. */
  tellImage(id: ImageId, kept: boolean): boolean {
    if (this.#images.has(id) === kept) return false;
    if (kept) this.#images.add(id);
    else this.#images.delete(id);
    return true;
  }

  images(): ImageId[] {
    return [...this.#images];
  }

  forget(id: ServerId): void {
    for (const port of this.#servers.get(id)?.ports ?? []) this.#serverOfPort.delete(port);
    this.#servers.delete(id);
  }
}
