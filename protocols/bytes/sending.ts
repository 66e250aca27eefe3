/**
 * The body of an answer on its way into a sink, a part at a time: no next one is read before the sink has taken the last.
 * Whoever breaks off takes the other along, so that nobody takes a piece for the whole.
 */
import type { Writable } from 'node:stream';
import type { Connection, Part } from './connection.ts';
import { turns } from './turns.ts';

export interface SendingOptions {
  /** Undefined: the body ends with the connection. */
  length: number | undefined;
  /** How long nothing may move. */
  silenceMs: number;
  /** With the reason why the body did not come whole. That the sink went away is no such reason. */
  done(failure?: Error): void;
}

/** A sink that makes us wait for longer is a slow one, and gets less memory; as all do at first. */
const slowMs = 50;

export class Sending {
  readonly #connection: Connection;
  readonly #sink: Writable;
  readonly #options: SendingOptions;
  readonly #silence: NodeJS.Timeout;
  #left: number | undefined;
  #writing: Part | undefined;
  #settled = false;

  constructor(connection: Connection, sink: Writable, options: SendingOptions) {
    this.#connection = connection;
    this.#sink = sink;
    this.#options = options;
    this.#left = options.length;
    this.#silence = setTimeout(() => this.#settle(new Error('the bytes stood still')), options.silenceMs);
    connection.onChange = () => this.#look();
    sink.on('error', () => {}).once('close', this.#gone);
    if (sink.destroyed || sink.closed) this.#settle();
    else this.#look();
  }

  readonly #gone = (): void => this.#settle();

  #look(): void {
    if (this.#writing || this.#settled) return;
    const part = this.#left === 0 ? undefined : this.#connection.take();
    if (part) {
      this.#writing = part;
      turns.take(() => this.#write(part));
    } else if (this.#left === 0) this.#finish();
    else if (!this.#connection.ended) this.#connection.resume();
    else if (this.#left === undefined && !this.#connection.failure) this.#finish();
    else this.#settle(this.#connection.failure ?? new Error('the connection ended before the last byte'));
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
      this.#connection.size = performance.now() - began > slowMs ? 'small' : 'large';
      this.#silence.refresh();
      this.#writing = undefined;
      this.#connection.giveBack(part);
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
    this.#connection.close({ stillRead: this.#writing });
    this.#options.done(failure);
  }
}
