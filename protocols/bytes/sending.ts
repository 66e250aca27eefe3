/**
 * The body of an answer on its way into a sink, a part at a time: no next one is read before the sink has taken the last.
 * Whoever breaks off takes the other along, so that nobody takes a piece for the whole.
 */
import type { Writable } from 'node:stream';
import { turns } from './turns.ts';

/** Bytes that came, in a piece of memory that is given back with the last of them. */
export interface Part {
  bytes: Buffer;
  piece: Buffer | undefined;
}

/** Where a body comes from, a part at a time. */
export interface Parts {
  /** Called when there are bytes, or no more. */
  onChange: () => void;
  /** What the next piece of memory shall be. */
  size: 'large' | 'small';
  readonly ended: boolean;
  readonly failure: Error | undefined;
  /** The next bytes that came; undefined where there are none now. */
  take(): Part | undefined;
  resume(): void;
  giveBack(part: Part): void;
  /** Nobody wants what may still come. A part that somebody still reads is not used again. */
  close(options?: { stillRead?: Part | undefined }): void;
}

/** A body that somebody asked for; it has to be sent, or destroyed. */
export interface Bytes {
  /** Undefined: it ends when it ends. @throws where who sends it says no number */
  readonly length: number | undefined;
  /**
   * Writes the body, and ends the sink after it. The sink must be done with a buffer when it calls back, as sockets and
   * answers of HTTP are. Whoever breaks off takes the other along, so that nobody takes a piece for the whole.
   * @throws why the body did not come whole; a sink that went away is no error
   */
  sendTo(sink: Writable): Promise<void>;
  destroy(): void;
}

export function sendParts(parts: Parts, sink: Writable, options: Omit<SendingOptions, 'done'>): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (failure?: Error) => (failure ? reject(failure) : resolve());
    new Sending(parts, sink, { ...options, done });
  });
}

interface SendingOptions {
  /** Undefined: the body ends with the connection. */
  length: number | undefined;
  /** How long nothing may move. */
  silenceMs: number;
  /** With the reason why the body did not come whole. That the sink went away is no such reason. */
  done(failure?: Error): void;
}

/** A sink that makes us wait for longer is a slow one, and gets less memory; as all do at first. */
const slowMs = 50;

class Sending {
  readonly #parts: Parts;
  readonly #sink: Writable;
  readonly #options: SendingOptions;
  readonly #silence: NodeJS.Timeout;
  #left: number | undefined;
  #writing: Part | undefined;
  #settled = false;

  constructor(parts: Parts, sink: Writable, options: SendingOptions) {
    this.#parts = parts;
    this.#sink = sink;
    this.#options = options;
    this.#left = options.length;
    this.#silence = setTimeout(() => this.#settle(new Error('the bytes stood still')), options.silenceMs);
    parts.onChange = () => this.#look();
    sink.on('error', () => {}).once('close', this.#gone);
    if (sink.destroyed || sink.closed) this.#settle();
    else this.#look();
  }

  readonly #gone = (): void => this.#settle();

  #look(): void {
    if (this.#writing || this.#settled) return;
    const part = this.#left === 0 ? undefined : this.#parts.take();
    if (part) {
      this.#writing = part;
      turns.take(() => this.#write(part));
    } else if (this.#left === 0) this.#finish();
    else if (!this.#parts.ended) this.#parts.resume();
    else if (this.#left === undefined && !this.#parts.failure) this.#finish();
    else this.#settle(this.#parts.failure ?? new Error('the connection ended before the last byte'));
  }

  #write(part: Part): void {
    if (this.#settled) return;
    const { bytes } = part;
    if (this.#left !== undefined) {
      this.#left -= bytes.length;
      if (this.#left < 0) {
        this.#settle(new Error('more bytes came than were announced'));
        return;
      }
    }
    const began = performance.now();
    this.#sink.write(bytes, (error) => {
      if (this.#settled) return;
      if (error) return this.#settle();
      this.#parts.size = performance.now() - began > slowMs ? 'small' : 'large';
      this.#silence.refresh();
      this.#writing = undefined;
      this.#parts.giveBack(part);
      this.#look();
    });
  }

  #finish(): void {
    this.#sink.off('close', this.#gone);
    this.#sink.end();
    this.#settle();
  }

  #settle(failure?: Error): void {
    if (this.#settled) return;
    this.#settled = true;
    clearTimeout(this.#silence);
    this.#sink.off('close', this.#gone);
    if (!this.#sink.writableEnded) this.#sink.destroy();
    this.#parts.close({ stillRead: this.#writing });
    this.#options.done(failure);
  }
}
