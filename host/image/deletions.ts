/**
 * Control's word that an image goes. It says so once: where the bytes are only on their way into the store there is nothing to remove
 * yet, so whoever brings them is told. If this process dies, what was on its way goes with it.
 */
import type { ImageId } from '../../contract/ids.ts';
import { HostFault } from '../host-error.ts';

export class Deletions {
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

  tell(id: ImageId): void {
    for (const watch of this.#watches.get(id) ?? []) watch.happened = true;
  }
}

class DeletionWatch implements Disposable {
  happened = false;
  readonly #end: () => void;

  constructor(end: () => void) {
    this.#end = end;
  }

  /** @throws HostFault */
  refuse(): void {
    if (this.happened) throw new HostFault('conflict', 'the image was deleted while it was made');
  }

  [Symbol.dispose](): void {
    this.#end();
  }
}
