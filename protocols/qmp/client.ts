/**
 * A client of one QEMU's machine protocol. Owns a socket and the commands under way on it; knows nothing of guests.
 *
 * The peer is not trusted: a guest that broke out of its machine *is* QEMU. What it sends is bounded and never more than
 * data; a message that breaks the protocol ends the connection. If this process dies, QEMU goes on and takes the next client.
 */
import { connect, type Socket } from 'node:net';
import { QmpConnectionError, QmpError, QmpTimeoutError } from './errors.ts';
import { QmpFramer } from './framing.ts';

export interface QmpEvent {
  name: string;
  data: Record<string, unknown>;
  /** QEMU's clock, in milliseconds since the epoch. */
  timestampMs: number;
}

export interface QmpConnectOptions {
  /** Path of the unix socket, or a connection that is there already. */
  path: string | Socket;
  /** For the connection, the greeting and the negotiation together. */
  timeoutMs?: number;
  signal?: AbortSignal;
  maxMessageBytes?: number;
}

interface Pending {
  command: string;
  resolve(value: unknown): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

interface Request {
  id: number;
  line: string;
}

const defaultTimeoutMs = 10_000;
/** With eight commands that wait QEMU (7.2) reads no more, not even what is to pass them by. */
const mostInTurn = 7;

/** `QmpClient.execute`, for who need not know of which QEMU. */
export type Execute = <T = unknown>(command: string, args?: Record<string, unknown>) => Promise<T>;

export class QmpClient {
  readonly #socket: Socket;
  readonly #framer: QmpFramer;
  readonly #pending = new Map<number, Pending>();
  /** Sent in turn and not answered, also those whose time is over: they are in QEMU's queue. */
  readonly #inTurn = new Set<number>();
  readonly #unsent: Request[] = [];
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  #lastId = 0;
  #version = '';
  #outOfBand = false;
  #error: QmpConnectionError | undefined;
  #greeted: (() => void) | undefined;
  /** Resolves when the connection has ended, for whatever reason. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket, maxBytes: number | undefined) {
    this.#socket = socket;
    this.#framer = new QmpFramer(maxBytes === undefined ? {} : { maxBytes });
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    socket.on('data', (chunk) => this.#received(chunk));
    socket.on('error', (cause) => this.#fail('the connection to QEMU failed', cause));
    socket.on('close', () => this.#fail('QEMU closed the connection'));
  }

  /** Connects, reads the greeting and leaves negotiation mode. */
  static async connect(options: QmpConnectOptions): Promise<QmpClient> {
    const socket = typeof options.path === 'string' ? connect({ path: options.path }) : options.path;
    const client = new QmpClient(socket, options.maxMessageBytes);
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    const abort = () => client.#fail('the connection to QEMU was given up');
    const timer = setTimeout(() => client.#fail(`no greeting from QEMU within ${timeoutMs} ms`), timeoutMs);
    options.signal?.addEventListener('abort', abort, { once: true });
    try {
      options.signal?.throwIfAborted();
      const greeted = new Promise<void>((resolve) => {
        client.#greeted = resolve;
      });
      await Promise.race([greeted, client.closed]);
      if (client.#error) throw client.#error;
      const enable = client.#outOfBand ? { enable: ['oob'] } : undefined;
      await client.execute('qmp_capabilities', enable, { timeoutMs });
      return client;
    } catch (error) {
      client.close();
      throw error;
    } finally {
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abort);
    }
  }

  /** QEMU's version, e.g. '7.2.22'. */
  get version(): string {
    return this.#version;
  }

  get open(): boolean {
    return this.#error === undefined;
  }

  /** Calls the listener for each event from now on. Answers a function that ends it. */
  listen(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * @throws QmpError where QEMU refuses, QmpTimeoutError, QmpConnectionError
   */
  execute<T = unknown>(
    command: string,
    args?: Record<string, unknown>,
    options: { timeoutMs?: number } = {},
  ): Promise<T> {
    return this.#ask<T>('execute', command, args, options);
  }

  /**
   * A command that QEMU answers although it does nothing else, as while it waits for a peer of one of its disks; which do: `allow-oob` in its schema. A QEMU
   * that knows of no such (none of 2.12 or newer) does it in its turn.
   * @throws as execute
   */
  executeOutOfBand<T = unknown>(
    command: string,
    args?: Record<string, unknown>,
    options: { timeoutMs?: number } = {},
  ): Promise<T> {
    return this.#ask<T>(this.#outOfBand ? 'exec-oob' : 'execute', command, args, options);
  }

  #ask<T>(
    how: 'execute' | 'exec-oob',
    command: string,
    args: Record<string, unknown> | undefined,
    options: { timeoutMs?: number },
  ): Promise<T> {
    if (this.#error) return Promise.reject(this.#error);
    const id = ++this.#lastId;
    const timeoutMs = options.timeoutMs ?? defaultTimeoutMs;
    return new Promise<T>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new QmpTimeoutError(`QEMU did not answer ${command} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#pending.set(id, { command, resolve: resolve as (value: unknown) => void, reject, timer });
      const line = `${JSON.stringify({ [how]: command, ...(args && { arguments: args }), id })}\n`;
      if (how === 'exec-oob') this.#socket.write(line);
      else {
        this.#unsent.push({ id, line });
        this.#sendInTurn();
      }
    });
  }

  #sendInTurn(): void {
    while (this.#unsent.length > 0 && this.#inTurn.size < mostInTurn) {
      const { id, line } = this.#unsent.shift()!;
      // Its time is over, and QEMU has not heard of it.
      if (!this.#pending.has(id)) continue;
      this.#inTurn.add(id);
      this.#socket.write(line);
    }
  }

  close(): void {
    this.#fail('the connection to QEMU was closed');
  }

  #received(chunk: Buffer): void {
    try {
      for (const message of this.#framer.push(chunk)) this.#message(message);
    } catch (cause) {
      this.#fail('QEMU broke the protocol', cause);
    }
  }

  #message(message: Record<string, unknown>): void {
    if ('QMP' in message) {
      this.#version = readVersion(message.QMP);
      const { capabilities } = asObject(message.QMP);
      this.#outOfBand = Array.isArray(capabilities) && capabilities.includes('oob');
      this.#greeted?.();
    } else if (typeof message.event === 'string') this.#event(message.event, message);
    else if (typeof message.id === 'number') this.#answer(message.id, message);
    // An error without id: QEMU could not parse what we sent. We would wait in vain for its answer.
    else if ('error' in message) throw new Error(`QEMU: ${describe(message.error).description}`);
  }

  #event(name: string, message: Record<string, unknown>): void {
    const { seconds, microseconds } = asObject(message.timestamp);
    const event = {
      name,
      data: asObject(message.data),
      timestampMs: Number(seconds) * 1000 + Number(microseconds) / 1000,
    };
    for (const listener of [...this.#listeners]) listener(event);
  }

  #answer(id: number, message: Record<string, unknown>): void {
    this.#inTurn.delete(id);
    this.#sendInTurn();
    const pending = this.#pending.get(id);
    if (!pending) return; // it came after its time
    this.#pending.delete(id);
    clearTimeout(pending.timer);
    if ('return' in message) {
      pending.resolve(message.return);
      return;
    }
    const { errorClass, description } = describe(message.error);
    pending.reject(new QmpError(pending.command, errorClass, description));
  }

  #fail(message: string, cause?: unknown): void {
    if (this.#error) return;
    this.#error = new QmpConnectionError(message, cause === undefined ? undefined : { cause });
    for (const { reject, timer } of this.#pending.values()) {
      clearTimeout(timer);
      reject(this.#error);
    }
    this.#pending.clear();
    this.#unsent.length = 0;
    this.#socket.destroy();
  }
}

const asObject = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};

function describe(error: unknown): { errorClass: string; description: string } {
  const { class: errorClass, desc } = asObject(error);
  return { errorClass: String(errorClass ?? 'GenericError'), description: String(desc ?? 'no reason given') };
}

function readVersion(greeting: unknown): string {
  const { major, minor, micro } = asObject(asObject(asObject(greeting).version).qemu);
  return [major, minor, micro].map(Number).join('.');
}
