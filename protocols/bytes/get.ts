/**
 * One GET of something large, on a connection of its own, and its way to who asked. Node's HTTP client would hand over each
 * 64 KiB in new memory, through a parser and a stream; here the kernel writes into a piece of memory that is used again,
 * and that is written as it stands. Beside a client that reads TLS this halves the processor time of a download.
 *
 * HTTP/1.0 is asked for, so that a body ends where its length says or with the connection, and is never cut in chunks.
 *
 * Owns a socket and, while bytes are in it, a piece of memory. Reads no further than the sink takes.
 */
import { Writable } from 'node:stream';
import { type ByteRequest, Connection } from './connection.ts';
import { contentLength, type Head } from './head.ts';
import { type Bytes, sendParts } from './sending.ts';

/** The answer's head has come; its body has to be taken, or the answer destroyed. @throws what the connection failed by */
export function getBytes(request: ByteRequest): Promise<ByteAnswer> {
  return new Promise((resolve, reject) => {
    const connection = new Connection(request);
    const timer = setTimeout(
      () => connection.destroy(new Error(`no answer within ${request.answerMs} ms`)),
      request.answerMs,
    );
    connection.onChange = () => {
      try {
        const head = connection.takeHead();
        if (head) resolve(new ByteAnswer(connection, head, request.silenceMs));
        else if (!connection.ended) return;
        else throw connection.failure ?? new Error('the connection ended before the answer');
      } catch (error) {
        connection.close();
        reject(error);
      }
      clearTimeout(timer);
    };
  });
}

class ByteAnswer implements Bytes {
  readonly head: Head;
  readonly #connection: Connection;
  readonly #silenceMs: number;

  constructor(connection: Connection, head: Head, silenceMs: number) {
    this.head = head;
    this.#connection = connection;
    this.#silenceMs = silenceMs;
    connection.onChange = () => {};
  }

  get length(): number | undefined {
    return contentLength(this.head);
  }

  destroy(): void {
    this.#connection.close();
  }

  /** The whole of a body that is small. @throws where it is longer, or does not come whole */
  async text(maxBytes: number): Promise<string> {
    const chunks: Buffer[] = [];
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(Buffer.from(chunk));
        const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
        done(bytes > maxBytes ? new Error(`the answer has more than ${maxBytes} bytes`) : null);
      },
    });
    const [failure] = await Promise.all([whyNotWhole(sink), this.#send(sink, this.length)]);
    if (failure) throw failure;
    return Buffer.concat(chunks).toString('utf8');
  }

  async sendTo(sink: Writable): Promise<void> {
    try {
      const { length } = this;
      if (length === undefined) throw new Error('the answer has no length');
      await this.#send(sink, length);
    } catch (error) {
      this.destroy();
      sink.destroy();
      throw error;
    }
  }

  #send(sink: Writable, length: number | undefined): Promise<void> {
    return sendParts(this.#connection, sink, { length, silenceMs: this.#silenceMs });
  }
}

/** The sink's error, once it is closed. */
function whyNotWhole(sink: Writable): Promise<Error | null> {
  return new Promise((resolve) => sink.once('close', () => resolve(sink.errored)).once('error', () => {}));
}
