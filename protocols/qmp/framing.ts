/**
 * Bytes to JSON objects. QMP ends each message with a line feed and never has one inside. Lines are cut as bytes and
 * decoded whole, so a character that arrives in two chunks is not torn. A line without end is refused, not collected.
 */

export class QmpFramer {
  readonly #maxBytes: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  #parts: Buffer[] = [];
  #size = 0;

  constructor(options: { maxBytes?: number } = {}) {
    this.#maxBytes = options.maxBytes ?? 16 * 1024 * 1024;
  }

  /** The messages that this chunk completes. @throws where a line is too long, not UTF-8 or no JSON object */
  push(chunk: Buffer): Record<string, unknown>[] {
    const messages: Record<string, unknown>[] = [];
    let start = 0;
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      const line = this.#parts.length === 0 ? chunk.subarray(start, end) : this.#join(chunk.subarray(start, end));
      start = end + 1;
      const message = this.#parse(line);
      if (message) messages.push(message);
    }
    if (start < chunk.length) {
      this.#parts.push(start === 0 ? chunk : chunk.subarray(start));
      this.#size += chunk.length - start;
      if (this.#size > this.#maxBytes) throw new Error(`a message has more than ${this.#maxBytes} bytes`);
    }
    return messages;
  }

  #join(end: Buffer): Buffer {
    const whole = Buffer.concat([...this.#parts, end]);
    this.#parts = [];
    this.#size = 0;
    return whole;
  }

  #parse(line: Buffer): Record<string, unknown> | undefined {
    const text = this.#decoder.decode(line).trim();
    if (text === '') return undefined;
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('a message is no object');
    return value as Record<string, unknown>;
  }
}
