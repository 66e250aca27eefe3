/**
 * OVSDB sends JSON values one after the other with nothing between them. A message ends where brace depth returns to
 * zero outside strings. The scan is on bytes: 0x22, 0x5c, 0x7b and 0x7d never occur inside a UTF-8 sequence.
 */
import { OvsdbError } from './errors.ts';

const quote = 0x22;
const backslash = 0x5c;
const open = 0x7b;
const close = 0x7d;

export class MessageSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #bytes = 0;
  #depth = 0;
  #inString = false;
  #escaped = false;

  constructor(options: { maxBytes?: number } = {}) {
    this.#maxBytes = options.maxBytes ?? 512 * 1024 * 1024;
  }

  /** Takes what arrived; answers the messages that are now whole. */
  push(chunk: Buffer): Buffer[] {
    const messages: Buffer[] = [];
    let start = 0;
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]!;
      if (this.#inString) {
        if (this.#escaped) this.#escaped = false;
        else if (byte === backslash) this.#escaped = true;
        else if (byte === quote) this.#inString = false;
        continue;
      }
      if (this.#depth === 0) {
        if (byte === open) start = at;
        else if (byte > 0x20) throw new OvsdbError('protocol', 'OVSDB peer sent bytes outside a JSON object');
      }
      if (byte === quote) this.#inString = true;
      else if (byte === open) this.#depth++;
      else if (byte === close && --this.#depth === 0) {
        messages.push(this.#take(chunk.subarray(start, at + 1)));
        start = at + 1;
      }
    }
    if (this.#depth > 0) this.#keep(chunk.subarray(start));
    return messages;
  }

  #keep(part: Buffer): void {
    this.#bytes += part.length;
    if (this.#bytes > this.#maxBytes) throw new OvsdbError('protocol', 'OVSDB message is larger than the limit');
    // A copy: the socket may reuse its buffer.
    this.#parts.push(Buffer.from(part));
  }

  #take(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last;
    const whole = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#bytes = 0;
    return whole;
  }
}
