/**
 * The stream to control: dials, listens, reports, dials again. Owns one WebSocket at a time, over mutual TLS. Decides
 * nothing about servers: what arrives is checked and handed on, in order, with the documents in it that could not be read
 * beside it; a message that breaks the protocol ends the connection and changes nothing. If this process dies, control sees the end and the next connection starts from a snapshot.
 */
import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import WebSocket from 'ws';
import { guarded } from '../../contract/guarded.ts';
import {
  agree,
  type ControlMessage,
  type HostFacts,
  type HostMessage,
  hostProtocol,
  lentByMessage,
  messageLimits,
  type ObservedServer,
  type ProtocolRange,
  type Reading,
  readableByControl,
  readControlMessage,
  speaking,
  type Unreadable,
} from '../../contract/host/index.ts';
import type { HostId, ImageId, ServerId, VolumeKeyId } from '../../contract/ids.ts';
import type { TlsTexts } from '../../protocols/tls/index.ts';
import { backOffMs } from '../back-off.ts';
import type { HostLogger } from '../logger.ts';
import type { ControlAddresses } from './addresses.ts';
import { mayWait, News, type Observations } from './news.ts';
import { type HostQuarantine, ToldQuarantine } from './quarantine.ts';

export interface StreamOptions {
  hostId: HostId;
  /** Any of them will do; each attempt takes the next. */
  addresses: ControlAddresses;
  /** Asked for each connection. */
  tls(): TlsTexts;
  /** Subject CN of control's certificate; anything that the CA signed for the address, where absent. */
  controlName?: string | undefined;
  log: HostLogger;
  facts(): HostFacts;
  /** The cloud that this host belongs to; null before its first control. */
  cloudId(): string | null;
  /** Control has introduced itself, for the first time or again. */
  greeted(hello: { cloudId: string; leaseMs: number }): void;
  /** Control of a protocol by which each is a lease, and that has greeted, gave a sign of life. */
  heard(leaseMs: number): void;
  /** Asks for a lease. @returns what is said to control with that */
  ask(): number;
  /** Resolves once the state is saved. Called one message at a time. */
  received(
    message: Exclude<ControlMessage, { type: 'hello' | 'controls' }>,
    unreadable: readonly Unreadable[],
  ): Promise<void>;
  /** Everything that is, or undefined while not everything was looked at yet. */
  observations(): Observations | undefined;
  /** Where control has said what this host remembers of it; an older control has not, and knows no quarantine. */
  remembers(): { incarnation: string; position: string } | null;
  /** The stamps of the documents in force; undefined before there are any. */
  holds(): { servers: Record<string, string>; layers: Record<string, string> } | undefined;
  quarantine(): HostQuarantine;
  /** Of an image that is here: its SHA-256, where it is known. */
  digestOf(id: ImageId): string | undefined;
  retryFirstMs?: number;
  retryMaxMs?: number;
  /** Attempts count as failed until a stream has been open and of use for so long. */
  steadyMs?: number;
  /** Control pings; silence for this long ends the connection. */
  silenceMs?: number;
  /** For tests of peers of other versions. */
  protocol?: ProtocolRange;
}

/** How long a word about something that is under way may wait for a better one. */
const underWayMs = 50;

export type StreamState = 'connecting' | 'greeting' | 'open' | 'closed';

