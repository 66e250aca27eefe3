/** Which blobs another host may fetch, and until when, by control's word. In memory: control says it again. */
import type { GrantBlobs, StoredPlace } from '../../contract/host/index.ts';
import type { HostId } from '../../contract/ids.ts';

export class Grants {
  readonly #until = new Map<string, number>();
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  add({ to, disk, forMs, blobs }: GrantBlobs): void {
    const now = this.#now();
    for (const [key, until] of this.#until) if (until <= now) this.#until.delete(key);
    for (const place of blobs) this.#until.set(keyOf(to, disk, place), now + forMs);
  }

  allows(host: HostId, disk: string, place: StoredPlace): boolean {
    return (this.#until.get(keyOf(host, disk, place)) ?? 0) > this.#now();
  }
}

const keyOf = (host: HostId, disk: string, { blob, intent, file, offset, length }: StoredPlace): string =>
  `${host} ${disk} ${intent} ${file} ${offset} ${blob} ${length}`;
