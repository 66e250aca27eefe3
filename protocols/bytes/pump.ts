/**
 * Bytes of images from one connection to another, as little touched as can be. Sockets hand us 16 KiB (TLS) or 64 KiB at a
 * time, in memory that is new each time. A write for each would cost more than all the copying, and V8 counts such memory
 * as its own growth: it marks the whole heap for every 64 MiB that pass. So chunks are gathered in a few pieces that are used
 * again and again, and their own memory is freed at once.
 */
import type { Readable, Writable } from 'node:stream';
import { freeBuffer, pieces } from './memory.ts';
import { turns } from './turns.ts';

/** One that fills, one that is written, one between. */
const maxPieces = 3;
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

interface Filled {
  piece: Buffer;
  bytes: Buffer;
}

class Pump {
  readonly #source: Readable;
  readonly #sink: Writable;
  /** Pieces that this pump has. */
  #held = 0;
  #piece: Buffer | undefined;
  #filled = 0;
  /** Full, or lingered long enough. */
  readonly #ready: Filled[] = [];
  #writing: Filled | undefined;
  #ended = false;
  /** Could not be taken whole: all pieces are on their way, and the source waits. */
  #chunk: Buffer | undefined;
  #copied = 0;
  #linger: NodeJS.Timeout | undefined;
  /** Waits for its turn. */
  #resting = false;
  #stopped = false;

  constructor(source: Readable, sink: Writable) {
    this.#source = source;
    this.#sink = sink;
    source.on('data', this.#onData).once('end', this.#onEnd);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#linger);
    this.#source.off('data', this.#onData).off('end', this.#onEnd);
    for (const { piece } of this.#ready.splice(0)) pieces.giveBack(piece);
    if (this.#piece) pieces.giveBack(this.#piece);
    if (this.#writing) pieces.lose(this.#writing.piece);
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#chunk = chunk;
    this.#copied = 0;
    this.#take();
    if (!this.#chunk && !this.#resting && turns.over) this.#rest();
  };

  /** A TLS socket decrypts as long as somebody listens. */
  #rest(): void {
    this.#resting = true;
    this.#source.pause();
    turns.take(() => {
      this.#resting = false;
      if (!this.#chunk && !this.#stopped) this.#source.resume();
    });
  }

  readonly #onEnd = (): void => {
    this.#ended = true;
    // It also comes, with a pause under way, behind a last chunk that could not be taken yet.
    if (!this.#chunk) this.#flush();
  };

  #take(): void {
    const chunk = this.#chunk!;
    while (this.#copied < chunk.length) {
      this.#piece ??= this.#nextPiece();
      if (!this.#piece) {
        this.#source.pause();
        return;
      }
      const copied = chunk.copy(this.#piece, this.#filled, this.#copied);
      this.#copied += copied;
      this.#filled += copied;
      if (this.#filled === this.#piece.length) this.#flush();
    }
    this.#chunk = undefined;
    freeBuffer(chunk);
  }

  #nextPiece(): Buffer | undefined {
    if (this.#held === maxPieces) return undefined;
    this.#held++;
    this.#linger ??= setTimeout(() => this.#flush(), lingerMs);
    this.#linger.refresh();
    return pieces.take('large');
  }

  #flush(): void {
    if (this.#piece) this.#ready.push({ piece: this.#piece, bytes: this.#piece.subarray(0, this.#filled) });
    this.#piece = undefined;
    this.#filled = 0;
    this.#look();
  }

  /** One at a time: several that wait in a TLS socket would be copied together into new memory. */
  #look(): void {
    if (this.#writing || this.#stopped) return;
    const next = this.#ready.shift();
    if (next) {
      this.#writing = next;
      turns.take(() => this.#write(next));
    } else if (this.#ended && !this.#chunk && !this.#piece) {
      this.stop();
      this.#sink.end();
    }
  }

  #write({ piece, bytes }: Filled): void {
    if (this.#stopped) return;
    this.#sink.write(bytes, (error) => {
      if (error || this.#stopped) return;
      this.#writing = undefined;
      this.#held--;
      pieces.giveBack(piece);
      if (this.#chunk) this.#goOn();
      this.#look();
    });
  }

  #goOn(): void {
    this.#take();
    if (this.#chunk) return;
    if (this.#ended) this.#flush();
    else if (!this.#resting) this.#source.resume();
  }
}
