/**
 * One host's stream, from hello to the last message. Owns the handshake, the order of what is sent and the queue of
 * reports; never decides about servers. If the process dies, the host connects again, gets a complete snapshot and
 * answers with a complete report: nothing here has to survive.
 */
import type { Logger } from 'pino';
import { isCloudError } from '../../contract/errors.ts';
import {
  agree,
  type ControlMessage,
  type DeclaredPool,
  type HostMessage,
  lentByMessage,
  messageLimits,
  type ProtocolRange,
  type Reading,
  readableByHost,
  speaking,
} from '../../contract/host/index.ts';
import { type HostId, type LayerId, newId, type ServerId, type VolumeKeyId } from '../../contract/ids.ts';
import { isDatabaseUnavailable } from '../kit/database/database.ts';
import { type Accounts, type HostConnection, Pace } from './connection.ts';
import type { HandedOutKey, LayerStamp, ServerStamp } from './hosted.ts';
import { closeCodes, parseHostMessage } from './messages.ts';
import { type Forgettable, PendingReports, type Reported } from './pending.ts';
import { StreamReplaced } from './store.ts';
import type { Told } from './told.ts';
import { HostView } from './view.ts';

export type HostHello = HostMessage & { type: 'hello' };

type SnapshotMessage = ControlMessage & { type: 'snapshot' };

/** What a stream begins with. */
export interface HostSnapshot extends Omit<SnapshotMessage, 'type' | 'unchanged' | 'unchangedLayers'> {
  /** Those that are declared for the host. */
  pools: DeclaredPool[];
  /** What of its documents the host has. Undefined: it did not say what it has. */
  held: { servers: ServerStamp[] | undefined; layers: LayerStamp[] | undefined };
}

/** What the session needs of the service that holds it. */
export interface SessionOwner {
  readonly cloudId: string;
  readonly leaseMs: number;
  readonly protocol: ProtocolRange;
  readonly log: Logger;
  /** Where each session is found by what it was told of. */
  readonly told: Told<HostSession>;
  /** Records the facts and answers false when the host is not registered. */
  connect(session: HostSession, hello: HostHello): Promise<boolean>;
  readSnapshot(session: HostSession, hello: HostHello): Promise<HostSnapshot>;
  /** Records and answers whom the host may forget. */
  record(session: HostSession, reported: Reported): Promise<Forgettable>;
  /** Keeps what the host says of its quarantine. */
  quarantined(session: HostSession, message: HostMessage & { type: 'quarantine' }): Promise<void>;
  /** Keeps what has passed its ports. */
  metered(hostId: HostId, message: HostMessage & { type: 'meters' }): Promise<void>;
  /** Answers what the host asks for. */
  handOutKeys(hostId: HostId, ids: readonly VolumeKeyId[]): Promise<HandedOutKey[]>;
  /** Where the host finds control processes; none: it is told of none. */
  controls(): readonly string[];
  accounts: Pick<Accounts, 'of'>;
  /** The snapshot is out: changes may flow. */
  opened(session: HostSession): void;
  ended(session: HostSession): void;
}

/** Above this many words on its quarantine the host has to wait; each is as large as a message may be. */
const maxPendingQuarantines = 4;
/** A host that lets more than this pile up gets no more until it has read. */
const maxBufferedBytes = 8 * 1024 * 1024;
const retryMs = 250;

