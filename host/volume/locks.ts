/** One at a time for each layer: who opens its file to write, or replaces it. Owns nothing but memory. */
import type { LayerId } from '../../contract/ids.ts';

export class LayerLocks {
  readonly #last = new Map<LayerId, Promise<unknown>>();

  /** Runs the work when all earlier work on the layer is over, however it ended. */
  with<T>(id: LayerId, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(id) ?? Promise.resolve();
    const done = before.then(work, work);
    const over = done.then(
      () => {},
      () => {},
    );
    this.#last.set(id, over);
    void over.then(() => {
      if (this.#last.get(id) === over) this.#last.delete(id);
    });
    return done;
  }
}
