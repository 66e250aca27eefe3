/**
 * What one host was last told, so that only what differs by content is sent again. Lives as long as the stream; a
 * new stream starts with a new view and a complete snapshot.
 */
import { hash } from 'node:crypto';
import type { DeclaredPool, DesiredLayer, DesiredNetwork, DesiredServer } from '../../contract/host/index.ts';
import type { ImageId, NetworkId, PortId, ServerId } from '../../contract/ids.ts';
import type { DocumentStamp, LayerStamp, ServerStamp } from './hosted.ts';
import type { ToldKind } from './told.ts';

/** Hears what the view comes to know and what it forgets. */
export interface ViewListener {
  learned(kind: ToldKind, id: string): void;
  forgot(kind: ToldKind, id: string): void;
}

const nobody: ViewListener = { learned: () => {}, forgot: () => {} };

const contentOf = (document: unknown): string => hash('sha1', JSON.stringify(document), 'base64');
/** Of documents that are many hosts' in one round: of a large network it is milliseconds. */
const contents = new WeakMap<object, string>();
function contentOfShared(document: object): string {
  const known = contents.get(document) ?? contentOf(document);
  contents.set(document, known);
  return known;
}
const stampOf = (document: { stamp?: string | undefined }): string => document.stamp ?? contentOf(document);

/** The documents of one kind that the host was told: their stamps. */
class ToldDocuments<Stamp extends DocumentStamp<string>> {
  readonly #told = new Map<Stamp['id'], Stamp>();
  readonly #learned: (stamp: Stamp) => void;
  readonly #forgot: (stamp: Stamp) => void;

  constructor(learned: (stamp: Stamp) => void = () => {}, forgot: (stamp: Stamp) => void = () => {}) {
    this.#learned = learned;
    this.#forgot = forgot;
  }

  knows(id: Stamp['id']): boolean {
    return this.#told.has(id);
  }

  ids(): Stamp['id'][] {
    return [...this.#told.keys()];
  }

  stamps(): Iterable<Stamp> {
    return this.#told.values();
  }

  /** The host was told something else of it, or nothing. */
  isNews({ id, stamp }: Pick<Stamp, 'id' | 'stamp'>): boolean {
    return this.#told.get(id)?.stamp !== stamp;
  }

  /** Counts as told from now on; answers whether it is news. */
  tell(stamp: Stamp): boolean {
    const told = this.#told.get(stamp.id);
    if (told?.stamp === stamp.stamp) return false;
    // Two reads may finish in either order; an owner's epoch and a desired generation never go back.
    if (told && (stamp.epoch < told.epoch || (stamp.epoch === told.epoch && stamp.generation < told.generation)))
      return false;
    this.learn(stamp);
    return true;
  }

  learn(stamp: Stamp): void {
    this.forget(stamp.id);
    this.#told.set(stamp.id, stamp);
    this.#learned(stamp);
  }

  forget(id: Stamp['id']): void {
    const told = this.#told.get(id);
    if (!told) return;
    this.#told.delete(id);
    this.#forgot(told);
  }

  forgetAll(): void {
    for (const id of this.ids()) this.forget(id);
  }
}

export class HostView {
  readonly servers = new ToldDocuments<ServerStamp>(
    (stamp) => this.#learned(stamp),
    (stamp) => this.#forgot(stamp),
  );
  /** A layer's owner never changes, so nobody has to be found by them. */
  readonly layers = new ToldDocuments<LayerStamp>();
  readonly #networks = new Map<NetworkId, { content: string; projectId: string | undefined }>();
  /** How many of the networks are each project's. */
  readonly #ofProject = new Map<string, number>();
  readonly #serverOfPort = new Map<PortId, ServerId>();
  /** How many of the servers are on each network. */
  readonly #onNetwork = new Map<NetworkId, number>();
  readonly #listener: ViewListener;
  #images = new Set<ImageId>();
  #pools = '';

  constructor(listener: ViewListener = nobody) {
    this.#listener = listener;
  }

  knowsNetwork(id: NetworkId): boolean {
    return this.#networks.has(id);
  }

  serverOfPort(id: PortId): ServerId | undefined {
    return this.#serverOfPort.get(id);
  }

