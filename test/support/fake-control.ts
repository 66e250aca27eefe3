/** Control as a host sees it on the wire: a real WebSocket server over real mutual TLS, and what the host said. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import {
  type ControlMessage,
  type DesiredLayer,
  type DesiredNetwork,
  type DesiredServer,
  type HostMessage,
  hostProtocol,
  hostStreamPath,
  lentByMessage,
  type ObservedLayer,
  type ObservedServer,
  type QuarantinedImage,
  type QuarantinedLayer,
  type QuarantinedServer,
  speaking,
} from '../../contract/host/index.ts';
import { type HostId, type ImageId, type LayerId, newId, type ServerId, type VolumeKeyId } from '../../contract/ids.ts';
import type { TestTls } from './certificates.ts';
import { patienceMs, until } from './until.ts';

export class FakeControl {
  readonly #server: Server;
  readonly #tls: TestTls;
  cloudId: string;
  hostId: HostId;
  #port = 0;
  socket: WebSocket | undefined;
  #away = false;
  connections = 0;
  readonly messages: HostMessage[] = [];
  readonly observed = new Map<ServerId, ObservedServer>();
  readonly observedLayers = new Map<LayerId, ObservedLayer>();
  /** Every state that each server was reported in, in order. */
  readonly history: ObservedServer[] = [];
  closed: { code: number; reason: string } | undefined;
  /** What the host's last ping carried. */
  pinged: string | undefined;
  /** What a new connection gets as its snapshot. */
  servers: DesiredServer[] = [];
  layers: DesiredLayer[] = [];
  networks: DesiredNetwork[] = [];
  images: ImageId[] = [];
  /** Of the protocol, as its hello says. */
  versions: { protocol: number; lowestProtocol?: number } = speaking(hostProtocol);
  /** Passphrases of keys that it tells when it is asked; null: it says that there is none. */
  readonly keys = new Map<VolumeKeyId, string | null>();
  /** Of which keys it was asked, in order. */
  readonly asked: VolumeKeyId[] = [];
  incarnation: string = newId();
  position = '1.1.1';
  leaseMs = 30_000;
  /** The host's quarantine, as told on the present connection. */
  quarantined = new Map<ServerId, QuarantinedServer>();
  quarantinedLayers = new Map<LayerId, QuarantinedLayer>();
  quarantinedImages: QuarantinedImage[] = [];

  constructor(options: { tls: TestTls; cloudId: string; hostId: HostId }) {
    this.#tls = options.tls;
    this.cloudId = options.cloudId;
    this.hostId = options.hostId;
    this.#server = createServer({ ...options.tls, requestCert: true, rejectUnauthorized: true });
    this.#server.on('connection', (socket) => this.#away && socket.destroy());
    const sockets = new WebSocketServer({ server: this.#server, path: hostStreamPath });
    sockets.on('connection', (socket) => this.#connected(socket));
  }

  get url(): string {
    return `wss://127.0.0.1:${this.#port}${hostStreamPath}`;
  }

  get tls(): TestTls {
    return this.#tls;
  }

  /** As a process that is stopped: the connection stands and nothing answers on it. */
  freeze(): void {
    this.socket!.pause();
  }

  thaw(): void {
    this.socket!.resume();
  }

  /** Every connection breaks, until `comeBack`. The port is kept: given up, it may be another test's by then. */
  goAway(): void {
    this.#away = true;
    this.socket?.terminate();
    this.socket = undefined;
    this.#server.closeAllConnections();
  }

  comeBack(): void {
    this.#away = false;
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.socket?.terminate();
    this.socket = undefined;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  send(message: ControlMessage | string): void {
    this.socket?.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The server shall be so; known to later connections too. */
  want(server: DesiredServer): void {
    this.servers = [...this.servers.filter(({ id }) => id !== server.id), server];
    this.send({ type: 'update', servers: [server], networks: [], removedNetworks: [] });
  }

  wantLayer(layer: DesiredLayer): void {
    this.layers = [...this.layers.filter(({ id }) => id !== layer.id), layer];
    this.send({ type: 'update', servers: [], layers: [layer], networks: [], removedNetworks: [] });
  }

  forgetLayer(id: LayerId): void {
    this.layers = this.layers.filter((layer) => layer.id !== id);
    this.send({ type: 'forget', servers: [], layers: [id] });
  }

  async untilLayer(id: LayerId, what: string, holds: (observed: ObservedLayer) => boolean): Promise<ObservedLayer> {
    const holdsNow = () => {
      const observed = this.observedLayers.get(id);
      return observed !== undefined && holds(observed);
    };
    try {
      await until(`layer to be ${what}`, holdsNow);
    } catch (error) {
      throw new Error(`${(error as Error).message}; last: ${JSON.stringify(this.observedLayers.get(id))}`);
    }
    return this.observedLayers.get(id)!;
  }

  snapshot(): void {
    const { servers, layers, networks, images, incarnation, position } = this;
    this.send({ type: 'snapshot', servers, layers, networks, images, incarnation, position });
  }

  forget(id: ServerId): void {
    this.servers = this.servers.filter((server) => server.id !== id);
    this.send({ type: 'forget', servers: [id] });
  }

  async until(
    id: ServerId,
    what: string,
    holds: (observed: ObservedServer) => boolean,
    timeoutMs = patienceMs,
  ): Promise<ObservedServer> {
    try {
      await until(
        `server to be ${what}`,
        () => {
          const observed = this.observed.get(id);
          return observed !== undefined && holds(observed);
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(`${(error as Error).message}; last: ${JSON.stringify(this.observed.get(id))}`);
    }
    return this.observed.get(id)!;
  }

  #quarantine({ ids, servers, layerIds = [], layers = [], images }: HostMessage & { type: 'quarantine' }): void {
    for (const server of servers) this.quarantined.set(server.id, server);
    for (const id of this.quarantined.keys()) if (!ids.includes(id)) this.quarantined.delete(id);
    for (const layer of layers) this.quarantinedLayers.set(layer.id, layer);
    for (const id of this.quarantinedLayers.keys()) if (!layerIds.includes(id)) this.quarantinedLayers.delete(id);
    this.quarantinedImages = images;
  }

  #connected(socket: WebSocket): void {
    this.quarantined.clear();
    this.quarantinedLayers.clear();
    this.quarantinedImages = [];
    this.socket?.terminate();
    this.socket = socket;
    this.connections++;
    this.closed = undefined;
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on('ping', (data) => {
      this.pinged = data.toString();
      this.#lend(Number(this.pinged));
    });
    socket.on('message', (data) => {
      const message = JSON.parse(data.toString()) as HostMessage;
      this.messages.push(message);
      if (message.type === 'hello' && message.time !== undefined) this.#lend(message.time);
      if (message.type === 'quarantine') this.#quarantine(message);
      if (message.type === 'ask') this.#tellKeys(message.keys);
      if (message.type !== 'report') return;
      for (const layer of message.layers ?? []) this.observedLayers.set(layer.id, layer);
      for (const server of message.servers) {
        this.observed.set(server.id, server);
        this.history.push(server);
      }
    });
    const { cloudId, hostId } = this;
    this.send({ type: 'hello', ...this.versions, cloudId, hostId, leaseMs: this.leaseMs });
    this.snapshot();
  }

  /** What the host asked for with this time. */
  #lend(asked: number): void {
    if (this.versions.protocol >= lentByMessage) this.send({ type: 'lease', asked, leaseMs: this.leaseMs });
  }

  #tellKeys(ids: readonly VolumeKeyId[]): void {
    this.asked.push(...ids);
    const keys = ids.flatMap((id) => {
      const passphrase = this.keys.get(id);
      return passphrase === undefined
        ? []
        : [{ id, passphrase, problem: passphrase === null ? 'there is none' : null }];
    });
    if (keys.length > 0) this.send({ type: 'keys', keys });
  }
}
