/**
 * Memory that bytes pass through. V8 counts memory outside its heap as growth and marks the whole heap for every 64 MiB of
 * it, so what passes goes through pieces that are used again, and what sockets hand us in memory of their own is freed at once.
 */

const largePieceBytes = 512 * 1024;
/** For streams whose other end is slow, and for those beyond the number of large pieces. */
const smallPieceBytes = 32 * 1024;

class Pieces {
  readonly #maxLarge: number;
  readonly #idle: Buffer[] = [];
  #large = 0;

  constructor(options: { maxLarge: number }) {
    this.#maxLarge = options.maxLarge;
  }

  /** How many large ones somebody has. */
  get inUse(): number {
    return this.#large;
  }

  /** Memory that nobody else has; give it back. */
  take(wanted: 'large' | 'small'): Buffer {
    if (wanted === 'small' || this.#large === this.#maxLarge) return Buffer.allocUnsafeSlow(smallPieceBytes);
    this.#large++;
    return this.#idle.pop() ?? Buffer.allocUnsafeSlow(largePieceBytes);
  }

  /** Nobody reads or writes it any more. */
  giveBack(piece: Buffer): void {
    if (piece.length === largePieceBytes) {
      this.#large--;
      this.#idle.push(piece);
    } else freeBuffer(piece);
  }

  /** Somebody may still read it, and nobody says until when: the collector will see. */
  lose(piece: Buffer): void {
    if (piece.length === largePieceBytes) this.#large--;
  }
}

/** Of this thread: 12 MiB at most are kept. */
export const pieces = new Pieces({ maxLarge: 24 });

/** Buffers that share their memory with others (Node's pool, threads) are left to the collector. */
export function freeBuffer({ buffer, byteLength }: Buffer): void {
  if (buffer instanceof ArrayBuffer && !buffer.detached && byteLength === buffer.byteLength) buffer.transfer(0);
}
