/**
 * Control's word that an image goes. It says so once: where the bytes are only on their way into the store there is nothing to remove
 * yet, so whoever brings them is told. If this process dies, what was on its way goes with it. An image that is to be made of a disk may not
 * even be begun: that it is not wanted is also kept with the server that names it (`refuseCapture` in ../server/reconciler.ts).
 */
import type { ImageId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';

/** Of the last ones; whoever asks does so moments later. */
const remembered = 10_000;

export class Deletions {
  readonly #told = new Set<ImageId>();
  readonly #watches = new Map<ImageId, Set<DeletionWatch>>();

  /** From now until it is disposed of. */
  watch(id: ImageId): DeletionWatch {
    const watches = this.#watches.get(id) ?? new Set();
    this.#watches.set(id, watches);
    const watch = new DeletionWatch(() => {
      watches.delete(watch);
      if (watches.size === 0) this.#watches.delete(id);
    });
    watches.add(watch);
    return watch;
  }

  /** As `watch`, of an image that can only come once: what was said before counts too. */
  watchOnce(id: ImageId): DeletionWatch {
    const watch = this.watch(id);
    watch.happened = this.#told.has(id);
    return watch;
  }

  tell(id: ImageId): void {
    this.#told.add(id);
    const [oldest] = this.#told;
    if (this.#told.size > remembered) this.#told.delete(oldest!);
    for (const watch of this.#watches.get(id) ?? []) watch.happened = true;
  }
}

export const deletedMeanwhile = 'the image was deleted while it was made';

class DeletionWatch implements Disposable {
  happened = false;
  readonly #end: () => void;

  constructor(end: () => void) {
    this.#end = end;
  }

  /** @throws HostFault */
  refuse(): void {
    if (this.happened) throw new HostFault('conflict', deletedMeanwhile);
  }

  [Symbol.dispose](): void {
    this.#end();
  }
}
