/**
 * What the change feed has just read, for a watcher that has seen all before it: no read of its own, which is a round trip sooner. Holds
 * little; a watcher that falls behind reads the log as ever.
 */
import { type Change, isBefore, type Position, type Stretch } from '../../control/kit/change-log/changes.ts';

/** Changes that wait for one watcher at most. They are the feed's own objects, shared by all. */
const mostChanges = 500;

export class News {
  #pages: { changes: readonly Change[]; stretch: Stretch }[] = [];
  /** Nobody has been told yet that the log has more. */
  #dropped = false;

  /** In the order of the log. */
  put(changes: readonly Change[], stretch: Stretch): void {
    this.#pages.push({ changes, stretch });
    const held = this.#pages.reduce((sum, page) => sum + page.changes.length, 0);
    if (held <= mostChanges) return;
    this.#pages = [];
    this.#dropped = true;
  }

  /** Something is left to be taken, here or, where it was too much to hold, from the log. */
  get waiting(): boolean {
    return this.#dropped || this.#pages.length > 0;
  }

  /** What came behind a place, as far as one page goes; undefined where none goes on from there. */
  take(after: Position): { changes: readonly Change[]; end: Position } | undefined {
    for (let page = this.#pages.shift(); page; page = this.#pages.shift()) {
      const { changes, stretch } = page;
      const { incarnation } = after;
      const same = stretch.after.incarnation === incarnation && stretch.end.incarnation === incarnation;
      if (!same || isBefore(after, stretch.after)) break;
      if (!isBefore(after, stretch.end)) continue;
      return { changes: changes.filter(({ position }) => isBefore(after, position)), end: stretch.end };
    }
    this.#pages = [];
    this.#dropped = false;
    return undefined;
  }
}
