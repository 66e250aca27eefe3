/** A host as control sees it on the wire: a real WebSocket over real mutual TLS, and what came over it. */
import { once } from 'node:events';
import WebSocket from 'ws';
import {
  type ControlMessage,
  type HostFacts,
  type HostMessage,
  hostProtocol,
  hostStreamPath,
  type ObservedLayer,
  type ObservedServer,
  speaking,
} from '../../contract/host/index.ts';
import type { TestTls } from './certificates.ts';
import { until } from './until.ts';

export const testFacts: HostFacts = {
  name: 'host 小屋 🏔',
  accelerator: 'tcg',
  acceleratorReason: 'a test',
  architecture: 'x86_64',
  cpus: 4,
  memoryMiB: 8192,
  diskGiB: 100,
  datapath: 'netdev',
  qemuVersion: '7.2.0',
  machine: { types: ['pc-q35-7.2', 'pc-q35-7.1'], cpuModel: 'max', layout: 1 },
  bothyVersion: '0.1.0',
  url: 'https://127.0.0.1:1',
};

export class FakeHost {
  readonly socket: WebSocket;
  readonly messages: ControlMessage[] = [];
  closed: { code: number; reason: string } | undefined;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data) => this.messages.push(JSON.parse(data.toString())));
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on('error', () => {});
  }

  /** Dials; fails when the upgrade is refused. */
  static async dial(port: number, tls: Partial<TestTls>, path = hostStreamPath): Promise<FakeHost> {
    const socket = new WebSocket(`wss://127.0.0.1:${port}${path}`, { ...tls, autoPong: true });
    const host = new FakeHost(socket);
    await once(socket, 'open');
    return host;
  }

  send(message: HostMessage | string | Buffer): void {
    this.socket.send(typeof message === 'string' || Buffer.isBuffer(message) ? message : JSON.stringify(message));
  }

  hello(
    facts: Partial<HostFacts> = {},
    cloudId: string | null = null,
    more: Pick<HostMessage & { type: 'hello' }, 'remembers' | 'holds' | 'holdsLayers' | 'time'> = {},
  ): void {
    this.send({ type: 'hello', ...speaking(hostProtocol), cloudId, facts: { ...testFacts, ...facts }, ...more });
  }

  report(servers: ObservedServer[], options: { complete: boolean } = { complete: false }): void {
    this.send({ type: 'report', complete: options.complete, servers });
  }

  reportLayers(layers: ObservedLayer[], more: Partial<HostMessage & { type: 'report' }> = {}): void {
    this.send({ type: 'report', complete: false, servers: [], layers, ...more });
  }

  /** Waits for the next message of a type that fits, and takes it and all before it. */
  async next<T extends ControlMessage['type']>(
    type: T,
    fits: (message: ControlMessage & { type: T }) => boolean = () => true,
  ): Promise<ControlMessage & { type: T }> {
    let index = -1;
    await until(`the host to receive ${type}`, () => {
      index = this.messages.findIndex((m) => m.type === type && fits(m as ControlMessage & { type: T }));
      return index >= 0;
    });
    return this.messages.splice(0, index + 1).at(-1) as ControlMessage & { type: T };
  }

  async end(): Promise<{ code: number; reason: string }> {
    await until('the stream to end', () => this.closed !== undefined);
    return this.closed!;
  }

  close(): void {
    this.socket.terminate();
  }
}
