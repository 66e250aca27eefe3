/**
 * The last changes that a reader has handed on, a page each: where a database that went back still has one of them, the reader goes on from there, and
 * misses nothing of the other history. Lives in memory; a reader that starts anew has nothing to go back for.
 */
import type { Queryable } from '../database/database.ts';
import type { Change } from './change.ts';
import type { Position } from './position.ts';
import { mayHaveHappened, witnessOf } from './witness.ts';

/** Of pages; the tail that an asynchronous standby has not got is a second or two long. */
const kept = 1000;

interface Seen {
  witness: string;
  position: Position;
}

export class SeenChanges {
  #pages: Seen[] = [];

  add(changes: readonly Change[]): void {
    const last = changes.at(-1);
    if (!last) return;
    this.#pages.push({ witness: witnessOf(last), position: last.position });
    if (this.#pages.length > kept) this.#pages = this.#pages.slice(-kept / 2);
  }

  /** False where the database has certainly not made the last one. */
  async stands(db: Queryable): Promise<boolean> {
    const last = this.#pages.at(-1);
    return last === undefined || mayHaveHappened(db, last.witness);
  }

  /** The last one that the database has made too, and all after it is forgotten; undefined where there is none. */
  async common(db: Queryable): Promise<Position | undefined> {
    // What came before one that it has made it has made as well.
    let [low, high] = [0, this.#pages.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (await mayHaveHappened(db, this.#pages[middle]!.witness)) low = middle + 1;
      else high = middle;
    }
    this.#pages = this.#pages.slice(0, low);
    return this.#pages.at(-1)?.position;
  }
}
