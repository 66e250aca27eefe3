/**
 * One side of an exchange of HTTP/1.0: the socket that a request goes out on and the answer comes in on, into memory that is
 * used again. Stops reading as soon as there is something to take, and goes on when told.
 */
import net from 'node:net';
import tls from 'node:tls';
import { type Head, headEnd, parseHead } from './head.ts';
import { pieces } from './memory.ts';
import type { Part, Parts } from './sending.ts';

export interface ByteRequest {
  /** A unix socket, or a TLS server. */
  to: { socket: string } | { tls: tls.ConnectionOptions & { host: string; port: number } };
  path: string;
  headers?: Readonly<Record<string, string>>;
  /** How long the head may take. */
  answerMs: number;
  /** How long the body, or its reader, may stand still. */
  silenceMs: number;
}

const maxHeadBytes = 16 * 1024;

export class Connection implements Parts {
  onChange: () => void = () => {};
  size: 'large' | 'small' = 'small';
  failure: Error | undefined;
  ended = false;
  readonly #socket: net.Socket;
  #piece: Buffer = pieces.take('small');
  #filled = 0;
  /** What was not taken yet begins here. */
  #from = 0;
  readonly #full: Part[] = [];
  #announced = false;
  #closed = false;

  constructor(request: ByteRequest) {
    const { to } = request;
    const onread: net.OnReadOpts = {
      buffer: () => this.#room(),
      callback: (count) => this.#received(count),
    };
    this.#socket =
      'socket' in to
        ? net.connect({ path: to.socket, onread })
        : tls.connect({ ...to.tls, onread } as tls.ConnectionOptions);
    this.#socket
      .once('error', (error) => {
        this.failure ??= error;
      })
      .once('end', () => this.#end())
      .once('close', () => this.#end());
    this.#socket.write(headOf(request));
  }

  /** The answer's head, once it is whole. @throws where it is none */
  takeHead(): Head | undefined {
    const [full] = this.#full;
    const bytes = full?.bytes ?? this.#piece.subarray(0, this.#filled);
    const end = headEnd(bytes.subarray(0, maxHeadBytes));
    if (end === undefined) {
      if (bytes.length >= maxHeadBytes) throw new Error('the answer’s head is too long');
      this.resume();
      return undefined;
    }
    if (full) full.bytes = bytes.subarray(end);
    else this.#from = end;
    return parseHead(bytes.subarray(0, end));
  }

  take(): Part | undefined {
    const full = this.#full.shift();
    if (full && full.bytes.length > 0) return full;
    if (full) this.giveBack(full);
    if (this.#filled === this.#from) return undefined;
    const bytes = this.#piece.subarray(this.#from, this.#filled);
    this.#from = this.#filled;
    return { bytes, piece: undefined };
  }

  resume(): void {
    this.#socket.resume();
  }

  giveBack(part: Part): void {
    if (part.piece) pieces.giveBack(part.piece);
  }

  /** Ends it, and says so. */
  destroy(failure: Error): void {
    this.failure ??= failure;
    this.#socket.destroy();
  }

  close({ stillRead }: { stillRead?: Part | undefined } = {}): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onChange = () => {};
    this.#socket.destroy();
    const mine = [...this.#full.splice(0), { piece: this.#filled < this.#piece.length ? this.#piece : undefined }];
    for (const { piece } of [...mine, ...(stillRead ? [stillRead] : [])]) {
      if (piece && stillRead) pieces.lose(piece);
      else if (piece) pieces.giveBack(piece);
    }
  }

  /** Room for the next bytes. A TLS socket may have some to hand over although it was told to stop. */
  #room(): Buffer {
    if (this.#filled === this.#piece.length) {
      this.#piece = pieces.take(this.size);
      this.#filled = 0;
      this.#from = 0;
    }
    return this.#piece.subarray(this.#filled);
  }

  #received(count: number): boolean {
    this.#filled += count;
    if (this.#filled === this.#piece.length) {
      this.#full.push({ bytes: this.#piece.subarray(this.#from), piece: this.#piece });
      this.#announce();
      return false;
    }
    // What else has come meanwhile is taken along.
    this.#announce();
    return true;
  }

  #announce(): void {
    if (this.#announced) return;
    this.#announced = true;
    setImmediate(() => {
      this.#announced = false;
      this.#socket.pause();
      this.onChange();
    });
  }

  #end(): void {
    if (this.ended) return;
    this.ended = true;
    this.#announce();
  }
}

function headOf({ path, headers = {} }: ByteRequest): string {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.0\r\n${lines.join('')}\r\n`;
}
