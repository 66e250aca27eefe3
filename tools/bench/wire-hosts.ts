/**
 * Hosts as control sees them and nothing behind: each speaks the host stream over TLS of its own, asks for its lease as a host does, takes every document
 * for done at once and reports it. A process of its own, so that a thousand of them fit beside the control that is measured. Dials again
 * when the stream ends, unless it is lost. Told by `fork` what to be and which are lost; tells how they are.
 *
 * It is the witness too: a guest that would run on two hosts is counted (`twice`). One of a host that is lost stands still with its lease, where the document says so.
 */
import { readFileSync } from 'node:fs';
import WebSocket from 'ws';
import {
  type ControlMessage,
  type DesiredServer,
  type HostFacts,
  type HostMessage,
  hostProtocol,
  type ObservedServer,
  speaking,
} from '../../contract/host/index.ts';
import type { ServerId } from '../../contract/ids.ts';
import { testFacts } from '../../test/support/fake-host.ts';
import type { SimulatedIdentity } from '../../test/support/simulated-parts.ts';

export interface WireHosts {
  controlUrl: string;
  hosts: SimulatedIdentity['hosts'];
  memoryMiB: number;
}

/** Hosts, by id, that lose their power, or have it again. */
export interface WirePower {
  lose?: readonly string[];
  regain?: readonly string[];
}

export interface WireState {
  /** Hosts that have a snapshot and have answered it whole. */
  inStep: number;
  /** Guests that began while the same one ran elsewhere. */
  twice: number;
}

const redialMs = 200;
const state: WireState = { inStep: 0, twice: 0 };
const byId = new Map<string, WireHost>();
/** On which host each guest runs, or stands still. */
const placeOf = new Map<ServerId, WireHost>();

class WireHost {
  readonly #controlUrl: string;
  readonly #tls: { cert: Buffer; key: Buffer; ca: Buffer };
  readonly #facts: HostFacts;
  readonly #documents = new Map<ServerId, DesiredServer>();
  #remembers: { incarnation: string; position: string } | undefined;
  #socket: WebSocket | undefined;
  #lost = false;
  #leaseEndsMs = 0;
  #pinging: NodeJS.Timeout | undefined;

  constructor(controlUrl: string, { name, tls }: WireHosts['hosts'][number], ca: Buffer, memoryMiB: number) {
    this.#controlUrl = controlUrl;
    this.#tls = { cert: readFileSync(tls.certificate), key: readFileSync(tls.key), ca };
    this.#facts = { ...testFacts, ...{ name, cpus: 64, memoryMiB, diskGiB: 1 << 16 } };
  }

  lose(): void {
    this.#lost = true;
    this.#socket?.terminate();
  }

  regain(): void {
    this.#lost = false;
    this.dial();
  }

  /** Whether its guest does something there. */
  executes(id: ServerId): boolean {
    const document = this.#documents.get(id);
    if (document?.presence !== 'present') return false;
    return document.onLeaseEnd === undefined || Date.now() < this.#leaseEndsMs;
  }

  dial(): void {
    let whole = false;
    const socket = new WebSocket(this.#controlUrl, { ...this.#tls, perMessageDeflate: false });
    this.#socket = socket;
    socket.on('open', () => this.#greet());
    socket.on('message', (data) => {
      if (this.#received(JSON.parse(data.toString())) && !whole) {
        whole = true;
        state.inStep++;
      }
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      clearInterval(this.#pinging);
      if (whole) state.inStep--;
      if (this.#lost) return;
      setTimeout(() => this.#lost || this.dial(), redialMs * (0.5 + Math.random()));
    });
  }

  #send(message: HostMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #greet(): void {
    const holds = stampsOf(this.#documents);
    const known = this.#remembers && { remembers: this.#remembers, holds };
    // The first release wants to hear of a socket.
    const facts = { ...this.#facts, socket: null } as HostFacts;
    this.#send({ type: 'hello', ...speaking(hostProtocol), cloudId: null, time: Date.now(), ...known, facts });
  }

  /** @returns whether it was a snapshot */
  #received(message: ControlMessage): boolean {
    if (message.type === 'hello') this.#ping(message.leaseMs);
    else if (message.type === 'lease') this.#leaseEndsMs = Math.max(this.#leaseEndsMs, message.asked + message.leaseMs);
    else if (message.type === 'forget') for (const id of message.servers) this.#documents.delete(id);
    if (message.type !== 'snapshot' && message.type !== 'update') return false;
    const complete = message.type === 'snapshot';
    if (complete && message.incarnation !== undefined && message.position !== undefined)
      this.#remembers = { incarnation: message.incarnation, position: message.position };
    for (const server of message.servers) this.#take(server);
    const unchanged = complete ? (message.unchanged ?? []).map((id) => this.#documents.get(id)!) : [];
    const served = [...message.servers, ...unchanged];
    if (complete || served.length > 0) this.#send({ type: 'report', complete, servers: served.map(done) });
    return complete;
  }

  #take(server: DesiredServer): void {
    const { id, presence } = server;
    const before = placeOf.get(id);
    if (presence === 'present') {
      if (before && before !== this && before.executes(id)) state.twice++;
      placeOf.set(id, this);
    } else if (before === this) placeOf.delete(id);
    this.#documents.set(id, server);
  }

  /** As host/stream/client.ts: five times in a lease, or in the silence after which it looks for another control. */
  #ping(leaseMs: number): void {
    const socket = this.#socket!;
    clearInterval(this.#pinging);
    this.#pinging = setInterval(() => {
      if (socket.readyState === WebSocket.OPEN) socket.ping(String(Date.now()));
    }, Math.min(8000, leaseMs) / 5);
  }
}

const stampsOf = (documents: ReadonlyMap<string, DesiredServer>): Record<string, string> =>
  Object.fromEntries([...documents].flatMap(([id, { stamp }]) => (stamp === undefined ? [] : [[id, stamp]])));

const done = ({ id, epoch, generation, presence, power, reboot, onLeaseEnd }: DesiredServer): ObservedServer => ({
  ...{ id, epoch, generation, rebootCount: reboot.count, step: null, error: null },
  state: presence === 'absent' ? 'absent' : power === 'on' ? 'running' : 'stopped',
  startedAt: presence === 'present' && power === 'on' ? '2026-01-01T00:00:00.000Z' : null,
  ...(presence === 'present' && power === 'on' && onLeaseEnd && { onLeaseEnd }),
});

process.on('message', (message: WireHosts | WirePower) => {
  if ('hosts' in message) {
    const ca = readFileSync(message.hosts[0]!.tls.ca);
    for (const host of message.hosts) {
      const made = new WireHost(message.controlUrl, host, ca, message.memoryMiB);
      byId.set(host.id, made);
      made.dial();
    }
    setInterval(() => process.send?.(state), 50);
    return;
  }
  for (const id of message.lose ?? []) byId.get(id)!.lose();
  for (const id of message.regain ?? []) byId.get(id)!.regain();
});
process.once('disconnect', () => process.exit());