export class HostSession {
  readonly hostId: HostId;
  readonly connectionId: string = newId();
  readonly view: HostView;
  /** What to read again; see news.ts. */
  readonly dirtyServers = new Set<ServerId>();
  readonly dirtyLayers = new Set<LayerId>();
  dirtyNetworks = false;
  dirtyPools = false;
  dirtyImages = false;
  /** By the clock that nobody sets, as all silences. */
  lastHeardMs: number = performance.now();
  /** As the host calls itself. */
  hostName = '';
  /** How far the host's clock was ahead of ours at its last ping, less the ping's way; undefined before. */
  clockOffsetMs: number | undefined;
  /** The host has ended it with the word that its process ends in order. */
  left = false;
  /** Its hello asked for a lease, in a protocol by which it gets one. */
  asksForLeases = false;
  /** Its time as it last asked; undefined once that was lent. */
  asks: number | undefined;
  readonly openedMs: number = performance.now();
  /** Of the protocol; until its hello the host might be of any. */
  #version = 1;
  /** Of these servers the host said that it has documents. */
  #held: ReadonlySet<ServerId> = new Set();
  readonly #connection: HostConnection;
  readonly #owner: SessionOwner;
  #phase: 'awaiting hello' | 'connecting' | 'open' | 'closed' = 'awaiting hello';
  readonly #pending = new PendingReports();
  #recording = false;
  #quarantine: Promise<void> = Promise.resolve();
  #pendingQuarantines = 0;
  readonly #keysAsked = new Set<VolumeKeyId>();
  #answering = false;
  #metering = false;
  readonly #pace: Pace;

