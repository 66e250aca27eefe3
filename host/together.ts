/**
 * Many callers, one act: who asks while the act is under way shares the next one. A directory is synced, and a file appended to, once for
 * all layers that are made in the same moment. Owns nothing but memory.
 */
export class Together<T> {
  readonly #act: (items: T[]) => Promise<void>;
  #waiting: { items: T[]; done: Promise<void> } | undefined;
  #last: Promise<unknown> = Promise.resolve();

  constructor(act: (items: T[]) => Promise<void>) {
    this.#act = act;
  }

  /** Resolves when an act that began after this call, with this item, is over. */
  ask(item: T): Promise<void> {
    if (this.#waiting) {
      this.#waiting.items.push(item);
      return this.#waiting.done;
    }
    const items = [item];
    const done = this.#last.then(() => {
      this.#waiting = undefined;
      return this.#act(items);
    });
    this.#waiting = { items, done };
    this.#last = done.catch(() => {});
    return done;
  }
}