  serversOnNetwork(id: NetworkId): ServerId[] {
    return [...this.servers.stamps()].flatMap((told) => (told.networks.includes(id) ? told.id : []));
  }

  /** Those documents that differ from what the host was told; they count as told from now on. */
  tellServers(documents: readonly DesiredServer[]): DesiredServer[] {
    return documents.filter((document) => {
      const { id, epoch, generation, ports } = document;
      const networks = [...new Set(ports.map((port) => port.networkId))];
      const stamp = stampOf(document);
      return this.servers.tell({ id, epoch, generation, stamp, networks, ports: ports.map((port) => port.id) });
    });
  }

  /** As {@link tellServers}. */
  tellLayers(documents: readonly DesiredLayer[]): DesiredLayer[] {
    return documents.filter((document) => {
      const { id, epoch, generation } = document;
      return this.layers.tell({ id, epoch, generation, stamp: stampOf(document) });
    });
  }

  /** Documents that the host has from an earlier stream. */
  tellHeld({ servers, layers }: { servers: readonly ServerStamp[]; layers: readonly LayerStamp[] }): void {
    for (const stamp of servers) this.servers.learn({ ...stamp, networks: [...new Set(stamp.networks)] });
    for (const stamp of layers) this.layers.learn(stamp);
  }

  #learned({ id, ports, networks }: ServerStamp): void {
    this.#listener.learned('server', id);
    for (const port of ports) {
      this.#serverOfPort.set(port, id);
      this.#listener.learned('port', port);
    }
    for (const network of networks) {
      this.#onNetwork.set(network, (this.#onNetwork.get(network) ?? 0) + 1);
      this.#listener.learned('network of a server', network);
    }
  }

  #forgot({ id, ports, networks }: ServerStamp): void {
    this.#listener.forgot('server', id);
    for (const port of ports) {
      // It may be another server's by now.
      if (this.#serverOfPort.get(port) !== id) continue;
      this.#serverOfPort.delete(port);
      this.#listener.forgot('port', port);
    }
    for (const network of networks) {
      const left = this.#onNetwork.get(network)! - 1;
      if (left > 0) this.#onNetwork.set(network, left);
      else {
        this.#onNetwork.delete(network);
        this.#listener.forgot('network of a server', network);
      }
    }
  }

  /** The host's complete list of networks, against what it was told. */
  tellNetworks(networks: readonly DesiredNetwork[]): { networks: DesiredNetwork[]; removedNetworks: NetworkId[] } {
    const present = new Set(networks.map((network) => network.id));
    const removedNetworks = [...this.#networks.keys()].filter((id) => !present.has(id));
    for (const id of removedNetworks) this.#forgetNetwork(id);
    const changed = networks.filter((network) => {
      const content = contentOfShared(network);
      if (this.#networks.get(network.id)?.content === content) return false;
      if (this.#networks.has(network.id)) this.#forgetNetwork(network.id);
      this.#learnNetwork(network, content);
      return true;
    });
    return { networks: changed, removedNetworks };
  }

  /** All pools that are declared for the host; answers whether that is news. */
  tellPools(pools: readonly DeclaredPool[]): boolean {
    const content = contentOf(pools);
    const isNews = content !== this.#pools;
    this.#pools = content;
    return isNews;
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

  /** The stream has ended: there is nobody who knows anything. */
  forgetAll(): void {
    this.servers.forgetAll();
    this.layers.forgetAll();
    for (const id of [...this.#networks.keys()]) this.#forgetNetwork(id);
  }

  #learnNetwork({ id, projectId }: DesiredNetwork, content: string): void {
    this.#networks.set(id, { content, projectId });
    this.#listener.learned('network', id);
    if (projectId === undefined) return;
    this.#ofProject.set(projectId, (this.#ofProject.get(projectId) ?? 0) + 1);
    this.#listener.learned('network of a project', projectId);
  }

  #forgetNetwork(id: NetworkId): void {
    const projectId = this.#networks.get(id)?.projectId;
    this.#networks.delete(id);
    this.#listener.forgot('network', id);
    if (projectId === undefined) return;
    const left = this.#ofProject.get(projectId)! - 1;
    if (left > 0) this.#ofProject.set(projectId, left);
    else {
      this.#ofProject.delete(projectId);
      this.#listener.forgot('network of a project', projectId);
    }
  }
}
