/**
 * One connection to an OVSDB server: JSON-RPC calls and notifications. It answers the server's echo (or the server
 * would cut us off), sends its own after silence, and ends itself when that is not answered. A session that has ended
 * never comes back: `client.ts` opens the next one.
 */
import type { Socket } from 'node:net';
import { OvsdbError } from './errors.ts';
import { MessageReader } from './reading.ts';
import { openSocket, type TlsFiles } from './target.ts';

export interface SessionOptions {
  target: string;
  tls?: TlsFiles;
  connectTimeoutMs?: number;
  /** Silence after which we ask "are you there"; twice that and the session is dead. 0 turns it off. */
  probeMs?: number;
  onNotification?: (method: string, params: unknown[]) => void;
  /** Called exactly once. No error when we closed it ourselves. */
  onClose?: (error: OvsdbError | undefined) => void;
}

interface Pending {
  method: string;
  resolve: (result: unknown) => void;
  reject: (error: OvsdbError) => void;
  timer: NodeJS.Timeout | undefined;
}

interface Message {
  id?: unknown;
  method?: unknown;
  params?: unknown;
  result?: unknown;
  error?: unknown;
}

/** Reading gives the event loop up after this long. */
const sliceMs = 5;

export class Session {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #reader = new MessageReader();
  readonly #pending = new Map<number, Pending>();
  #nextId = 1;
  #closed = false;
  #probe: NodeJS.Timeout | undefined;
  #probing = false;
  #spentMs = 0;

  static async open(options: SessionOptions): Promise<Session> {
    const socket = await openSocket(options.target, {
      ...(options.tls ? { tls: options.tls } : {}),
      timeoutMs: options.connectTimeoutMs ?? 5000,
    });
    return new Session(socket, options);
  }

  private constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (cause) => this.#end(this.#lost('broke', cause)));
    socket.on('close', () => this.#end(this.#lost('was closed by the server')));
    const probeMs = options.probeMs ?? 5000;
    if (probeMs > 0) this.#probe = setTimeout(() => this.#silence(), probeMs).unref();
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Rejects with an OvsdbError; of kind 'protocol' when the server answered with an error object. */
  call(method: string, params: unknown[], options: { timeoutMs?: number } = {}): Promise<unknown> {
    if (this.#closed) return Promise.reject(this.#lost('is closed'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      const timeoutMs = options.timeoutMs ?? 60_000;
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new OvsdbError('timeout', `OVSDB ${method} at ${this.#options.target}: no answer in ${timeoutMs} ms`));
      }, timeoutMs);
      this.#pending.set(id, { method, resolve, reject, timer });
      this.#send({ id, method, params });
    });
  }

  close(): void {
    this.#end(undefined);
  }

  #send(message: Message): void {
    this.#socket.write(JSON.stringify(message));
  }

  #receive(chunk: Buffer): void {
    this.#probing = false;
    this.#probe?.refresh();
    const began = performance.now();
    try {
      for (const message of this.#reader.push(chunk)) this.#dispatch(message as Message);
    } catch (error) {
      const cause = error instanceof OvsdbError ? error : this.#lost('carried malformed data', error);
      this.#end(cause);
    }
    this.#spentMs += performance.now() - began;
    if (this.#spentMs < sliceMs) return;
    // The event loop would read on, up to two megabytes, before anybody else has a turn.
    this.#spentMs = 0;
    this.#socket.pause();
    setImmediate(() => this.#socket.resume());
  }

  #dispatch(message: Message): void {
    if (typeof message.method === 'string') {
      if (message.method === 'echo') this.#send({ id: message.id, result: message.params, error: null });
      else this.#options.onNotification?.(message.method, Array.isArray(message.params) ? message.params : []);
      return;
    }
    const pending = this.#pending.get(message.id as number);
    if (!pending) return;
    this.#pending.delete(message.id as number);
    clearTimeout(pending.timer);
    if (message.error === null || message.error === undefined) pending.resolve(message.result);
    else pending.reject(new OvsdbError('protocol', `OVSDB ${pending.method} refused: ${describe(message.error)}`));
  }

  #silence(): void {
    if (this.#probing) {
      this.#end(this.#lost('is silent: no answer to echo'));
      return;
    }
    this.#probing = true;
    this.#send({ id: 'echo', method: 'echo', params: [] });
    this.#probe?.refresh();
  }

  #lost(what: string, cause?: unknown): OvsdbError {
    const message = `OVSDB connection to ${this.#options.target} ${what}`;
    return new OvsdbError('connection', message, cause === undefined ? undefined : { cause });
  }

  #end(error: OvsdbError | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#probe);
    this.#socket.destroy();
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error ?? this.#lost('was closed'));
    }
    this.#pending.clear();
    this.#options.onClose?.(error);
  }
}

function describe(error: unknown): string {
  if (typeof error === 'string') return error;
  const { error: tag, details } = error as { error?: string; details?: string };
  return tag ? `${tag}${details ? `: ${details}` : ''}` : JSON.stringify(error);
}
