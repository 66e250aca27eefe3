/**
 * What one host was last told, so that only what differs by content is sent again. Lives as long as the stream; a
 * new stream starts with a new view and a complete snapshot.
 */
import { hash } from 'node:crypto';
import type { DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, PortId, ServerId } from '../../contract/ids.ts';
import type { ServerStamp } from './hosted.ts';
import type { ToldKind } from './told.ts';

interface ToldServer {
  content: string;
  epoch: number;
  generation: number;
  networks: readonly NetworkId[];
  ports: readonly PortId[];
}

/** Hears what the view comes to know and what it forgets. */
export interface ViewListener {
  learned(kind: ToldKind, id: string): void;
  forgot(kind: ToldKind, id: string): void;
}

const nobody: ViewListener = { learned: () => {}, forgot: () => {} };

/** What is told of a server, as far as this view keeps it. */
type Told = Omit<ServerStamp, 'stamp'> & { content: string };

const contentOf = (document: unknown): string => hash('sha1', JSON.stringify(document), 'base64');

export class HostView {
  readonly #servers = new Map<ServerId, ToldServer>();
  readonly #networks = new Map<NetworkId, string>();
  readonly #serverOfPort = new Map<PortId, ServerId>();
  /** How many of the servers are on each network. */
  readonly #onNetwork = new Map<NetworkId, number>();
  readonly #listener: ViewListener;
  #images = new Set<ImageId>();

  constructor(listener: ViewListener = nobody) {
    this.#listener = listener;
  }

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
    return [...this.#servers].flatMap(([serverId, told]) => (told.networks.includes(id) ? serverId : []));
  }

  servers(): ServerId[] {
    return [...this.#servers.keys()];
  }

  /** Those documents that differ from what the host was told; they count as told from now on. */
  tellServers(documents: readonly DesiredServer[]): DesiredServer[] {
    return documents.filter((document) => {
      const told = this.#servers.get(document.id);
      const content = document.stamp ?? contentOf(document);
      if (told?.content === content) return false;
      // Two reads may finish in either order; an owner's epoch and a desired generation never go back.
      if (
        told &&
        (document.epoch < told.epoch || (document.epoch === told.epoch && document.generation < told.generation))
      )
        return false;
      const { id, epoch, generation } = document;
      const ports = document.ports.map((port) => port.id);
      this.#learn({ id, epoch, generation, content, ports, networks: document.ports.map((port) => port.networkId) });
      return true;
    });
  }

  /** Documents that the host has from an earlier stream. */
  tellHeld(servers: readonly ServerStamp[]): void {
    for (const { stamp, ...server } of servers) this.#learn({ ...server, content: stamp });
  }

  /** The host was told something else of this server, or nothing. */
  isNews({ id, stamp }: ServerStamp): boolean {
    return this.#servers.get(id)?.content !== stamp;
  }

  #learn({ id, epoch, generation, content, ports, networks }: Told): void {
    this.forget(id);
    const distinct = networks.length > 1 ? [...new Set(networks)] : networks;
    this.#servers.set(id, { content, epoch, generation, networks: distinct, ports });
    this.#listener.learned('server', id);
    for (const port of ports) {
      this.#serverOfPort.set(port, id);
      this.#listener.learned('port', port);
    }
    for (const network of distinct) {
      this.#onNetwork.set(network, (this.#onNetwork.get(network) ?? 0) + 1);
      this.#listener.learned('network of a server', network);
    }
  }

  /** The host's complete list of networks, against what it was told. */
  tellNetworks(networks: readonly DesiredNetwork[]): { networks: DesiredNetwork[]; removedNetworks: NetworkId[] } {
    const present = new Set(networks.map((network) => network.id));
    const removedNetworks = [...this.#networks.keys()].filter((id) => !present.has(id));
    for (const id of removedNetworks) this.#forgetNetwork(id);
    const changed = networks.filter((network) => {
      const content = contentOf(network);
      if (this.#networks.get(network.id) === content) return false;
      this.#networks.set(network.id, content);
      this.#listener.learned('network', network.id);
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
    const told = this.#servers.get(id);
    if (!told) return;
    this.#servers.delete(id);
    this.#listener.forgot('server', id);
    for (const port of told.ports) {
      // It may be another server's by now.
      if (this.#serverOfPort.get(port) !== id) continue;
      this.#serverOfPort.delete(port);
      this.#listener.forgot('port', port);
    }
    for (const network of told.networks) {
      const left = this.#onNetwork.get(network)! - 1;
      if (left > 0) this.#onNetwork.set(network, left);
      else {
        this.#onNetwork.delete(network);
        this.#listener.forgot('network of a server', network);
      }
    }
  }

  /** The stream has ended: there is nobody who knows anything. */
  forgetAll(): void {
    for (const id of this.servers()) this.forget(id);
    for (const id of [...this.#networks.keys()]) this.#forgetNetwork(id);
  }

  #forgetNetwork(id: NetworkId): void {
    this.#networks.delete(id);
    this.#listener.forgot('network', id);
  }
}