  constructor(hostId: HostId, connection: HostConnection, owner: SessionOwner) {
    this.hostId = hostId;
    this.#connection = connection;
    this.#owner = owner;
    this.view = new HostView({
      learned: (kind, id) => owner.told.add(kind, id, this),
      forgot: (kind, id) => owner.told.remove(kind, id, this),
    });
    this.send({
      type: 'hello',
      ...speaking(owner.protocol),
      cloudId: owner.cloudId,
      hostId,
      leaseMs: owner.leaseMs,
    });
    this.#pace = new Pace(() => this.#holdBack(), owner.accounts.of(hostId));
    if (this.#pace.resting) this.#holdBack();
  }

  get open(): boolean {
    return this.#phase === 'open';
  }

  get greeted(): boolean {
    return this.#phase !== 'awaiting hello';
  }

  get closed(): boolean {
    return this.#phase === 'closed';
  }

  get congested(): boolean {
    return this.#connection.bufferedBytes > maxBufferedBytes;
  }

  send(message: ControlMessage): void {
    if (this.#phase === 'closed') return;
    this.#connection.send(JSON.stringify(readableByHost(this.#version, message, this.#held)));
  }

  /** Once the host has introduced itself, and whenever they have changed. */
  tellControls(): void {
    const urls = this.#owner.controls().slice(0, messageLimits.controls);
    if (this.greeted && urls.length > 0) this.send({ type: 'controls', urls });
  }

  ping(): void {
    this.#connection.ping();
  }

  /** Any sign of life. */
  heard(): void {
    this.lastHeardMs = performance.now();
  }

  /** What it asked for with this time is in the database. */
  lend(asked: number): void {
    if (this.asks === asked) this.asks = undefined;
    // Before it is told what is its it goes on with what it had.
    if (this.#phase === 'open') this.send({ type: 'lease', asked, leaseMs: this.#owner.leaseMs });
  }

  /** A ping, with the host's time; or the answer to ours, with none. */
  pinged(time: string): void {
    this.heard();
    this.#pace.run(() => {});
    if (!/^\d{1,15}$/.test(time)) return;
    this.clockOffsetMs = Number(time) - Date.now();
    if (this.asksForLeases) this.asks = Number(time);
  }

  received(text: string): void {
    if (this.#phase === 'closed') return;
    this.heard();
    this.#pace.run(() => this.#read(text));
  }

  #read(text: string): void {
    let reading: Reading<HostMessage>;
    try {
      reading = parseHostMessage(text);
    } catch (error) {
      const reason = isCloudError(error) ? error.message : 'invalid message';
      this.end(closeCodes.invalidMessage, reason);
      return;
    }
    const { message, unreadable } = reading;
    if (unreadable.length > 0) {
      const { log } = this.#owner;
      const some = unreadable
        .slice(0, 10)
        .map(({ id, epoch, generation, reason }) => ({ id, epoch, generation, reason }));
      log.warn(
        { hostId: this.hostId, count: unreadable.length, some },
        'host stream: observations that cannot be read were left out',
      );
    }
    // A newer host says more than this version knows.
    if (!message) return;
    if (message.type === 'hello') {
      if (this.greeted) this.end(closeCodes.protocolError, 'a second hello');
      else void this.#begin(message);
    } else if (!this.greeted) this.end(closeCodes.protocolError, 'a report before hello');
    else if (message.type === 'report') this.#observed(message, text.length);
    else if (message.type === 'ask') void this.#asked(message.keys);
    else if (message.type === 'meters') void this.#metered(message);
    else this.#quarantined(message);
  }

  /** Closes the stream, saying why. */
  end(code: number, reason: string): void {
    if (this.#phase === 'closed') return;
    this.#owner.log.info({ hostId: this.hostId, code, reason }, 'host stream: closed by control');
    this.#connection.close(code, reason.slice(0, 120));
    this.disconnected();
  }

  /** The peer is not heard any more. */
  abandon(): void {
    if (this.#phase === 'closed') return;
    this.#owner.log.warn({ hostId: this.hostId }, 'host stream: host is silent, closed');
    this.#connection.terminate();
    this.disconnected();
  }

  /** The wire has ended, from whichever side. @param code of the peer's closing frame, if there was one */
  disconnected(code?: number): void {
    if (this.#phase === 'closed') return;
    this.left = code === closeCodes.goingAway;
    this.#phase = 'closed';
    this.#pending.clear();
    this.#pace.end();
    this.view.forgetAll();
    this.#owner.ended(this);
  }

  async #begin(hello: HostHello): Promise<void> {
    this.#phase = 'connecting';
    this.hostName = hello.facts.name;
    const { protocol } = this.#owner;
    const version = agree(protocol, hello);
    if (version === undefined) {
      const reason = `control speaks protocols ${protocol.lowest} to ${protocol.highest}, not ${hello.protocol}`;
      return this.end(closeCodes.protocolError, reason);
    }
    this.#version = version;
    this.asksForLeases = version >= lentByMessage && hello.time !== undefined;
    this.#held = new Set(Object.keys(hello.holds ?? {}) as ServerId[]);
    if (hello.cloudId !== null && hello.cloudId !== this.#owner.cloudId) {
      return this.end(closeCodes.otherCloud, `the host belongs to cloud ${hello.cloudId}`);
    }
    try {
      if (!(await this.#owner.connect(this, hello))) {
        return this.end(closeCodes.unknownHost, 'no host with this id is registered');
      }
      this.tellControls();
      const { held, pools, ...snapshot } = await this.#owner.readSnapshot(this, hello);
      if (this.closed) return;
      this.view.tellHeld({ servers: held.servers ?? [], layers: held.layers ?? [] });
      this.view.tellServers(snapshot.servers);
      this.view.tellLayers(snapshot.layers ?? []);
      this.view.tellNetworks(snapshot.networks);
      this.view.tellImages(snapshot.images);
      // Before the layers that lie in them.
      this.view.tellPools(pools);
      this.send({ type: 'pools', pools });
      this.send({
        ...{ type: 'snapshot', ...snapshot },
        ...(held.servers && { unchanged: held.servers.map(({ id }) => id) }),
        ...(held.layers && { unchangedLayers: held.layers.map(({ id }) => id) }),
      });
      this.#phase = 'open';
      if (this.asksForLeases) this.lend(hello.time!);
      this.#owner.opened(this);
      this.#record();
    } catch (error) {
      this.#owner.log.warn({ err: error, hostId: this.hostId }, 'host stream: opening failed');
      this.end(closeCodes.tryAgainLater, 'control cannot serve now');
    }
  }

  /** One answer at a time, to all that was asked meanwhile; the host asks again what nobody answered. */
  async #asked(ids: readonly VolumeKeyId[]): Promise<void> {
    if (this.#keysAsked.size <= messageLimits.keys) for (const id of ids) this.#keysAsked.add(id);
    if (this.#answering) return;
    this.#answering = true;
    while (this.#keysAsked.size > 0 && !this.closed) {
      const asked = [...this.#keysAsked].slice(0, messageLimits.keys);
      for (const id of asked) this.#keysAsked.delete(id);
      try {
        this.send({ type: 'keys', keys: await this.#owner.handOutKeys(this.hostId, asked) });
      } catch (error) {
        this.#owner.log.warn({ err: error, hostId: this.hostId }, 'host stream: keys could not be handed out');
      }
    }
    this.#answering = false;
  }

  /** One at a time; the host says again what nobody answered. */
  async #metered(message: HostMessage & { type: 'meters' }): Promise<void> {
    if (this.#metering || this.#phase !== 'open') return;
    this.#metering = true;
    try {
      await this.#owner.metered(this.hostId, message);
      this.send({ type: 'metered', sequence: message.sequence });
    } catch (error) {
      this.#owner.log.warn({ err: error, hostId: this.hostId }, 'host stream: meters could not be recorded');
    } finally {
      this.#metering = false;
    }
  }

  /** One after the other. Where it can't be kept the host says all of it again on a new stream. */
  #quarantined(message: HostMessage & { type: 'quarantine' }): void {
    this.#pendingQuarantines++;
    this.#holdBack();
    this.#quarantine = this.#quarantine.then(async () => {
      if (this.closed) return;
      try {
        await this.#owner.quarantined(this, message);
      } catch (error) {
        if (error instanceof StreamReplaced) return this.#replaced();
        this.#owner.log.warn({ err: error, hostId: this.hostId }, 'host stream: recording the quarantine failed');
        this.end(closeCodes.tryAgainLater, 'the quarantine could not be recorded');
      }
      this.#pendingQuarantines--;
      this.#holdBack();
    });
  }

  /** What comes faster than it is recorded waits in the host's memory, not in ours. */
  #holdBack(): void {
    if (this.closed) return;
    const { tooMany } = this.#pending;
    if (tooMany || this.#pendingQuarantines > maxPendingQuarantines || this.#pace.resting) this.#connection.pause();
    else this.#connection.resume();
  }

  #observed(report: HostMessage & { type: 'report' }, length: number): void {
    this.#pending.add(report, length);
    this.#holdBack();
    this.#record();
  }

  #record(): void {
    if (this.#recording || this.#phase !== 'open' || this.#pending.empty) return;
    this.#recording = true;
    const reported = this.#pending.take();
    this.#holdBack();
    this.#owner.record(this, reported).then(
      ({ servers, layers }) => {
        this.#recording = false;
        if (this.closed) return;
        this.#pending.recorded();
        for (const id of servers) this.view.servers.forget(id);
        for (const id of layers) this.view.layers.forget(id);
        if (servers.length + layers.length > 0)
          this.send({ type: 'forget', servers, ...(layers.length > 0 && { layers }) });
        this.#holdBack();
        this.#record();
      },
      (error) => this.#recordingFailed(error, reported),
    );
  }

  #replaced(): void {
    this.end(closeCodes.replaced, 'a newer connection of this host took over');
  }

  /** Without the database reports wait; what else fails is a defect, and a new stream starts from a complete report. */
  #recordingFailed(error: unknown, reported: Reported): void {
    this.#recording = false;
    if (this.closed) return;
    if (error instanceof StreamReplaced) this.#replaced();
    else if (isDatabaseUnavailable(error)) {
      this.#pending.giveBack(reported);
      setTimeout(() => this.#record(), retryMs).unref();
    } else {
      this.#owner.log.error({ err: error, hostId: this.hostId }, 'host stream: recording a report failed');
      this.end(closeCodes.internal, 'the report could not be recorded');
    }
  }
}
