/**
 * Bytes of images from one connection to another, as little touched as can be. Sockets hand us 16 KiB (TLS) or 64 KiB at a
 * time, in memory that is new each time. A write for each would cost more than all the copying, and V8 counts such memory
 * as its own growth: it marks the whole heap for every 64 MiB that pass. So chunks are gathered in a few pieces that are used
 * again and again, and their own memory is freed at once.
 */
import type { Readable, Writable } from 'node:stream';

const pieceBytes = 256 * 1024;
const pieceCount = 4;
/** A slow source's bytes don't wait longer for a piece to fill. */
const lingerMs = 5;

/**
 * Pipes, and ends the sink after the source's end. The source's buffers are given away, and the sink must be done with a
 * buffer when it calls back: both are so for sockets. Errors of both are the caller's to watch.
 * @returns what stops it; the source can then be read by others
 */
export function pump(source: Readable, sink: Writable): () => void {
  const pump = new Pump(source, sink);
  return () => pump.stop();
}

class Pump {
  readonly #source: Readable;
  readonly #sink: Writable;
  readonly #free: Buffer[] = [];
  #made = 0;
  #piece: Buffer | undefined;
  #filled = 0;
  /** Full, or lingered long enough. */
  readonly #ready: Buffer[] = [];
  #writing = false;
  #ended = false;
  /** Could not be taken whole: all pieces are on their way, and the source waits. */
  #chunk: Buffer | undefined;
  #taken = 0;
  #linger: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(source: Readable, sink: Writable) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', this.#onData).once('end', this.#onEnd);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#linger);
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunk = chunk;
    this.#taken = 0;
    this.#take();
  };

  readonly #onEnd = (): void => {
    this.#ended = true;
    // It also comes, with a pause under way, behind a last chunk that could not be taken yet.
    if (!this.#chunk) this.#flushLast();
  };

  #take(): void {
    const chunk = this.#chunk!;
    while (this.#taken < chunk.length) {
      this.#piece ??= this.#nextPiece();
      if (!this.#piece) {
        this.#source.pause();
        return;
      }
      const copied = chunk.copy(this.#piece, this.#filled, this.#taken);
      this.#taken += copied;
      this.#filled += copied;
      if (this.#filled === pieceBytes) this.#flush();
    }
    this.#chunk = undefined;
    free(chunk);
  }

  #nextPiece(): Buffer | undefined {
    if (this.#free.length === 0 && this.#made < pieceCount) {
      this.#made++;
      this.#free.push(Buffer.allocUnsafeSlow(pieceBytes));
    }
    const piece = this.#free.pop();
    if (piece) {
      this.#linger ??= setTimeout(() => this.#flush(), lingerMs);
      this.#linger.refresh();
    }
    return piece;
  }

  #flush(): void {
    if (!this.#piece) return;
    this.#ready.push(this.#piece.subarray(0, this.#filled));
    this.#piece = undefined;
    this.#filled = 0;
    if (!this.#writing) this.#write();
  }

  /** One at a time: several that wait in a TLS socket would be copied together into new memory. */
  #write(): void {
    const bytes = this.#ready.shift();
    this.#writing = bytes !== undefined;
    if (bytes === undefined) {
      if (this.#ended) this.#sink.end();
      return;
    }
    this.#sink.write(bytes, (error) => {
      if (error || this.#stopped) return;
      this.#free.push(Buffer.from(bytes.buffer));
      this.#write();
      if (!this.#chunk) return;
      this.#take();
      if (this.#chunk) return;
      if (this.#ended) this.#flushLast();
      else this.#source.resume();
    });
  }

  #flushLast(): void {
    this.#flush();
    if (!this.#writing) this.#write();
  }
}

/** Buffers that share their memory with others (Node's pool) are left to the collector. */
function free({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached && byteLength === buffer.byteLength) buffer.transfer(0);
}
