/**
 * Parses messages as they arrive. The first answer to a monitor holds all rows of a database, which may be a hundred
 * megabytes: parsed whole it would stop everything else in the process for a second. So a message that does not arrive in
 * one piece is parsed object by object: those at depth four (`result`, table, row, what became of it) as soon as each is
 * whole, the thin frame around them in the end.
 *
 * The scan is on bytes: 0x22, 0x5c, 0x7b and 0x7d never occur inside a UTF-8 sequence.
 */
import { OvsdbError } from './errors.ts';

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;

/** Braces and quotes; knows where it is at the end of each chunk. */
class Scan {
  depth = 0;
  #inString = false;
  #escaped = false;

  /** Calls back at each brace outside strings, when the depth is what it is after it. */
  run(chunk: Buffer, from: number, brace: (at: number, opens: boolean) => 'go on' | 'stop'): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
      } else if (byte === quote) {
        if (this.depth === 0) throw outside();
        this.#inString = true;
      } else if (byte === open || byte === close) {
        this.depth += byte === open ? 1 : -1;
        if (this.depth < 0) throw outside();
        if (brace(at, byte === open) === 'stop') return at + 1;
      } else if (this.depth === 0 && byte > 0x20) throw outside();
    }
    return chunk.length;
  }
}

const outside = () => new OvsdbError('protocol', 'OVSDB peer sent bytes outside a JSON object');

export class MessageReader {
  readonly #maxBytes: number;
  readonly #scan = new Scan();
  #large: LargeMessage | undefined;

  constructor(options: { maxBytes?: number } = {}) {
    this.#maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  }

  /** Takes what arrived; answers the messages that are now whole. */
  push(chunk: Buffer): unknown[] {
    const messages: unknown[] = [];
    let begin = 0;
    for (let at = 0; at < chunk.length; ) {
      const from = at;
      let ended = false;
      at = this.#scan.run(chunk, from, (brace, opens) => {
        if (opens && this.#scan.depth === 1) begin = brace;
        ended = this.#scan.depth === 0;
        return ended ? 'stop' : 'go on';
      });
      if (!ended) break;
      if (this.#large) {
        this.#large.feed(chunk.subarray(from, at));
        messages.push(this.#large.end());
        this.#large = undefined;
      } else messages.push(JSON.parse(chunk.toString('utf8', begin, at)));
      begin = at;
    }
    if (this.#scan.depth > 0) {
      this.#large ??= new LargeMessage(this.#maxBytes);
      this.#large.feed(chunk.subarray(begin));
    }
    return messages;
  }
}

/** Stands in the frame for the n-th object that was parsed before. No name in OVSDB has a control character. */
const placeholder = '\u0000object';

class LargeMessage {
  readonly #maxBytes: number;
  readonly #scan = new Scan();
  readonly #objects: Record<string, unknown>[] = [];
  #frame = '';
  #bytes = 0;
  /** Since the last boundary: parts of the frame, of a key, or of an object at depth four. */
  #parts: Buffer[] = [];
  /** The object at depth three that is being read; undefined where it turned out to hold more than objects. */
  #object: Record<string, unknown> | undefined;
  #entries = 0;
  #key = '';

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  feed(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) throw new OvsdbError('protocol', 'OVSDB message is larger than the limit');
    let from = 0;
    this.#scan.run(chunk, 0, (at, opens) => {
      const { depth } = this.#scan;
      // Boundaries lie behind the brace that opens depth three, before and behind each object at depth four, and before
      // the brace that closes depth three.
      if (opens && depth === 3) this.#begin(this.#take(chunk, from, at));
      else if (opens && depth === 4) this.#name(this.#take(chunk, from, at));
      else if (!opens && depth === 3) this.#add(this.#take(chunk, from, at + 1));
      else if (!opens && depth === 2) this.#close(this.#take(chunk, from, at));
      else return 'go on';
      from = (opens && depth === 4) || (!opens && depth === 2) ? at : at + 1;
      return 'go on';
    });
    // A copy: the socket may reuse its buffer.
    if (from < chunk.length) this.#parts.push(Buffer.from(chunk.subarray(from)));
  }

  end(): unknown {
    this.#frame += Buffer.concat(this.#parts).toString('utf8');
    return this.#fill(JSON.parse(this.#frame));
  }

  #take(chunk: Buffer, from: number, to: number): string {
    const parts = this.#parts;
    this.#parts = [];
    if (parts.length === 0) return chunk.toString('utf8', from, to);
    return Buffer.concat([...parts, chunk.subarray(from, to)]).toString('utf8');
  }

  #begin(before: string): void {
    this.#frame += before;
    this.#object = Object.create(null) as Record<string, unknown>;
    this.#entries = 0;
  }

  #name(before: string): void {
    this.#key = before;
  }

  #add(text: string): void {
    const key = /^\s*(,?)\s*("(?:[^"\\]|\\.)*")\s*:\s*$/s.exec(this.#key);
    if (this.#object && key && (key[1] === ',') === this.#entries > 0) {
      this.#object[JSON.parse(key[2]!) as string] = JSON.parse(text);
      this.#entries++;
      return;
    }
    // It holds more than objects: it is a part of the frame after all.
    this.#open();
    this.#frame += this.#key + text;
  }

  /** Gives what was parsed back to the frame. */
  #open(): void {
    if (!this.#object) return;
    this.#frame += `{${Object.entries(this.#object)
      .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
      .join(',')}`;
    this.#object = undefined;
  }

  #close(tail: string): void {
    if (this.#object && this.#entries > 0 && tail.trim() === '') {
      // The closing brace follows as the next part of the frame.
      this.#frame += `{${JSON.stringify(placeholder)}:${this.#objects.push(this.#object) - 1}`;
      this.#object = undefined;
      return;
    }
    this.#open();
    this.#frame += tail;
  }

  /** Puts the objects where their placeholders are. */
  #fill(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((element) => this.#fill(element));
    if (value === null || typeof value !== 'object') return value;
    const number = (value as Record<string, unknown>)[placeholder];
    if (typeof number === 'number' && this.#objects[number]) return this.#objects[number];
    for (const [key, element] of Object.entries(value)) {
      if (typeof element === 'object' && element !== null)
        Object.defineProperty(value, key, {
          value: this.#fill(element),
          enumerable: true,
          writable: true,
          configurable: true,
        });
    }
    return value;
  }
}
