/** One at a time for each layer: who opens its file to write, or replaces it; for each volume: who changes what its guest's QEMU has of it. Owns nothing but memory. */
import type { LayerId, VolumeId } from '../../contract/ids.ts';

export class LayerLocks<Id extends LayerId | VolumeId> {
  readonly #last = new Map<Id, Promise<unknown>>();

  /** Runs the work when all earlier work on it is over, however it ended. */
  with<T>(id: Id, work: () => Promise<T>): Promise<T> {
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