export class ControlStream {
  readonly #options: StreamOptions;
  #socket: WebSocket | undefined;
  #state: StreamState = 'closed';
  #url = '';
  #failures = 0;
  #stopped = true;
  #retryTimer: NodeJS.Timeout | undefined;
  #steadyTimer: NodeJS.Timeout | undefined;
  #silenceTimer: NodeJS.Timeout | undefined;
  #lastHeardMs = 0;
  /** Messages are worked through one after the other. */
  #work: Promise<void> = Promise.resolve();
  #reportedComplete = false;
  readonly #news = new News();
  #told = new ToldQuarantine();
  #quarantineTimer: NodeJS.Timeout | undefined;
  #flushing = false;
  #laterTimer: NodeJS.Timeout | undefined;
  /** What was said to be held did not help: all is asked for. */
  #wantsAll = false;
  #lastError: string | null = null;
  #leaseMs = 0;
  /** Of the protocol, with the control that greeted last. */
  #version = hostProtocol.highest;
  readonly #incomplete = new Map<ServerId, ObservedServer>();

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  get status(): { state: StreamState; url: string; lastError: string | null } {
    return { state: this.#state, url: this.#url, lastError: this.#lastError };
  }

  start(): void {
    this.#stopped = false;
    this.#dial();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#steadyTimer);
    clearInterval(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    this.#state = 'closed';
    if (!socket) return;
    socket.on('error', () => {});
    if (socket.readyState === socket.OPEN) socket.close(1001, 'the host process ends');
    // What has been written still goes out; an answer is not waited for.
    setTimeout(() => socket.terminate(), 500).unref();
  }

  /** As a dead process would: without a word. */
  abandon(): void {
    this.#stopped = true;
    clearTimeout(this.#retryTimer);
    clearTimeout(this.#steadyTimer);
    clearInterval(this.#silenceTimer);
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.on('error', () => {});
    socket?.terminate();
  }

  /**
   * Takes changes; sends them soon, together with those that come meanwhile. What is only under way may wait a moment:
   * mostly its end comes first, and spares control a transaction.
   */
  report(observed: Partial<Observations>): void {
    this.#news.add(observed);
    if (this.#flushing) return;
    if (mayWait(observed)) {
      this.#laterTimer ??= setTimeout(() => this.#flush(), underWayMs).unref();
      return;
    }
    this.#flushing = true;
    setImmediate(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  /** Keys of layers that have to be opened. Lost where no stream is open: who needs them asks again. */
  ask(keys: VolumeKeyId[]): void {
    for (let at = 0; this.#state === 'open' && at < keys.length; at += messageLimits.keys) {
      this.#send({ type: 'ask', keys: keys.slice(at, at + messageLimits.keys) });
    }
  }

  /** Lost where no stream is open: who says it says it again. */
  tell(message: HostMessage & { type: 'meters' }): void {
    if (this.#state === 'open') this.#send(message);
  }

  /** The quarantine is looked at again soon: what changes it often changes much of it. */
  quarantineChanged(): void {
    this.#quarantineTimer ??= setTimeout(() => {
      this.#quarantineTimer = undefined;
      this.#tellQuarantine();
    }, underWayMs).unref();
  }

  /** After the first complete report: only then everything here has been looked at. */
  #tellQuarantine(): void {
    const { remembers, quarantine } = this.#options;
    if (this.#state !== 'open' || !this.#reportedComplete || !remembers()) return;
    for (const message of this.#told.next(quarantine())) this.#send(message);
  }

  #flush(): void {
    clearTimeout(this.#laterTimer);
    this.#laterTimer = undefined;
    if (this.#state !== 'open') return;
    if (!this.#reportedComplete) {
      const all = this.#options.observations();
      if (all) {
        this.#news.take();
        this.#reportedComplete = true;
        this.#send({ type: 'report', complete: true, ...all });
        this.#tellQuarantine();
        return;
      }
    }
    const news = this.#news.take();
    if (news) this.#send({ type: 'report', complete: false, ...news });
  }

  #send(message: HostMessage): void {
    const { message: readable, incomplete } = readableByControl(this.#version, message, this.#options.digestOf);
    if (message.type === 'report') {
      for (const { id } of message.servers) this.#incomplete.delete(id);
      for (const server of incomplete) this.#incomplete.set(server.id, server);
    }
    this.#socket?.send(JSON.stringify(readable));
  }

  /** What an older control was not told for want of a digest may be said now. */
  digestsFound(): void {
    if (this.#incomplete.size > 0) this.report({ servers: [...this.#incomplete.values()] });
  }

  #dial(): void {
    const { addresses, tls, log, controlName } = this.#options;
    this.#url = addresses.next();
    this.#state = 'connecting';
    const socket = new WebSocket(this.#url, {
      ...tls(),
      minVersion: 'TLSv1.3',
      checkServerIdentity: controlIdentity(controlName),
      handshakeTimeout: 10_000,
      perMessageDeflate: false,
      maxPayload: messageLimits.controlBytes,
    });
    this.#socket = socket;
    this.#lastHeardMs = performance.now();
    // One that is frozen takes the connection, and says nothing more.
    this.#watchSilence(socket);
    const heard = () => {
      this.#lastHeardMs = performance.now();
      if (this.#state === 'open' && this.#version < lentByMessage) this.#options.heard(this.#leaseMs);
    };
    socket.on('open', () => {
      this.#state = 'greeting';
      this.#reportedComplete = false;
      this.#told = new ToldQuarantine();
      heard();
      const { facts, cloudId, protocol = hostProtocol } = this.#options;
      const remembers = this.#options.remembers();
      const holds = this.#wantsAll ? undefined : this.#options.holds();
      this.#send({
        ...{ type: 'hello', ...speaking(protocol), cloudId: cloudId(), facts: facts(), time: this.#options.ask() },
        ...(remembers && { remembers }),
        ...(holds && { holds: holds.servers, holdsLayers: holds.layers }),
      });
      this.#pingWithTime(socket);
    });
    socket.on('ping', heard);
    socket.on('pong', heard);
    const message = (data: Buffer, isBinary: boolean) => {
      heard();
      if (socket !== this.#socket) return;
      if (isBinary) this.#refuse(socket, 'control sent a binary message');
      else this.#received(socket, data.toString('utf8'));
    };
    const failed = (error: unknown) =>
      this.#refuse(socket, `the message could not be taken: ${(error as Error).message}`);
    socket.on('message', guarded(message, failed));
    socket.on('error', (error) => this.#note(error.message));
    socket.on('close', (code, reason) => {
      if (this.#socket !== socket) return;
      clearInterval(this.#silenceTimer);
      clearTimeout(this.#steadyTimer);
      this.#steadyTimer = undefined;
      this.#socket = undefined;
      if (reason.length > 0) this.#note(`control closed the stream: ${reason.toString()}`);
      if (this.#state === 'open') log.warn({ code, url: this.#url }, 'the stream to control was lost');
      this.#retry();
    });
  }

  #retry(): void {
    this.#state = 'closed';
    if (this.#stopped) return;
    this.#failures++;
    const { retryFirstMs: firstMs = 200, retryMaxMs: maxMs = 10_000, log } = this.#options;
    const waitMs = backOffMs(this.#failures, { firstMs, maxMs });
    log.debug({ waitMs, failures: this.#failures, error: this.#lastError }, 'control will be dialled again');
    this.#retryTimer = setTimeout(() => this.#dial(), waitMs);
  }

  /** Pings in time for signs of life before a lease ends, too. */
  #watchSilence(socket: WebSocket, leaseMs = Number.POSITIVE_INFINITY): void {
    const silenceMs = this.#options.silenceMs ?? 8000;
    clearInterval(this.#silenceTimer);
    this.#silenceTimer = setInterval(
      () => {
        if (performance.now() - this.#lastHeardMs > silenceMs) {
          this.#note('control fell silent');
          socket.terminate();
        } else if (socket.readyState === socket.OPEN) this.#pingWithTime(socket);
      },
      Math.min(silenceMs, Math.max(leaseMs, 40)) / 5,
    ).unref();
  }

  /** By it control measures how far this machine's clock is from its own, and lends. */
  #pingWithTime(socket: WebSocket): void {
    socket.ping(String(this.#options.ask()));
  }

  #received(socket: WebSocket, text: string): void {
    let reading: Reading<ControlMessage>;
    try {
      reading = readControlMessage(text);
    } catch (error) {
      this.#refuse(socket, (error as Error).message);
      return;
    }
    const { message, unreadable } = reading;
    // A newer control says more than this version knows.
    if (!message) return;
    if (message.type === 'hello') {
      this.#greet(socket, message);
      return;
    }
    if (this.#state === 'greeting') {
      this.#refuse(socket, 'control did not introduce itself');
      return;
    }
    if (message.type === 'controls') {
      this.#options.addresses.told(message.urls);
      return;
    }
    this.#work = this.#work.then(async () => {
      if (socket !== this.#socket) return;
      try {
        await this.#options.received(message, unreadable);
        if (message.type === 'snapshot') this.#wantsAll = false;
        this.#flush();
        if (socket === this.#socket) this.#steady();
      } catch (error) {
        this.#wantsAll = true;
        this.#refuse(socket, `the message could not be taken: ${(error as Error).message}`);
      }
    });
  }

  #greet(socket: WebSocket, hello: ControlMessage & { type: 'hello' }): void {
    const { hostId, cloudId, greeted, log, protocol = hostProtocol } = this.#options;
    const own = cloudId();
    const version = agree(protocol, hello);
    if (version === undefined) this.#refuse(socket, `control speaks protocol ${hello.protocol}`);
    else if (hello.hostId !== hostId) this.#refuse(socket, `control takes this host for ${hello.hostId}`);
    else if (own !== null && hello.cloudId !== own) this.#refuse(socket, `control is of cloud ${hello.cloudId}`);
    else {
      this.#state = 'open';
      this.#version = version;
      this.#incomplete.clear();
      this.#lastError = null;
      log.info({ url: this.#url }, 'connected to control');
      this.#leaseMs = hello.leaseMs;
      greeted(hello);
      if (version < lentByMessage) this.#options.heard(hello.leaseMs);
      this.#watchSilence(socket, hello.leaseMs);
    }
  }

  /** A stream that opens and ends at once, again and again, has failed as often: its greeting proves nothing. */
  #steady(): void {
    this.#steadyTimer ??= setTimeout(() => {
      this.#failures = 0;
    }, this.#options.steadyMs ?? 5000).unref();
  }

  #refuse(socket: WebSocket, reason: string): void {
    this.#note(reason);
    this.#options.log.error({ url: this.#url, reason }, 'the stream to control was refused by the host');
    // A close frame has room for 123 bytes.
    socket.close(1008, reason.slice(0, 40));
    setTimeout(() => socket.terminate(), 1000).unref();
  }

  #note(error: string): void {
    this.#lastError = error;
  }
}

/** The address must be the certificate's, and the certificate control's. (The types of ws know an older form.) */
function controlIdentity(controlName: string | undefined) {
  const check = (name: string, certificate: PeerCertificate): Error | undefined => {
    const { CN } = certificate.subject ?? {};
    if (controlName !== undefined && CN !== controlName) return new Error(`the certificate is ${CN}'s, not control's`);
    return checkServerIdentity(name, certificate);
  };
  return check as unknown as NonNullable<WebSocket.ClientOptions['checkServerIdentity']>;
}
